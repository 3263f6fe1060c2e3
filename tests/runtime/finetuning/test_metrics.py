"""Metrics against what can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fdif_dsl.runtime.finetuning.data.nifti import Stored
from fdif_dsl.runtime.finetuning.metrics import auc, score

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
    its = score(found, stored(there, (3.0, 1.0, 1.0)), 2, [[1]], True)
    assert its.dice.tolist() == [0.5]  # half of each is common
    assert its.hd95.tolist() == [6.0]  # two slices of 3 mm


def test_what_is_absent_has_no_score_and_what_is_missed_the_worst() -> None:
    there = box((8, 8, 8), (2, 2, 2), (6, 6, 6))
    its = score(box((8, 8, 8), (0, 0, 0), (2, 2, 2), 2), stored(there, (1.0, 2.0, 2.0)), 3, [[1], [2]], True)
    assert its.dice[0] == 0 and its.hd95[0] == pytest.approx((8**2 + 16**2 + 16**2) ** 0.5)
    assert np.isnan(its.dice[1]) and np.isnan(its.hd95[1])
    exact = score(there, stored(there), 2, [[1]], True)
    assert exact.dice.tolist() == [1.0] and exact.hd95.tolist() == [0.0]
    assert np.isnan(score(there, stored(there), 2, [[1]], False).hd95).all()


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
    assert auc(chances, truth) == pytest.approx(np.mean(areas) if areas else np.nan, nan_ok=True)
