from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from fdif_dsl.runtime.training.metrics import Counts, Score, mean

CPU = torch.device("cpu")


def test_dice_of_each_class_over_a_set() -> None:
    random = np.random.default_rng(0)
    there, found = random.integers(0, 4, (2, 3, 500))  # three volumes
    there[there == 2] = 0  # nothing of class 2
    counts = Counts(5, CPU)
    for a, b in zip(found, there, strict=True):
        counts.add(torch.from_numpy(a), torch.from_numpy(b))
    score = counts.dice("shape", ("background", "a", "b", "c", "d"))
    assert score.classes == ("a", "b", "c", "d")
    for k, value in zip((1, 3), (score.values[0], score.values[2]), strict=True):
        both = np.count_nonzero((there == k) & (found == k))
        assert value == pytest.approx(2 * both / (np.count_nonzero(there == k) + np.count_nonzero(found == k)))
    assert math.isnan(score.values[1]) and math.isnan(score.values[3])  # absent: 2, and 4, which is never found either
    assert score.mean == pytest.approx((score.values[0] + score.values[2]) / 2)
    assert score.size == (np.count_nonzero(there == 1), 0, np.count_nonzero(there == 3), 0)


def test_the_share_of_volumes_that_are_named_right() -> None:
    counts = Counts(3, CPU)
    counts.add(torch.tensor([0, 0, 1, 1, 2]), torch.tensor([0, 1, 1, 1, -1]))
    score = counts.share("shape", ("background", "a", "b", "c"))
    assert score.values[:2] == pytest.approx((1.0, 2 / 3)) and math.isnan(score.values[2])


def test_the_mean_is_one_over_tasks() -> None:
    scores = [Score("a", ("x", "y"), (0.5, 1.0), (1, 1)), Score("b", ("z", "w"), (0.25, math.nan), (1, 0))]
    assert mean(scores) == 0.5
    assert scores[0].above_half == 1
    assert math.isnan(Score("c", ("x",), (math.nan,), (0,)).mean)
