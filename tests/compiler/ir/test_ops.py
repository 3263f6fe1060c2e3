"""The op table: every row on every backend, against scalar definitions written out here."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fdif_dsl.compiler.backends import Backend
from fdif_dsl.compiler.backends.cpu import CpuBackend
from fdif_dsl.compiler.backends.interpret import InterpretBackend
from fdif_dsl.compiler.backends.torch import TorchBackend
from fdif_dsl.compiler.ir.formula import Formula
from fdif_dsl.compiler.ir.graph import Graph, Node, to_text
from fdif_dsl.compiler.ir.interval_rules import Rule
from fdif_dsl.compiler.ir.ops import OPS
from fdif_dsl.compiler.passes.intervals import ANYTHING, FINITE, LIMIT, NO_NAN, Range, bounds
from fdif_dsl.compiler.passes.schedule import run_voxels

INF, NAN = math.inf, math.nan
SPECIAL = (0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.5, 3.0, 7.25, -7.25, 1e-3, 100.0, -100.0, INF, -INF, NAN)


def ieee(f: Callable[..., float]) -> Callable[..., float]:
    """Python raises where IEEE arithmetic has an answer: NaN, unless the caller deals with it."""
    def call(*args: float) -> float:
        try:
            return f(*args)
        except (ValueError, OverflowError, ZeroDivisionError):
            return NAN
    return call


def div(a: float, b: float) -> float:
    if b != 0 or math.isnan(a):
        return a / b if b != 0 else NAN
    return NAN if a == 0 else math.copysign(INF, a) * math.copysign(1, b)


def whole(f: Callable[[float], float]) -> Callable[[float], float]:
    return lambda a: math.copysign(float(f(a)), a) if math.isfinite(a) else a  # -0.5 becomes -0


def exp(a: float) -> float:
    return INF if a > 1000 else math.exp(a)


def power(a: float, b: float) -> float:
    if a == 0 and b < 0:
        return math.copysign(INF, a) if math.isfinite(b) and b % 2 == 1 else INF
    return ieee(math.pow)(a, b)


def mod(a: float, b: float) -> float:
    return a - b * whole(math.floor)(div(a, b))


# What each op means, in plain Python. Those of the lattice stand in test_lattice.py.
LATTICE = {"hash", "noise", "cell_nearest", "cell_second"}
MEANING: dict[str, Callable[..., float]] = {
    "add": lambda a, b: a + b, "sub": lambda a, b: a - b, "mul": lambda a, b: a * b, "div": div, "mod": mod,
    "pow": power, "neg": lambda a: -a, "abs": abs,
    "sign": lambda a: 1.0 if a > 0 else -1.0 if a < 0 else 0.0,
    "sqrt": ieee(math.sqrt), "exp": exp, "log": ieee(lambda a: -INF if a == 0 else math.log(a)),
    "cbrt": lambda a: math.copysign(math.cbrt(abs(a)), a), "tanh": math.tanh,
    "sin": ieee(math.sin), "cos": ieee(math.cos), "tan": ieee(math.tan),
    "asin": ieee(math.asin), "acos": ieee(math.acos),
    "atan2": lambda a, b: math.atan2(a, b + 0.0),  # the zero vector has one angle, whatever the signs of its zeros
    "floor": whole(math.floor), "ceil": whole(math.ceil), "round": whole(round),
    "min": lambda a, b: b if b < a else a, "max": lambda a, b: b if b > a else a,
    "lt": lambda a, b: a < b, "le": lambda a, b: a <= b, "eq": lambda a, b: a == b,
    "and": lambda a, b: a and b, "or": lambda a, b: a or b, "not": lambda a: not a,
    "where": lambda c, a, b: a if c else b, "signed": lambda c, a: -a if c else a,
}


@pytest.fixture(scope="module", params=["interpret", "torch", "cpu"])
def backend(request: pytest.FixtureRequest) -> Backend:
    return {"interpret": InterpretBackend, "torch": TorchBackend, "cpu": CpuBackend}[request.param]()


def test_every_row_is_full() -> None:
    for op in OPS.values():
        assert op.doc and op.scalar and callable(op.array) and callable(op.torch), op.name
        assert isinstance(op.interval, Rule), op.name
        assert all(f"{{{i}}}" in op.scalar for i in range(len(op.operands))), op.name
        assert set(op.operands) <= set("fbs") and op.result in "fb", op.name


def test_every_row_has_a_meaning_here() -> None:
    assert set(MEANING) == set(OPS) - LATTICE - {"field"}  # which has test_fields.py


@pytest.mark.parametrize("name", MEANING)
def test_meaning(backend: Backend, name: str) -> None:
    op = OPS[name]
    g = Graph()
    leaves = [g.node("input", const=f"p.{c}") for c in "xyz"]
    # A truth value is made by comparing, and told by choosing 1 or 0.
    operands = [leaf if kind == "f" else g.node("lt", g.number(0), leaf)
                for leaf, kind in zip(leaves, op.operands, strict=False)]
    result = g.node(name, *operands)
    if op.result == "b":
        result = g.node("where", result, g.number(1), g.number(0))
    formula = Formula("f", "shape", "", "test", (), {}, 0, result)
    rows = np.array(list(itertools.product(SPECIAL, repeat=len(op.operands))), np.float64)
    inputs = {f"p.{c}": rows[:, i] if i < rows.shape[1] else np.zeros(len(rows)) for i, c in enumerate("xyz")}
    found = np.asarray(backend.evaluate(formula, inputs, {}), np.float64)
    for row, value in zip(rows, found, strict=True):
        row32 = [float(np.float32(v)) if backend.name == "cpu" else float(v) for v in row]
        args = [v if kind == "f" else v > 0 for v, kind in zip(row32, op.operands, strict=True)]
        wanted = float(MEANING[name](*args))
        tolerance = 2e-6 if backend.name == "cpu" else 1e-12
        assert same(value, wanted, tolerance, row32), f"{name}{tuple(args)} = {value}, not {wanted}"


def same(found: float, wanted: float, tolerance: float, args: list[float]) -> bool:
    if math.isnan(wanted):
        return math.isnan(found)
    if math.isinf(wanted) or (abs(wanted) > 3e38 and tolerance > 1e-9):
        return math.isinf(found) and (found > 0) == (wanted > 0)
    if found == wanted == 0:
        return math.copysign(1, found) == math.copysign(1, wanted)
    # tan has poles: what rounding does to the angle grows with the square of the slope.
    slope = 1 + wanted * wanted if tolerance > 1e-9 else 1
    return abs(found - wanted) <= tolerance * max(1.0, abs(wanted), min(slope, 1e6) if len(args) == 1 else 1.0)


@pytest.mark.parametrize("name", [n for n, op in OPS.items() if set(op.operands) <= set("fb") and "f" in op.operands
                                  and op.result == "f"])
def test_torch_derivative(name: str, rng: np.random.Generator) -> None:
    import torch

    op = OPS[name]
    values = [torch.tensor(rng.uniform(0.1, 0.9, 64), requires_grad=True) if kind == "f"
              else torch.tensor(rng.random(64) < 0.5) for kind in op.operands]
    step = 1e-6
    result = op.torch(torch, *values).sum()
    if result.requires_grad:  # the sign, for one, is constant wherever it has a slope
        result.backward()
    for i, kind in enumerate(op.operands):
        if kind == "b":
            continue
        with torch.no_grad():
            up = op.torch(torch, *(v + step if j == i else v for j, v in enumerate(values)))
            down = op.torch(torch, *(v - step if j == i else v for j, v in enumerate(values)))
            wanted = (up - down) / (2 * step)
        grad = torch.zeros_like(wanted) if values[i].grad is None else values[i].grad
        smooth = (up - down).abs() < 1e-3  # away from the jumps of floor and the like
        assert torch.allclose(grad[smooth], wanted[smooth], atol=1e-5), f"{name}, operand {i}"


def test_the_slope_of_a_square_root_at_zero_is_flat() -> None:
    import torch

    x = torch.tensor([0.0, 4.0], dtype=torch.float64, requires_grad=True)
    OPS["sqrt"].torch(torch, x).sum().backward()
    assert x.grad is not None and x.grad.tolist() == [0.0, 0.25]


# Intervals ----------------------------------------------------------------------------------------

# Small numbers, so that operands meet at the edges of domains and periods; magnitudes of all sizes; and what is none.
PLAIN = st.one_of(
    st.sampled_from([v for v in SPECIAL if math.isfinite(v)]),
    st.floats(-10, 10, width=32),
    st.floats(-LIMIT, LIMIT, width=32),
)
ALL = st.one_of(PLAIN, st.sampled_from([INF, -INF, 3.4e38, -3.4e38, 1e-45, -1e-45, 1e-38]), st.floats(width=32))
BOXED = {"finite": (FINITE, PLAIN), "no nan": (NO_NAN, ALL.filter(lambda v: not math.isnan(v))),
         "anything": (ANYTHING, ALL)}
INSIDE = 6  # values taken of each box


@st.composite
def boxes(draw: st.DrawFn, numbers: st.SearchStrategy[float]) -> tuple[float, float, list[float]]:
    """The ends of a box, and values in it: NaN too where an end is infinite. An end that is NaN says that
    nothing is known."""
    ends = draw(st.lists(numbers, min_size=1, max_size=2))
    lo, hi = min(ends), max(ends)
    if any(map(math.isnan, ends)):
        return ends[0], ends[-1], draw(st.lists(numbers, min_size=INSIDE, max_size=INSIDE))
    drawn = draw(st.lists(numbers, min_size=INSIDE - 2, max_size=INSIDE - 2))
    values = [v if math.isnan(v) else min(max(v, lo), hi) for v in drawn
              if not math.isnan(v) or math.isinf(lo) or math.isinf(hi)]
    return lo, hi, [lo, hi, *values, *[lo] * (INSIDE - 2 - len(values))]


def node_of(op: str, g: Graph) -> Node:
    """The op on the inputs p.x, p.y, p.z; a truth value is made by comparing one with 0."""
    leaves = [g.node("input", const=f"p.{c}") for c in "xyz"]
    return g.node(op, *(leaf if kind == "f" else g.node("lt", g.number(0), leaf)
                        for leaf, kind in zip(leaves, OPS[op].operands, strict=False)))


def evaluated(node: Node, inputs: dict[str, np.ndarray]) -> np.ndarray:
    """In float32, as a kernel without fused operations does it."""
    with np.errstate(all="ignore"):
        found = run_voxels(node, {}, inputs, convert=np.float32)
    assert found.dtype in (np.float32, np.bool_)
    return np.broadcast_to(found, next(iter(inputs.values())).shape)


def assert_within(value: np.ndarray, lo: np.ndarray, hi: np.ndarray, what: object) -> None:
    if value.dtype == np.bool_:
        assert not (lo & ~value).any() and not (value & ~hi).any(), what
        return
    unknown = np.isnan(lo) | np.isnan(hi)
    inside = (lo <= value) & (value <= hi)
    nan = np.isnan(value) & ~(np.isfinite(lo) & np.isfinite(hi))
    assert (unknown | inside | nan).all(), what


@pytest.mark.parametrize("assumed", BOXED)
@pytest.mark.parametrize("name", sorted(set(OPS) - {"signed", "field"}))  # it makes a promise: see test_intervals.py
def test_interval_containment(name: str, assumed: str) -> None:
    known, numbers = BOXED[assumed]
    g = Graph()
    node = node_of(name, g)
    lo, hi = bounds(g, node, known)

    @given(st.lists(boxes(numbers), min_size=3, max_size=3))
    @settings(max_examples=150, deadline=None, derandomize=True)
    def check(sides: list[tuple[float, float, list[float]]]) -> None:
        inputs = {f"p.{c}": np.array(values, np.float32) for c, (_, _, values) in zip("xyz", sides, strict=True)}
        ends = {f"p.{c}.{end}": np.full(INSIDE, v, np.float32) for c, (a, b, _) in zip("xyz", sides, strict=True)
                for end, v in (("lo", a), ("hi", b))}
        assert_within(evaluated(node, inputs), evaluated(lo, ends), evaluated(hi, ends), (sides, str(node)))

    check()


@st.composite
def formulas(draw: st.DrawFn) -> tuple[Graph, Node]:
    """A random formula of three inputs."""
    g = Graph()
    numbers: list[Node] = [g.node("input", const=f"p.{c}") for c in "xyz"]
    constants = st.sampled_from([0.0, 1.0, -1.0, 2.0, 0.5, 0.1, -3.0, 7.5, INF, -INF])
    numbers += [g.number(draw(constants)) for _ in range(3)]
    truths: list[Node] = [g.node("lt", numbers[0], numbers[1])]
    names = sorted(set(OPS) - {"signed", "field"})
    for _ in range(draw(st.integers(2, 15))):
        op = OPS[draw(st.sampled_from(names))]
        args = [draw(st.sampled_from(numbers[-6:] if kind == "f" else truths)) for kind in op.operands]
        (numbers if op.result == "f" else truths).append(g.node(op.name, *args))
    return g, numbers[-1]


@pytest.mark.parametrize("assumed", BOXED)
def test_interval_containment_of_random_formulas(assumed: str) -> None:
    known, numbers = BOXED[assumed]

    @given(formulas(), st.lists(boxes(numbers), min_size=3, max_size=3))
    @settings(max_examples=400, deadline=None, derandomize=True)
    def check(made: tuple[Graph, Node], sides: list[tuple[float, float, list[float]]]) -> None:
        g, node = made
        lo, hi = bounds(g, node, known)
        inputs = {f"p.{c}": np.array(values, np.float32) for c, (_, _, values) in zip("xyz", sides, strict=True)}
        ends = {f"p.{c}.{end}": np.full(INSIDE, v, np.float32) for c, (a, b, _) in zip("xyz", sides, strict=True)
                for end, v in (("lo", a), ("hi", b))}
        assert_within(evaluated(node, inputs), evaluated(lo, ends), evaluated(hi, ends), to_text({"": node}))

    check()


def interval_of(op: str, *sides: tuple[float, float], assumed: Range = FINITE) -> tuple[float, float]:
    """The bounds of an op; of a side that is a single number, that constant."""
    g = Graph()
    args = [g.number(a) if a == b else g.node("input", const=f"p.{c}") for c, (a, b) in zip("xyz", sides, strict=False)]
    inputs = {f"p.{c}.{end}": np.array([v], np.float32) for c, side in zip("xyz", sides, strict=False)
              for end, v in zip(("lo", "hi"), side, strict=True)}
    lo, hi = bounds(g, g.node(op, *args), assumed)
    return float(evaluated(lo, inputs)[0]), float(evaluated(hi, inputs)[0])


@pytest.mark.parametrize(("op", "sides", "wanted"), [
    ("add", ((1, 2), (10, 20)), (11, 22)), ("sub", ((1, 2), (10, 20)), (-19, -8)),
    ("mul", ((-1, 2), (3, 4)), (-4, 8)), ("mul", ((-1, 2), (-3, 5)), (-6, 10)),
    ("mul", ((-1, 2), (-3, -3)), (-6, 3)), ("div", ((1, 2), (4, 8)), (0.125, 0.5)),
    ("div", ((-1, 2), (-8, -4)), (-0.5, 0.25)), ("div", ((1, 2), (-1, 1)), (NAN, NAN)),
    ("abs", ((-3, 2),), (0, 3)), ("abs", ((-3, -2),), (2, 3)), ("sqrt", ((4, 9),), (2, 3)),
    ("sqrt", ((-4, 9),), (NAN, NAN)), ("cbrt", ((-8, 27),), (-2, 3)),
    ("tanh", ((-1, 2),), (math.tanh(-1), math.tanh(2))), ("mod", ((7.25, 7.5), (2, 2)), (1.25, 1.5)),
    ("mod", ((7.5, 8.5), (2, 2)), (0, 2)), ("mod", ((-0.5, -0.25), (2, 2)), (1.5, 1.75)),
    ("mod", ((7, 8), (-3, -3)), (-2, -1)), ("pow", ((-3, 2), (6, 6)), (0, 729)),
    ("pow", ((-3, 2), (5, 5)), (-243, 32)), ("pow", ((2, 4), (-1, -1)), (0.25, 0.5)),
    ("pow", ((4, 9), (0.5, 0.5)), (2, 3)), ("pow", ((-1, 4), (0.5, 0.5)), (NAN, NAN)),
    ("sin", ((0, 1),), (0, math.sin(1))), ("sin", ((1, 2),), (math.sin(1), 1)),
    ("sin", ((4, 5),), (-1, math.sin(4))), ("sin", ((0, 7),), (-1, 1)),
    ("sin", ((101, 101.1),), (math.sin(101), math.sin(101.1))), ("cos", ((1, 2),), (math.cos(2), math.cos(1))),
    ("cos", ((-1, 2),), (math.cos(2), 1)), ("cos", ((3, 4),), (-1, math.cos(4))),
    ("sin", ((1e6, 1e6 + 1),), (-1, 1)), ("tan", ((-1, 1),), (math.tan(-1), math.tan(1))),
    ("tan", ((1, 2),), (-INF, INF)), ("atan2", ((1, 2), (-1, 1)), (math.pi / 4, 3 * math.pi / 4)),
    ("atan2", ((-1, 1), (1, 2)), (-math.pi / 4, math.pi / 4)), ("atan2", ((-1, 1), (-2, -1)), (-math.pi, math.pi)),
    ("exp", ((0, 1),), (1, math.e)), ("log", ((1, math.e),), (0, 1)), ("floor", ((1.5, 3.5),), (1, 3)),
    ("min", ((1, 3), (2, 5)), (1, 3)), ("max", ((1, 3), (2, 5)), (2, 5)), ("lt", ((1, 2), (3, 4)), (1, 1)),
    ("lt", ((1, 3), (3, 4)), (0, 1)), ("lt", ((3, 4), (1, 3)), (0, 0)), ("le", ((1, 3), (3, 4)), (1, 1)),
    ("eq", ((1, 2), (3, 4)), (0, 0)), ("sign", ((2, 3),), (1, 1)),
])
def test_intervals_are_tight(op: str, sides: tuple[tuple[float, float], ...], wanted: tuple[float, float]) -> None:
    assert interval_of(op, *sides) == pytest.approx(wanted, rel=1e-5, abs=1e-5, nan_ok=True)


def test_an_infinite_branch_is_no_known_number() -> None:
    """Where a condition is not decided, the value may be infinite, and its sine NaN."""
    g = Graph()
    x, y = (g.node("input", const=f"p.{c}") for c in "xy")
    chosen = g.node("where", g.node("lt", x, g.number(0)), g.node("sqrt", y), g.number(INF))
    ends = {"p.x.lo": np.array([-1, -2], np.float32), "p.x.hi": np.array([1, -1], np.float32),
            "p.y.lo": np.array([0, 0], np.float32), "p.y.hi": np.array([1, 1], np.float32)}
    lo, hi = (evaluated(end, ends) for end in bounds(g, g.node("sin", chosen)))
    assert np.isnan([lo[0], hi[0]]).all()
    assert (lo[1], hi[1]) == pytest.approx((0, math.sin(1)), abs=1e-5)


@pytest.mark.parametrize("op", ["min", "max"])
def test_an_infinite_operand_hides_no_bound(op: str) -> None:
    """Though the other one may be NaN: the bounds are known wherever it is none."""
    g = Graph()
    least = g.number(INF if op == "min" else -INF)
    x = g.node("sqrt", g.node("input", const="p.x"))
    ends = {"p.x.lo": np.array([4, -1], np.float32), "p.x.hi": np.array([9, 1], np.float32)}
    for operands in ((least, x), (x, least)):
        lo, hi = (evaluated(end, ends) for end in bounds(g, g.node(op, *operands)))
        assert (lo[0], hi[0]) == (2, 3) and np.isnan([lo[1], hi[1]]).all()


def test_the_square_of_an_interval_has_no_sign() -> None:
    g = Graph()
    x = g.node("input", const="p.x")
    lo, hi = bounds(g, g.node("mul", x, x))
    inputs = {"p.x.lo": np.array([-3, 2, -5], np.float32), "p.x.hi": np.array([2, 3, -4], np.float32)}
    assert evaluated(lo, inputs).tolist() == pytest.approx([0, 4, 16])
    assert evaluated(hi, inputs).tolist() == pytest.approx([9, 9, 25])
