"""Scenes on the CPU: the same volume as the NumPy definition, on any number of threads."""

from __future__ import annotations

import multiprocessing
import os
from typing import Any

import numpy as np
import pytest

from fdif_dsl.compiler.backends import Placed, Rendered
from fdif_dsl.compiler.backends.cpu import driver, layout
from fdif_dsl.compiler.backends.cpu.backend import CpuBackend
from fdif_dsl.compiler.backends.interpret import InterpretBackend
from fdif_dsl.compiler.ir.formula import Formula, Quantity
from fdif_dsl.compiler.ir.graph import Graph, Node
from fdif_dsl.compiler.ir.grid import Grid
from fdif_dsl.compiler.passes.intervals import LIMIT
from fdif_dsl.grammar.diagnostics import FdifError

g = Graph()
P = [g.node("input", const=f"p.{a}") for a in "xyz"]
W = [g.node("input", const=f"w.{a}") for a in "xyz"]
D = g.node("input", const="d")
INF, NAN = float("inf"), float("nan")


def op(name: str, *args: Node | float) -> Node:
    return g.node(name, *(a if isinstance(a, Node) else g.number(a) for a in args))


def slot(k: int) -> Node:
    return g.node("slot", const=k)


def quantity(name: str, k: int, definition: Node | None = None) -> Quantity:
    node = definition or g.node("draw", const=k)
    return Quantity(name, 1, None, range(k, k + 1), (node,), definition is None, "", "")


def formula(kind: Any, result: Node, *quantities: Quantity) -> Formula:
    return Formula("test", kind, "", "test.sdf:1:1", quantities, {}, 0, result)


def length(*parts: Node) -> Node:
    total = op("mul", parts[0], parts[0])
    for part in parts[1:]:
        total = op("add", total, op("mul", part, part))
    return op("sqrt", total)


RADIUS = quantity("radius", 0)
TUBE = op("sub", length(P[0], P[1]), slot(0))
BALL = formula("shape", op("sub", length(*P), slot(0)), RADIUS)
# A pipe whose wall is a part of the deepest place of the grid.
PIPE = formula("shape", op("max", op("sub", op("abs", TUBE), slot(1)), op("sub", op("abs", P[2]), 4.0)), RADIUS,
               quantity("wall", 1, op("mul", 0.3, op("abs", g.node("grid_min", TUBE)))))
NOWHERE = formula("shape", op("sqrt", op("sub", -1.0, op("abs", P[0]))))  # NaN everywhere
HALF = formula("shape", op("where", op("lt", P[0], 0.0), op("log", -1.0), -1.0))  # NaN for x < 0
WAVE_Z = op("where", op("lt", W[2], 0.0), 1.0, op("sin", op("mul", 2.0, W[2])))
WAVES = formula("displacement", op("mul", op("mul", 0.05, g.node("grid", const="limit.x")), op(
    "add", op("mul", op("sin", W[0]), op("cos", W[1])), WAVE_Z)))
FLAT = formula("displacement", g.number(-1.5))
SLOPE = formula("mapper", op("where", op("le", D, 0.0), op("min", op("add", 100.0, op("mul", 8.0, D)), 128.0), 0.0))
GLOW = formula("mapper", op("div", 90.0, op("add", op("mul", D, D), 1.0)))
BROKEN = formula("mapper", op("where", op("lt", D, -2.0), op("log", D), op("where", op("le", D, 0.0), 50.0, 0.0)))
BLAZING = formula("mapper", op("where", op("lt", D, 0.0), INF, 0.0))
BLACK = formula("mapper", op("where", op("lt", D, 0.0), -INF, 0.0))

CPU, EXACT = CpuBackend(threads=2), InterpretBackend()


def inverse(centre: Any, turn: float = 0.0) -> np.ndarray:
    c, s = np.cos(turn), np.sin(turn)
    matrix = np.array([[c, -s, 0, 0], [s, c, 0.1, 0], [0, 0.05, 1, 0], [0, 0, 0, 1]])
    matrix[:3, 3] = centre
    return np.linalg.inv(matrix)


