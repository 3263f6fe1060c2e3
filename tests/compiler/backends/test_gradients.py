"""Gradients of formulas with choices: what is not chosen does not count, whatever its slope."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import fdif_dsl as fd
from fdif_dsl.compiler.backends.gradients import differentiable, guarded
from fdif_dsl.compiler.backends.torch import TorchBackend
from fdif_dsl.compiler.ir.formula import Formula, Quantity
from fdif_dsl.compiler.ir.graph import Graph, Node, to_text
from fdif_dsl.compiler.ir.ops import OPS
from fdif_dsl.compiler.ir.slopes import SLOPES

STEP = 1e-6
# Gradients in the point at (x, 3, 0.25): formula, x, gradient.
CHOSEN: list[tuple[str, float, list[float]]] = [
    ("where(p.x > 0, sqrt(p.x), p.x)", -2, [1, 0, 0]),
    ("where(p.x > 0, log(p.x), p.x * p.y)", -2, [3, -2, 0]),
    ("where(p.x > 0, log(p.x), p.x * p.y)", 0, [3, 0, 0]),
    ("where(abs(p.x) < 1, acos(p.x), p.z)", -2, [0, 0, 1]),
    ("where(abs(p.x) < 1, asin(p.x), p.z)", 1, [0, 0, 1]),
    ("where(p.x > 0, p.x ^ 0.3, p.y)", -2, [0, 1, 0]),
    ("where(p.x > 0, p.x ^ -1.5, p.y)", 0, [0, 1, 0]),
    ("where(p.x != 0, sin(p.x) / p.x, 1)", 0, [0, 0, 0]),
    ("where(p.x != 0, p.y / p.x, p.y)", 0, [0, 1, 0]),
    ("where(p.x != 0, mod(p.y, p.x), p.y)", 0, [0, 1, 0]),
    ("where(p.x < 9, p.x, exp(1000 * p.y * p.x))", 2, [1, 0, 0]),
    ("where(p.x < 9, p.x, sin(1 / (p.x - p.x)))", 2, [1, 0, 0]),
    ("where(p.x < 9, p.y, tan(log(p.x)) * p.z)", 0, [0, 1, 0]),
    ("where(p.x < 9, p.y, abs(sqrt(p.x)))", -1, [0, 1, 0]),
    ("where(p.x < 9, p.y, atan2(1 / p.x, sqrt(p.x - 1)))", 0, [0, 1, 0]),
    ("min(p.y, sqrt(p.x))", -2, [0, 1, 0]),
    ("max(p.y, log(p.x))", 0, [0, 1, 0]),
    ("max(p.y, min(p.z, 1 / p.x, 2 ^ p.x))", 0, [0, 1, 0]),
    ("clamp(1 / p.x, 0, 2) * p.y", 0, [0, 2, 0]),
    ("acos(clamp(p.x, -1, 1)) + p.y", 1.5, [0, 1, 0]),
    ("signed(p.y < 0, where(p.x > 0, sqrt(p.x), -p.x))", -2, [-1, 0, 0]),
    ("p.y + 0 * abs(p.x) ^ (1 / 3)", 0, [0, 1, 0]),
    ("(p.x * p.x) ^ 0.75", 0, [0, 0, 0]),
    ("acos(cos(p.x))", 0, [0, 0, 0]),
]
# Published distances in the plane, which choose between the roots of a cubic. After Inigo Quilez.
PUBLISHED = """
shape ellipse {
  ab = vec2(5, 3)
  ## One quarter, with the longer axis along y.
  q = where(abs(p.x) > abs(p.y), vec2(abs(p.y), abs(p.x)), vec2(abs(p.x), abs(p.y)))
  e = where(abs(p.x) > abs(p.y), vec2(ab.y, ab.x), vec2(ab.x, ab.y))
  l = e.y * e.y - e.x * e.x
  m = e.x * q.x / l
  n = e.y * q.y / l
  c = (m * m + n * n - 1) / 3
  c3 = c * c * c
  cubic = c3 + m * m * n * n * 2
  d = c3 + m * m * n * n
  g = m + m * n * n
  h = acos(cubic / c3) / 3
  s = cos(h)
  t = sin(h) * sqrt(3)
  rx = sqrt(-c * (s + t + 2) + m * m)
  ry = sqrt(-c * (s - t + 2) + m * m)
  low = (ry + sign(l) * rx + abs(g) / (rx * ry) - m) / 2
  k = 2 * m * n * sqrt(d)
  u = sign(cubic + k) * abs(cubic + k) ^ (1 / 3)
  v = sign(cubic - k) * abs(cubic - k) ^ (1 / 3)
  rz = -u - v - c * 4 + 2 * m * m
  rw = (u - v) * sqrt(3)
  rm = sqrt(rz * rz + rw * rw)
  high = (rw / sqrt(rm - rz) + 2 * g / rm - m) / 2
  co = where(d < 0, low, high)
  r = e * vec2(co, sqrt(1 - co * co))
  distance = length(r - q) * sign(q.y - r.y)
}

