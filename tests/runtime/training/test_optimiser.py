from __future__ import annotations

from itertools import pairwise

import pytest

from fdif_dsl.runtime.training.optimiser import FALLS, rate


@pytest.mark.parametrize("schedule", FALLS)
def test_it_rises_in_a_line_and_falls_as_told(schedule: str) -> None:
    rates = [rate(step, 10, 110, schedule) for step in range(111)]
    assert rates[0] == pytest.approx(1 / 11) and rates[9] == pytest.approx(10 / 11) and rates[10] == 1
    halfway = {"cosine": 0.5, "poly": 0.5**0.9, "constant": 1.0}[schedule]
    assert rates[60] == pytest.approx(halfway)
    assert rates[110] == (1 if schedule == "constant" else 0)
    assert all(a < b for a, b in pairwise(rates[:11]))
    assert schedule == "constant" or all(a > b for a, b in pairwise(rates[10:]))


def test_without_a_warm_up() -> None:
    assert rate(0, 0, 10, "poly") == 1
