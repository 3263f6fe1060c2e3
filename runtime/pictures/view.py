"""Pictures of what a library holds: classes, displacements, mappers, whole galleries."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fdif_dsl.compiler.support.files import replacing
from fdif_dsl.compiler.support.progress import Progress
from fdif_dsl.runtime.pictures import palette
from fdif_dsl.runtime.pictures.shading import Box, Field, bounds, shade

Shading = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""The intensity at distances (n,) and their points (n, 3)."""
_SIDE = 620  # pixels of a shaded view
_PLANES = ((2, 0, 1), (1, 0, 2), (0, 1, 2))  # the fixed axis, the axis across, the axis up


@dataclass(frozen=True)
class Portrait:
    """One class as pictures show it.

    `values` are the named quantities of the instance shown, `reach` the half side in voxels of the
    region in which it is looked for, and `about` a line on what kind of thing it is.
    """

    name: str
    doc: str
    about: str
    values: Mapping[str, Any] = field(default_factory=dict)
    reach: float = 96.0


def draw_shape(portrait: Portrait, distance: Field, path: Path, title: str = "Distance") -> None:
    """A shaded view of a solid and three orthogonal slices of its distance field, as a PNG."""
    box = bounds(distance, portrait.reach)
    with figure_file(path, 12.4, 7.4) as figure:
        _header(figure, portrait)
        stage = figure.add_axes((0.005, 0.02, 0.435, 0.80))
        stage.axis("off")
        if box is None or not _any_finite(distance, box):
            _say(stage, "nothing inside" if box is None else "no surface: the inside has no finite distance")
        else:
            stage.imshow(shade(distance, box, palette.SOLID, side=_SIDE), interpolation="antialiased")
        _slices(figure, distance, box, portrait.reach, title)
        _values(figure, portrait.values)


def draw_displacement(portrait: Portrait, offset: Field, path: Path, size: float = 96.0) -> None:
    """A ball before the eye of the displacement, and three slices of the offset it adds, as a PNG.

    `size` is the side in voxels of the cubic grid for which `offset` was made.
    """
    radius = 0.33 * size

    def displaced(points: np.ndarray) -> np.ndarray:
        return np.asarray(np.linalg.norm(points, axis=1) - radius + offset(points))

    box = bounds(displaced, size)
    with figure_file(path, 12.4, 7.4) as figure:
        _header(figure, portrait)
        stage = figure.add_axes((0.005, 0.02, 0.435, 0.80))
        stage.axis("off")
        if box is None or not _any_finite(displaced, box):
            _say(stage, "nothing is left of the ball" if box is None else "the ball has no finite distance left")
        else:
            stage.imshow(shade(displaced, box, palette.DISPLACED, side=_SIDE), interpolation="antialiased")
        half = size / 2
        _slices(figure, offset, Box(np.full(3, -half), np.full(3, half)), size, "Offset", level=None)
        _values(figure, portrait.values)


def draw_mapper(portrait: Portrait, intensity: Shading, path: Path) -> None:
    """The curve from distance to intensity, and the section of a ball that it paints, as a PNG. The curve is that along
    a line from the middle of the ball outwards."""
    with figure_file(path, 12.4, 5.6) as figure:
        _header(figure, portrait, top=0.93)
        axes = figure.add_axes((0.06, 0.13, 0.50, 0.62))
        distance = np.linspace(-20, 5, 2501)
        outwards = np.array([3, 2, 1]) / 14**0.5  # along no axis, as a pattern may vanish there
        levels = intensity(distance, (distance + 20)[:, None] * outwards)
        axes.plot(distance, levels, color=palette.ACCENT, lw=1.8)
        if not np.isfinite(levels).any():
            _say(axes, f"the intensity is {lost(levels)} everywhere", place=(-7.5, 65))
        axes.axvline(0, color=palette.INK, lw=0.8)
        axes.set(xlim=(-20, 5), ylim=(-4, 134), xlabel="distance in voxels (negative inside)", ylabel="intensity")
        _plain(axes)
        axes.grid(color=palette.RULE, lw=0.6)
        disc = figure.add_axes((0.62, 0.07, 0.34, 0.74))
        at = np.linspace(-26, 26, 521)
        x, y = np.meshgrid(at, at)
        ball = np.hypot(x, y) - 20
        points = np.stack([x, y, np.zeros_like(x)], axis=-1).reshape(-1, 3)
        disc.imshow(intensity(ball.ravel(), points).reshape(ball.shape), cmap="gray", vmin=0, vmax=128, origin="lower",
                    extent=(-26, 26, -26, 26), interpolation="antialiased")
        disc.set_title("a ball of radius 20", fontsize=9.5, color=palette.QUIET)
        disc.axis("off")
        values = ", ".join(f"{name} {brief(value)}" for name, value in portrait.values.items())
        figure.text(0.79, 0.035, textwrap.shorten(values, 70, placeholder=" …"), fontsize=9, color=palette.INK,
                    ha="center", va="center", family="monospace")