## The stroke along the quadratic Bezier curve of (-4, 0), (0, 6) and (4, 0).
shape stroke {
  a = vec2(0, 6) - vec2(-4, 0)
  b = vec2(-4, 0) - 2 * vec2(0, 6) + vec2(4, 0)
  c = a * 2
  d = vec2(-4, 0) - p.xy
  kk = 1 / dot(b, b)
  kx = kk * dot(a, b)
  ky = kk * (2 * dot(a, a) + dot(d, b)) / 3
  kz = kk * dot(d, a)
  pp = ky - kx * kx
  qq = kx * (2 * kx * kx - 3 * ky) + kz
  h = qq * qq + 4 * pp * pp * pp
  root = sqrt(h)
  x1 = (root - qq) / 2
  x2 = (-root - qq) / 2
  one = clamp(sign(x1) * abs(x1) ^ (1 / 3) + sign(x2) * abs(x2) ^ (1 / 3) - kx, 0, 1)
  z = sqrt(-pp)
  v = acos(qq / (pp * z * 2)) / 3
  m = cos(v)
  n = sin(v) * 1.732050808
  t1 = clamp((m + m) * z - kx, 0, 1)
  t2 = clamp((-n - m) * z - kx, 0, 1)
  of_one = length(d + (c + b * one) * one)
  of_three = min(length(d + (c + b * t1) * t1), length(d + (c + b * t2) * t2))
  distance = where(h >= 0, of_one, of_three) - 0.5
}
"""


def made(tmp_path: Path, text: str) -> fd.Library:
    (tmp_path / "made.sdf").write_text(text)
    return fd.load_library(tmp_path / "made.sdf")


@pytest.mark.parametrize(("formula", "x", "wanted"), CHOSEN)
def test_what_is_not_chosen_does_not_count(tmp_path: Path, formula: str, x: float, wanted: list[float]) -> None:
    shape = made(tmp_path, f"shape s {{ distance = {formula} }}").shapes["s"]
    points = torch.tensor([[x, 3, 0.25], [1.25, 3, 0.25]], dtype=torch.float64, requires_grad=True)
    (grad,) = torch.autograd.grad(shape.distance(points, backend="torch").sum(), points)
    assert grad[0].tolist() == pytest.approx(wanted)
    assert torch.isfinite(grad[1]).all()


def test_gradients_in_parameters_count_what_is_chosen(tmp_path: Path) -> None:
    shape = made(tmp_path, """
        shape s {
          k ~ uniform(0, 1)
          root = sqrt(k - 1)
          distance = where(p.x > 0, p.x + root, k * p.x + max(0, 1 - 0 * k))
        }""").shapes["s"]
    k = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    shape.distance([[-2, 0, 0], [-3, 0, 0]], {"k": k}, backend="torch").sum().backward()
    assert k.grad is not None and k.grad.item() == -5


def test_an_infinite_slope_that_is_asked_for_stays(tmp_path: Path) -> None:
    shape = made(tmp_path, "shape s { distance = log(p.x) }").shapes["s"]
    points = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
    shape.distance(points, backend="torch").sum().backward()
    assert points.grad is not None and points.grad[0].tolist() == [np.inf, 0, 0]


def test_a_point_that_no_one_asks_for_gives_nothing(tmp_path: Path) -> None:
    """The user's own choice, after the formula."""
    shape = made(tmp_path, "shape s { distance = p.y * log(p.x) }").shapes["s"]
    points = torch.tensor([[-1.0, 2, 0], [0, 2, 0], [4, 2, 0]], dtype=torch.float64, requires_grad=True)
    d = shape.distance(points, backend="torch")
    torch.where(torch.isfinite(d), d, 0).sum().backward()
    assert points.grad is not None
    assert points.grad[1:].tolist() == [[0, 0, 0], [0.5, pytest.approx(np.log(4)), 0]]
    assert points.grad[0].tolist() == [0, 0, 0]


@pytest.mark.parametrize("name", ["ellipse", "stroke"])
def test_published_formulas(tmp_path: Path, name: str, rng: np.random.Generator) -> None:
    """Distances that are exact: their gradient has the length 1."""
    shape = made(tmp_path, PUBLISHED).shapes[name]
    points = torch.tensor(np.c_[rng.uniform(-8, 8, (300, 2)), np.zeros(300)], requires_grad=True)
    distance = shape.distance(points, backend="torch")
    (grad,) = torch.autograd.grad(distance.sum(), points)
    known = torch.isfinite(distance)
    assert known.sum() > 290
    assert torch.isfinite(grad[known]).all()
    np.testing.assert_allclose(grad[known].norm(dim=1), 1, atol=1e-6)


