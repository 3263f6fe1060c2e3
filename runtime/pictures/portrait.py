"""A portrait of each class of a library: an instance with parameters drawn from its priors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fdif_dsl.compiler.ir.grid import Grid
from fdif_dsl.compiler.support.files import claim_directory
from fdif_dsl.compiler.support.progress import Progress
from fdif_dsl.runtime.pictures.view import Portrait, draw_displacement, draw_mapper, draw_shape, gallery
from fdif_dsl.runtime.scenes.sampler_definition import sample_instance

if TYPE_CHECKING:
    from fdif_dsl.compiler.library import Library

GRID = (96, 96, 96)


def draw(library: Library, name: str, path: Path, seed: int = 0) -> None:
    """The picture of the class `name`, of whatever kind, as the PNG file `path`."""
    if name in library.shapes:
        portrait, distance = shape_portrait(library, name, seed)
        draw_shape(portrait, distance, path)
    elif name in library.displacements:
        displacement = library.displacements[name]
        values = sample_instance(displacement.formula, seed, displacement.id, Grid(GRID))
        portrait = Portrait(name, displacement.formula.doc, "displacement", {**displacement.integers, **values})
        draw_displacement(portrait, lambda points: displacement.offset(points, GRID, params=values), path,
                          size=float(GRID[0]))
    else:
        mapper = library.mappers[name]
        values = sample_instance(mapper.formula, seed, mapper.id, Grid(GRID))
        portrait = Portrait(name, mapper.formula.doc, "mapper", {**mapper.integers, **values})
        draw_mapper(portrait, lambda d, points: np.asarray(
            mapper.intensity(d, params=values, points=points, grid=GRID)), path)


def draw_all(library: Library, directory: Path, seed: int = 0, progress: Progress | None = None) -> None:
    """`gallery.png` of the shapes, and a picture of each class, in `directory`."""
    claim_directory(directory, "gallery.png")
    names = [*library.shapes, *library.displacements, *library.mappers]
    total = len(names) + len(library.shapes)
    portraits = [shape_portrait(library, name, seed) for name in library.shapes]
    gallery(portraits, directory / "gallery.png", progress=progress and (lambda done, _: progress(done, total)))
    for i, name in enumerate(names):
        draw(library, name, directory / f"{name}.png", seed)
        if progress is not None:
            progress(len(portraits) + i + 1, total)


def shape_portrait(library: Library, name: str, seed: int) -> tuple[Portrait, Callable[[np.ndarray], np.ndarray]]:
    """A drawn instance of a shape, upright in the middle of a 96^3 grid, and its distance function."""
    shape = library.shapes[name]
    values = sample_instance(shape.formula, seed, shape.id, Grid(GRID))
    about = f"shape {shape.id} of {len(library.shapes)}"

    def distance(points: np.ndarray) -> np.ndarray:
        return np.asarray(shape.distance(points, params=values, grid=GRID))

    return Portrait(name, shape.formula.doc, about, values), distance
