"""The picture of one volume: three planes that cross in it, grey above, labelled below."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from fdif_dsl.runtime.pictures import palette
from fdif_dsl.runtime.pictures.overview import draw_legend, telling_plane
from fdif_dsl.runtime.pictures.view import figure_file

_LEGEND = 12
_AXES = "zyx"


def draw_volume(image: np.ndarray, label: np.ndarray, path: Path, names: Mapping[int, str] | None = None) -> None:
    """The planes of an image and a label (D, H, W) along each axis that show the most, as a PNG. `names` of the labels
    stand below, where they are few."""
    there = [int(value) for value in np.unique(label) if value]
    places = {value: k + 1 for k, value in enumerate(there)}
    entries = [] if len(there) > _LEGEND else [
        (places[value], (names or {}).get(value, f"label {value}")) for value in there]
    side, gap, top, columns = 2.6, 0.1, 0.28, 3
    bottom = 0.12 + 0.24 * -(-len(entries) // columns)
    width, height = columns * (side + gap) + gap, 2 * (side + gap) + top + bottom
    coloured = np.zeros(label.shape, np.int64)
    for value, place in places.items():
        coloured[label == value] = place
    with figure_file(path, width, height) as figure:
        for axis in range(3):
            plane = telling_plane(np.moveaxis(label, axis, 0))
            grey, colours = (np.take(voxels, plane, axis) for voxels in (image, coloured))
            left, upper = gap + axis * (side + gap), height - top - side
            figure.text((left + side / 2) / width, 1 - top / 2 / height, f"{_AXES[axis]} = {plane} of "
                        f"{label.shape[axis]}", fontsize=8.5, color=palette.QUIET, ha="center", va="center")
            for y, picture in ((upper, grey), (upper - side - gap, palette.label_overlay(grey, colours))):
                axes = figure.add_axes((left / width, y / height, side / width, side / height))
                axes.imshow(picture, cmap="gray", vmin=0, vmax=128, interpolation="nearest")
                axes.axis("off")
        draw_legend(figure, entries, columns, width, height, bottom)
