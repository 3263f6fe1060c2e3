"""The image: what a scanner makes of tissues, in thick slices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from phantom.anatomy import EXTENT, LABELS, TISSUES, Body
from phantom.fields import Array, smooth_field

IN_PLANE, THROUGH = 2, 3
"""How many fine voxels a voxel of the image is wide and thick."""
CT_WINDOW = (-160.0, 240.0)

# Tissue: Hounsfield units after contrast agent and the signal of a T2-weighted sequence, each with its deviation from
# patient to patient. Neighbouring organs overlap, so grey levels alone do not tell them apart.
_SIGNALS = {
    "air": ((-1000, 0), (0.00, 0.00)), "fat": ((-95, 8), (0.80, 0.05)), "muscle": ((55, 6), (0.22, 0.03)),
    "bone": ((330, 40), (0.35, 0.05)), "bowel": ((60, 35), (0.60, 0.20)), "liver": ((110, 12), (0.38, 0.05)),
    "spleen": ((122, 12), (0.60, 0.06)), "kidney": ((165, 22), (0.68, 0.06)), "stomach": ((30, 25), (0.85, 0.15)),
    "vessel": ((150, 22), (0.15, 0.05)), "lesion": ((60, 15), (0.82, 0.08)),
}


@dataclass(frozen=True)
class Case:
    """`image` float32 and `label` uint8, (x, y, z); `spacing` in mm along these; `modality` is "CT" or "MR"."""

    image: NDArray[np.float32]
    label: NDArray[np.uint8]
    spacing: tuple[float, float, float]
    modality: str


def make_case(seed: int, index: int, voxel: float) -> Case:
    """Case `index` of a seed, CT for even ones and MR for odd ones, with voxels of about `voxel` mm in a slice."""
    random = np.random.default_rng([seed, index])
    step = voxel / IN_PLANE * random.uniform(0.93, 1.07)
    blocks = (IN_PLANE, IN_PLANE, THROUGH)
    size = [round(extent / (step * n)) for extent, n in zip(EXTENT, blocks, strict=True)]
    body = Body((size[0] * IN_PLANE, size[1] * IN_PLANE, size[2] * THROUGH), step, random)
    image, modality = (_ct(body), "CT") if index % 2 == 0 else (_mr(body), "MR")
    return Case(image.astype(np.float32), _label(body), (step * IN_PLANE, step * IN_PLANE, step * THROUGH), modality)


def _signal(body: Body, column: int) -> Array:
    """The signal of each fine voxel: its tissue's in this patient, with some texture."""
    levels = np.array([body.about(*_SIGNALS[tissue][column]) for tissue in TISSUES])
    texture = smooth_field(body.shape, body.step, 9.0, body.random)
    widths = np.array([0.35 * _SIGNALS[tissue][column][1] for tissue in TISSUES])
    return np.asarray(levels[body.tissue] + widths[body.tissue] * texture)


def _ct(body: Body) -> Array:
    """Hounsfield units in the window of soft tissue, with noise that is correlated within a slice."""
    image = _average(_signal(body, 0))
    noise = ndimage.gaussian_filter(body.random.standard_normal(image.shape), (0.6, 0.6, 0))
    return np.asarray((image + 22 * noise / noise.std()).clip(*CT_WINDOW))


def _mr(body: Body) -> Array:
    """The magnitude of a complex signal with Gaussian noise, so Rician, seen by a coil that is nearer to some places,
    in arbitrary units."""
    bias = np.exp(0.25 * smooth_field(body.shape, body.step, 150.0, body.random))
    image = _average(_signal(body, 1).clip(0) * bias)
    real, imaginary = 0.05 * body.random.standard_normal((2, *image.shape))
    return np.asarray(body.random.uniform(300, 900) * np.hypot(image + real, imaginary))


def _average(fine: Array) -> Array:
    """The mean of the fine voxels of each voxel: partial volume."""
    x, y, z = (n // b for n, b in zip(fine.shape, (IN_PLANE, IN_PLANE, THROUGH), strict=True))
    return np.asarray(fine.reshape(x, IN_PLANE, y, IN_PLANE, z, THROUGH).mean((1, 3, 5)))


def _label(body: Body) -> NDArray[np.uint8]:
    """The label that has the largest part of each voxel."""
    parts = np.stack([_average(body.of(name).astype(float)) for name in list(LABELS)[1:]])
    parts = np.concatenate([1 - parts.sum(0, keepdims=True), parts])
    return parts.argmax(0).astype(np.uint8)
