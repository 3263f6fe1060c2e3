"""Passes keep the meaning: optimised = unoptimised, over random formulas and the whole library."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fdif_dsl as fd
from fdif_dsl.compiler.frontend.check import check
from fdif_dsl.compiler.frontend.elaborate import elaborate
from fdif_dsl.compiler.frontend.modules import load_modules, standard_files
from fdif_dsl.compiler.ir.graph import Graph, Node, reachable
from fdif_dsl.compiler.ir.ops import OPS
from fdif_dsl.compiler.passes import PASSES, optimise
from fdif_dsl.compiler.passes.cse import cse
from fdif_dsl.compiler.passes.schedule import run_voxels
from fdif_dsl.compiler.passes.simplify import simplify
from fdif_dsl.compiler.passes.verify import verify

CONSTANTS = (0.0, 1.0, -1.0, 2.0, 0.5, 3.0, 10.0, 1.5)


@st.composite
def formulas(draw: st.DrawFn) -> tuple[Graph, Node]:
    """A random formula of p.x and p.y, of up to 25 operations."""
    g = Graph()
    numbers: list[Node] = [g.node("input", const="p.x"), g.node("input", const="p.y")]
    numbers += [g.number(draw(st.sampled_from(CONSTANTS))) for _ in range(3)]
    truths: list[Node] = [g.node("lt", numbers[0], numbers[1])]
    for _ in range(draw(st.integers(1, 25))):
        op = OPS[draw(st.sampled_from(sorted(OPS)))]
        args = [draw(st.sampled_from(numbers if kind == "f" else truths)) for kind in op.operands]
        (numbers if op.result == "f" else truths).append(g.node(op.name, *args))
    return g, numbers[-1]


def operations(node: Node) -> int:
    return sum(n.op in OPS for n in reachable([node]))


def powers(node: Node) -> int:
    """x^4 becomes two products, b^x the exponential of one: the only rules that add operations."""
    return sum(n.op == "pow" for n in reachable([node]))


def value(node: Node, points: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        found = run_voxels(node, {}, {"p.x": points[0], "p.y": points[1]})
    return np.broadcast_to(np.asarray(found, np.float64), points[0].shape)


POINTS = np.array([[0.3, -0.7, 2.0, -5.5, 1.0], [1.1, 0.4, -3.0, 2.5, -1.0]])


@given(formulas())
@settings(max_examples=300, deadline=None, derandomize=True)
def test_each_pass_keeps_the_value(made: tuple[Graph, Node]) -> None:
    graph, root = made
    before = value(root, POINTS)
    for name, run in PASSES.items():
        (new,) = run(graph, [root])
        verify([new])
        # A power of a constant goes through the logarithm; all else is exact but for that rounding.
        np.testing.assert_allclose(value(new, POINTS), before, rtol=1e-9, atol=1e-9, err_msg=name)


@given(formulas())
@settings(max_examples=100, deadline=None, derandomize=True)
def test_no_pass_makes_more_operations(made: tuple[Graph, Node]) -> None:
    graph, root = made
    assert operations(optimise(graph, [root])[0]) <= operations(root) + 2 * powers(root)


def test_the_library_keeps_its_values(lib: fd.Library) -> None:
    plain = {f.name: f for f in elaborate(check(load_modules(standard_files())), optimised=False)}
    rng = np.random.default_rng(3)
    inputs = {f"{space}.{axis}": rng.uniform(-20, 20, 50) for space in "pw" for axis in "xyz"}
    inputs["d"] = rng.uniform(-20, 5, 50)
    leaves: dict[tuple[str, Any], float] = {}

    def known(node: Node) -> dict[Node, Any]:
        """The same number for the same slot and grid leaf of either graph."""
        out: dict[Node, Any] = {}
        for n in reachable([node]):
            if n.op in ("slot", "grid"):
                out[n] = np.float64(leaves.setdefault((n.op, n.const), float(rng.uniform(5, 30))))
        return out

    for f in lib.formulas:
        leaves.clear()
        with np.errstate(all="ignore"):
            wanted = run_voxels(plain[f.name].result, known(plain[f.name].result), inputs)
            found = run_voxels(f.result, known(f.result), inputs)
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9, err_msg=f.name)
        assert operations(f.result) <= operations(plain[f.name].result) + powers(plain[f.name].result), f.name


def rewritten(op: str, *args: float | str) -> str:
    g = Graph()
    nodes = [g.node("input", const=a) if isinstance(a, str) else g.number(a) for a in args]
    (new,) = simplify(g, [g.node(op, *nodes)])
    return str(new)


@pytest.mark.parametrize(("op", "args", "wanted"), [
    ("add", ("d", 0.0), "input[d]"), ("mul", ("d", 1.0), "input[d]"), ("mul", ("d", -1.0), "neg(input[d])"),
    ("sub", (0.0, "d"), "neg(input[d])"), ("div", ("d", 4.0), "mul(input[d], 0.25)"),
    ("div", ("d", 3.0), "div(input[d], 3)"),
    ("pow", ("d", 2.0), "mul(input[d], input[d])"), ("pow", ("d", 0.5), "pow(input[d], 0.5)"),
    ("min", ("d", "d"), "input[d]"), ("add", (2.0, 3.0), "5"), ("div", (1.0, 0.0), "inf"), ("sqrt", (-1.0,), "nan"),
    ("mul", ("d", 0.0), "mul(input[d], 0)"),  # d may be infinite
    ("pow", (1.0, "d"), "1"),
])
def test_rules(op: str, args: tuple[Any, ...], wanted: str) -> None:
    assert rewritten(op, *args) == wanted


def test_commuted_sums_meet() -> None:
    g = Graph()
    x, y = g.node("input", const="p.x"), g.node("input", const="p.y")
    a, b = cse(g, [g.node("add", x, y), g.node("add", y, x)])
    assert a is b
    c, d = cse(g, [g.node("sub", x, y), g.node("sub", y, x)])
    assert c is not d


def test_the_verifier_finds_what_is_wrong() -> None:
    g = Graph()
    x = g.node("input", const="d")
    for bad in (g.node("frobnicate", x), g.node("add", x), g.node("and", x, x), g.node("where", x, x, x)):
        with pytest.raises(AssertionError):
            verify([bad])
    verify([g.node("grid_min", x)])