def gallery(portraits: Sequence[tuple[Portrait, Field]], path: Path, columns: int = 11,
            progress: Progress | None = None) -> None:
    """One small shaded view a solid, with its name, in rows; a PNG.

    `progress` is called with the number of solids that are done and of all.
    """
    rows = -(-len(portraits) // columns)
    side, caption, top = 1.15, 0.30, 0.1
    width, height = columns * side, rows * (side + caption) + top
    with figure_file(path, width, height) as figure:
        for i, (portrait, distance) in enumerate(portraits):
            row, column = divmod(i, columns)
            bottom = 1 - (top + (row + 1) * side + row * caption) / height
            axes = figure.add_axes((column / columns, bottom, 1 / columns, side / height))
            axes.axis("off")
            box = bounds(distance, portrait.reach)
            if box is not None and _any_finite(distance, box):
                axes.imshow(shade(distance, box, palette.solid_colour(i), side=180, oversample=2))
            label = "\n".join(textwrap.wrap(portrait.name.replace("_", " "), 20))
            figure.text((column + 0.5) / columns, bottom, label, ha="center", va="top", fontsize=5.4,
                        color=palette.INK, linespacing=1.05)
            if progress is not None:
                progress(i + 1, len(portraits))


@contextmanager
def figure_file(path: Path, width: float, height: float) -> Iterator[Any]:
    """A figure of `width` x `height` inches that becomes `path` when the block succeeds.

    It is made without pyplot: no window system and no global state.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=150, facecolor="white")
    FigureCanvasAgg(figure)
    yield figure
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")


def _header(figure: Any, portrait: Portrait, top: float = 0.945) -> None:
    figure.text(0.03, top, portrait.name, fontsize=19, weight="bold", color=palette.INK, va="center")
    figure.text(0.97, top, portrait.about, fontsize=10, color=palette.QUIET, va="center", ha="right")
    doc = textwrap.shorten(" ".join(portrait.doc.split()), 150, placeholder=" …")
    figure.text(0.03, top - 0.35 / figure.get_figheight(), doc, fontsize=10.5, color=palette.QUIET, va="center")


def _slices(figure: Any, function: Field, box: Box | None, reach: float, what: str, level: float | None = 0.0) -> None:
    """Three slices through the middle of `box`, on the right half of the figure; `level` is drawn bold."""
    middle = box.middle if box is not None else np.zeros(3)
    half = float((box.high - box.low).max()) / 2 * (1.12 if level is not None else 1.0) if box is not None else reach
    pictures = [_plane(function, middle, half, *plane) for plane in _PLANES]
    figure.text(0.705, 0.862, f"{what} in three planes, axes in voxels", fontsize=9.5, color=palette.QUIET, ha="center")
    finite = np.concatenate([p[np.isfinite(p)] for p in pictures])
    if not len(finite):
        _say(figure, f"the {what.lower()} is {lost(np.array(pictures))} everywhere", place=(0.705, 0.65))
        return
    span = float(np.percentile(np.abs(finite), 98)) or 1.0
    places = ((0.475, 0.485), (0.745, 0.485), (0.475, 0.06))
    mesh = None
    for (fixed, across, up), picture, place in zip(_PLANES, pictures, places, strict=True):
        axes = figure.add_axes((*place, 0.1975, 0.331))
        extent = (middle[across] - half, middle[across] + half, middle[up] - half, middle[up] + half)
        mesh = axes.imshow(picture, origin="lower", extent=extent, cmap=palette.field_colours(), vmin=-span, vmax=span,
                           interpolation="bilinear")
        if level is not None and np.isfinite(picture).any():
            lines = [v for v in _levels(span) if v != level]
            axes.contour(picture, levels=lines, colors=palette.INK, linewidths=0.45, alpha=0.45, extent=extent,
                         linestyles="solid")
            if finite.min() < level < finite.max():
                axes.contour(picture, levels=[level], colors=palette.INK, linewidths=1.9, extent=extent)
        where = round(float(middle[fixed]), 1) + 0.0  # no "-0"
        axes.set_title(f"{'xyz'[fixed]} = {where:g}", fontsize=9.5, color=palette.QUIET, pad=4)
        axes.set_xlabel("xyz"[across], fontsize=9, labelpad=1)
        axes.set_ylabel("xyz"[up], fontsize=9, labelpad=0)
        _plain(axes)
    bar = figure.colorbar(mesh, cax=figure.add_axes((0.956, 0.485, 0.008, 0.331)))
    bar.ax.set_title("voxels", fontsize=8, color=palette.QUIET, pad=5)
    bar.ax.tick_params(labelsize=7.5, length=2, colors=palette.QUIET)
    bar.outline.set_visible(False)


def lost(values: np.ndarray) -> str:
    """What values are of which none is finite: "NaN", "infinite", or both."""
    kinds = [name for name, there in (("NaN", np.isnan(values)), ("infinite", np.isinf(values))) if there.any()]
    return " or ".join(kinds)


def _any_finite(function: Field, box: Box) -> bool:
    """Whether a function is finite somewhere on a lattice in a box."""
    axes = [np.linspace(low, high, 24) for low, high in zip(box.low, box.high, strict=True)]
    return bool(np.isfinite(function(np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 3))).any())


def _say(where: Any, text: str, place: tuple[float, float] = (0.5, 0.5)) -> None:
    """A sentence in place of a picture."""
    where.text(*place, text, ha="center", va="center", color=palette.QUIET, fontsize=13)


def _plane(function: Field, middle: np.ndarray, half: float, fixed: int, across: int, up: int,
           samples: int = 241) -> np.ndarray:
    at = np.linspace(-half, half, samples)
    points = np.empty((samples, samples, 3))
    points[..., fixed] = middle[fixed]
    points[..., across] = middle[across] + at
    points[..., up] = middle[up] + at[:, None]
    return np.asarray(function(points.reshape(-1, 3)), dtype=np.float64).reshape(samples, samples)


def _levels(span: float) -> np.ndarray:
    """Round contour levels, about a dozen between -span and span."""
    rough = span / 6
    power = 10.0 ** np.floor(np.log10(rough))
    step = min((m * power for m in (1, 2, 5, 10)), key=lambda s: abs(s - rough))
    count = int(span // step)
    return np.asarray(np.arange(-count, count + 1) * step)


def _values(figure: Any, values: Mapping[str, Any]) -> None:
    """The named quantities, in the lower right corner."""
    lines = [(name, brief(value)) for name, value in values.items()][:14]
    if not lines:
        return
    figure.text(0.725, 0.391, "Parameters", fontsize=11, weight="bold", color=palette.INK, va="top")
    for i, (name, value) in enumerate(lines):
        y = 0.35 - i * 0.0245
        figure.text(0.725, y, name, fontsize=9, color=palette.QUIET, va="top", family="monospace")
        figure.text(0.83, y, textwrap.shorten(value, 30, placeholder=" …"), fontsize=9, color=palette.INK, va="top",
                    family="monospace")


def brief(value: Any) -> str:
    """A number, vector or list of them in few characters."""
    if isinstance(value, (list, tuple, np.ndarray)):
        items = list(value)
        if items and isinstance(items[0], (list, tuple, np.ndarray)):
            return f"{len(items)} points"
        return " ".join(f"{float(v):.3g}" for v in items)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _plain(axes: Any) -> None:
    axes.tick_params(labelsize=7.5, length=2.5, colors=palette.QUIET)
    for side in axes.spines.values():
        side.set_color(palette.RULE)
