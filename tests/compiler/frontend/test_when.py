"""Reductions of which only some rounds count, against sums and least values of what is left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import fdif_dsl as fd
from fdif_dsl.compiler.backends.cpu import CpuBackend
from fdif_dsl.compiler.backends.cpu.driver import Profile
from fdif_dsl.compiler.ir.graph import reachable
from fdif_dsl.compiler.ir.grid import Grid
from fdif_dsl.runtime.scenes.render import place

INF = np.inf
NOTHING = {"min": INF, "max": -INF, "sum": 0.0, "any": False, "all": True}
NUMPY: dict[str, Any] = {"min": np.min, "max": np.max, "sum": np.sum, "any": np.any, "all": np.all}
BACKENDS = ("interpret", "torch", "cpu")


@pytest.fixture
def make(tmp_path: Path) -> Any:
    def library(text: str) -> fd.Library:
        (tmp_path / "own.sdf").write_text(text)
        return fd.load_library(tmp_path / "own.sdf")

    return library


def at(shape: fd.Shape, x: float = 0.0, params: dict[str, Any] | None = None, backend: str = "interpret") -> float:
    return float(shape.distance([[x, 0, 0]], params or {}, backend=backend)[0])


# Conditions of the index alone, of the object, of the point, and of all three, in the language and in Python.
CONDITIONS = {
    "i != 2": lambda i, k, x: i != 2,
    "not (i == 0 or i > 3)": lambda i, k, x: not (i == 0 or i > 3),
    "false": lambda i, k, x: False,
    "i < k": lambda i, k, x: i < k,
    "k == i": lambda i, k, x: i == k,
    "i < p.x": lambda i, k, x: i < x,
    "i < k and (p.x < i or i == 0)": lambda i, k, x: i < k and (x < i or i == 0),
}
VALUES = (4.0, -1.5, 7.0, 0.5, -3.0)


def test_what_is_left_is_reduced(make: Any) -> None:
    names = {(reducer, condition): f"s{i}" for i, (reducer, condition) in enumerate(
        (r, c) for r in NOTHING for c in CONDITIONS)}
    lines = ["use mappers"]
    for (reducer, condition), name in names.items():
        body = "v[i] < 0.6 + 0 * k" if reducer in ("any", "all") else "v[i] + 0 * k"
        found = f"{reducer}[i < 5 when {condition}]({body})"
        result = f"where({found}, 1, 0)" if reducer in ("any", "all") else found
        lines.append(f"shape {name} {{ k ~ integer(0, 5)\n v = {list(VALUES)}\n distance = {result} }}")
    lib = make("\n".join(lines))
    for (reducer, condition), name in names.items():
        for k in (0, 2, 5):
            for x in (-1.0, 2.5, 9.0):
                kept = [v for i, v in enumerate(VALUES) if CONDITIONS[condition](i, k, x)]
                if reducer in ("any", "all"):
                    kept = [v < 0.6 for v in kept]
                wanted = float(NUMPY[reducer](kept) if kept else NOTHING[reducer])
                assert at(lib.shapes[name], x, {"k": k}) == wanted, (reducer, condition, k, x)


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_back_end_leaves_out_the_same(make: Any, backend: str) -> None:
    shapes = make("""
    shape lone { k ~ integer(0, 3)  distance = min[i < 3 when i < k](abs(p.x - i)) }
    shape both { k ~ integer(0, 3)  distance = sum[i < 3 when i < k and p.x < i](vec2(1, i)).y }
    shape last { k ~ integer(0, 3)  distance = max[i < 3 when i >= k](p.x - i) }
    """).shapes
    assert [at(shapes["lone"], 2.25, {"k": k}, backend) for k in (0, 1, 2, 3)] == [INF, 2.25, 1.25, 0.25]
    assert [at(shapes["both"], x, {"k": 3}, backend) for x in (-1.0, 0.5, 1.5, 2.5)] == [3, 3, 2, 0]
    assert [at(shapes["last"], 5.0, {"k": k}, backend) for k in (0, 1, 2, 3)] == [5, 4, 3, -INF]


def test_vectors_of_which_none_counts(make: Any) -> None:
    shapes = make("""
    shape a { k ~ integer(0, 3)  distance = min[i < 3 when i < k](vec3(i, 2, 3)).y }
    shape b { k ~ integer(0, 3)  distance = sum[i < 3 when i < k](vec2(i, 2)).y }
    shape c { distance = max[i < 3 when i > 7](vec2(i, 2)).y }
    shape d { distance = sum[i < 0](vec2(i, 2)).y }
    shape e { distance = min[i < 0 when i > 7](vec2(i, 2)).y }
    """).shapes
    assert [at(shapes[name], params={"k": 0} if name in "ab" else None) for name in "abcde"] == [INF, 0, -INF, 0, INF]


def test_what_is_known_not_to_count_is_not_looked_at(make: Any) -> None:
    lib = make("""
    fn steps(v: float[n]) = sum[i < n when i > 0](abs(v[i] - v[i - 1]))
    shape line { distance = steps([1, 4, 2]) }
    ## Of each pair once.
    shape pairs { v = [1, 5, 6.5]  distance = min[i < 3](min[j < 3 when j > i](abs(v[i] - v[j]))) }
    shape drawn { x ~ sum[i < 3 when i != 1](uniform(i, i + 1))  distance = p.x - x }
    """)
    assert at(lib.shapes["line"]) == 5
    assert at(lib.shapes["pairs"], params={"v": [1, 5, 6.5]}) == 1.5
    assert lib.shapes["drawn"].formula.draws == 2
    ops = [node.op for node in reachable([lib.shapes["line"].formula.result])]
    assert "where" not in ops and "lt" not in ops


def test_how_many_count_can_be_given(make: Any) -> None:
    shape = make("shape s { count = 3  distance = min[i < 9 when i < count](abs(p.x - 2 * i)) - 1 }").shapes["s"]
    assert [at(shape, 8.0, params) for params in ({}, {"count": 5}, {"count": 0})] == [3, -1, INF]


def test_a_nan_that_does_not_count_is_no_matter(make: Any) -> None:
    shape = make("shape s { k ~ integer(0, 3)  distance = min[i < 3 when i < k](sqrt(1 - i + p.x)) }").shapes["s"]
    assert [at(shape, 0.0, {"k": k}) for k in (1, 2, 3)] == [1, 0, 0]
    assert np.isnan(at(shape, -2.0, {"k": 1})) and at(shape, -2.0, {"k": 0}) == INF


def test_slopes_are_those_of_what_counts(make: Any) -> None:
    shape = make("""shape s {
      k ~ integer(0, 3)
      r[i < 3] ~ uniform(1, 2)
      distance = sum[i < 3 when i < k](r[i] ^ 2 * sqrt(p.x - 4 * i))
    }""").shapes["s"]
    r = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64, requires_grad=True)
    points = torch.tensor([[4.0, 0, 0]], dtype=torch.float64, requires_grad=True)
    shape.distance(points, {"k": 1, "r": r}, backend="torch").sum().backward()
    assert r.grad is not None and r.grad.tolist() == [4, 0, 0]
    assert points.grad is not None and points.grad[0, 0].item() == 0.25


# -- bounds ----------------------------------------------------------------------------------------------

BUSHES = """
use mappers
fn capsule(p: vec3, a: vec3, r) {
  s = clamp(dot(p, a) / dot(a, a), 0, 1)    # may be NaN, as far as the compiler knows
  value = length(p - s * a) - r
}
shape first {
  k ~ integer(0, 9)
  tip[i < 9] ~ 0.3 * grid.min * unit_vec3()
  distance = min[i < 9 when i < k](capsule(p, tip[i], 2))
}
shape last {
  k ~ integer(0, 9)
  tip[i < 9] ~ 0.3 * grid.min * unit_vec3()
  distance = min[i < 9 when i >= 9 - k](capsule(p, tip[i], 2))
}
shape sides {
  k ~ integer(0, 9)
  tip[i < 9] ~ 0.3 * grid.min * unit_vec3()
  distance = min[i < 9 when i < k and dot(p, tip[i]) > 0](capsule(p, tip[i], 2))
}
shape common {
  k ~ integer(1, 5)
  tip[i < 5] ~ 0.2 * grid.min * unit_vec3()
  distance = max[i < 5 when i < k](length(p - tip[i]) - 0.3 * grid.min)
}
"""


@pytest.fixture(scope="module")
def bushes(tmp_path_factory: pytest.TempPathFactory) -> tuple[CpuBackend, fd.Library]:
    path = tmp_path_factory.mktemp("bushes") / "own.sdf"
    path.write_text(BUSHES)
    lib = fd.load_library(path)
    backend = lib.backend("cpu")
    assert isinstance(backend, CpuBackend)
    return backend, lib


@pytest.mark.parametrize("name", ["first", "last", "sides", "common"])
def test_tiles_away_from_what_counts_are_left_out(bushes: tuple[CpuBackend, fd.Library], name: str) -> None:
    """The volume is that without culling, and as much of it is left out as if what does not count were not there."""
    culled, lib = bushes
    plain = CpuBackend(lib.formulas, culling=False)
    profile = Profile()
    for index in range(8):
        scene = fd.sample_scene(lib, 5, index, fd.Recipe(grid=(48, 48, 48), objects=5, shapes=[name]))
        objects, grid = place(scene, lib), Grid(scene.grid)
        culled.profile(objects, grid, profile)
        found, wanted = culled.render(objects, grid), plain.render(objects, grid)
        for part in ("image", "label", "counts"):
            np.testing.assert_array_equal(getattr(found, part), getattr(wanted, part))
    assert profile.tiles["skipped"] > 0.5 * profile.tiles.total()


@settings(deadline=None, derandomize=True, max_examples=25)
@given(st.integers(0, 9), st.integers(0, 1000), st.sampled_from(["first", "last", "sides"]))
def test_volumes_are_those_of_the_definition(bushes: tuple[CpuBackend, fd.Library], k: int, seed: int,
                                             name: str) -> None:
    _, lib = bushes
    tips = np.random.default_rng(seed).uniform(-5, 5, (9, 3))
    kept = {"first": range(k), "last": range(9 - k, 9), "sides": range(k)}[name]
    points = np.random.default_rng(seed + 1).uniform(-8, 8, (50, 3))
    found = lib.shapes[name].distance(points, {"k": k, "tip": tips.tolist()})
    wanted = np.full(50, INF)
    for i in kept:
        along = np.clip(points @ tips[i] / (tips[i] @ tips[i]), 0, 1)
        distance = np.linalg.norm(points - along[:, None] * tips[i], axis=1) - 2
        counts = points @ tips[i] > 0 if name == "sides" else True
        wanted = np.where(counts, np.minimum(wanted, distance), wanted)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)
