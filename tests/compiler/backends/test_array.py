"""The array backends: what they compute, that they agree, and that gradients are right."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fdif_dsl.compiler.backends import Placed, array
from fdif_dsl.compiler.backends.interpret import InterpretBackend
from fdif_dsl.compiler.backends.torch import TorchBackend
from fdif_dsl.compiler.ir.formula import Formula, Quantity
from fdif_dsl.compiler.ir.graph import Graph, Node
from fdif_dsl.compiler.ir.grid import Grid
from fdif_dsl.compiler.ir.ops import OPS
from fdif_dsl.grammar.diagnostics import FdifError

BACKENDS = [InterpretBackend(), TorchBackend()]
each_backend = pytest.mark.parametrize("backend", BACKENDS, ids=lambda b: b.name)

g = Graph()


def leaf(op: str, const: Any) -> Node:
    return g.node(op, const=const)


def formula(kind: Any, result: Node, *quantities: Quantity) -> Formula:
    return Formula("test", kind, "", "test.sdf:1:1", quantities, {}, 0, result)


def quantity(name: str, slot: int, definition: Node, *, random: bool) -> Quantity:
    return Quantity(name, 1, None, range(slot, slot + 1), (definition,), random, "", "")


def length(*parts: Node) -> Node:
    squares = [g.node("mul", a, a) for a in parts]
    total = squares[0]
    for square in squares[1:]:
        total = g.node("add", total, square)
    return g.node("sqrt", total)


P = [leaf("input", f"p.{a}") for a in "xyz"]
RADIUS = quantity("radius", 0, leaf("draw", 0), random=True)
BALL = g.node("sub", length(*P), leaf("slot", 0))
WALL = g.node("mul", g.number(0.5), g.node("abs", g.node("grid_min", BALL)))
THICKNESS = quantity("thickness", 1, WALL, random=False)
ONION = formula("shape", g.node("sub", g.node("abs", BALL), leaf("slot", 1)), RADIUS, THICKNESS)
SPHERE = formula("shape", BALL, RADIUS)
RIPPLE = formula("displacement", g.node("mul", leaf("grid", "limit.x"), g.node("sin", leaf("input", "w.x"))))
GLOW = formula("mapper", g.node("sub", g.number(100), leaf("input", "d")))


def at(points: Any) -> dict[str, Any]:
    return {"p.x": points[:, 0], "p.y": points[:, 1], "p.z": points[:, 2]}


POINTS = np.array([[0.0, 0, 0], [3, 0, 0], [0, -4, 3], [1, 2, 2]])


@each_backend
def test_a_formula_at_points(backend: Any) -> None:
    assert np.asarray(backend.evaluate(SPHERE, at(POINTS), {0: 2.0})).tolist() == [-2, 1, 3, 1]


@each_backend
def test_a_result_that_depends_on_no_point_has_one_value_for_each(backend: Any) -> None:
    flat = formula("shape", g.node("mul", leaf("slot", 0), leaf("grid", "min")), RADIUS)
    assert np.asarray(backend.evaluate(flat, at(POINTS), {0: 2.0}, Grid((4, 5, 6)))).tolist() == [8] * 4
    assert np.asarray(backend.evaluate(formula("mapper", g.number(3)), {"d": np.zeros(2)}, {})).tolist() == [3, 3]


@each_backend
def test_a_displacement_reads_the_grid(backend: Any) -> None:
    world = {"w.x": np.array([0.5]), "w.y": np.array([9.0]), "w.z": np.array([9.0])}
    assert np.asarray(backend.evaluate(RIPPLE, world, {}, Grid((8, 8, 12))))[0] == pytest.approx(5 * np.sin(0.5))


@each_backend
def test_the_deepest_value_ranges_over_the_grid_where_the_object_lies(backend: Any) -> None:
    """A ball around (-10, 0, 0) of a grid that begins at x = -3: the deepest voxel is its nearest, 7 away."""
    inverse = np.eye(4)
    inverse[0, 3] = 10
    found = np.asarray(backend.evaluate(ONION, at(np.zeros((1, 3))), {0: 20.0}, Grid((4, 4, 6)), inverse))
    assert found[0] == pytest.approx(20 - 0.5 * (20 - 7))


@each_backend
def test_a_given_thickness_needs_no_grid(backend: Any) -> None:
    assert np.asarray(backend.evaluate(ONION, at(POINTS), {0: 2.0, 1: 0.25})).tolist() == [1.75, 0.75, 2.75, 0.75]


@each_backend
def test_the_deepest_value_passes_over_nan_and_is_infinite_where_nothing_is_left(backend: Any) -> None:
    root = g.node("sqrt", P[0])  # NaN for x < 0
    least = formula("shape", g.node("grid_min", g.node("add", root, g.number(1))))
    assert np.asarray(backend.evaluate(least, at(POINTS), {}, Grid((2, 2, 8))))[0] == 1
    shifted = np.eye(4)
    shifted[0, 3] = -100
    assert np.asarray(backend.evaluate(least, at(POINTS), {}, Grid((2, 2, 8)), shifted))[0] == np.inf


@each_backend
def test_the_deepest_value_is_found_in_any_chunk(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(array, "POINTS", 7)
    far = formula("shape", g.node("grid_min", length(*(g.node("sub", p, leaf("slot", 0)) for p in P))), RADIUS)
    for corner in (-2.0, 0.0, 1.0):
        assert np.asarray(backend.evaluate(far, at(POINTS), {0: corner}, Grid((4, 4, 4))))[0] == 0


@each_backend
def test_what_is_missing_is_listed(backend: Any) -> None:
    with pytest.raises(FdifError) as caught:
        backend.evaluate(SPHERE, at(POINTS), {})
    assert str(caught.value) == """\
