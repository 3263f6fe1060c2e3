"""Scores, their means and the intervals of differences, against what can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fdif_dsl.runtime.finetuning.bootstrap import compared
from fdif_dsl.runtime.finetuning.data.nifti import Stored
from fdif_dsl.runtime.finetuning.inference import on_own_grid, predict, score
from fdif_dsl.runtime.finetuning.naming import auc
from fdif_dsl.runtime.finetuning.results import Result

Sides = tuple[int, int, int]


def stored(label: np.ndarray, spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> Stored:
    return Stored(label[None], np.diag([*spacing, 1.0]))


def box(shape: Sides, low: Sides, high: Sides, value: int = 1) -> np.ndarray:
    out = np.zeros(shape, np.int16)
    out[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = value
    return out


def test_two_boxes_apart_by_two_slices() -> None:
    there = box((12, 10, 10), (2, 2, 2), (6, 6, 6))
    found = box((12, 10, 10), (4, 2, 2), (8, 6, 6))
    its = score(found, stored(there, (3.0, 1.0, 1.0)), 2, True)
    assert its.dice.tolist() == [0.5]  # half of each is common
    assert its.hd95.tolist() == [6.0]  # two slices of 3 mm


def test_what_is_absent_has_no_score_and_what_is_missed_the_worst() -> None:
    there = box((8, 8, 8), (2, 2, 2), (6, 6, 6))
    its = score(box((8, 8, 8), (0, 0, 0), (2, 2, 2), 2), stored(there, (1.0, 2.0, 2.0)), 3, True)
    assert its.dice[0] == 0 and its.hd95[0] == pytest.approx((8**2 + 16**2 + 16**2) ** 0.5)
    assert np.isnan(its.dice[1]) and np.isnan(its.hd95[1])
    exact = score(there, stored(there), 2, True)
    assert exact.dice.tolist() == [1.0] and exact.hd95.tolist() == [0.0]
    assert np.isnan(score(there, stored(there), 2, False).hd95).all()


def test_an_answer_goes_back_to_the_voxels_of_the_file() -> None:
    """A ball on a turned, finer grid; the file has thick slices and looks the other way."""
    own = np.array([[-1.0, 0, 0, 20], [0, -1.0, 0, 15], [0, 0, 4.0, -30], [0, 0, 0, 1]])
    other = np.array([[0, 0, 1.0, 0], [0, 1.0, 0, -5], [1.0, 0, 0, -30], [0, 0, 0, 1]])  # z, y, x, each 1 mm
    middle = np.array([10.0, 5.0, -14.0])

    def inside(affine: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
        index = np.stack([*np.meshgrid(*map(np.arange, shape), indexing="ij"), np.ones(shape)], -1)
        return np.asarray(((index @ affine.T)[..., :3] - middle) ** 2).sum(-1) < 49

    answer = torch.as_tensor(np.stack([~inside(other, (33, 21, 21)), inside(other, (33, 21, 21))])).float()
    label = inside(own, (21, 21, 9)).astype(np.int16)
    found = on_own_grid(answer, other, Stored(label[None], own))
    assert 2 * (found * label).sum() / (found.sum() + label.sum()) > 0.97


def test_a_network_that_passes_its_input_on_is_seen_as_it_is() -> None:
    """Whatever the patch: sliding over it changes nothing, also where a case is smaller than a patch."""
    image = torch.rand(2, 11, 20, 7)
    out = predict(torch.nn.Threshold(-1.0, 0.0), image, (16, 8, 8), 0.5, torch.device("cpu"))
    torch.testing.assert_close(out, image)


# -- comparison ------------------------------------------------------------------------------------------


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


# -- classification --------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5)), min_size=2, max_size=12))
def test_the_area_under_the_curve_is_the_share_of_pairs_in_order(images: list[tuple[int, int]]) -> None:
    truth = np.array([label for label, _ in images])
    chances = np.array([[value if k == 1 else 5 - value if k == 0 else value % 3 for k in range(3)]
                        for _, value in images]) / 5
    areas = []
    for k in range(3):
        pairs = [0.5 * (1 + np.sign(chances[i, k] - chances[j, k])) for i in np.flatnonzero(truth == k)
                 for j in np.flatnonzero(truth != k)]
        areas += [np.mean(pairs)] if pairs else []
    assert auc(chances, truth) == pytest.approx(np.mean(areas) if areas else 0)
