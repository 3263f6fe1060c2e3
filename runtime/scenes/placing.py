"""Where objects lie that are to lie wholly inside the grid, and how much of them earlier ones may cover.

An object is turned and sheared in the middle of the grid, and then moved by whole voxels along each axis. So the voxels
inside it are found once, and a place is tried by counting how many of them are taken. They are those of the shape as
it is in the middle, without its displacement, which differs from place to place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fdif_dsl.compiler.backends import Backend, Placed
from fdif_dsl.compiler.backends.cpu import CpuBackend
from fdif_dsl.compiler.ir.grid import Grid
from fdif_dsl.compiler.ir.priors import extent_of
from fdif_dsl.runtime.recipe import Placement
from fdif_dsl.runtime.scenes.philox import uniforms
from fdif_dsl.runtime.scenes.render import place
from fdif_dsl.runtime.scenes.scene import Scene, SceneObject

if TYPE_CHECKING:
    from fdif_dsl.compiler.library import Library

FIRST_DRAW = 3 << 20
"""Try k of an object takes its random numbers `FIRST_DRAW` + 4k to `FIRST_DRAW` + 4k + 2, for x, y and z. They come
after all ranges of `sampling.FIRST_DRAWS`."""
_STEP = 16  # tries that are drawn at a time

Whole = npt.NDArray[np.int64]  # whole voxels along x, y and z


def put_inside(scene: Scene, lib: Library, placement: Placement, seed: int, index: int, backend: str = "cpu") -> Scene:
    """A scene whose objects were drawn in the middle of the grid, each moved to a place of its own inside it. Those
    that find none are left out, and the others keep their order."""
    grid = Grid(scene.grid)
    solids: Iterable[tuple[int, _Solid | None]] = (
        (i, _solid(placed, grid, lib.backend(backend), lib)) for i, placed in enumerate(place(scene, lib)))
    if placement.order == "largest":
        solids = sorted(solids, key=lambda entry: 0 if entry[1] is None else -entry[1].count)
    taken = np.zeros(grid.shape, np.bool_)
    found: dict[int, Whole] = {}
    for i, solid in solids:
        if solid is not None:
            shift = _take(solid, taken, placement.overlap, _shifts(solid, seed, index, i, placement.tries))
            found |= {} if shift is None else {i: shift}
    return replace(scene, objects=tuple(_moved(o, found[i]) for i, o in enumerate(scene.objects) if i in found))


@dataclass(frozen=True)
class _Solid:
    """An object in the middle of the grid. `mask` (D, H, W) has the voxels inside it, `count` of them, from the voxel
    `low` on; it may be moved by `least` to `most` voxels."""

    mask: npt.NDArray[np.bool_]
    count: int
    low: Whole
    least: Whole
    most: Whole

    def box(self, shift: Whole) -> tuple[slice, ...]:
        """The part of the grid that the mask covers when it is moved."""
        first, sides = self.low + shift, self.mask.shape[::-1]
        return tuple(slice(a, a + n) for a, n in zip(first[::-1].tolist(), sides[::-1], strict=True))


def _solid(placed: Placed, grid: Grid, renderer: Backend, lib: Library) -> _Solid | None:
    """The voxels of an object and how far it may be moved; None where it does not fit into the grid.

    One that reaches the border may go on beyond it, so it is looked at again at the opposite border, and fits where it
    then ends before the first."""
    size = np.array(grid.shape[::-1])
    moved = np.zeros(3, np.int64)
    mask, low, high = _voxels(placed, moved, grid, renderer)
    if not mask.size:  # nothing to be seen, and nothing to move
        return _Solid(mask, 0, low, moved, moved)
    before, after = low == 0, high == size
    if (before | after).any():
        moved = np.where(before, size - high, 0) - np.where(after, low, 0)
        mask, low, high = _voxels(placed, moved, grid, renderer)
        if (before & (low == 0)).any() or (after & (high == size)).any():
            return None
    least, most = moved - low, moved + size - high
    room = _room(placed, grid, lib)
    if room is not None:
        least, most = np.maximum(least, -room), np.minimum(most, room)
        if (least > most).any():
            return None
    return _Solid(mask, int(np.count_nonzero(mask)), low - moved, least, most)


def _voxels(placed: Placed, moved: Whole, grid: Grid, renderer: Backend) -> tuple[npt.NDArray[np.bool_], Whole, Whole]:
    """The voxels inside a shape that is moved so far, as a mask of the smallest box with all of them; the first voxel
    of that box, and the first after it."""
    inverse = placed.inverse.copy()
    inverse[:3, 3] -= inverse[:3, :3] @ moved
    plain = replace(placed, inverse=inverse, displacement=None, displacement_slots={}, label=1)
    inside: npt.NDArray[np.bool_] = np.asarray(renderer.render([plain], grid).label) > 0
    flat = np.asarray(inside.any(axis=0))
    sides = [np.flatnonzero(found) for found in (flat.any(axis=0), flat.any(axis=1), inside.any(axis=(1, 2)))]
    if not len(sides[0]):
        return inside[:0, :0, :0], np.zeros(3, np.int64), np.zeros(3, np.int64)
    low, high = np.array([s[0] for s in sides]), np.array([s[-1] + 1 for s in sides])
    (x, y, z), (right, back, top) = low, high
    return np.ascontiguousarray(inside[z:top, y:back, x:right]), low, high


def _room(placed: Placed, grid: Grid, lib: Library) -> Whole | None:
    """How far an object may be moved to either side until the box of its `extent` leaves the grid, negative where that
    is larger; None for a shape that does not say."""
    extent = extent_of(placed.shape)
    if extent is None:
        return None
    numbers = lib.backend("cpu")
    assert isinstance(numbers, CpuBackend)
    values = numbers.values(placed.shape, extent.definition, placed.slots, grid, placed.inverse)
    half = np.array([float(values[node]) for node in extent.definition])
    room = np.array(grid.size) / 2 - np.abs(np.linalg.inv(placed.inverse)[:3, :3]) @ np.abs(half)
    return np.where(room >= 0, np.floor(np.nan_to_num(room)), -1).astype(np.int64)


def _take(solid: _Solid, taken: npt.NDArray[np.bool_], overlap: float, shifts: Iterable[Whole]) -> Whole | None:
    """Takes the first place at which no more than this share of an object is taken already; None: there is none."""
    for shift in shifts:
        box = taken[solid.box(shift)]
        if np.count_nonzero(box & solid.mask) <= overlap * solid.count:
            box |= solid.mask
            return shift
    return None


def _shifts(solid: _Solid, seed: int, index: int, number: int, tries: int) -> Iterator[Whole]:
    """Shifts to try for an object, all that keep it inside alike."""
    for start in range(0, tries, _STEP):
        drawn = uniforms(seed, index, [number], FIRST_DRAW + 4 * start, 4 * _STEP).reshape(_STEP, 4)[: tries - start]
        yield from solid.least + np.floor(drawn[:, :3] * (solid.most - solid.least + 1)).astype(np.int64)


def _moved(o: SceneObject, shift: Whole) -> SceneObject:
    """An object that lies elsewhere."""
    rows = [(*row[:3], row[3] + float(by)) for row, by in zip(o.affine, shift, strict=False)]
    return replace(o, affine=(*rows, o.affine[3]))
