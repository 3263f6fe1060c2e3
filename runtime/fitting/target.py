"""A mask as what is fitted to: signed distances on a small grid, in a frame of its own.

Lengths are in units, the voxels of the volumes that will be made; x runs to the right, y to the front and z up, and the
middle of the mask lies at the origin. A mask that touches the border of its image goes on behind it: nothing is known
there, so no point is taken from beyond.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fdif_dsl.compiler.fields.distance import signed_distance
from fdif_dsl.compiler.fields.surface import surface_of
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError
from fdif_dsl.runtime.finetuning.data.nifti import Stored, read_label

MARGIN = 5
"""Cells around the mask."""
MOST_CELLS = 60
"""Cells along the mask's longest side."""
SPECK = 0.05
"""A component with a smaller share of the voxels is left out."""


@dataclass(frozen=True)
class Target:
    """`distance` (x, y, z) in units at cells whose first lies at `start` and which are `cell` apart; `seen` is where
    the image is. `voxels` is the volume in cubic units; `centre` is the middle of the mask, from the middle of its
    image, and `room` the size of that."""

    name: str
    distance: np.ndarray
    seen: np.ndarray
    start: np.ndarray
    cell: float
    volume: float
    centre: np.ndarray
    room: np.ndarray
    notes: tuple[str, ...]

    @property
    def inside(self) -> np.ndarray:
        """The cells of the mask."""
        found: np.ndarray = (self.distance <= 0) & self.seen
        return found

    @property
    def places(self) -> np.ndarray:
        """The middles of all cells, (n, 3)."""
        axes = [self.start[k] + self.cell * np.arange(n) for k, n in enumerate(self.distance.shape)]
        return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)

    @property
    def reach(self) -> float:
        """The radius of a ball of this volume."""
        return float((3 * self.volume / (4 * np.pi)) ** (1 / 3))

    def at(self, points: np.ndarray) -> np.ndarray:
        """The distance at points within the grid."""
        place = np.clip((points - self.start) / self.cell, 0, np.array(self.distance.shape) - 1.001)
        low = place.astype(np.int64)
        part = place - low
        found = np.zeros(len(points))
        for corner in np.ndindex(2, 2, 2):
            weight = np.prod(np.where(corner, part, 1 - part), axis=1)
            found += weight * self.distance[tuple((low + corner).T)]
        return found


def read_stored(path: Path) -> Stored:
    """A label file as whole numbers."""
    return read_label(path)


def unit_of(masks: list[Stored]) -> float:
    """The side of a voxel to make, in mm: the finest side of the voxels of most masks."""
    return float(np.median([min(one.spacing) for one in masks]))


def make_target(name: str, path: Path, stored: Stored, labels: tuple[int, ...], unit: float) -> Target:
    """What is fitted to for some labels of a mask, together.

    Raises:
        FdifError: the mask lacks a label.
    """
    chosen = chosen_voxels(stored, labels)
    if not chosen.any():
        raise _missing(path, stored.upright()[0], labels)
    steps = np.array(stored.spacing[::-1]) / unit
    chosen, notes = _without_specks(chosen)
    occupied = [np.flatnonzero(chosen.any(axis=tuple({0, 1, 2} - {k}))) for k in range(3)]
    low, high = (np.array([box[end] for box in occupied]) for end in (0, -1))
    if any(low == 0) or any(high == np.array(chosen.shape) - 1):
        notes = (*notes, "is cut by the border of its image; what is seen of it is fitted")
    sides = (high - low + 1) * steps
    cell = max(1.0, float(sides.max()) / MOST_CELLS)
    around = np.ceil(MARGIN * cell / steps).astype(int) + 1
    first = low - around
    wide = np.pad(chosen, [(a, a) for a in around.tolist()], mode="edge")
    cut = wide[tuple(slice(a, b) for a, b in zip(low, high + 1 + 2 * around, strict=True))]
    vertices, triangles = surface_of(cut)
    corner = first * steps  # of the piece that was cut out, in units
    extent = (np.array(cut.shape) - 1) * steps
    x, y, z = (int(np.floor(e / cell)) + 1 for e in extent)
    distance = signed_distance(vertices * steps / cell, triangles, (x, y, z)) * cell
    axes = [corner[k] + cell * np.arange(n) for k, n in enumerate((x, y, z))]
    sight = [(axis >= -0.5 * steps[k]) & (axis <= (chosen.shape[k] - 0.5) * steps[k]) for k, axis in enumerate(axes)]
    seen = sight[0][:, None, None] & sight[1][:, None] & sight[2]
    middle = np.argwhere(chosen).mean(0) * steps
    room = np.array(chosen.shape) * steps
    return Target(name, distance.astype(np.float32), seen, corner - middle, cell, float(chosen.sum() * steps.prod()),
                  middle - (room - steps) / 2, room, notes)


def chosen_voxels(stored: Stored, labels: tuple[int, ...]) -> np.ndarray:
    """The voxels (x, y, z) of some labels together; 0 is all that is not 0."""
    whole = stored.upright()[0].transpose(2, 1, 0)
    found: np.ndarray = np.isin(whole, labels) if labels != (0,) else whole != 0
    return found


def middle_of(stored: Stored, labels: tuple[int, ...], unit: float) -> np.ndarray:
    """The middle of what some labels cover, in units from the file's corner."""
    found: np.ndarray = np.argwhere(chosen_voxels(stored, labels)).mean(0) * np.array(stored.spacing[::-1]) / unit
    return found


def _missing(path: Path, whole: np.ndarray, labels: tuple[int, ...]) -> FdifError:
    there = [int(v) for v in np.unique(whole) if v]
    if not there:
        return FdifError(Diagnostic("E0971", "a mask is empty", where=str(path), why="all its voxels are 0",
                                    hint="leave it out"))
    return FdifError(Diagnostic(
        "E0971", f"a mask has no label {labels[0]}", where=str(path),
        why=f"its labels are {', '.join(map(str, there[:12]))}", hint="leave it out, or name another label"))


def _without_specks(chosen: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """The mask without its smallest components, and what is to be said of its components."""
    numbers = components(chosen)
    names, counts = np.unique(numbers[numbers >= 0], return_counts=True)
    if len(names) == 1:
        return chosen, ()
    large = names[counts >= SPECK * counts.sum()]
    specks = len(names) - len(large)
    notes: tuple[str, ...] = (f"has {len(large)} components, which are fitted together",) if len(large) > 1 else ()
    notes += (f"has {specks} speck{'s' if specks > 1 else ''} apart from the rest, left out",) if specks else ()
    return np.isin(numbers, large), notes


def components(chosen: np.ndarray) -> np.ndarray:
    """A number for each voxel, the same for those that hang together by their faces; -1 where there is none."""
    numbers = np.where(chosen, np.arange(chosen.size).reshape(chosen.shape), -1)
    while True:
        before = numbers.copy()
        for axis in range(3):
            turned, here = np.moveaxis(numbers, axis, 0), np.moveaxis(chosen, axis, 0)
            both = here[1:] & here[:-1]
            turned[1:][both] = np.maximum(turned[1:], turned[:-1])[both]
            turned[:-1][both] = np.maximum(turned[1:], turned[:-1])[both]
        numbers = np.where(chosen, numbers.reshape(-1)[np.maximum(numbers, 0)], -1)
        if (numbers == before).all():
            return numbers
