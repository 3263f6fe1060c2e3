"""The draws of the language, against distributions written out here: of many at once, of a scene, and at their ends."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import fdif_dsl as fd
from fdif_dsl.compiler.frontend.builtins import PRIORS
from fdif_dsl.compiler.ir.graph import Graph, Node
from fdif_dsl.compiler.ir.grid import Grid
from fdif_dsl.compiler.library.cautions import cautions
from fdif_dsl.compiler.passes.schedule import run_voxels
from fdif_dsl.runtime.scenes.sampler_definition import sample_parameters, scene_by_definition

GRID = Grid((40, 50, 60))
COUNT = 4000
FIRST, LAST = 2.0**-33, 1 - 2.0**-33  # the least and the greatest number that is drawn
TEXT = """
use mappers
shape s {
  wide ~ log_uniform(0.5, 80)
  left ~ triangular(1, 2, 5)
  falling ~ triangular(1, 1, 5)
  rising ~ triangular(1, 5, 5)
  count ~ integer(3, 9)
  inner ~ integer(-2.5, 2.2)
  fixed ~ integer(4, 4)
  sized ~ integer(grid.min / 20, count)
  one ~ choice(1, 2, 4, 8, 16)
  pair ~ choice(vec2(1, 2), vec2(3, 4), 7)
  mixed ~ choice(uniform(1, 2), uniform(5, 6))
  each[i < 3] ~ choice(i, -i)
  corner ~ integer(vec3(0, 0, 5), vec3(1, 2, 9))
  flat ~ unit_vec2()
  way ~ unit_vec3()
  thinned ~ sum[i < 4 when uniform(0, 1) < 0.25](1)
  used = wide + left + falling + rising + count + inner + fixed + sized + one + pair.x + pair.y + mixed + each[0]
  more = each[1] + each[2] + corner.x + corner.y + corner.z + flat.x + flat.y + way.x + way.y + way.z + thinned
  distance = length(p) - 0.01 * (used + more)
}
"""


@pytest.fixture(scope="module")
def lib(tmp_path_factory: pytest.TempPathFactory) -> fd.Library:
    path = tmp_path_factory.mktemp("draws") / "own.sdf"
    path.write_text(TEXT)
    return fd.load_library(path)


@pytest.fixture(scope="module")
def drawn(lib: fd.Library) -> dict[str, np.ndarray]:
    formula = lib.shapes["s"].formula
    return sample_parameters(formula, GRID, np.random.default_rng(5).random((formula.draws, COUNT)))


def follows(values: np.ndarray, distribution: Any) -> bool:
    return bool(stats.kstest(values, distribution.cdf).pvalue > 1e-4)


def equally_often(values: np.ndarray, wanted: list[float]) -> bool:
    found, counts = np.unique(values, return_counts=True)
    return found.tolist() == wanted and stats.chisquare(counts).pvalue > 1e-4


@pytest.mark.parametrize(("name", "distribution"), [
    ("wide", stats.loguniform(0.5, 80)), ("left", stats.triang(0.25, 1, 4)), ("falling", stats.triang(0, 1, 4)),
    ("rising", stats.triang(1, 1, 4)), ("thinned", None)])
def test_of_numbers(drawn: dict[str, np.ndarray], name: str, distribution: Any) -> None:
    if distribution is not None:
        assert follows(drawn[name], distribution)
        return
    expected = COUNT * stats.binom.pmf(np.arange(5), 4, 0.25)
    assert stats.chisquare(np.bincount(drawn[name].astype(int), minlength=5), expected).pvalue > 1e-4


def test_of_whole_numbers(drawn: dict[str, np.ndarray]) -> None:
    assert equally_often(drawn["count"], [3, 4, 5, 6, 7, 8, 9])
    assert equally_often(drawn["inner"], [-2, -1, 0, 1, 2])
    assert np.unique(drawn["fixed"]).tolist() == [4]
    for count in range(3, 10):
        assert equally_often(drawn["sized"][drawn["count"] == count], [float(k) for k in range(2, count + 1)])
    for k, wanted in enumerate(([0, 1], [0, 1, 2], [5, 6, 7, 8, 9])):
        assert equally_often(drawn["corner"][:, k], [float(w) for w in wanted])
    assert abs(np.corrcoef(drawn["corner"].T) - np.eye(3)).max() < 0.08


def test_of_choices(drawn: dict[str, np.ndarray]) -> None:
    assert equally_often(drawn["one"], [1, 2, 4, 8, 16])
    pairs, counts = np.unique(drawn["pair"], axis=0, return_counts=True)
    assert pairs.tolist() == [[1, 2], [3, 4], [7, 7]] and stats.chisquare(counts).pvalue > 1e-4
    low = drawn["mixed"] < 3
    assert stats.binomtest(int(low.sum()), COUNT).pvalue > 1e-4
    assert follows(drawn["mixed"][low], stats.uniform(1, 1)) and follows(drawn["mixed"][~low], stats.uniform(5, 1))
    assert not drawn["each"][:, 0].any()
    assert equally_often(drawn["each"][:, 1] + drawn["each"][:, 2], [-3, -1, 1, 3])


def test_of_directions(drawn: dict[str, np.ndarray]) -> None:
    for name in ("flat", "way"):
        np.testing.assert_allclose((drawn[name] ** 2).sum(1), 1, rtol=1e-14)
        angle = np.arctan2(drawn[name][:, 1], drawn[name][:, 0])
        assert follows(angle, stats.uniform(-math.pi, math.tau))
    rng = np.random.default_rng(0)
    for axis in [*np.eye(3), *rng.normal(size=(4, 3))]:  # seen along any axis the height is even
        height = drawn["way"] @ axis / np.linalg.norm(axis)
        assert follows(height, stats.uniform(-1, 2))


def test_how_many_random_numbers_each_takes(tmp_path: Path) -> None:
    wanted = {"uniform(1, 2)": 1, "log_uniform(1, 2)": 1, "normal(1, 2)": 2, "triangular(1, 2, 3)": 1,
              "integer(1, 2)": 1, "choice(1, 2, 3)": 1, "choice(vec3(1, 2, 3), vec3(4, 5, 6)).x": 1,
              "choice(uniform(1, 2), normal(1, 2))": 4, "unit_vec2().x": 1, "unit_vec3().x": 2,
              "integer(vec2(1, 2), 3).x": 2}
    assert {name for text in wanted for name in PRIORS if f"{name}(" in text} == set(PRIORS)
    (tmp_path / "own.sdf").write_text("\n".join(
        f"shape s{i} {{ r ~ {text}\n distance = length(p) - r }}" for i, text in enumerate(wanted)))
    shapes = fd.load_library(tmp_path / "own.sdf").shapes
    assert [shapes[f"s{i}"].formula.draws for i in range(len(wanted))] == [*wanted.values()]


def test_scenes_are_drawn_to_the_bit_as_they_are_defined(lib: fd.Library) -> None:
    recipe = fd.Recipe(grid=GRID.shape, objects=20)
    for index in range(10):
        assert fd.sample_scene(lib, 3, index, recipe) == scene_by_definition(lib, 3, index, recipe)


def test_a_scene_is_pinned_down(lib: fd.Library) -> None:
    """These numbers may never change: people name a data set by its seed."""
    params = fd.sample_scene(lib, 7, 1, fd.Recipe(grid=GRID.shape, objects=1)).objects[0].params
    assert set(params) == set(PINNED)
    for name, wanted in PINNED.items():
        np.testing.assert_allclose(params[name], wanted, rtol=1e-12)


PINNED: dict[str, Any] = {
    "wide": 1.0296628443333156, "left": 2.994726087599599, "falling": 1.8442997127576222, "rising": 3.941147084552813,
    "count": 6, "inner": -1, "fixed": 4, "sized": 5, "one": 4, "pair": [1, 2], "mixed": 1.3055565886897966,
    "each": [0, 1, -2], "corner": [1, 2, 8], "flat": [0.9660607514010914, -0.2583149716961036],
    "way": [-0.9845262120319063, 0.10026753974570092, -0.14371693809516728], "thinned": 0,
}


# -- at the ends of what is drawn ------------------------------------------------------------------------


def value(name: str, uniforms: list[float], *args: float) -> Any:
    """What a draw makes of these uniform numbers."""
    g, left = Graph(), iter(uniforms)
    made = PRIORS[name].build(g, lambda: g.number(next(left)), *map(g.number, args))
    with np.errstate(all="ignore"):
        found = [float(run_voxels(node, {}, {})) for node in (made if isinstance(made, tuple) else (made,))]
    assert next(left, None) is None and all(isinstance(n, Node) for n in ([made] if len(found) == 1 else made))
    return found if len(found) > 1 else found[0]


places = st.sampled_from([FIRST, LAST, 0.5]) | st.floats(FIRST, LAST)


@settings(deadline=None, derandomize=True)
@given(places, st.floats(-1e6, 1e6), st.floats(0, 1e6))
def test_whole_numbers_lie_between_their_bounds(u: float, lo: float, width: float) -> None:
    least, most = math.ceil(lo), math.floor(lo + width)
    found = value("integer", [u], lo, lo + width)
    if most < least:
        assert math.isnan(found)
    else:
        assert least <= found <= most and found.is_integer()
        assert value("integer", [FIRST], lo, lo + width) == least
        assert value("integer", [LAST], lo, lo + width) == most


@settings(deadline=None, derandomize=True)
@given(places, st.lists(st.floats(-100, 100), min_size=2, max_size=40))
def test_a_choice_is_one_of_its_values(u: float, options: list[float]) -> None:
    assert value("choice", [u], *options) == options[math.floor(u * len(options))]


@settings(deadline=None, derandomize=True)
@given(places, st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3).map(sorted))
def test_a_triangle_keeps_to_its_base(u: float, corners: list[float]) -> None:
    lo, mode, hi = corners
    slack = 1e-12 * (abs(lo) + abs(hi))
    found = value("triangular", [u], lo, mode, hi)
    assert lo - slack <= found <= hi + slack
    # The share of the area to the left is the number that was drawn.
    if hi - lo > 1e-3 and min(mode - lo, hi - mode) > 1e-3:
        assert stats.triang((mode - lo) / (hi - lo), lo, hi - lo).cdf(found) == pytest.approx(u, abs=1e-6)


@settings(deadline=None, derandomize=True)
@given(places, st.floats(1e-6, 1e6), st.floats(1, 1e6))
def test_a_logarithm_is_drawn_evenly(u: float, lo: float, ratio: float) -> None:
    found = value("log_uniform", [u], lo, lo * ratio)
    assert found == pytest.approx(lo * ratio**u, rel=1e-9)


@settings(deadline=None, derandomize=True)
@given(places, places)
def test_directions_have_length_one(u: float, v: float) -> None:
    assert math.hypot(*value("unit_vec3", [u, v])) == pytest.approx(1, rel=1e-14)
    assert math.hypot(*value("unit_vec2", [u])) == pytest.approx(1, rel=1e-14)


@pytest.mark.parametrize(("prior", "often"), [
    ("log_uniform(0, 10)", "never gives"), ("log_uniform(uniform(-1, 1), 2)", "may not give"),
    ("integer(1.2, 1.8)", "never gives"), ("integer(9, 3)", "never gives"),
    ("integer(1, uniform(0, 3))", "may not give"), ("triangular(1, 5, 3)", "never gives"),
    ("triangular(0, uniform(-1, 1), 2)", "may not give")])
def test_bounds_that_make_no_sense_are_warned_of(prior: str, often: str, tmp_path: Path) -> None:
    (tmp_path / "own.sdf").write_text(f"shape s {{ r ~ {prior}\n distance = length(p) - r }}")
    (caution,) = cautions([tmp_path / "own.sdf"])
    assert (caution.code, caution.title) == ("E0311", f"the prior of `r` {often} a number")
    assert caution.labels[0].span.text == prior
