"""The op table: every row on every backend, against scalar definitions written out here."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest

from fdif_dsl.compiler.backends import Backend
from fdif_dsl.compiler.backends.cpu import CpuBackend
from fdif_dsl.compiler.backends.interpret import InterpretBackend
from fdif_dsl.compiler.backends.torch import TorchBackend
from fdif_dsl.compiler.formula import Formula
from fdif_dsl.compiler.ir import Graph
from fdif_dsl.compiler.ops import OPS

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
    return lambda a: float(f(a)) if math.isfinite(a) else a


def exp(a: float) -> float:
    return INF if a > 1000 else math.exp(a)


def power(a: float, b: float) -> float:
    if a == 0 and b < 0:
        return math.copysign(INF, a) if math.isfinite(b) and b % 2 == 1 else INF
    return ieee(math.pow)(a, b)


def mod(a: float, b: float) -> float:
    quotient = div(a, b)
    return a - b * (math.floor(quotient) if math.isfinite(quotient) else quotient)


# What each op means, in plain Python.
MEANING: dict[str, Callable[..., float]] = {
    "add": lambda a, b: a + b, "sub": lambda a, b: a - b, "mul": lambda a, b: a * b, "div": div, "mod": mod,
    "pow": power, "neg": lambda a: -a, "abs": abs,
    "sign": lambda a: 1.0 if a > 0 else -1.0 if a < 0 else 0.0,
    "sqrt": ieee(math.sqrt), "exp": exp, "log": ieee(lambda a: -INF if a == 0 else math.log(a)),
    "sin": ieee(math.sin), "cos": ieee(math.cos), "tan": ieee(math.tan),
    "asin": ieee(math.asin), "acos": ieee(math.acos),
    "atan2": math.atan2, "floor": whole(math.floor), "ceil": whole(math.ceil), "round": whole(round),
    "min": lambda a, b: b if b < a else a, "max": lambda a, b: b if b > a else a,
    "lt": lambda a, b: a < b, "le": lambda a, b: a <= b, "eq": lambda a, b: a == b,
    "and": lambda a, b: a and b, "or": lambda a, b: a or b, "not": lambda a: not a,
    "where": lambda c, a, b: a if c else b,
}


@pytest.fixture(scope="module", params=["interpret", "torch", "cpu"])
def backend(request: pytest.FixtureRequest) -> Backend:
    return {"interpret": InterpretBackend, "torch": TorchBackend, "cpu": CpuBackend}[request.param]()


def test_every_row_is_full() -> None:
    for op in OPS.values():
        assert op.doc and op.scalar and callable(op.array) and callable(op.torch), op.name
        assert all(f"{{{i}}}" in op.scalar for i in range(len(op.operands))), op.name
        assert set(op.operands) <= set("fb") and op.result in "fb", op.name


def test_every_row_has_a_meaning_here() -> None:
    assert set(MEANING) == set(OPS)


@pytest.mark.parametrize("name", OPS)
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
    # tan has poles: what rounding does to the angle grows with the square of the slope.
    slope = 1 + wanted * wanted if tolerance > 1e-9 else 1
    return abs(found - wanted) <= tolerance * max(1.0, abs(wanted), min(slope, 1e6) if len(args) == 1 else 1.0)


@pytest.mark.parametrize("name", [n for n, op in OPS.items() if "f" in op.operands and op.result == "f"])
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
