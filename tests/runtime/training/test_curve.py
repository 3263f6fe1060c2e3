from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from fdif_dsl.runtime.training.curve import Fall, draw_loss, draw_scores, fall, smooth
from fdif_dsl.runtime.training.metrics import Score


def test_the_fall_of_a_loss() -> None:
    assert fall([2.0]) == Fall(2.0, 2.0)
    assert fall([4.0] * 5 + [1.0] * 10) == Fall(4.0, 1.0)
    assert str(Fall(2.0, 0.5)) == "loss 2.000 -> 0.500 (75 % down)"
    assert str(Fall(1.0, 1.5)) == "loss 1.000 -> 1.500 (50 % up)"


def test_smoothing_keeps_a_straight_line() -> None:
    line = np.arange(20.0)
    assert np.allclose(smooth(line, 3)[3:-3], line[3:-3])
    assert smooth(line, 3)[0] == pytest.approx(1.5)


def test_pictures_show_different_runs_differently(tmp_path: Path) -> None:
    draw_loss([3.0, 2.0, 1.0], tmp_path / "a.png", "a run")
    draw_loss([3.0, 2.9, 2.8], tmp_path / "b.png", "a run")
    assert not np.array_equal(imread(tmp_path / "a.png"), imread(tmp_path / "b.png"))
    history = [(step, [Score("shape", ("x", "y"), (step / 20, float("nan")), (5, 0))]) for step in (5, 10)]
    draw_scores(history, tmp_path / "c.png", "a run", "Dice")
    draw_scores(history[:1], tmp_path / "d.png", "a run", "Dice")
    assert not np.array_equal(imread(tmp_path / "c.png"), imread(tmp_path / "d.png"))
