"""Grey levels as the network sees them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fdif_dsl.runtime.finetuning.prepare import Prepared

_CUT = (0.5, 99.5)  # percentiles
# nnU-Net's names of channels; any other is `zscore`.
_BY_NAME = {"ct": "ct", "nonorm": "keep", "rescale_to_0_1": "unit", "rgb_to_0_1": "unit"}


@dataclass(frozen=True)
class Foreground:
    """Grey levels of a channel in labelled voxels of the cases that are trained on: percentiles, mean, deviation."""

    low: float
    high: float
    mean: float
    deviation: float


def schemes(wanted: str, names: Sequence[str], channels: int) -> tuple[str, ...]:
    """How each channel is normalised; `auto` goes by its name."""
    if wanted != "auto":
        return (wanted,) * channels
    return tuple(_BY_NAME.get(name.lower(), "zscore") for name in [*names[:channels], *[""] * (channels - len(names))])


def foreground(cases: Sequence[Prepared]) -> tuple[Foreground, ...]:
    """That of each channel. Each class of a case counts up to ten thousand voxels."""
    levels = np.concatenate([case.foreground for case in cases], axis=1)
    if not levels.size:
        return (Foreground(0.0, 0.0, 0.0, 1.0),) * len(levels)
    low, high = np.percentile(levels, _CUT, axis=1)
    columns = low, high, levels.mean(1, dtype=np.float64), levels.std(1, dtype=np.float64)
    return tuple(Foreground(*map(float, row)) for row in zip(*columns, strict=True))


def normalised(image: Any, how: Sequence[str], levels: Sequence[Foreground]) -> Any:
    """An image (channels, D, H, W), each channel in its way:

    zscore  mean 0 and standard deviation 1
    ct      cut to the foreground's 0.5th and 99.5th percentile; its mean becomes 0, its standard deviation 1
    unit    cut to its own 0.5th and 99.5th percentile; these become 0 and 1
    keep    as it is
    """
    import torch

    out = []
    for channel, scheme, level in zip(image, how, levels, strict=True):
        if scheme == "zscore":
            channel = (channel - channel.mean()) / channel.std(correction=0).clamp_min(1e-8)
        elif scheme == "ct":
            channel = (channel.clamp(level.low, level.high) - level.mean) / max(level.deviation, 1e-8)
        elif scheme == "unit":
            low, high = np.percentile(channel.numpy(), _CUT)
            channel = (channel.clamp(low, high) - low) / max(high - low, 1e-8)
        out.append(channel)
    return torch.stack(out)
