"""Binding what a user gives by name to slots, and every message about what does not fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from fdif_dsl.compiler.ir.formula import Formula, Quantity
from fdif_dsl.compiler.ir.graph import Graph
from fdif_dsl.compiler.ir.parameters import bind
from fdif_dsl.grammar.diagnostics import FdifError

g = Graph()


def _quantity(name: str, first: int, width: int, length: int | None, *, random: bool = True) -> Quantity:
    slots = range(first, first + width * (length or 1))
    return Quantity(name, width, length, slots, tuple(g.number(0) for _ in slots), random, "", "")


PRISM = Formula("prism", "shape", "", "test.sdf:1:1", (
    _quantity("section.radius", 0, 1, None),
    _quantity("vertices", 1, 2, 3),
    _quantity("centre", 7, 3, None),
    _quantity("weights", 10, 1, 2, random=False),
), {"n": 3}, 0, g.number(0))


@pytest.mark.parametrize(("params", "slots"), [
    ({}, {}),
    ({"section.radius": 2}, {0: 2.0}),
    ({"section.radius": np.float32(2)}, {0: 2.0}),
    ({"section.radius": np.array(2)}, {0: 2.0}),
    ({"vertices": [[1, 2], (3, 4), np.array([5, 6])]}, {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6}),
    ({"vertices": np.arange(6).reshape(3, 2)}, {1: 0, 2: 1, 3: 2, 4: 3, 5: 4, 6: 5}),
    ({"centre": [1, 2, 3], "weights": [4, 5]}, {7: 1, 8: 2, 9: 3, 10: 4, 11: 5}),
    ({"vertices": [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]}, {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6}),
    ({"vertices": [[1.0, 2.0], [3.0, 4], (5.0, 6.0)]}, {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6}),
    ({"centre": [1.0, 2.0, 3.0], "weights": [4.0, 5.0]}, {7: 1, 8: 2, 9: 3, 10: 4, 11: 5}),
    ({"centre": [1.0, np.float64(2), np.array(3.0)]}, {7: 1, 8: 2, 9: 3}),
    ({"n": 3}, {}),
    ({"n": 3.0, "weights": [float("inf"), 1]}, {10: float("inf"), 11: 1}),
])
def test_values_reach_their_slots(params: dict[str, Any], slots: dict[int, float]) -> None:
    found = bind(PRISM, params)
    assert found == slots
    assert all(type(v) is float for v in found.values())


def test_nan_is_a_number() -> None:
    assert np.isnan(bind(PRISM, {"section.radius": float("nan")})[0])


def test_tensors_stay_tensors_and_gradients_flow() -> None:
    vertices = torch.arange(6.0).reshape(3, 2).requires_grad_()
    slots = bind(PRISM, {"vertices": vertices, "centre": [torch.tensor(1.0), 2, 3]})
    (slots[1] * 10 + slots[6]).backward()
    assert vertices.grad is not None
    assert vertices.grad.tolist() == [[10, 0], [0, 0], [0, 1]]
    assert isinstance(slots[7], torch.Tensor) and slots[8] == 2.0


MESSAGES: list[tuple[Any, str]] = [
    ({"sectoin.radius": 2}, """\
error[E0406]: `prism` has no parameter `sectoin.radius`
  --> params.sectoin.radius
  why: it has `section.radius`, `vertices`, `centre`, `weights`, `n`
  hint: did you mean `section.radius`?"""),
    ({"section.radius": "2"}, """\
error[E0404]: text where a number is expected
  --> params.section.radius
  why: `section.radius` is of the type float
  hint: write it like 10.0"""),
    ({"section.radius": True}, """\
error[E0404]: a truth value where a number is expected
  --> params.section.radius
  why: `section.radius` is of the type float
  hint: write it like 10.0"""),
    ({"section.radius": None}, """\
error[E0404]: nothing (null) where a number is expected
  --> params.section.radius
  why: `section.radius` is of the type float
  hint: write it like 10.0"""),
    ({"section.radius": [1]}, """\
error[E0404]: a list where a number is expected
  --> params.section.radius
  why: `section.radius` is of the type float
  hint: write it like 10.0"""),
    ({"section.radius": 10**400}, """\
error[E0404]: a number beyond the range of float64 where a smaller one is expected
  --> params.section.radius
  why: `section.radius` is of the type float
  hint: write it like 10.0"""),
    ({"vertices": 3.0}, """\
