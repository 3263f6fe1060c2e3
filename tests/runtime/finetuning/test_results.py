"""Results of several seeds and cases: their means, and the intervals of differences."""

from __future__ import annotations

import numpy as np
import pytest

from fdif_dsl.runtime.finetuning.results import Result, compared


def result(dice: np.ndarray) -> Result:
    seeds, cases, classes = dice.shape
    return Result(tuple(range(seeds)), tuple(f"c{i}" for i in range(cases)), tuple(f"k{i}" for i in range(classes)),
                  dice, np.full_like(dice, np.nan), ((),) * seeds)


def test_a_difference_that_is_always_the_same_is_certain() -> None:
    scratch = np.random.default_rng(0).uniform(0, 0.5, (2, 5, 3))
    found = compared(result(scratch + 0.2), result(scratch))
    assert found.mean.mean == pytest.approx(0.2) and found.mean.low == pytest.approx(0.2)
    assert found.mean.clear and all(d.high == pytest.approx(0.2) for d in found.classes)


def test_cases_are_compared_in_pairs() -> None:
    """What cases have in common does not widen the interval; what the start changes from case to case does."""
    random = np.random.default_rng(1)
    hard = random.uniform(0, 1, (1, 40, 1))
    noise = random.normal(0, 0.1, (1, 40, 1))
    found = compared(result(hard + 0.05 + noise), result(hard))
    half = (found.mean.high - found.mean.low) / 2
    assert half == pytest.approx(1.96 * noise.std() / 40**0.5, rel=0.1)
    assert found.mean.mean == pytest.approx(0.05 + noise.mean())


def test_seeds_that_differ_widen_the_interval() -> None:
    scratch = np.zeros((4, 30, 1))
    gains = np.array([-0.1, 0.0, 0.1, 0.2])[:, None, None]
    several = compared(result(scratch + gains), result(scratch))
    assert several.mean.mean == pytest.approx(0.05) and not several.mean.clear
    assert several.mean.high - several.mean.low > 0.1


def test_a_class_that_no_case_has_is_left_out() -> None:
    dice = np.array([[[0.5, np.nan], [0.7, np.nan]]])
    its = result(dice)
    assert its.by_class(its.dice)[0] == pytest.approx(0.6) and np.isnan(its.by_class(its.dice)[1])
    assert its.mean_dice == pytest.approx(0.6)
    found = compared(result(dice + 0.1), its)
    assert found.mean.mean == pytest.approx(0.1) and np.isnan(found.classes[1].mean)
