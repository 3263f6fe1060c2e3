"""The numbers of one instance: what is held, what follows, and between which ends sliders move."""

from __future__ import annotations

from typing import Any

import pytest

from fdif_dsl.compiler.backends.cpu import CpuBackend
from fdif_dsl.compiler.ir.grid import Grid
from fdif_dsl.compiler.library import load_library
from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.runtime.play.quantities import Quantities

TEXT = """\
shape a {
  outer ~ uniform(10, 20)
  inner ~ uniform(0.2, 0.6) * outer
  wall = outer - inner
  bell ~ normal(3, 1)
  count ~ integer(2, 7)
  way ~ unit_vec3()
  point[i < 3] ~ uniform(vec3(-i), vec3(2 * i))
  distance = length(p - way * count - point[0] - point[2]) - outer - wall * 0.1 - bell
}
"""
GRID = Grid((96, 96, 96))


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("quantities") / "a.sdf"
    path.write_text(TEXT)
    formula = load_library(path).shapes["a"].formula
    backend = CpuBackend([formula])

    def quantities(seed: int = 0, **held: Any) -> dict[str, Any]:
        return {q["name"]: q for q in Quantities(backend, formula, GRID, seed, held).to_json()}

    return quantities


def test_what_is_held_stays_and_what_depends_on_it_follows(make: Any) -> None:
    drawn, held = make(), make(outer=12.0)
    assert held["outer"]["values"] == [12.0] and held["outer"]["held"] and not drawn["outer"]["held"]
    share = drawn["inner"]["values"][0] / drawn["outer"]["values"][0]
    assert held["inner"]["values"] == pytest.approx([share * 12])  # its own draw is what it was
    assert held["wall"]["values"] == pytest.approx([12 - share * 12])
    for name in ("bell", "count", "way", "point"):
        assert held[name]["values"] == drawn[name]["values"]
    assert make(wall=2.0)["wall"]["values"] == [2.0] and make(wall=2.0)["inner"] == drawn["inner"]


def test_ends_are_those_of_the_prior(make: Any) -> None:
    found = make(outer=15.0)
    assert found["outer"]["low"] == [10.0] and found["outer"]["high"] == pytest.approx([20.0])
    assert found["inner"]["low"] == pytest.approx([3.0]) and found["inner"]["high"] == pytest.approx([9.0])
    assert found["count"]["low"] == [2.0] and found["count"]["high"] == [7.0] and found["count"]["whole"]
    assert not found["outer"]["whole"]
    assert -2 < found["bell"]["low"][0] < 1 < 5 < found["bell"]["high"][0] < 8  # it has no ends
    assert all(low < -0.9 and high > 0.9 for low, high in zip(found["way"]["low"], found["way"]["high"], strict=True))
    assert found["point"]["low"] == pytest.approx([0, 0, 0, -1, -1, -1, -2, -2, -2], abs=1e-6)
    assert found["point"]["high"] == pytest.approx([0, 0, 0, 2, 2, 2, 4, 4, 4], abs=1e-6)
    assert found["wall"]["low"][0] < found["wall"]["values"][0] < found["wall"]["high"][0]


def test_a_value_beyond_the_prior_widens_the_slider(make: Any) -> None:
    assert make(outer=44.0)["outer"]["high"] == [44.0]


def test_a_name_that_is_gone_is_left_out_and_a_wrong_value_told(make: Any) -> None:
    assert make(gone=3.0) == make()
    with pytest.raises(FdifError):
        make(outer=[1.0, 2.0])
    with pytest.raises(FdifError):
        make(way="north")
