"""Bounds hold and are tight: all classes, displacements and mappers with random parameters, affines and boxes."""

from __future__ import annotations

import zlib
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

import fdif_dsl as fd
from fdif_dsl.compiler.ir.formula import Formula
from fdif_dsl.compiler.ir.graph import LEAVES, Graph, Node, reachable, rebuild
from fdif_dsl.compiler.ir.grid import Grid
from fdif_dsl.compiler.ir.parameters import bind
from fdif_dsl.compiler.passes.intervals import FINITE, LIMIT, NO_NAN, bounds
from fdif_dsl.compiler.passes.rates import split
from fdif_dsl.compiler.passes.schedule import make_schedule, run_schedule, run_voxels
from fdif_dsl.compiler.passes.verify import verify
from fdif_dsl.runtime.scenes.sampler import sample_scene
from fdif_dsl.runtime.scenes.sampler_definition import sample_instance

GRID = Grid((48, 64, 80))
LIBRARY = fd.load_library()
NAMES = list(LIBRARY.shapes)
BOXES = 200
POINTS = 24
Box = tuple[np.ndarray, np.ndarray]  # least and greatest coordinates, each (3, N) float32


class Bounded:
    """The bounds of a formula for one object, in float32."""

    def __init__(self, formula: Formula, slots: dict[int, Any] | None = None) -> None:
        self.graph = Graph.of([formula.result, *(node for q in formula.quantities for node in q.definition)])
        self.lo, self.hi = bounds(self.graph, formula.result)
        verify([self.lo, self.hi])
        roots = [n for end in (self.lo, self.hi) for n in split(end, world_is_axis=False).values]
        given = {s: np.float64(v) for s, v in (slots or {}).items()}
        schedule = make_schedule(formula, roots, frozenset(given))
        assert not schedule.missing
        with np.errstate(all="ignore"):
            found = run_schedule(formula, schedule, given, grid=GRID)
        self.values = {node: np.float32(found[node]) for node in roots}
        assert all(abs(v) <= LIMIT for v in self.values.values())

    def of(self, space: str, box: Box) -> Box:
        inputs = {f"{space}.{axis}.{end}": side[k] for k, axis in enumerate("xyz")
                  for end, side in zip(("lo", "hi"), box, strict=True)}
        shape = box[0][0].shape
        with np.errstate(all="ignore"):
            lo, hi = (np.broadcast_to(run_voxels(end, self.values, inputs, convert=np.float32), shape)
                      for end in (self.lo, self.hi))
        assert lo.dtype == hi.dtype == np.float32
        return lo, hi


@cache
def instance(name: str, seed: int) -> dict[str, Any]:
    """One random instance; a wall that would have to be found on a grid is given."""
    formula = LIBRARY.shapes[name].formula
    params = sample_instance(formula, seed, 0, GRID)
    return {**params, **({"thickness": 1.0 + seed % 3} if "onioned" in name else {})}


def bounded(shape: fd.Shape, seed: int) -> Bounded:
    return Bounded(shape.formula, bind(shape.formula, instance(shape.name, seed), "test"))


def random_boxes(rng: np.random.Generator, reach: float = 60) -> Box:
    """Boxes of all sizes, from a point to the whole grid, in float32."""
    centre = rng.uniform(-reach, reach, (3, BOXES))
    half = 2 ** rng.uniform(-4, 5, BOXES) * rng.choice([0, 1], BOXES, p=[0.1, 0.9])
    half = half * rng.uniform(0.2, 1, (3, BOXES))
    return (centre - half).astype(np.float32), (centre + half).astype(np.float32)


def placed(box: Box, inverse: np.ndarray) -> Box:
    """The boxes that an affine map sends boxes into."""
    a, b = np.asarray(box, np.float64)
    centre, half = (a + b) / 2, (b - a) / 2
    centre, half = inverse[:3, :3] @ centre + inverse[:3, 3:], abs(inverse[:3, :3]) @ half
    return (centre - half).astype(np.float32), (centre + half).astype(np.float32)