error[E0404]: a number where a list of 3 is expected
  --> params.vertices
  why: `vertices` is of the type vec2[3]
  hint: write it like [[10.0, 10.0], [10.0, 10.0], ...] (3 of them)"""),
    ({"vertices": [[1, 2], [3, 4]]}, """\
error[E0404]: a list of 2 values where a list of 3 is expected
  --> params.vertices
  why: `vertices` is of the type vec2[3]
  hint: write it like [[10.0, 10.0], [10.0, 10.0], ...] (3 of them)"""),
    ({"vertices": [[1, 2], [3], [5, 6]]}, """\
error[E0404]: a list of 1 number where a list of 2 is expected
  --> params.vertices[1]
  why: `vertices` is of the type vec2[3]
  hint: write it like [[10.0, 10.0], [10.0, 10.0], ...] (3 of them)"""),
    ({"vertices": np.zeros((3, 2, 2))}, """\
error[E0404]: a list of 2 where a number is expected
  --> params.vertices[0][0]
  why: `vertices` is of the type vec2[3]
  hint: write it like [[10.0, 10.0], [10.0, 10.0], ...] (3 of them)"""),
    ({"weights": np.array([True, False])}, """\
error[E0404]: a truth value where a number is expected
  --> params.weights[0]
  why: `weights` is of the type float[2]
  hint: write it like [10.0, 10.0]"""),
    ({"weights": torch.tensor(1.0)}, """\
error[E0404]: a number where a list of 2 is expected
  --> params.weights
  why: `weights` is of the type float[2]
  hint: write it like [10.0, 10.0]"""),
    ({"weights": torch.tensor([True, True])}, """\
error[E0404]: a tensor of torch.bool where a number is expected
  --> params.weights[0]
  why: `weights` is of the type float[2]
  hint: write it like [10.0, 10.0]"""),
    ({"vertices": [[1.0, 2.0], [3.0, 4.0]]}, """\
error[E0404]: a list of 2 values where a list of 3 is expected
  --> params.vertices
  why: `vertices` is of the type vec2[3]
  hint: write it like [[10.0, 10.0], [10.0, 10.0], ...] (3 of them)"""),
    ({"vertices": [[1.0, 2.0, 3.0], [4.0], [5.0, 6.0]]}, """\
error[E0404]: a list of 3 numbers where a list of 2 is expected
  --> params.vertices[0]
  why: `vertices` is of the type vec2[3]
  hint: write it like [[10.0, 10.0], [10.0, 10.0], ...] (3 of them)"""),
    ({"centre": [1.0, [2.0], 3.0]}, """\
error[E0404]: a list where a number is expected
  --> params.centre[1]
  why: `centre` is of the type vec3
  hint: write it like [10.0, 10.0, 10.0]"""),
    ({"weights": [1.0, True]}, """\
error[E0404]: a truth value where a number is expected
  --> params.weights[1]
  why: `weights` is of the type float[2]
  hint: write it like [10.0, 10.0]"""),
    ({"n": True}, """\
error[E0405]: `n` is 3 in `prism` and cannot be changed
  --> params.n
  why: an integer parameter is part of the class, as its formula is unrolled for it
  hint: leave it out, write 3, or use another class"""),
    ({"n": 4}, """\
error[E0405]: `n` is 3 in `prism` and cannot be changed
  --> params.n
  why: an integer parameter is part of the class, as its formula is unrolled for it
  hint: leave it out, write 3, or use another class"""),
    ([1, 2], """\
error[E0401]: parameters are a list, not a table of names and values
  --> params
  hint: write them as {"radius": 10.0}"""),
]


@pytest.mark.parametrize(("params", "message"), MESSAGES, ids=[m.splitlines()[0] for _, m in MESSAGES])
def test_each_mistake_has_its_message(params: Any, message: str) -> None:
    with pytest.raises(FdifError) as caught:
        bind(PRISM, params)
    assert str(caught.value) == message


def test_every_mistake_is_told_with_its_place() -> None:
    with pytest.raises(FdifError) as caught:
        bind(PRISM, {"n": None, "weights": [[1], 2], "centre": {}, 5: 1}, "scene.json: objects[3].params")
    assert [d.where for d in caught.value.diagnostics] == [
        "scene.json: objects[3].params.n", "scene.json: objects[3].params.weights[0]",
        "scene.json: objects[3].params.centre", "scene.json: objects[3].params.5"]
