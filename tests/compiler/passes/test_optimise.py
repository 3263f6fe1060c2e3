"""Passes keep the meaning: optimised = unoptimised to the bit, over random formulas and the whole library."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fdif_dsl as fd
from fdif_dsl.compiler.frontend.built_in import STANDARD, library_files
from fdif_dsl.compiler.frontend.check import check
from fdif_dsl.compiler.frontend.elaborate import elaborate
from fdif_dsl.compiler.frontend.modules import load_modules
from fdif_dsl.compiler.ir.graph import Graph, Node, reachable, to_text
from fdif_dsl.compiler.ir.ops import OPS
from fdif_dsl.compiler.passes import PASSES, optimise
from fdif_dsl.compiler.passes.cse import cse
from fdif_dsl.compiler.passes.schedule import run_voxels
from fdif_dsl.compiler.passes.simplify import simplify
from fdif_dsl.compiler.passes.verify import verify

INF, NAN = np.inf, np.nan
# What the rules look for, and what they must not mistake for it: zeros of both signs, powers of two of all sizes.
CONSTANTS = (0.0, -0.0, 1.0, -1.0, 2.0, 0.5, 3.0, 10.0, 1.5, -4.0, 2.0**-130, 2.0**-1074, 2.0**1023, INF, -INF, NAN)


@st.composite
def formulas(draw: st.DrawFn) -> tuple[Graph, Node]:
    """A random formula of p.x, p.y and two constants, of up to 25 operations, many of which are those that rules
    rewrite, on operands that are rather new."""
    g = Graph()
    numbers: list[Node] = [g.number(draw(st.sampled_from(CONSTANTS))) for _ in range(2)]
    numbers += [g.node("input", const="p.x"), g.node("input", const="p.y")]
    truths: list[Node] = [g.node("lt", numbers[0], numbers[1])]
    for _ in range(draw(st.integers(1, 25))):
        op = OPS[draw(st.sampled_from(sorted(set(OPS) - {"field"}))
                      | st.sampled_from(("add", "sub", "mul", "div", "neg", "abs")))]
        args = [draw(st.sampled_from(numbers) | st.sampled_from(numbers[-4:]) if kind == "f" else
                     st.sampled_from(truths)) for kind in op.operands]
        (numbers if op.result == "f" else truths).append(g.node(op.name, *args))
    return g, numbers[-1]


def operations(node: Node) -> int:
    return sum(n.op in OPS for n in reachable([node]))


def value(node: Node, points: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        found = run_voxels(node, {}, {"p.x": points[0], "p.y": points[1]})
    return np.broadcast_to(np.asarray(found, np.float64), points[0].shape)


SPECIAL = (0.0, -0.0, 1.0, -1.0, INF, -INF, NAN, 0.3, -0.7, 2.0, -5.5, 1e-310, -1e300)
POINTS = np.array(np.meshgrid(SPECIAL, SPECIAL)).reshape(2, -1)


def assert_same_bits(found: np.ndarray, wanted: np.ndarray, message: str) -> None:
    """Equal, with the signs of zeros; a NaN is a NaN."""
    known = ~np.isnan(wanted)
    np.testing.assert_array_equal(np.isnan(found), ~known, err_msg=message)
    np.testing.assert_array_equal(found[known].view(np.int64), wanted[known].view(np.int64), err_msg=message)


@given(formulas())
@settings(max_examples=600, deadline=None, derandomize=True)
def test_each_pass_keeps_the_value(made: tuple[Graph, Node]) -> None:
    graph, root = made
    before = value(root, POINTS)
    for name, run in PASSES.items():
        (new,) = run(graph, [root])
        verify([new])
        assert_same_bits(value(new, POINTS), before, f"{name}: {to_text({'before': root, 'after': new})}")
    assert_same_bits(value(optimise(graph, [root])[0], POINTS), before, to_text({"": root}))


@pytest.mark.parametrize("inner", [name for name, op in OPS.items() if set(op.operands) == {"f"} and op.result == "f"])
def test_no_rule_changes_a_bit(inner: str) -> None:
    """Every operation of a number and a constant, or of a number alone, on what each operation gives."""
    g = Graph()
    x, y = g.node("input", const="p.x"), g.node("input", const="p.y")
    operand = g.node(inner, *(x, y, x)[: len(OPS[inner].operands)])
    for name, op in OPS.items():
        if op.operands not in ("f", "ff"):
            continue
        pairs = [(operand, g.number(c)) for c in CONSTANTS] + [(operand, operand), (operand, y)]
        chosen = [*pairs, *(pair[::-1] for pair in pairs)] if len(op.operands) == 2 else [(operand,)]
        for args in chosen:
            root = g.node(name, *args)
            root = g.node("where", root, g.number(1), g.number(0)) if op.result == "b" else root
            (new,) = simplify(g, [root])
            if new is not root:
                assert_same_bits(value(new, POINTS), value(root, POINTS), to_text({"before": root, "after": new}))


def test_constants_are_folded_alike_on_every_processor() -> None:
    """By the C library's functions, as a value that is no constant is computed: NumPy's differ in the last digit."""
    numbers = np.random.default_rng(0).uniform(0.01, 30, 2000).tolist()
    g = Graph()
    for name in ("sin", "cos", "tan", "exp", "log"):
        folded = simplify(g, [g.node(name, g.number(x)) for x in numbers])
        assert [node.const for node in folded] == [getattr(math, name)(x) for x in numbers], name
    powers = simplify(g, [g.node("pow", g.number(x), g.number(1 / x)) for x in numbers])
    assert [node.const for node in powers] == [math.pow(x, 1 / x) for x in numbers]


@given(formulas())
@settings(max_examples=100, deadline=None, derandomize=True)
def test_no_pass_makes_more_operations(made: tuple[Graph, Node]) -> None:
    graph, root = made
    assert operations(optimise(graph, [root])[0]) <= operations(root)


def test_the_library_keeps_its_values(lib: fd.Library) -> None:
    plain = {f.name: f for f in elaborate(check(load_modules(library_files(STANDARD))), optimised=False)}
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
        assert_same_bits(np.asarray(found, np.float64), np.asarray(wanted, np.float64), f.name)
        assert operations(f.result) <= operations(plain[f.name].result), f.name


def rewritten(op: str, *args: float | str) -> str:
    g = Graph()
    nodes = [g.node("input", const=a) if isinstance(a, str) else g.number(a) for a in args]
    (new,) = simplify(g, [g.node(op, *nodes)])
    return str(new)


@pytest.mark.parametrize(("op", "args", "wanted"), [
    ("add", ("d", 0.0), "add(input[d], 0)"), ("add", (-0.0, "d"), "input[d]"),  # -0 + 0 is 0
    ("sub", ("d", 0.0), "input[d]"), ("sub", ("d", -0.0), "sub(input[d], -0)"),
    ("mul", ("d", 1.0), "input[d]"), ("mul", ("d", -1.0), "neg(input[d])"),
    ("sub", (0.0, "d"), "sub(0, input[d])"), ("sub", (-0.0, "d"), "neg(input[d])"),
    ("div", ("d", 4.0), "mul(input[d], 0.25)"),
    ("div", ("d", 3.0), "div(input[d], 3)"), ("div", ("d", 2.0**-140), "div(input[d], 7.17464814e-43)"),
    ("pow", ("d", 0.5), "pow(input[d], 0.5)"),
    ("min", ("d", "d"), "input[d]"), ("add", (2.0, 3.0), "5"), ("div", (1.0, 0.0), "inf"), ("sqrt", (-1.0,), "nan"),
    ("mul", ("d", 0.0), "mul(input[d], 0)"),  # d may be infinite
    ("pow", (1.0, "d"), "1"),
])
def test_rules(op: str, args: tuple[Any, ...], wanted: str) -> None:
    assert rewritten(op, *args) == wanted


def test_a_zero_is_left_out_where_its_sign_does_not_matter() -> None:
    g = Graph()
    x, zero = g.node("input", const="d"), g.number(0.0)
    for positive in (g.node("abs", x), g.node("mul", x, x), g.node("exp", x), g.node("add", x, g.number(3)),
                     g.node("sqrt", g.node("mul", x, x)), g.node("max", g.node("abs", x), zero)):
        assert simplify(g, [g.node("add", positive, zero)]) == simplify(g, [positive])
    for root in (x, g.node("neg", x), g.node("mul", x, g.number(2)), g.node("sqrt", x), g.node("ceil", x)):
        assert operations(simplify(g, [g.node("add", root, zero)])[0]) == operations(root) + 1


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
