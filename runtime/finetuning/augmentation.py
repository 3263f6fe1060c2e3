"""Augmentation: random changes of a patch, by MONAI."""

from __future__ import annotations

from typing import Any

import numpy as np

from fdif_dsl.runtime.finetuning.recipe import Augment
from fdif_dsl.runtime.finetuning.rules import AUTO, AXES
from fdif_dsl.runtime.training.extra import require


def augmentation(settings: Augment, label: bool) -> Any:
    """The changes of a recipe that have a chance, for {"image": (c, D, H, W)} and, where it has one, its "label". Where
    the axes of flips are still `auto` no labels speak against any."""
    transforms = require("monai.transforms")
    both = ("image", "label") if label else ("image",)

    turn, zoom = float(np.deg2rad(settings.degrees)), settings.zoom_by

    def affine(chance: float, **ranges: Any) -> Any:
        # Zoomed by MONAI's RandZoom, image and label would be a part of a voxel apart.
        return transforms.RandAffined(both, prob=chance, padding_mode="border",
                                      mode=("bilinear", "nearest")[: len(both)], **ranges)

    steps: list[tuple[float, list[Any]]] = [
        (settings.flip, [transforms.RandFlipd(both, settings.flip, spatial_axis=axis) for axis in range(3)
                         if settings.axes == AUTO or AXES[2 - axis] in settings.axes]),
        (settings.rotate, [affine(settings.rotate, rotate_range=(turn,) * 3)]),
        (settings.zoom, [affine(settings.zoom, scale_range=(zoom,) * 3)]),
        (settings.noise, [transforms.RandGaussianNoised("image", settings.noise, std=settings.noise_by)]),
        (settings.contrast, [transforms.RandScaleIntensityd("image", settings.contrast_by, settings.contrast)]),
        (settings.shift, [transforms.RandShiftIntensityd("image", settings.shift_by, prob=settings.shift)]),
    ]
    return transforms.Compose([step for chance, those in steps if chance > 0 for step in those])
