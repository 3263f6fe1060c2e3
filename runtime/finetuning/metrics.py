"""The metrics: Dice and HD95 of a case's voxels, accuracy and the area under the ROC curve of whole volumes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fdif_dsl.runtime.finetuning.data.nifti import Stored
from fdif_dsl.runtime.training.quiet import quiet


@dataclass(frozen=True)
class CaseScore:
    """For each class but background, or each region: the Dice score, and the 95th percentile of the surfaces' distance
    in mm.

    Both are NaN where the case has none of the class. Where the network finds none of a class that is there, Dice is 0,
    and the distance is the diagonal of the image.
    """

    dice: np.ndarray
    hd95: np.ndarray


def score(found: np.ndarray, case: Stored, classes: int, groups: Sequence[Sequence[int]], distance: bool) -> CaseScore:
    """The scores of classes (x, y, z) that were found, against the label of the case: of each group of classes. Voxels
    whose label is none of the `classes` do not count."""
    import torch
    from monai.metrics.hausdorff_distance import compute_hausdorff_distance

    there = case.voxels[0].astype(np.int16)
    counts = there < classes
    dice, hd95 = np.full(len(groups), np.nan), np.full(len(groups), np.nan)
    diagonal = float(np.linalg.norm(np.array(there.shape) * case.steps))
    for k, group in enumerate(groups):
        mine, its = _inside(found, group) & counts, _inside(there, group)
        if not its.any():
            continue
        dice[k] = 2 * (mine & its).sum() / (mine.sum() + its.sum())
        if not distance:
            continue
        hd95[k] = diagonal
        if mine.any():
            box = _box(mine | its)
            a, b = (torch.as_tensor(part[box])[None, None] for part in (mine, its))
            with quiet():  # MONAI warns of itself
                hd95[k] = float(compute_hausdorff_distance(a, b, include_background=True, percentile=95,
                                                               spacing=list(case.steps)))
    return CaseScore(dice, hd95)


def _inside(classes: np.ndarray, group: Sequence[int]) -> np.ndarray:
    """The voxels that have one of a group's classes."""
    return classes == group[0] if len(group) == 1 else np.isin(classes, group)


def _box(mask: np.ndarray) -> tuple[slice, ...]:
    """The smallest box around all that is true, and a voxel more where there is one."""
    out = []
    for axis in range(mask.ndim):
        places = np.flatnonzero(mask.any(axis=tuple(a for a in range(mask.ndim) if a != axis)))
        out.append(slice(max(0, int(places[0]) - 1), int(places[-1]) + 2))
    return tuple(out)


def accuracy(chances: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(..., images, classes) and (..., images) -> (...)."""
    return np.asarray((chances.argmax(-1) == truth).mean(-1))


def auc(chances: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(..., images, classes) and (..., images) -> (...); a mean over the classes that are there, and not alone; NaN
    where there is but one.

    It is the chance that an image of the class gets a greater probability of it than one of another class: the
    statistic of Mann and Whitney, from ranks.
    """
    from scipy.stats import rankdata

    areas = []
    for k in range(chances.shape[-1]):
        its = np.broadcast_to(truth == k, chances.shape[:-1])
        there = its.sum(-1)
        others = its.shape[-1] - there
        ranks = np.where(its, rankdata(chances[..., k], axis=-1), 0).sum(-1)
        areas.append(np.where((there > 0) & (others > 0),
                              (ranks - there * (there + 1) / 2) / np.maximum(there * others, 1), np.nan))
    return nanmean(np.stack(areas), (0,))


def nanmean(values: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """The mean of what is no NaN; NaN, without a warning, where there is nothing."""
    there = ~np.isnan(values)
    count = there.sum(axes)
    total = np.where(there, values, 0).sum(axes)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))