# Any graph ----------------------------------------------------------------------------------------------


@st.composite
def formulas(draw: st.DrawFn) -> tuple[Graph, Node]:
    """A random formula of p.x, p.y and a parameter, in which much is chosen and much has no finite slope."""
    g = Graph()
    numbers = [g.number(draw(st.sampled_from([0.0, 1.0, -2.0, 0.5, 3.0]))) for _ in range(2)]
    numbers += [g.node("slot", const=0), g.node("input", const="p.x"), g.node("input", const="p.y")]
    truths = [g.node("lt", g.number(0), numbers[-2])]
    choices = st.sampled_from(("where", "min", "max"))
    for _ in range(draw(st.integers(2, 16))):
        op = OPS[draw(choices | st.sampled_from(sorted(SLOPES)) | st.sampled_from(sorted(set(OPS) - {"field"})))]
        args = [draw(st.sampled_from(numbers) | st.sampled_from(numbers[-3:]) if kind == "f" else
                     st.sampled_from(truths)) for kind in op.operands]
        if op.name == "mod":  # of a tiny divisor the remainder is rounding
            args[1] = draw(st.sampled_from(numbers[:5]))
        (numbers if op.result == "f" else truths).append(g.node(op.name, *args))
    return g, numbers[-1]


def evaluate(root: Node, values: torch.Tensor) -> torch.Tensor:
    """The formula where p.x, p.y and the parameter have these values (3, N)."""
    radius = Quantity("k", 1, None, range(1), (root,), True, "", "")
    formula = Formula("f", "shape", "", "", (radius,), {}, 0, root)
    inputs = {"p.x": values[0], "p.y": values[1], "p.z": torch.zeros_like(values[0])}
    found = TorchBackend().evaluate(formula, inputs, {0: values[2]})
    assert isinstance(found, torch.Tensor)
    return found