def points_in(rng: np.random.Generator, box: Box) -> np.ndarray:
    """(3, boxes, points) float32: corners, and points anywhere."""
    lo, hi = (side[..., None] for side in box)
    share = rng.random((3, BOXES, POINTS))
    share[..., : POINTS // 2] = share[..., : POINTS // 2].round()
    return np.clip((lo + share * (hi.astype(np.float64) - lo)).astype(np.float32), lo, hi)


def assert_bounded(values: np.ndarray, ends: Box, slack: float = 0.0) -> None:
    lo, hi = (np.asarray(end, np.float64)[:, None] for end in ends)
    margin = slack * (1 + abs(values))
    assert ((values >= lo - margin) & (values <= hi + margin)).all()


@pytest.mark.parametrize("name", NAMES)
def test_classes_lie_within_their_bounds(compiled: fd.Library, name: str) -> None:
    shape = compiled.shapes[name]
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    for seed in range(3):
        params = instance(name, seed)
        affine = np.array(sample_scene(compiled, 5, seed, fd.Recipe(grid=GRID.shape, objects=1)).objects[0].affine)
        box = placed(random_boxes(rng), np.linalg.inv(affine)) if seed else random_boxes(rng)
        ends = bounded(shape, seed).of("p", box)
        points = points_in(rng, box)
        flat = points.reshape(3, -1).T
        # The kernel computes in float32, fused or not; the definition is off by rounding of its own.
        kernel = shape.distance(flat, params).reshape(BOXES, POINTS)
        assert np.isfinite(kernel).all()
        assert_bounded(kernel, ends)
        exact = shape.distance(flat, params, backend="interpret").reshape(BOXES, POINTS)
        assert_bounded(exact, ends, slack=2e-5)


@pytest.mark.parametrize("name", ["sphere", "cone", "triangle_convex_prism", "five_star_torus",
                                  "onioned_square_cone_prism"])
def test_kernels_of_bounds_bound_kernels(compiled: fd.Library, name: str) -> None:
    """Where both are compiled, and products are fused into sums in either: boxes of one size, by their centres."""
    shape = compiled.shapes[name]
    formula, params = shape.formula, instance(name, 4)
    graph = Graph.of([formula.result, *(node for q in formula.quantities for node in q.definition)])
    lo, hi = bounds(graph, formula.result)
    rng = np.random.default_rng(7)
    centre = rng.uniform(-40, 40, (3, BOXES)).astype(np.float32)
    for half in (2.0**-7, 0.5, 4.0):
        corner = {}
        for axis in "xyz":
            x = graph.node("input", const=f"p.{axis}")
            corner[graph.node("input", const=f"p.{axis}.lo")] = graph.node("sub", x, graph.number(half))
            corner[graph.node("input", const=f"p.{axis}.hi")] = graph.node("add", x, graph.number(half))
        ends = [replace(formula, result=node) for node in rebuild(graph, [lo, hi], corner)]
        inputs = dict(zip(("p.x", "p.y", "p.z"), centre, strict=True))
        found = [compiled.backend("cpu").evaluate(f, inputs, bind(formula, params, "test")) for f in ends]
        points = points_in(rng, (centre - np.float32(half), centre + np.float32(half)))
        assert_bounded(shape.distance(points.reshape(3, -1).T, params).reshape(BOXES, POINTS), (found[0], found[1]))


@pytest.mark.parametrize("name", list(LIBRARY.displacements))
def test_displacements_lie_within_their_bounds(compiled: fd.Library, name: str) -> None:
    displacement = compiled.displacements[name]
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    box = random_boxes(rng)
    ends = Bounded(displacement.formula).of("w", box)
    points = points_in(rng, box)
    for backend, slack in (("cpu", 0.0), ("interpret", 2e-5)):
        offset = displacement.offset(points.reshape(3, -1).T, GRID.shape, backend).reshape(BOXES, POINTS)
        assert_bounded(offset, ends, slack)
    # They are not merely the range of the displacement: a small box has close bounds.
    small = (box[0], box[0] + np.float32(0.01))
    lo, hi = Bounded(displacement.formula).of("w", small)
    assert np.quantile(hi - lo, 0.5) < 0.5


@pytest.mark.parametrize("name", list(LIBRARY.mappers))
@pytest.mark.parametrize("assumed", [FINITE, NO_NAN])
def test_mappers_lie_within_their_bounds(compiled: fd.Library, name: str, assumed: Any) -> None:
    mapper = compiled.mappers[name]
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    centre = rng.uniform(-60, 20, BOXES)
    half = 2 ** rng.uniform(-6, 5, BOXES) * rng.choice([0, 1], BOXES)
    lo, hi = (centre - half).astype(np.float32), (centre + half).astype(np.float32)
    nodes = bounds(Graph.of([mapper.formula.result]), mapper.formula.result, assumed)
    with np.errstate(all="ignore"):
        ends = [np.broadcast_to(run_voxels(n, {}, {"d.lo": lo, "d.hi": hi}, convert=np.float32), lo.shape)
                for n in nodes]
    assert np.isfinite(ends).all()
    share = rng.random((BOXES, POINTS)).round(1)
    d = np.clip((lo[:, None] + share * (hi - lo)[:, None]).astype(np.float32), lo[:, None], hi[:, None])
    assert_bounded(mapper.intensity(d.ravel()).reshape(d.shape), (ends[0], ends[1]))


def boxes_at(shape: fd.Shape, seed: int, distance: float, side: float, count: int = 16) -> Box:
    """Boxes of a side whose least distance to the object is about the one given, found by sampling."""
    rng = np.random.default_rng(seed)
    centre = rng.uniform(-45, 45, (3, 4000))
    half = side / 2
    steps = np.linspace(-half, half, 3)
    lattice = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(-1, 3)
    points = (centre.T[:, None] + lattice).reshape(-1, 3)
    least = shape.distance(points, instance(shape.name, seed)).reshape(-1, len(lattice)).min(1)
    chosen = np.argsort(abs(least - distance))[:count]
    assert abs(least[chosen] - distance).max() < 2
    centre = centre[:, chosen]
    return (centre - half).astype(np.float32), (centre + half).astype(np.float32)


def test_boxes_away_from_an_object_are_proven_outside(compiled: fd.Library) -> None:
    """Boxes of 8 voxels whose nearest corner is 6 voxels away. Where the section changes along the axis, a box
    holds sections of many sizes, and that is not enough now and then."""
    shares = {}
    for name in NAMES:
        lo, _ = bounded(compiled.shapes[name], 1).of("p", boxes_at(compiled.shapes[name], 1, 6.0, 8.0))
        shares[name] = float((lo > 0).mean())
    plain = [s for name, s in shares.items() if not {"convex", "concave", "cone"} & set(name.split("_"))]
    assert min(plain) > 0.8, shares
    assert np.mean(list(shares.values())) > 0.8, shares


def test_boxes_deep_inside_are_proven_inside(lib: fd.Library) -> None:
    for name, params in (("sphere", {"radius": 20.0}), ("square_prism", {
            "height": 40.0, "vertices": [[20.0, 0.0], [0.0, 20.0], [-20.0, 0.0], [0.0, -20.0]]})):
        shape = lib.shapes[name]
        box = np.float32([[-4], [-3], [-4]]), np.float32([[4], [5], [2]])
        _, hi = Bounded(shape.formula, bind(shape.formula, params, "test")).of("p", box)
        assert hi[0] < -5


@pytest.mark.parametrize(("x", "y"), [(-30, 0), (30, 0), (0, 30), (0, -30), (30, 12), (-30, -12), (-24, 12), (24, -9)])
def test_a_polygon_has_one_side_in_a_box_at_any_height(lib: fd.Library, x: float, y: float) -> None:
    """Left, right, above and below, across the heights of its corners: no comparison is decided there, and
    yet the box is outside."""
    shape = lib.shapes["hexagon_prism"]
    corners = [[18.0, 3.0], [10.0, 15.0], [-8.0, 14.0], [-17.0, 1.0], [-9.0, -13.0], [11.0, -12.0]]
    object_ = Bounded(shape.formula, bind(shape.formula, {"height": 50.0, "vertices": corners}, "test"))
    box = np.float32([[x - 4], [y - 4], [-4]]), np.float32([[x + 4], [y + 4], [4]])
    lo, _ = object_.of("p", box)
    rng = np.random.default_rng(1)
    true = shape.distance(points_in(rng, (np.repeat(box[0], BOXES, 1), np.repeat(box[1], BOXES, 1))).reshape(3, -1).T,
                          {"height": 50.0, "vertices": corners}).min()
    assert 0.5 * true < lo[0] <= true


def test_a_box_across_an_edge_is_undecided(lib: fd.Library) -> None:
    shape = lib.shapes["square_prism"]
    params = {"height": 40.0, "vertices": [[20.0, 0.0], [0.0, 20.0], [-20.0, 0.0], [0.0, -20.0]]}
    box = np.float32([[6], [6], [-4]]), np.float32([[14], [14], [4]])
    lo, hi = Bounded(shape.formula, bind(shape.formula, params, "test")).of("p", box)
    assert lo[0] < -5 and hi[0] > 5


def test_what_is_no_distance_is_unknown() -> None:
    g = Graph()
    x = g.node("input", const="d")
    lo, hi = bounds(g, g.node("sqrt", x))
    ends = {"d.lo": np.float32([-1, 1]), "d.hi": np.float32([4, 4])}
    with np.errstate(all="ignore"):
        assert np.isnan([run_voxels(n, {}, ends)[0] for n in (lo, hi)]).all()
        assert [run_voxels(n, {}, ends)[1] for n in (lo, hi)] == [1, 2]


def test_points_are_taken_over_and_share_their_nodes(lib: fd.Library) -> None:
    formula = lib.shapes["torus"].formula
    graph = Graph.of([formula.result])
    lo, hi = bounds(graph, formula.result)
    slots = {n for n in reachable([formula.result]) if n.op == "slot"}
    assert slots <= {n for n in reachable([lo, hi]) if n.op == "slot"} == slots
    other = bounds(Graph(), formula.result)
    assert str(other[0]) != "" and not slots & set(reachable(other))


def test_a_graph_goes_on_from_another() -> None:
    g = Graph()
    x, y = g.node("input", const="p.x"), g.node("input", const="p.y")
    total = g.node("add", x, y)
    h = Graph.of([total])
    assert h.node("add", h.node("input", const="p.x"), y) is total
    new = h.node("sub", x, y)
    assert new.number > total.number and new is h.node("sub", x, y)


def test_bounds_are_small_formulas(lib: fd.Library) -> None:
    """They are compiled for each class: a bound on their size, as a multiple of the formula's."""
    for shape in lib.shapes.values():
        result = shape.formula.result
        lo, hi = bounds(Graph.of([result]), result)
        size = {n for end in (lo, hi) for n in split(end, world_is_axis=False).voxel}
        assert len(size) <= 6 * len(split(result).voxel), shape.name


def test_no_bound_of_the_library_needs_a_guard(lib: fd.Library) -> None:
    """Every number of a class is known to be finite, so that nothing tests for NaN: x - x stands for such a test."""
    def guards(node: Node) -> list[Node]:
        return [n for n in reachable([node]) if n.op == "sub" and n.args[0] is n.args[1] and n.args[0].op not in LEAVES]

    for shape in lib.shapes.values():
        result = shape.formula.result
        assert not any(guards(end) for end in bounds(Graph.of([result]), result)), shape.name
