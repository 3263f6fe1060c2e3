"""Augmentation: random changes of a patch, by MONAI."""

from __future__ import annotations

from typing import Any

import numpy as np

from fdif_dsl.runtime.finetuning.recipe import Augment
from fdif_dsl.runtime.training.extra import require


def changes(settings: Augment, label: bool) -> Any:
    """The changes of a recipe that have a chance, of {"image": (c, D, H, W)} and, where it has one, its "label"."""
    transforms = require("monai.transforms")
    both = ("image", "label") if label else ("image",)

    def modes(image: str) -> tuple[str, ...]:
        return (image, "nearest")[: len(both)]

    turn = float(np.deg2rad(settings.degrees))
    steps: list[tuple[float, list[Any]]] = [
        (settings.flip, [transforms.RandFlipd(both, settings.flip, spatial_axis=axis) for axis in range(3)]),
        (settings.rotate, [transforms.RandRotated(both, turn, turn, turn, prob=settings.rotate, mode=modes("bilinear"),
                                                  padding_mode="border")]),
        (settings.zoom, [transforms.RandZoomd(both, settings.zoom, 1 - settings.zoom_by, 1 + settings.zoom_by,
                                              mode=modes("trilinear"), padding_mode="edge")]),
        (settings.noise, [transforms.RandGaussianNoised("image", settings.noise, std=settings.noise_by)]),
        (settings.contrast, [transforms.RandScaleIntensityd("image", settings.contrast_by, settings.contrast)]),
        (settings.shift, [transforms.RandShiftIntensityd("image", settings.shift_by, prob=settings.shift)]),
    ]
    return transforms.Compose([step for chance, those in steps if chance > 0 for step in those])
