"""The picture of a validation: held-out volumes, their labels, and what the network makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from fdif_dsl.runtime.pictures import palette
from fdif_dsl.runtime.pictures.overview import draw_legend, telling_plane
from fdif_dsl.runtime.pictures.view import figure_file

_LEGEND = 24  # classes at most
_ROWS = ("image", "label", "prediction")


def draw_predictions(samples: Sequence[tuple[torch.Tensor, torch.Tensor, torch.Tensor]], classes: Sequence[str],
                     path: Path, title: str) -> None:
    """A column for each sample (image from 0 to 1, label and prediction, each (D, H, W)), a slice along z; a PNG.

    `classes` names the labels; a legend names those in the picture where they are few.
    """
    slices = []
    for sample in samples:
        image, label, found = (part.numpy() for part in sample)
        plane = telling_plane(label)
        slices.append((128 * image[plane], label[plane].astype(int), found[plane].astype(int)))
    seen = sorted({int(v) for _, label, found in slices for v in np.unique(np.stack([label, found])) if v})
    entries = [(v, classes[v]) for v in seen] if len(seen) <= _LEGEND else []
    side, gap, top, margin = 2.0, 0.08, 0.55, 0.3
    columns = len(slices)
    longest = max((len(name) for _, name in entries), default=1)
    beside = max(1, min(columns, int(columns * side / (0.25 + 0.075 * longest))))  # names that stand side by side
    bottom = 0.12 + 0.24 * -(-len(entries) // beside)
    width, height = margin + columns * (side + gap), 3 * (side + gap) + top + bottom
    with figure_file(path, width, height) as figure:
        figure.text(gap / width, 1 - 0.28 / height, title, fontsize=13, weight="bold", color=palette.INK, va="center")
        for row, name in enumerate(_ROWS):
            lower = height - top - row * (side + gap) - side
            figure.text(margin / 2 / width, (lower + side / 2) / height, name, rotation=90, fontsize=8.5,
                        color=palette.QUIET, ha="center", va="center")
            for column, (image, label, found) in enumerate(slices):
                axes = figure.add_axes(((margin + column * (side + gap)) / width, lower / height, side / width,
                                        side / height))
                shown = image if row == 0 else palette.label_overlay(image, label if row == 1 else found)
                axes.imshow(shown, cmap="gray", vmin=0, vmax=128, interpolation="nearest")
                axes.axis("off")
        draw_legend(figure, entries, beside, width, height, bottom)
