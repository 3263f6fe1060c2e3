"""The overview picture of a data set: slices of some volumes, and the same with their labels in colour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fdif_dsl.runtime.pictures import palette
from fdif_dsl.runtime.pictures.view import figure_file

Pair = tuple[np.ndarray, np.ndarray]  # image and label, (D, H, W) each

_COLUMNS, _LEGEND = 4, 24


def draw_overview(volumes: Sequence[Pair], names: Mapping[int, str], path: Path, title: str, about: str = "") -> None:
    """For each volume one slice along z, grey above and labelled below, four volumes a row; a PNG.

    `names` gives the name of each label value; a legend names those that are in the picture where they are few.
    """
    columns = max(1, min(_COLUMNS, len(volumes)))
    rows = -(-len(volumes) // columns)
    slices = [_slice(*volume) for volume in volumes]
    # Colours go by the place among the names, not by the value, so that few classes are far apart in colour.
    places = {value: i + 1 for i, value in enumerate(sorted(names))}
    seen = sorted({int(v) for _, label, _ in slices for v in np.unique(label) if v})
    entries = [(places[v], f"{v}  {names[v]}") for v in seen] if len(seen) <= _LEGEND else []
    side, gap, top = 2.0, 0.08, 0.78
    bottom = 0.12 + 0.24 * -(-len(entries) // columns)
    width, height = columns * (side + gap) + gap, rows * 2 * (side + gap) + rows * 0.22 + top + bottom
    with figure_file(path, width, height) as figure:
        figure.text(gap / width, 1 - 0.26 / height, title, fontsize=14, weight="bold", color=palette.INK, va="center")
        figure.text(gap / width, 1 - 0.54 / height, about, fontsize=8.5, color=palette.QUIET, va="center")
        for i, (image, label, plane) in enumerate(slices):
            row, column = divmod(i, columns)
            left = gap + column * (side + gap)
            upper = height - top - row * (2 * (side + gap) + 0.22) - side
            labelled = palette.label_overlay(image, _places(label, places))
            for y, picture in ((upper, image), (upper - side - gap / 2, labelled)):
                axes = figure.add_axes((left / width, y / height, side / width, side / height))
                axes.imshow(picture, cmap="gray", vmin=0, vmax=128, interpolation="nearest")
                axes.axis("off")
            caption = f"volume {i}, z slice {plane} of {volumes[i][0].shape[0]}"
            figure.text((left + side / 2) / width, (upper - side - gap / 2 - 0.11) / height, caption, fontsize=6.5,
                        color=palette.QUIET, ha="center", va="center")
        draw_legend(figure, entries, columns, width, height, bottom)


def telling_plane(label: np.ndarray) -> int:
    """The z slice that shows the most: where the labelled voxels, and the classes among them, are many."""
    filled = (label > 0).mean(axis=(1, 2))
    classes = np.array([len(np.unique(plane)) for plane in label])
    return int(np.argmax(classes + filled))


def _slice(image: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    best = telling_plane(label)
    return image[best], label[best], best


def _places(label: np.ndarray, places: Mapping[int, int]) -> np.ndarray:
    out = np.zeros(label.shape, dtype=np.int64)
    for value in np.unique(label):
        out[label == value] = places.get(int(value), 0)
    return out


def draw_legend(figure: Any, entries: Sequence[tuple[int, str]], columns: int, width: float, height: float,
                bottom: float) -> None:
    """A square in the colour of each (place, name), in columns below a picture; all lengths in inches."""
    for i, (place, text) in enumerate(entries):
        row, column = divmod(i, columns)
        x = (0.08 + column * (width - 0.08) / columns) / width
        y = (bottom - 0.14 - 0.24 * row) / height
        figure.text(x, y, "\N{BLACK SQUARE}", fontsize=13, color=palette.label_colour(place), va="center")
        figure.text(x + 0.2 / width, y, text, fontsize=8 if len(text) <= 24 else 6.2, color=palette.INK, va="center")