error[E0402]: parameter of `test` missing: `radius` (float)
  why: a random parameter has no value until somebody gives or draws one
  hint: give a value, for example params={"radius": 10.0}"""


@each_backend
def test_a_formula_that_needs_the_grid_says_so(backend: Any) -> None:
    with pytest.raises(FdifError) as caught:
        backend.evaluate(ONION, at(POINTS), {0: 2.0})
    assert str(caught.value) == """\
error[E0403]: `test` needs the sampling grid
  why: its formula reads the size of the grid, or the deepest value on it
  hint: give the grid, for example grid=(96, 96, 96), or a value for `thickness`"""


SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.0, 1e300, np.inf, -np.inf, np.nan]


@pytest.mark.parametrize("name", sorted(set(OPS) - {"field"}))
def test_each_op_gives_the_same_on_both_backends(name: str) -> None:
    op = OPS[name]
    rows = np.array(list(product(*(SPECIAL if t == "f" else [0.0, 1.0] for t in op.operands))))
    names = ["p.x", "p.y", "p.z"][: len(op.operands)]
    operands = [leaf("input", n) if t == "f" else g.node("lt", g.number(0.5), leaf("input", n))
                for n, t in zip(names, op.operands, strict=True)]
    result = g.node(name, *operands)
    if op.result == "b":
        result = g.node("where", result, g.number(1), g.number(0))
    test = formula("shape", result)
    inputs = dict(zip(names, rows.T, strict=True))
    reference, other = (np.asarray(b.evaluate(test, inputs, {})) for b in BACKENDS)
    np.testing.assert_allclose(other, reference, rtol=1e-12)


# -- torch ---------------------------------------------------------------------------------------------


@given(st.lists(st.floats(-5, 5), min_size=3, max_size=3), st.floats(1, 9))
@settings(deadline=None, max_examples=25)
def test_gradients_are_finite_differences(point: list[float], radius: float) -> None:
    """In the point and in the radius, through the deepest value too."""
    grid, inverse = Grid((6, 6, 6)), np.diag([0.9, 1.1, 1.0, 1.0])
    inverse[0, 3] = 0.3

    def value(v: torch.Tensor) -> torch.Tensor:
        return TorchBackend().evaluate(ONION, at(v[None, :3]), {0: v[3]}, grid, inverse)[0]

    here = torch.tensor([*point, radius], dtype=torch.float64, requires_grad=True)
    reach = float(np.linalg.norm(point))
    if abs(reach - radius) < 1e-2 or reach < 1e-2:
        return  # a kink
    slope, = torch.autograd.grad(value(here), here)
    for i in range(4):
        step = torch.zeros(4, dtype=torch.float64)
        step[i] = 1e-5
        difference = (value(here.detach() + step) - value(here.detach() - step)) / 2e-5
        assert float(slope[i]) == pytest.approx(float(difference), abs=1e-6)


def test_a_gradient_flows_to_the_placement() -> None:
    inverse = torch.eye(4, dtype=torch.float64)
    inverse[0, 3] = 10
    inverse.requires_grad_()
    TorchBackend().evaluate(ONION, at(torch.zeros(1, 3)), {0: 20.0}, Grid((4, 4, 6)), inverse).sum().backward()
    # The nearest voxel to the centre is x = -3, so the deepest value is |10 - 3| - 20 and its slope in the shift 1.
    assert inverse.grad is not None
    assert float(inverse.grad[0, 3]) == pytest.approx(0.5)


def test_a_gradient_at_the_centre_is_finite() -> None:
    point = torch.zeros(1, 3, requires_grad=True)
    TorchBackend().evaluate(SPHERE, at(point), {0: 1.0}).sum().backward()
    assert point.grad is not None
    assert point.grad.tolist() == [[0, 0, 0]]


@pytest.mark.parametrize(("points", "radius", "expected"), [
    (POINTS, 2.0, torch.float64),
    (torch.from_numpy(POINTS).float(), 2.0, torch.float32),
    (torch.from_numpy(POINTS).half(), torch.tensor(2.0), torch.float16),
    (torch.from_numpy(POINTS).long(), 2.0, torch.float64),
    (POINTS, torch.tensor(2.0), torch.float32),
    (POINTS[::-1], 2.0, torch.float64),
])
def test_the_type_follows_the_points_then_the_parameters(points: Any, radius: Any, expected: torch.dtype) -> None:
    assert TorchBackend().evaluate(SPHERE, at(points), {0: radius}).dtype == expected


def test_the_interpreter_takes_tensors_that_record_gradients() -> None:
    radius = torch.tensor(2.0, requires_grad=True)
    assert InterpretBackend().evaluate(SPHERE, at(POINTS), {0: radius}).tolist() == [-2, 1, 3, 1]


# -- volumes -------------------------------------------------------------------------------------------


def placed(radius: float, label: int, *, shift: float = 0, mapper: Formula = GLOW,
           displacement: Formula | None = None) -> Placed:
    inverse = np.eye(4)
    inverse[0, 3] = -shift
    return Placed(SPHERE, {0: radius}, inverse, displacement, mapper, label)


@each_backend
def test_a_volume_by_hand(backend: Any) -> None:
    """One row of voxels, x = -3 .. 2: the image sums and truncates, the smaller object hides the larger."""
    half = formula("mapper", g.node("sub", g.number(20.5), leaf("input", "d")))
    volume = backend.render([placed(1, 7, mapper=half), placed(2, 300, shift=-1, mapper=half)], Grid((1, 1, 6)))
    # The row lies at y = z = -1/2, so distances are hypot(x, 1/sqrt 2) - radius.
    x = np.arange(-3, 3)
    distances = [np.hypot(x, 0.5**0.5) - 1, np.hypot(x + 1, 0.5**0.5) - 2]
    assert np.asarray(volume.image).ravel().tolist() == np.trunc(41 - distances[0] - distances[1]).astype(int).tolist()
    assert np.asarray(volume.counts).tolist() == [1, 3]
    assert np.asarray(volume.label).ravel().tolist() == [0, 300, 300, 7, 0, 0]


@each_backend
def test_of_equals_the_last_lies_on_top(backend: Any) -> None:
    volume = backend.render([placed(2, 1), placed(2, 2), placed(3, 3)], Grid((2, 2, 2)))
    assert np.unique(np.asarray(volume.label)).tolist() == [3]


@each_backend
def test_an_image_stays_between_0_and_128(backend: Any) -> None:
    cold = formula("mapper", g.number(-5))
    assert np.asarray(backend.render([placed(1, 1, mapper=cold)], Grid((2, 2, 2))).image).max() == 0
    assert np.asarray(backend.render([placed(1, 1), placed(1, 1)], Grid((2, 2, 2))).image).min() == 128


@each_backend
def test_nan_is_outside_and_adds_nothing(backend: Any) -> None:
    hollow = formula("displacement", g.node("sqrt", leaf("input", "w.x")))  # NaN left of the middle
    dark = formula("mapper", g.node("div", g.number(50), g.node("abs", leaf("input", "d"))))
    nothing = formula("mapper", g.node("sqrt", g.number(-1)))
    objects = [placed(9, 1, mapper=dark, displacement=hollow), placed(9, 2, mapper=nothing)]
    volume = backend.render(objects[:1], Grid((1, 1, 4)))
    assert np.asarray(volume.counts).tolist() == [2]
    assert np.asarray(volume.label).ravel().tolist() == [0, 0, 1, 1]
    assert np.asarray(volume.image).ravel()[:2].tolist() == [0, 0]
    assert np.array_equal(np.asarray(backend.render(objects, Grid((1, 1, 4))).image), np.asarray(volume.image))


@each_backend
def test_infinities_of_both_signs_give_0(backend: Any) -> None:
    bright, dark = (formula("mapper", g.number(v)) for v in (np.inf, -np.inf))
    assert not np.asarray(backend.render([placed(1, 1, mapper=bright), placed(1, 1, mapper=dark)],
                                         Grid((2, 2, 2))).image).any()


@each_backend
def test_a_volume_does_not_depend_on_the_chunks(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    objects = [placed(3, 1), placed(2, 2, shift=1, displacement=RIPPLE), placed(3, 3, shift=-2)]
    whole = backend.render(objects, Grid((5, 6, 7)))
    monkeypatch.setattr(array, "POINTS", 11)
    parts = backend.render(objects, Grid((5, 6, 7)))
    assert np.array_equal(np.asarray(whole.image), np.asarray(parts.image))
    assert np.array_equal(np.asarray(whole.label), np.asarray(parts.label))
    assert np.array_equal(np.asarray(whole.counts), np.asarray(parts.counts))


@each_backend
def test_a_volume_without_objects_is_empty(backend: Any) -> None:
    volume = backend.render([], Grid((2, 3, 4)))
    assert volume.image.shape == volume.label.shape == (2, 3, 4)
    assert not np.asarray(volume.image).any() and not np.asarray(volume.label).any()
    assert len(volume.counts) == 0


def test_the_torch_backend_renders_tensors() -> None:
    volume = TorchBackend().render([placed(2, 1)], Grid((3, 3, 3)))
    assert (volume.image.dtype, volume.label.dtype, volume.counts.dtype) == (torch.uint8, torch.uint16, torch.int64)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_the_torch_backend_works_on_a_gpu() -> None:
    grid, objects = Grid((5, 6, 7)), [placed(3, 1), placed(2, 2, shift=1, displacement=RIPPLE)]
    points = torch.from_numpy(POINTS).cuda()
    found = TorchBackend().evaluate(ONION, at(points), {0: 2.0}, grid)
    assert found.is_cuda
    np.testing.assert_allclose(found.cpu(), InterpretBackend().evaluate(ONION, at(POINTS), {0: 2.0}, grid))
    volume, expected = TorchBackend("cuda").render(objects, grid), InterpretBackend().render(objects, grid)
    assert volume.image.is_cuda
    assert np.array_equal(volume.image.cpu(), expected.image) and np.array_equal(volume.label.cpu(), expected.label)
