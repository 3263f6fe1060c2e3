"""Rates: the earliest moment at which a node can be computed."""

from __future__ import annotations

import pytest

import fdif_dsl as fd
from fdif_dsl.compiler.ir.graph import Graph, Node, reachable
from fdif_dsl.compiler.passes.rates import Rate, infer_rates, join, split


@pytest.mark.parametrize(("rates", "wanted"), [
    ([], Rate.CONSTANT), ([Rate.GRID, Rate.CONSTANT], Rate.GRID), ([Rate.OBJECT, Rate.GRID], Rate.OBJECT),
    ([Rate.AXIS_X, Rate.OBJECT], Rate.AXIS_X), ([Rate.AXIS_X, Rate.AXIS_X], Rate.AXIS_X),
    ([Rate.AXIS_X, Rate.AXIS_Z], Rate.VOXEL), ([Rate.VOXEL, Rate.AXIS_Y], Rate.VOXEL),
])
def test_join(rates: list[Rate], wanted: Rate) -> None:
    assert join(rates) is wanted
    assert join(reversed(rates)) is wanted


def rate(node: Node) -> Rate:
    return infer_rates(reachable([node]))[node]


def test_leaves() -> None:
    g = Graph()
    assert rate(g.number(1)) is Rate.CONSTANT
    assert rate(g.node("grid", const="min")) is Rate.GRID
    assert rate(g.node("slot", const=0)) is Rate.OBJECT
    assert rate(g.node("input", const="w.y")) is Rate.AXIS_Y
    assert rate(g.node("input", const="p.y")) is Rate.VOXEL
    assert rate(g.node("grid_min", g.node("input", const="p.y"))) is Rate.OBJECT


def test_split_reads_only_what_the_loop_needs() -> None:
    """(slot0 + slot1) * p.x: the sum is one value of the object, the product is the loop."""
    g = Graph()
    total = g.node("add", g.node("slot", const=0), g.node("slot", const=1))
    result = g.node("mul", total, g.node("input", const="p.x"))
    stages = split(result)
    assert stages.voxel == (result,)
    assert stages.values == (total,)


def test_what_a_reduction_ranges_over_is_no_part_of_the_loop() -> None:
    g = Graph()
    x = g.node("input", const="p.x")
    deep = g.node("grid_min", g.node("sin", x))
    assert split(g.node("add", x, deep)).values == (deep,)


def test_displacements_of_the_library_take_no_sine_in_the_loop(lib: fd.Library) -> None:
    for displacement in lib.displacements.values():
        loop = split(displacement.formula.result).voxel
        assert not {n.op for n in loop} & {"sin", "cos", "floor"}, displacement.name
        assert len(loop) <= 6, displacement.name


def test_classes_of_the_library_take_no_angle_in_the_loop(lib: fd.Library) -> None:
    for shape in lib.shapes.values():
        loop = {n.op for n in split(shape.formula.result).voxel}
        assert not loop & {"sin", "cos", "tan", "atan2", "asin", "acos", "exp", "log", "pow"}, shape.name