def scattered(count: int, grid: Grid, seed: int = 0) -> list[Placed]:
    rng = np.random.default_rng(seed)
    objects = []
    for k in range(count):
        centre = rng.uniform(-0.3, 0.3, 3) * grid.size
        objects.append(Placed(
            [BALL, PIPE][k % 2], {0: rng.uniform(2, 6)}, inverse(centre, rng.uniform(-3, 3)),
            [None, WAVES, FLAT][k % 3], [SLOPE, GLOW, BROKEN][k % 3], k + 1))
    return objects


def assert_alike(found: Rendered, wanted: Rendered, strays: int = 2) -> None:
    """Equal but for a few voxels whose distance rounds to the other side of something."""
    assert found.image.dtype == np.uint8 and found.counts.dtype == np.int64
    assert found.label.dtype in (np.uint8, np.uint16)
    off = found.image.astype(int) != wanted.image.astype(int)
    assert np.count_nonzero(off) <= strays
    assert np.count_nonzero(found.label != wanted.label) <= strays
    assert np.abs(found.counts - wanted.counts).max(initial=0) <= strays


def same(a: Rendered, b: Rendered) -> None:
    np.testing.assert_array_equal(a.image, b.image)
    np.testing.assert_array_equal(a.label, b.label)
    np.testing.assert_array_equal(a.counts, b.counts)


@pytest.mark.parametrize("shape", [(12, 20, 24), (7, 9, 33), (3, 2, 1100), (1, 1, 1)], ids=str)
def test_a_scene_is_what_the_definition_says(shape: tuple[int, int, int]) -> None:
    grid = Grid(shape)
    objects = scattered(9, grid)
    assert_alike(CPU.render(objects, grid), EXACT.render(objects, grid))


def test_threads_and_repetition_change_no_bit() -> None:
    grid = Grid((29, 30, 41))
    objects = scattered(8, grid, seed=4)
    first = CPU.render(objects, grid)
    for threads in (1, 2, 3, 7):
        same(CpuBackend(threads=threads).render(objects, grid), first)


@pytest.mark.parametrize("tile", [(5, 3, 7), (16, 4, 2)], ids=str)
def test_the_size_of_tiles_changes_no_bit(tile: tuple[int, int, int]) -> None:
    other = CpuBackend(threads=2, tile=tile)
    for seed, shape in enumerate([(29, 30, 41), (9, 17, 8), (1, 2, 3)]):
        grid = Grid(shape)
        objects = scattered(40, grid, seed)
        same(other.render(objects, grid), CPU.render(objects, grid))


@pytest.mark.parametrize("tile", [layout.TILE, (4, 6, 2)], ids=str)
def test_what_is_faint_or_in_a_part_of_a_tile_changes_no_bit(tile: tuple[int, int, int]) -> None:
    """Nor does what is left out of both. Grey levels of three objects lie between whole numbers nearly everywhere."""
    plain, parts = CpuBackend(threads=2, culling=False, tile=tile), CpuBackend(threads=2, tile=tile)
    profile = driver.Profile()
    for seed, shape in enumerate([(64, 40, 47), (9, 70, 33), (31, 32, 64), (80, 8, 8), (5, 6, 90)] * 3):
        grid = Grid(shape)
        objects = scattered(10, grid, seed)
        same(parts.render(objects, grid), plain.render(objects, grid))
        if tile == layout.TILE:
            parts.profile(objects, grid, profile)
    if tile == layout.TILE:
        assert profile.tiles["faint"] > 100 and profile.tiles["drawn"] > 100 and profile.tiles["skipped"] > 100


def test_more_objects_than_bits_in_a_word() -> None:
    grid = Grid((10, 16, 16))
    objects = scattered(70, grid, seed=1)
    assert_alike(CPU.render(objects, grid), EXACT.render(objects, grid))
    # The last of many, alone where it is, is still labelled.
    far = [Placed(BALL, {0: 1.0}, inverse((-40, 0, 0)), None, SLOPE, 9)] * 69
    volume = CPU.render([*far, Placed(BALL, {0: 3.0}, inverse((0, 0, 0)), None, SLOPE, 77)], grid)
    assert set(np.unique(volume.label)) == {0, 77}
    assert volume.counts[:69].tolist() == [0] * 69


