"""Colours: of solids, of distance fields and of labels."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

INK, QUIET, RULE = "#1d2733", "#6b7785", "#d9dee4"
SOLID = (0.36, 0.57, 0.84)
DISPLACED = (0.90, 0.55, 0.36)
ACCENT = "#d9622b"

_GOLDEN = 0.6180339887498949  # successive multiples spread hues evenly, however many there are


@cache
def field_colours() -> Any:
    """The colour map of a distance field: blue inside, white at the surface, sand outside."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("field", [
        (0.00, "#123a6b"), (0.25, "#3f7cc0"), (0.47, "#cfe3f5"), (0.50, "#ffffff"), (0.53, "#fdf0dc"),
        (0.75, "#efb267"), (1.00, "#a5541f")])


def label_colour(place: int) -> tuple[float, float, float]:
    """A colour of its own for a whole number from 1: hue by the golden ratio, lightness in three bands."""
    from matplotlib.colors import hsv_to_rgb

    hue = (0.58 + place * _GOLDEN) % 1.0
    saturation, value = ((0.72, 0.98), (0.55, 0.85), (0.85, 0.80))[place % 3]
    red, green, blue = hsv_to_rgb((hue, saturation, value))
    return float(red), float(green), float(blue)


def solid_colour(place: int) -> tuple[float, float, float]:
    """The colour of a solid in a gallery: quiet, and unlike its neighbours'."""
    from matplotlib.colors import hsv_to_rgb

    red, green, blue = hsv_to_rgb(((0.58 + place * _GOLDEN) % 1.0, 0.50, 0.88))
    return float(red), float(green), float(blue)


def label_overlay(image: np.ndarray, label: np.ndarray, opacity: float = 0.5) -> np.ndarray:
    """A slice (h, w) with grey values 0..128 under the colours of its labels, (h, w, 3) in 0..1."""
    grey = np.repeat(np.clip(image.astype(np.float64) / 128, 0, 1)[..., None], 3, axis=-1)
    edge = np.zeros(label.shape, dtype=bool)  # the voxels of a region that touch another one
    down, right = label[:-1] != label[1:], label[:, :-1] != label[:, 1:]
    edge[:-1] |= down
    edge[1:] |= down
    edge[:, :-1] |= right
    edge[:, 1:] |= right
    out = grey.copy()
    for value in np.unique(label):
        if value:
            weight = np.where(edge, 0.8, opacity)[label == value, None]
            out[label == value] = (1 - weight) * grey[label == value] + weight * np.array(label_colour(int(value)))
    return out
