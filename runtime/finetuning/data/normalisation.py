"""Grey levels as the network sees them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fdif_dsl.runtime.finetuning.data.preprocessing import CUT, Prepared, Seen

# nnU-Net's names of channels; any other is `clipped`, which a few bright voxels do not upset.
_BY_NAME = {"ct": "ct", "nonorm": "keep", "rescale_to_0_1": "unit", "rgb_to_0_1": "unit"}


@dataclass(frozen=True)
class Levels:
    """Of a channel: percentiles, mean and deviation of some of its voxels."""

    low: float
    high: float
    mean: float
    deviation: float


@dataclass(frozen=True)
class Scaling:
    """A channel is cut to `low` and `high`, `shift` is taken away, and the rest divided by `size`."""

    low: float
    high: float
    shift: float
    size: float


def schemes(wanted: str, names: Sequence[str], channels: int) -> tuple[str, ...]:
    """How each channel is normalised; `auto` goes by its name."""
    if wanted != "auto":
        return (wanted,) * channels
    return tuple(_BY_NAME.get(name.lower(), "clipped") for name in _named(names, channels))


def told(how: Sequence[str], names: Sequence[str]) -> str:
    """How each channel is normalised, in a line; a channel without a name goes by its number, where it is not alone."""
    its = [name or (str(number) if len(how) > 1 else "") for number, name in enumerate(_named(names, len(how)))]
    return ", ".join(f"{name} {scheme}".strip() for name, scheme in zip(its, how, strict=True))


def _named(names: Sequence[str], channels: int) -> list[str]:
    """A name for each channel, empty where there is none; blanks around a name are none of it."""
    return [*(name.strip() for name in names[:channels]), *[""] * (channels - len(names))]


def foreground(cases: Sequence[Prepared]) -> tuple[Levels, ...]:
    """The levels of each channel in labelled voxels of the cases; up to ten thousand of each class of a case count."""
    levels = np.concatenate([case.foreground for case in cases], axis=1)
    if not levels.size:
        return (Levels(0.0, 0.0, 0.0, 1.0),) * len(levels)
    low, high = np.percentile(levels, CUT, axis=1)
    columns = low, high, levels.mean(1, dtype=np.float64), levels.std(1, dtype=np.float64)
    return tuple(Levels(*map(float, row)) for row in zip(*columns, strict=True))


def scaling(case: Seen, how: Sequence[str], labelled: Sequence[Levels]) -> tuple[Scaling, ...]:
    """What is done to each channel of a case, by its scheme:

    clipped cut to its own 0.5th and 99.5th percentile, then mean 0 and standard deviation 1
    zscore  mean 0 and standard deviation 1
    ct      cut to the 0.5th and 99.5th percentile of labelled voxels; their mean becomes 0, their deviation 1
    unit    cut to its own 0.5th and 99.5th percentile; these become 0 and 1
    keep    as it is
    """
    out = []
    for channel, (scheme, levels) in enumerate(zip(how, labelled, strict=True)):
        if scheme == "zscore":
            mean, deviation = case.moments[channel]
            its = Scaling(-np.inf, np.inf, mean, deviation)
        elif scheme == "clipped":
            mean, deviation = case.clipped_moments[channel]
            its = Scaling(*case.percentiles[channel], mean, deviation)
        elif scheme == "ct":
            its = Scaling(levels.low, levels.high, levels.mean, levels.deviation)
        elif scheme == "unit":
            low, high = case.percentiles[channel]
            its = Scaling(low, high, low, high - low)
        else:
            its = Scaling(-np.inf, np.inf, 0.0, 1.0)
        out.append(its)
    return tuple(out)


def scaled(image: Any, how: Sequence[Scaling]) -> Any:
    """An image or a part of it (channels, D, H, W), float32."""
    import torch

    return torch.stack([(channel.clamp(its.low, its.high) - its.shift) / max(its.size, 1e-8)
                        for channel, its in zip(image, how, strict=True)])