def test_the_object_with_fewest_voxels_wins_and_of_equals_the_later() -> None:
    grid = Grid((8, 12, 12))

    def ball(radius: float, label: int) -> Placed:
        return Placed(BALL, {0: radius}, inverse((0, 0, 0)), None, SLOPE, label)

    middle = (4, 6, 6)
    assert CPU.render([ball(2, 1), ball(5, 2)], grid).label[middle] == 1
    assert CPU.render([ball(5, 2), ball(2, 1)], grid).label[middle] == 1
    assert CPU.render([ball(3, 5), ball(3, 6), ball(5, 7)], grid).label[middle] == 6
    assert CPU.render([ball(3, 65535)], grid).label[middle] == 65535


def test_bounds_are_used_where_they_hold() -> None:
    assert layout.LARGEST == LIMIT
    # A radius beyond that is drawn without them, and right.
    grid = Grid((4, 4, 4))
    huge = Placed(BALL, {0: 2.0**24}, inverse((2.0**24, 0, 0)), None, SLOPE, 1)
    found = CPU.render([huge], grid)
    same(found, CpuBackend(culling=False).render([huge], grid))
    assert 0 < found.counts[0] < grid.voxels


def test_no_objects_make_an_empty_volume() -> None:
    volume = CPU.render([], Grid((3, 4, 5)))
    assert volume.image.shape == volume.label.shape == (3, 4, 5)
    assert not volume.image.any() and not volume.label.any() and volume.counts.shape == (0,)


def test_numbers_that_are_none_are_nowhere() -> None:
    grid = Grid((4, 6, 8))
    here = np.eye(4)
    # A NaN distance is infinitely far; it glows 90/inf = 0 there.
    volume = CPU.render([Placed(NOWHERE, {}, here, None, GLOW, 1), Placed(HALF, {}, here, None, GLOW, 2)], grid)
    assert volume.counts.tolist() == [0, 4 * 6 * 4]
    assert np.unique(volume.image[:, :, :4]).tolist() == [0]
    assert np.unique(volume.image[:, :, 4:]).tolist() == [45]
    # Infinity saturates; infinities of both signs make NaN, which is black.
    half = Placed(HALF, {}, here, None, BLAZING, 1)
    assert CPU.render([half], grid).image.max() == 128
    assert CPU.render([half, Placed(HALF, {}, here, None, BLACK, 1)], grid).image.max() == 0
    # A NaN intensity adds nothing.
    deep = [Placed(BALL, {0: 4.0}, here, None, SLOPE, 1), Placed(BALL, {0: 4.0}, here, None, BROKEN, 2)]
    assert_alike(CPU.render(deep, grid), EXACT.render(deep, grid), strays=0)


def test_a_reduction_passes_over_nan_and_may_find_nothing() -> None:
    field = op("sqrt", P[0])  # NaN for x < 0
    thick = quantity("t", 0, g.node("grid_min", field))
    shape = formula("shape", op("sub", P[0], slot(0)), thick)
    point = {"p.x": [0.0], "p.y": [0.0], "p.z": [0.0]}
    assert CPU.evaluate(shape, point, {}, Grid((2, 2, 6))) == [0]
    shifted = np.eye(4)
    shifted[0, 3] = 6.25  # x from 3.25 on
    assert CPU.evaluate(shape, point, {}, Grid((2, 2, 6)), shifted) == [-np.sqrt(np.float32(3.25))]
    shifted[0, 3] = -50
    assert CPU.evaluate(shape, point, {}, Grid((2, 2, 6)), shifted) == [-INF]


