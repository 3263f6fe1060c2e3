"""Smooth random fields, which deform the body, roughen surfaces and shade images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Array = NDArray[np.float64]


def smooth_field(shape: tuple[int, ...], step: float, scale: float, random: np.random.Generator) -> Array:
    """Noise of mean about 0 and deviation about 1 that changes over `scale` mm, on voxels of `step` mm: normal numbers
    on a lattice of that width, with cubic splines between them."""
    knots = [int(np.ceil(n * step / scale)) + 4 for n in shape]
    noise = random.standard_normal(knots)
    places = [np.arange(n) * step / scale + 1.5 for n in shape]
    for axis, place in enumerate(places):  # splines are separable
        noise = _along(noise, axis, place)
    return noise / max(float(noise.std()), 1e-6) if scale < min(n * step for n in shape) / 2 else noise / 0.7


def _along(values: Array, axis: int, places: Array) -> Array:
    coefficients = np.moveaxis(ndimage.spline_filter1d(values, 3, axis), axis, 0)
    first = np.floor(places).astype(int) - 1
    t = places - np.floor(places)
    weights = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
    out = sum((w / 6).reshape(-1, *[1] * (values.ndim - 1)) * coefficients[first + i] for i, w in enumerate(weights))
    return np.moveaxis(np.asarray(out), 0, axis)
