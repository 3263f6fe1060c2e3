"""Three slices through a grid: distance in colours, or the grey levels that a network would see; with the zero line."""

from __future__ import annotations

from functools import cache

import numpy as np

from fdif_dsl.runtime.pictures import palette
from fdif_dsl.runtime.play.subject import Subject

PLANES = ("z", "y", "x")
"""The axis that a slice is square to. Across and up are x y, x z and y z."""
_AXES = {"z": (2, 0, 1), "y": (1, 0, 2), "x": (0, 1, 2)}  # fixed, across, up
_FINEST = 256  # samples along a side of a slice of distance
_LINES = {"grey": np.array([217, 98, 43], np.float32), "distance": np.full(3, 20, np.float32)}
"""The colour of the zero line."""


def slices(subject: Subject, at: tuple[float, float, float], grey: bool) -> dict[str, np.ndarray]:
    """A picture (h, w, 3) of bytes for each plane through the voxel `at` (x, y, z, from the middle of the grid).

    Grey levels are those of the voxels themselves, as a volume has them; distances are sampled more finely.
    """
    size = [int(n) for n in subject.grid.size]  # x, y, z
    planes = {}
    for plane in PLANES:
        fixed, across, up = _AXES[plane]
        more = 1 if grey else max(1, _FINEST // max(size))
        u, v = (np.arange(n * more, dtype=np.float32) / more - n / 2 for n in (size[across], size[up]))
        points: list[np.ndarray] = [np.empty(0)] * 3
        points[across], points[up] = (c.ravel() for c in np.meshgrid(u, v[::-1]))
        points[fixed] = np.full(len(points[across]), at[fixed], np.float32)
        distance = subject.distance(*points)
        shape = (len(v), len(u))
        if grey and subject.intensity is not None:
            level = np.trunc(np.clip(np.nan_to_num(subject.intensity(distance, *points)), 0, 128))
            picture = np.repeat((level * (255 / 128)).reshape(*shape, 1), 3, axis=2).astype(np.float32)
            line = _LINES["grey"]
        else:
            picture, line = _coloured(distance, float(min(size)) / 2).reshape(*shape, 3), _LINES["distance"]
        edge = _zero(distance.reshape(shape))[..., None]
        planes[plane] = np.clip(picture * (1 - edge) + line * edge, 0, 255).astype(np.uint8)
    return planes


@cache
def _table() -> np.ndarray:
    return np.asarray(palette.field_colours()(np.linspace(0, 1, 512))[:, :3] * 255, np.float32)


def _coloured(distance: np.ndarray, span: float) -> np.ndarray:
    """Colours (n, 3) of distances, with a darker line every eighth of the span; what is no number is grey."""
    share = distance / np.float32(span)
    with np.errstate(invalid="ignore"):
        place = np.clip((share + 1) * 256, 0, 511)
        rings = np.abs((share * 8) % 1 - 0.5)
    finite = np.isfinite(distance)
    colours = _table()[np.where(finite, place, 256).astype(np.int64)]
    colours = colours * np.where(finite & (rings > 0.46), 0.86, 1)[:, None]
    colours[~finite] = 128
    return np.asarray(colours, np.float32)


def _zero(distance: np.ndarray) -> np.ndarray:
    """How much of each sample the line covers where the sign changes, 0 or 1."""
    inside = distance <= 0
    edge = np.zeros(inside.shape, np.float32)
    edge[:-1] += inside[:-1] != inside[1:]
    edge[:, :-1] += inside[:, :-1] != inside[:, 1:]
    edge = np.minimum(edge, 1)
    return edge if max(edge.shape) <= 128 else np.maximum(edge, np.pad(edge, ((1, 0), (1, 0)))[:-1, :-1])