@pytest.mark.parametrize("tile", [layout.TILE, (6, 4, 2)], ids=str)
def test_a_reduction_is_what_looking_at_each_voxel_gives(tile: tuple[int, int, int]) -> None:
    some, every = CpuBackend(threads=1, tile=tile), CpuBackend(threads=1, tile=tile, culling=False)
    point = {"p.x": [0.0], "p.y": [0.0], "p.z": [0.0]}
    ripples = op("mul", 3.0, op("sin", op("mul", 0.7, op("add", P[0], op("mul", P[1], P[2])))))
    for k, field in enumerate([op("sub", length(*P), 3.0), TUBE, op("add", length(*P), ripples), ripples,
                               op("neg", length(*P)), op("where", op("lt", P[0], 1.0), op("log", -1.0), P[1])]):
        shape = formula("shape", slot(1), RADIUS, quantity("least", 1, g.node("grid_min", field)))
        for seed in range(4):
            rng = np.random.default_rng([k, seed])
            grid = Grid((int(rng.integers(1, 70)), int(rng.integers(1, 50)), int(rng.integers(1, 40))))
            matrix = inverse(rng.uniform(-0.7, 0.7, 3) * grid.size, rng.uniform(-3, 3))
            matrix[:3, :3] *= rng.uniform(0.3, 2)
            found = [backend.evaluate(shape, point, {0: 2.0}, grid, matrix) for backend in (some, every)]
            assert np.array_equal(*found, equal_nan=True), (k, seed)


def test_displacements_at_points_equal_those_on_the_grid() -> None:
    grid = Grid((6, 10, 14))
    points = grid.points()
    inputs = dict(zip(("w.x", "w.y", "w.z"), points.T, strict=True))
    offsets = CPU.evaluate(WAVES, inputs, {}, grid)
    np.testing.assert_allclose(offsets, EXACT.evaluate(WAVES, inputs, {}, grid), atol=2e-6)
    level = formula("shape", op("add", op("mul", P[0], 0.0), -0.1))  # inside where the offset is less than 0.1
    volume = CPU.render([Placed(level, {}, np.eye(4), WAVES, SLOPE, 1)], grid)
    np.testing.assert_array_equal(volume.label.ravel() == 1, offsets - np.float32(0.1) <= 0)


def test_many_points_are_shared_out() -> None:
    x = np.linspace(-50, 50, 150_000)
    found = CPU.evaluate(BALL, {"p.x": x, "p.y": x * 0, "p.z": x * 0}, {0: 10.0})
    np.testing.assert_allclose(found, np.abs(x) - 10, atol=1e-5)
    assert CPU.evaluate(BALL, {"p.x": [], "p.y": [], "p.z": []}, {0: 10.0}).shape == (0,)
    with pytest.raises(ValueError, match="one length"):
        CPU.evaluate(BALL, {"p.x": [1.0], "p.y": [1.0, 2.0], "p.z": [1.0]}, {0: 10.0})


def test_what_is_missing_is_named() -> None:
    point = {"p.x": [0.0], "p.y": [0.0], "p.z": [0.0]}
    with pytest.raises(FdifError, match="radius"):
        CPU.evaluate(BALL, point, {})
    with pytest.raises(FdifError, match="radius"):
        CPU.render([Placed(BALL, {}, np.eye(4), None, SLOPE, 1)], Grid((2, 2, 2)))
    with pytest.raises(FdifError, match="grid"):
        CPU.evaluate(PIPE, point, {0: 3.0})
    assert CPU.evaluate(PIPE, point, {0: 3.0, 1: 0.5}) == [2.5]  # a wall given by hand needs no grid


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_process_renders_the_same() -> None:
    grid = Grid((29, 30, 41))
    objects = scattered(4, grid)
    wanted = CPU.render(objects, grid)  # the pool of this process is running
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)

    def child() -> None:
        found = CPU.render(objects, grid)
        sender.send((found.image, found.label, found.counts))

    process = context.Process(target=child)
    process.start()
    assert receiver.poll(60), "the child hangs"
    same(Rendered(*receiver.recv()), wanted)
    process.join()


def test_the_number_of_threads_is_what_the_user_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FDIF_THREADS", "5")
    assert driver.thread_count() == 5
    assert driver.thread_count(3) == 3
    monkeypatch.setenv("FDIF_THREADS", "many")
    assert driver.thread_count() >= 1
    monkeypatch.setenv("FDIF_THREADS", "0")
    assert driver.thread_count() == 1


def test_an_error_in_a_thread_reaches_the_caller() -> None:
    def work(k: int) -> None:
        if k == 5:
            raise RuntimeError("five")

    with pytest.raises(RuntimeError, match="five"):
        driver.share_out(20, 3, work)
