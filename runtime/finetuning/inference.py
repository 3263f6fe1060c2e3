"""Scoring a network on a held-out case, voxel by voxel of the case's own files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from fdif_dsl.runtime.finetuning.data.nifti import Stored
from fdif_dsl.runtime.training.quiet import quiet
from fdif_dsl.runtime.training.validation import finest

_AT_ONCE = 2**26  # numbers that are resampled together


@dataclass(frozen=True)
class CaseScore:
    """For each class but background: the Dice score, and the 95th percentile of the surfaces' distance in mm.

    Both are NaN where the case has none of the class. Where the network finds none of a class that is there, Dice is 0,
    and the distance is the diagonal of the image.
    """

    dice: np.ndarray
    hd95: np.ndarray


def predict(network: torch.nn.Module, image: torch.Tensor, patch: tuple[int, int, int], overlap: float,
            device: torch.device) -> torch.Tensor:
    """The network's answer (classes, D, H, W) for an image (c, D, H, W), on the CPU; patches slide over it."""
    from monai.inferers.utils import sliding_window_inference

    with torch.inference_mode():
        out: Any = sliding_window_inference(
            image[None], patch, 1, lambda part: finest(network(part)).float(), overlap=overlap, mode="gaussian",
            sw_device=device, device="cpu")
    answer: torch.Tensor = out[0]
    return answer


def on_own_grid(answer: torch.Tensor, affine: np.ndarray, case: Stored) -> np.ndarray:
    """The classes (x, y, z) of a case's own voxels, from an answer (classes, D, H, W) on another grid.

    The answer is resampled and the greatest class taken then, so that surfaces are as smooth as it is.
    """
    from monai.data.meta_tensor import MetaTensor
    from monai.transforms.spatial.array import SpatialResample

    shape = case.voxels.shape[1:]
    resample = SpatialResample(mode="bilinear", dtype=np.float32)
    best = torch.full(shape, -torch.inf)
    found = torch.zeros(shape, dtype=torch.int16)
    for first in range(0, len(answer), step := max(1, _AT_ONCE // best.numel())):
        part = resample(MetaTensor(answer[first : first + step], affine=torch.as_tensor(affine)),
                        dst_affine=torch.as_tensor(case.affine), spatial_size=shape)
        value, place = torch.as_tensor(part).max(0)
        higher = value > best
        best[higher], found[higher] = value[higher], (place[higher] + first).to(torch.int16)
    return found.numpy()


def score(found: np.ndarray, case: Stored, classes: int, distance: bool) -> CaseScore:
    """The scores of classes (x, y, z) that were found, against the label of the case."""
    from monai.metrics.hausdorff_distance import compute_hausdorff_distance

    there = case.voxels[0].astype(np.int16)
    dice, hd95 = np.full(classes - 1, np.nan), np.full(classes - 1, np.nan)
    diagonal = float(np.linalg.norm(np.array(there.shape) * case.steps))
    for k in range(1, classes):
        mine, its = found == k, there == k
        if not its.any():
            continue
        dice[k - 1] = 2 * (mine & its).sum() / (mine.sum() + its.sum())
        if not distance:
            continue
        hd95[k - 1] = diagonal
        if mine.any():
            box = _box(mine | its)
            a, b = (torch.as_tensor(part[box])[None, None] for part in (mine, its))
            with quiet():  # MONAI warns of itself
                hd95[k - 1] = float(compute_hausdorff_distance(a, b, include_background=True, percentile=95,
                                                               spacing=list(case.steps)))
    return CaseScore(dice, hd95)


def _box(mask: np.ndarray) -> tuple[slice, ...]:
    """The smallest box around all that is true, and a voxel more where there is one."""
    out = []
    for axis in range(mask.ndim):
        places = np.flatnonzero(mask.any(axis=tuple(a for a in range(mask.ndim) if a != axis)))
        out.append(slice(max(0, int(places[0]) - 1), int(places[-1]) + 2))
    return tuple(out)