def differences(root: Node, at: torch.Tensor, i: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Central differences in the i-th value, and where they are to be trusted: finite on both sides, which agree."""

    def along(step: float) -> torch.Tensor:
        moved = at.clone()
        moved[i] += step
        return evaluate(root, moved)

    here, central = evaluate(root, at), (along(STEP) - along(-STEP)) / (2 * STEP)
    sides = (along(STEP) - here) / STEP, (here - along(-STEP)) / STEP
    wide = (along(8 * STEP) - along(-8 * STEP)) / (16 * STEP)
    scale = 1 + central.abs()
    smooth = ((sides[0] - sides[1]).abs() < 1e-3 * scale) & ((wide - central).abs() < 1e-5 * scale)
    rounding = here.abs() * 1e-16 / STEP
    return central, smooth & torch.isfinite(here) & (rounding < 1e-6 * scale) & (central.abs() < 1e6)


POINTS = torch.tensor(np.random.default_rng(4).uniform(-2, 2, (3, 24)))


def test_gradients_are_finite_differences_wherever_these_are_finite() -> None:
    seen = {"trusted": 0, "mended": 0}

    @given(formulas())
    @settings(max_examples=300, deadline=None, derandomize=True)
    def check(made: tuple[Graph, Node]) -> None:
        _, root = made
        at = POINTS.clone().requires_grad_()
        result = evaluate(root, at)
        if not result.requires_grad:
            return
        (grad,) = torch.autograd.grad(result.sum(), at)
        for i in range(3):
            with torch.no_grad():
                wanted, trusted = differences(root, POINTS, i)
            seen["trusted"] += int(trusted.sum())
            close = (grad[i] - wanted).abs() <= 1e-4 * (1 + wanted.abs())
            assert close[trusted].all(), (i, to_text({"f": root}), POINTS[:, trusted & ~close].T, grad[i], wanted)
        seen["mended"] += int(not torch.isfinite(plain_gradient(root)).all())

    check()
    assert seen["trusted"] > 3000 and seen["mended"] > 20, seen


def plain_gradient(root: Node) -> torch.Tensor:
    """What autograd alone gives, from the operations themselves."""
    from fdif_dsl.compiler.passes.schedule import run_voxels

    at = POINTS.clone().requires_grad_()
    values = dict.fromkeys(slots_of(root), at[2])
    result = run_voxels(root, values, {"p.x": at[0], "p.y": at[1]}, xp=torch, rule=lambda op: op.torch,
                        convert=lambda v: torch.tensor(v, dtype=torch.float64))
    found = torch.autograd.grad(result.sum(), at, allow_unused=True)[0] if result.requires_grad else None
    return torch.zeros_like(at) if found is None else found


def slots_of(root: Node) -> list[Node]:
    from fdif_dsl.compiler.ir.graph import reachable

    return [n for n in reachable([root]) if n.op == "slot"]


# The slopes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SLOPES)
def test_guarded_operations_have_the_slopes_of_autograd(name: str, rng: np.random.Generator) -> None:
    """To the second order, where both are finite."""
    op = OPS[name]
    values = torch.tensor(rng.uniform(-3, 3, (len(op.operands), 64)))
    values[:, :32] = values[:, :32].abs() / 3.5  # in the domain of each
    found = []
    for rule in (op.torch, guarded(op)):
        operands = [v.clone().requires_grad_() for v in values]
        result = rule(torch, *operands)
        weights = torch.linspace(0.5, 2, 64, dtype=torch.float64)
        first = torch.autograd.grad(result, operands, weights, create_graph=True)
        total = sum((f * f)[torch.isfinite(f)].sum() for f in first)
        second = (torch.autograd.grad(total, operands, allow_unused=True) if total.requires_grad else
                  [None] * len(operands))
        found.append([result, *first, *(torch.zeros(64) if s is None else s for s in second)])
    for plain, safe in zip(*found, strict=True):
        both = torch.isfinite(plain)
        assert both[:32].all()
        torch.testing.assert_close(safe[both].detach(), plain[both].detach(), atol=1e-9, rtol=1e-9,
                                   check_dtype=False)


def test_a_gradient_of_zero_can_be_derived_in_itself() -> None:
    """As forward derivatives by two backward ones do."""
    def program(rule: Any, tensors: Any) -> torch.Tensor:
        x = tensors[0]
        return rule(OPS["where"])(torch, x > 0, rule(OPS["log"])(torch, x), rule(OPS["mul"])(torch, x, x))

    x = torch.tensor([-3.0, 0.0, 2.0], dtype=torch.float64, requires_grad=True)
    _, moved = torch.autograd.functional.jvp(lambda v: differentiable(program, [v]), x, torch.ones_like(x))
    assert moved.tolist() == [-6, 0, 0.5]


def test_second_derivatives_count_what_is_chosen(tmp_path: Path) -> None:
    shape = made(tmp_path, "shape s { distance = where(p.x > 0, sqrt(p.x) * p.y, p.x ^ 3) }").shapes["s"]
    points = torch.tensor([[-2.0, 3, 0], [0, 3, 0], [4, 3, 0]], dtype=torch.float64, requires_grad=True)
    d = shape.distance(points, backend="torch")
    (grad,) = torch.autograd.grad(d.sum(), points, create_graph=True)
    assert grad.tolist() == [[12, 0, 0], [0, 0, 0], [0.75, 2, 0]]
    (second,) = torch.autograd.grad(grad[:, 0].sum(), points, create_graph=True)
    assert second.tolist() == [[-12, 0, 0], [0, 0, 0], [-0.09375, 0.25, 0]]
    (third,) = torch.autograd.grad(second[:, 0].sum(), points)
    assert third[:, 0].tolist() == [6, 6, pytest.approx(9 / 8 / 32)]


def test_what_autograd_offers_works(tmp_path: Path) -> None:
    """Backward twice, in a block without gradients, transforms of functions, and forward derivatives."""
    shape = made(tmp_path, "shape s { distance = length(p) + min(p.x, 3) }").shapes["s"]
    point = torch.tensor([2.0, 0, 0], dtype=torch.float64)

    def distance(at: torch.Tensor) -> torch.Tensor:
        found = shape.distance(at[None], backend="torch")
        assert isinstance(found, torch.Tensor)
        return found[0]

    at = point.clone().requires_grad_()
    result = distance(at)
    result.backward(retain_graph=True)
    result.backward()
    assert at.grad is not None and at.grad.tolist() == [4, 0, 0]
    with pytest.raises(RuntimeError, match="second time"):
        result.backward()
    with torch.no_grad():
        assert not distance(at).requires_grad
    assert torch.func.grad(distance)(point).tolist() == [2, 0, 0]
    assert torch.func.hessian(distance)(point)[1].tolist() == [0, 0.5, 0]
    assert torch.func.vmap(torch.func.grad(distance))(point.expand(2, 3)).tolist() == [[2, 0, 0]] * 2
    with torch.autograd.forward_ad.dual_level():
        moved = distance(torch.autograd.forward_ad.make_dual(at.detach(), torch.ones(3, dtype=torch.float64)))
        assert torch.autograd.forward_ad.unpack_dual(moved).tangent.item() == 2
    assert torch.autograd.gradcheck(distance, at) and torch.autograd.gradgradcheck(distance, at)
