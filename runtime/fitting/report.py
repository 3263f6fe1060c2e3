"""Pictures of a fit: each mask beside what was fitted to it, and what each mode of variation does. Scans beside volumes
are in `beside.py`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fdif_dsl.compiler.ir.grid import Grid
from fdif_dsl.compiler.ir.priors import scene_quantities
from fdif_dsl.runtime.fitting.one import Fit, occupied
from fdif_dsl.runtime.fitting.template import Template
from fdif_dsl.runtime.pictures import palette
from fdif_dsl.runtime.pictures.view import figure_file
from fdif_dsl.runtime.scenes.sampler_definition import sample_parameters

MOST = 24
"""Masks that are drawn."""
_SIDE = 1.7


def draw_report(template: Template, fits: Sequence[Fit], formula: Path, names: Sequence[str],
                grid: tuple[int, int, int], folder: Path) -> None:
    """Write `fits.png` and, where the formula has modes, `modes.png`."""
    draw_fits(template, fits, folder / "fits.png")
    draw_modes(formula, names, grid, folder / "modes.png")


def draw_fits(template: Template, fits: Sequence[Fit], path: Path) -> None:
    """Three slices of each mask, as an area, with the outline of its fit."""
    shown = sorted(fits, key=lambda f: f.dice)[:MOST]
    width, height = 3 * _SIDE + 0.7, _SIDE * len(shown)
    with figure_file(path, width, height) as figure:
        figure.subplots_adjust(left=0.6 / width, right=1 - 0.05 / width, bottom=0.05 / height, top=1 - 0.05 / height,
                               wspace=0.05, hspace=0.05)
        for row, fit in enumerate(shown):
            mask, mine = fit.target.inside, occupied(template, fit.target, fit.guess)
            middle = [round(v) for v in np.argwhere(mask).mean(0)]
            for column, axis in enumerate((2, 1, 0)):
                axes = figure.add_subplot(len(shown), 3, 3 * row + column + 1)
                axes.imshow(mask.take(middle[axis], axis).T, cmap="Greys", origin="lower", vmin=0, vmax=2.5)
                level = np.clip(mine.take(middle[axis], axis).T, -1e3, 1e3)
                if (level < 0).any() and (level > 0).any():
                    axes.contour(level, levels=[0.0], colors=[palette.solid_colour(0)], linewidths=1.2)
                axes.set_xticks([])
                axes.set_yticks([])
                if column == 0:
                    axes.set_ylabel(f"{fit.target.name[-24:]}\nDice {fit.dice:.3f}", fontsize=7, color=palette.INK)


def draw_modes(formula: Path, names: Sequence[str], grid: tuple[int, int, int], path: Path) -> None:
    """The middle slice at -2, 0 and 2 deviations of each mode; the parts of a group in their colours."""
    from fdif_dsl.compiler.library import load_library

    lib = load_library(formula)
    shapes = [lib.shapes[name] for name in names]
    count = next((q.length or 0 for q in shapes[0].parameters if q.name == "mode"), 0)
    if not count:
        path.unlink(missing_ok=True)
        return
    axis = np.arange(min(grid)) - min(grid) / 2
    width, height = 3 * _SIDE, (_SIDE + 0.25) * count
    with figure_file(path, width, height) as figure:
        figure.subplots_adjust(left=0.05 / width, right=1 - 0.05 / width, bottom=0.05 / height, top=1 - 0.25 / height,
                               wspace=0.05, hspace=0.25 / _SIDE)
        for k in range(count):
            for column, value in enumerate((-2, 0, 2)):
                axes = figure.add_subplot(count, 3, 3 * k + column + 1)
                picture = np.ones((len(axis), len(axis), 3))
                for place, shape in enumerate(shapes):
                    inside = _slice(shape, at_mode(shape, k, value, grid), axis, grid) <= 0
                    picture[inside] = palette.solid_colour(place)
                axes.imshow(picture, origin="lower")
                axes.set_xticks([])
                axes.set_yticks([])
                axes.set_title(f"mode {k + 1} at {value:+d}", fontsize=7, color=palette.INK)


def at_mode(shape: Any, number: int, value: float, grid: tuple[int, int, int]) -> dict[str, Any]:
    """The quantities of a fitted shape where one mode has a value and all else is in the middle.

    A normal number is drawn from two numbers, as sqrt(-2 log a) cos(tau b): in the middle where b is 1/4. The modes are
    what is drawn first.
    """
    draws = np.full((shape.formula.draws, 1), 0.25)
    draws[2 * number] = np.exp(-(value**2) / 2)
    draws[2 * number + 1] = 0.25 if value == 0 else 0.0 if value > 0 else 0.5
    drawn = sample_parameters(shape.formula, Grid(grid), draws)
    return {q.name: drawn[q.name][0] for q in scene_quantities(shape.formula)}


def _slice(shape: Any, params: dict[str, Any], axis: np.ndarray, grid: tuple[int, int, int]) -> np.ndarray:
    """Distances in the plane through the middle, from front to back and from feet to head."""
    y, z = np.meshgrid(axis, axis)
    points = np.stack([np.zeros(y.size), y.reshape(-1), z.reshape(-1)], axis=1)
    found: np.ndarray = shape.distance(points, params, backend="interpret", grid=grid)
    return found.reshape(y.shape)
