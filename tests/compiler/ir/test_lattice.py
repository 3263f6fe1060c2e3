"""Hash, noise and cells: against definitions written out here, on every back end; what they promise, proven; and
their statistics."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fdif_dsl.compiler.backends.cpu import CpuBackend
from fdif_dsl.compiler.backends.interpret import InterpretBackend
from fdif_dsl.compiler.backends.torch import TorchBackend
from fdif_dsl.compiler.ir.formula import Formula
from fdif_dsl.compiler.ir.graph import Graph
from fdif_dsl.compiler.ir.lattice import FARTHEST, NOISE_SCALE, NOISE_SLOPE, NOISE_STEEPEST
from fdif_dsl.compiler.ir.ops import OPS
from fdif_dsl.compiler.passes.intervals import bounds
from fdif_dsl.compiler.passes.schedule import run_voxels

BACKENDS = {"interpret": InterpretBackend(), "torch": TorchBackend(), "cpu": CpuBackend()}
CORNERS = list(product((0, 1), repeat=3))


def op(name: str, backend: str, points: Any) -> np.ndarray:
    """An operation at points (3, N)."""
    g = Graph()
    inputs = {f"p.{axis}": points[k] for k, axis in enumerate("xyz")}
    result = g.node(name, *(g.node("input", const=axis) for axis in inputs))
    formula = Formula("f", "shape", "", "test", (), {}, 0, result)
    return np.asarray(BACKENDS[backend].evaluate(formula, inputs, {}))


# Definitions ----------------------------------------------------------------------------------------


def word(i: np.ndarray, j: np.ndarray, k: np.ndarray) -> np.ndarray:
    """The word of lattice points, in whole numbers of 64 bits."""
    i, j, k = (np.mod(n, 2.0**32).astype(np.uint64) for n in (i, j, k))
    low = np.uint64(2**32 - 1)
    sheet = (i * np.uint64(0x9E3779B1) + j * np.uint64(0x85EBCA77) + np.uint64(0x5BD1E995)) & low
    sheet ^= sheet >> np.uint64(15)
    layer = (k * np.uint64(0xC2B2AE3D) + np.uint64(0x1B873593)) & low
    layer ^= layer >> np.uint64(16)
    return np.asarray(sheet * (layer | np.uint64(1)) & low)


def scattered(of: np.ndarray) -> np.ndarray:
    of = (of ^ of >> np.uint64(16)) * np.uint64(0x2C1B3C6D) & np.uint64(2**32 - 1)
    return np.asarray(of ^ of >> np.uint64(15))


def hash_by_hand(points: np.ndarray) -> np.ndarray:
    return np.asarray((scattered(word(*np.floor(points))) >> np.uint64(8)).astype(np.float64) / 2**24)


def directions(of: np.ndarray) -> np.ndarray:
    """(3, ...): of a word, a vector to the middle of a cube's edge."""
    signed = np.where(of < 2**31, of.astype(np.float64), of.astype(np.float64) - 2**32)
    third = np.where(signed < -715827883, 0, np.where(signed > 715827882, 2, 1))
    first = np.where(of >> np.uint64(21) & np.uint64(1), -1, 1)
    second = np.where(of >> np.uint64(17) & np.uint64(1), -1, 1)
    zero = np.zeros_like(first)
    return np.stack([np.choose(third, [first, first, zero]), np.choose(third, [second, zero, first]),
                     np.choose(third, [zero, second, second])])


def noise_by_hand(points: np.ndarray) -> np.ndarray:
    whole = np.floor(points)
    f = points - whole
    fade = 6 * f**5 - 15 * f**4 + 10 * f**3
    total = np.zeros(points.shape[1:])
    for corner in CORNERS:
        c = np.array(corner)[:, None]
        weight = np.where(c, fade, 1 - fade).prod(axis=0)
        total += weight * (directions(word(*(np.clip(whole, -(2.0**30), 2.0**30) + c))) * (f - c)).sum(axis=0)
    return NOISE_SCALE * total


def cells_by_hand(points: np.ndarray, reach: int = 1) -> np.ndarray:
    """The distances to the points of the cells up to `reach` away, in order."""
    whole = np.floor(points)
    found = []
    for step in product(range(-reach, reach + 1), repeat=3):
        cell = np.array(step)[:, None]
        bits = scattered(word(*(np.mod(whole, 2.0**32) + cell)))
        shifts = [((bits << np.uint64(n)) & np.uint64(2**32 - 1)).astype(np.uint32).view(np.int32) / 2**33
                  for n in (0, 11, 22)]
        found.append(np.linalg.norm(whole - points + cell + 0.5 + shifts, axis=0))
    return np.sort(found, axis=0)


BY_HAND: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "hash": hash_by_hand, "noise": noise_by_hand, "cell_nearest": lambda p: cells_by_hand(p)[0],
    "cell_second": lambda p: cells_by_hand(p)[1]}


def test_every_operation_of_the_lattice_is_defined_here() -> None:
    assert {name for name, row in OPS.items() if len(row.operands) == 3 and row.operands == "fff"} == set(BY_HAND)


@cache
def lattice_points() -> np.ndarray:
    """A million whole points: near, beyond 2^20, and of every size that a float32 has; negative ones too."""
    rng = np.random.default_rng(1)
    near = rng.integers(-200, 200, (3, 500_000))
    far = rng.integers(-(2**24), 2**24, (3, 300_000))
    sizes = np.rint(rng.choice([-1, 1], (3, 200_000)) * 2.0 ** rng.uniform(0, 127, (3, 200_000)))
    return np.concatenate([near, far, sizes], axis=1).astype(np.float32)


@pytest.mark.parametrize("backend", BACKENDS)
def test_hashes_are_the_same_to_the_bit_everywhere(backend: str) -> None:
    points = lattice_points()
    assert np.array_equal(op("hash", backend, points), hash_by_hand(points.astype(np.float64)))
    if backend == "torch":
        found = op("hash", backend, torch.from_numpy(points))
        assert found.dtype == np.float32 and np.array_equal(found, hash_by_hand(points.astype(np.float64)))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", BY_HAND)
def test_operations_are_what_they_are_by_hand(backend: str, name: str, rng: np.random.Generator) -> None:
    points = rng.uniform(-40, 40, (3, 20_000))
    points[:, :5000] *= 2.0**15
    points[0, :500] *= 2.0 ** rng.uniform(0, 90, 500)  # far out along one axis alone
    points[:, 5000:6000] = np.round(points[:, 5000:6000] * 4) / 4  # corners, edges and middles of cells
    points = points.astype(np.float32)
    wanted = BY_HAND[name](points.astype(np.float64))
    np.testing.assert_allclose(op(name, backend, points), wanted, rtol=0, atol=2e-6 if backend == "cpu" else 1e-9)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", BY_HAND)
def test_what_is_no_place_has_no_value(backend: str, name: str) -> None:
    rows = np.array(list(product((0.0, -0.0, 0.25, -1.5, np.inf, -np.inf, np.nan), repeat=3)), np.float32).T
    found = op(name, backend, rows)
    there = np.isfinite(rows).all(axis=0)
    assert np.array_equal(np.isfinite(found), there)
    assert not (np.signbit(found) & (found == 0)).any()  # no -0, on which back ends could differ


# What is promised -----------------------------------------------------------------------------------


def largest_two(v: np.ndarray) -> np.ndarray:
    """The greatest product with one of the twelve directions."""
    v = np.abs(v)
    return np.asarray(v.sum(axis=0) - v.min(axis=0))


def steepness(t: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """At places of a cell, whatever the directions of its corners: the greatest value, slope along x, and sum of the
    slopes along all axes. Before scaling."""
    fade, slope = 6 * t**5 - 15 * t**4 + 10 * t**3, 30 * t**2 * (1 - t) ** 2
    value, along_x = np.zeros(t.shape[1]), np.zeros(t.shape[1])
    signs = np.array([(1, a, b) for a in (1, -1) for b in (1, -1)])
    sums = np.zeros((len(signs), t.shape[1]))
    for corner in CORNERS:
        c = np.array(corner)[:, None]
        each, rise, d = np.where(c, fade, 1 - fade), np.where(c, slope, -slope), t - c
        weight = each.prod(axis=0)
        gradient = np.stack([rise[0] * each[1] * each[2], each[0] * rise[1] * each[2], each[0] * each[1] * rise[2]])
        value += weight * largest_two(d)
        along_x += largest_two(np.eye(3)[:, :1] * weight + gradient[0] * d)
        for k, sign in enumerate(signs):
            sums[k] += largest_two(sign[:, None] * weight + (sign @ gradient) * d)
    return value, along_x, sums.max(axis=0)


# The greatest change of these along one axis, summed over the corners: a weight has slopes of 15/8 at most along an
# axis, second ones of 5.78, and there are 2 corners along each. See `steepness`.
_RISE, _BEND, _MIXED = 2 * 15 / 8, 2 * 5.78, (2 * 15 / 8) ** 2
CHANGES = (2 * _RISE + 1, 3 * _RISE + 2 * _MIXED, 2 * _RISE + 3 * _RISE + 2 * (_BEND + 2 * _MIXED))


@pytest.mark.parametrize(("which", "promised"), [(0, 1.0), (1, NOISE_SLOPE), (2, NOISE_STEEPEST)])
def test_noise_is_no_larger_and_no_steeper_than_it_says(which: int, promised: float) -> None:
    """By branch and bound over an eighth of a cell, as the others mirror it; and over what is left of that where axes
    are alike."""
    half, boxes = 0.25, np.full((3, 1), 0.25)
    while boxes.size:
        assert half > 1e-4, "not proven"
        most = steepness(boxes)[which] + 3 * half * CHANGES[which]
        boxes = boxes[:, NOISE_SCALE * most > promised - 1e-5]
        half /= 2
        boxes = np.concatenate([boxes + half * np.array(s)[:, None] for s in product((1, -1), repeat=3)], axis=1)
        boxes = boxes[:, boxes[1] <= boxes[2]]
        if which != 1:
            boxes = boxes[:, boxes[0] <= boxes[1]]


def test_noise_comes_near_to_what_it_says() -> None:
    places = np.random.default_rng(1).uniform(0.3, 0.5, (3, 20_000))
    value, along_x, total = (NOISE_SCALE * v.max() for v in steepness(places))
    assert value > 0.95 and along_x > 0.95 * NOISE_SLOPE and total > 0.95 * NOISE_STEEPEST


def test_no_point_beyond_the_cells_around_is_nearer() -> None:
    """By definition over five cells along each axis, and in the worst arrangement."""
    points = np.random.default_rng(2).uniform(-30, 30, (3, 20_000))
    points[:, ::2] = np.round(points[:, ::2]) + np.random.default_rng(3).uniform(-1e-3, 1e-3, (3, 10_000))
    near, far = cells_by_hand(points)[:2], cells_by_hand(points, 2)[:2]
    assert np.array_equal(near, far) and far[1].max() < FARTHEST
    # A place and, for each cell around, the farthest that its point can be; beyond, the nearest.
    a = np.array(list(product(np.linspace(0, 0.5, 21), repeat=3))).T
    steps = np.array(list(product(range(-2, 3), repeat=3)))
    away = np.abs(steps[:, :, None] - a)
    inner = np.abs(steps).max(axis=1) <= 1
    second = np.sort(np.sqrt(((away[inner] + 0.25) ** 2).sum(axis=1)), axis=0)[1]
    beyond = np.sqrt((np.maximum(away[~inner] - 0.25, 0) ** 2).sum(axis=1)).min(axis=0)
    assert (second <= beyond + 1e-12).all() and second.max() < FARTHEST


def test_a_step_over_a_border_is_small(rng: np.random.Generator) -> None:
    """Nothing jumps where a cell ends; noise bends twice smoothly there."""
    points = rng.uniform(-20, 20, (3, 5000))
    points[0] = np.round(points[0])
    step = np.array([[1e-4], [0], [0]])
    for name in ("noise", "cell_nearest", "cell_second"):
        left, here, right = (op(name, "interpret", points + k * step) for k in (-1, 0, 1))
        assert np.abs(right - left).max() <= 2e-4 * (NOISE_SLOPE if name == "noise" else 1)
        if name == "noise":
            assert np.abs(left - 2 * here + right).max() < 1e-6


def test_bounds_follow_the_value(rng: np.random.Generator) -> None:
    """Of a box of a hundredth, they are far closer than the range; of a box of whole cells, they are the range."""
    g = Graph()
    leaves = [g.node("input", const=f"p.{axis}") for axis in "xyz"]
    low = rng.uniform(-9, 9, (3, 200)).astype(np.float32)
    widths = {"noise": 2 * 0.005 * NOISE_STEEPEST, "cell_nearest": 0.0174, "cell_second": 0.0174}
    for name, wanted in widths.items():
        ends = bounds(g, g.node(name, *leaves))
        for side, most in ((0.01, 1.01 * wanted + 1e-5), (3.0, 2.0)):
            inputs = {f"p.{axis}.{end}": low[k] + np.float32(shift) for k, axis in enumerate("xyz")
                      for end, shift in (("lo", 0.0), ("hi", side))}
            lo, hi = (run_voxels(end, {}, inputs, convert=np.float32) for end in ends)
            assert (hi - lo).max() <= most and (lo >= -1).all() and (hi <= FARTHEST).all()
            assert name != "noise" or side < 1 or ((lo == -1) & (hi == 1)).all()
    lo, hi = bounds(g, g.node("hash", *leaves))
    inputs = {f"p.{axis}.{end}": np.float32([shift, 0.5]) for axis in "xyz"
              for end, shift in (("lo", 3.1), ("hi", 3.9))}
    inputs["p.y.hi"] = np.float32([3.9, 1.5])
    found = [run_voxels(end, {}, inputs, convert=np.float32).tolist() for end in (lo, hi)]
    here = float(hash_by_hand(np.array([[3.0], [3.0], [3.0]]))[0])
    assert found == [[here, 0.0], [here, 1 - 2.0**-24]]


@given(st.lists(st.floats(-20, 20), min_size=3, max_size=3), st.sampled_from(["noise", "cell_nearest", "cell_second"]))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_gradients_are_finite_differences(point: list[float], name: str) -> None:
    def value(p: torch.Tensor) -> torch.Tensor:
        return OPS[name].torch(torch, *p)

    here = torch.tensor(point, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(value(here), here)
    for axis in range(3):
        step = 1e-6 * torch.eye(3, dtype=torch.float64)[axis]
        up, middle, down = value(here.detach() + step), value(here.detach()), value(here.detach() - step)
        if abs(up - 2 * middle + down) < 1e-10:  # else another scattered point is the nearest on one side
            assert float(slope[axis]) == pytest.approx(float((up - down) / 2e-6), abs=1e-4)


def test_noise_has_second_derivatives() -> None:
    inputs = [torch.tensor([0.3, 1.0, -2.7], dtype=torch.float64, requires_grad=True) for _ in range(3)]
    assert torch.autograd.gradcheck(lambda *p: OPS["noise"].torch(torch, *p), inputs)
    assert torch.autograd.gradgradcheck(lambda *p: OPS["noise"].torch(torch, *p), inputs, atol=1e-4)


# Statistics -----------------------------------------------------------------------------------------

SIDE = 64
# Where lattices are looked at: at the origin, on the negative side, and far out.
PLACES = [(0, 0, 0), (-40, -40, -40), (2**20, -(2**21), 3 * 2**19)]


def block(place: tuple[int, int, int]) -> np.ndarray:
    """(3, SIDE^3) whole points."""
    return np.stack(np.meshgrid(*(np.arange(n, n + SIDE) for n in place), indexing="ij")).reshape(3, -1).astype(float)


def most_correlated(a: np.ndarray, b: np.ndarray) -> float:
    """The greatest correlation of two fields on the block at any shift but none, in standard deviations of what chance
    gives, which is 5.2 or so for this many shifts."""
    fields = [(f - f.mean()).reshape((SIDE,) * 3) / f.std() for f in (a, b)]
    transformed = [np.fft.rfftn(f) for f in fields]
    found = np.fft.irfftn(transformed[0] * transformed[1].conj(), s=(SIDE,) * 3, axes=(0, 1, 2))
    found[0, 0, 0] = 0
    return float(np.abs(found).max() / np.sqrt(SIDE**3))


@pytest.mark.parametrize("place", PLACES)
def test_hashes_are_even_and_know_nothing_of_each_other(place: tuple[int, int, int]) -> None:
    found = hash_by_hand(block(place))
    n = found.size
    assert abs(found.mean() - 0.5) < 4 * np.sqrt(1 / 12 / n)
    assert abs(found.var() - 1 / 12) < 4 * np.sqrt(1 / 180 / n)
    counts, _ = np.histogram(found, 64, (0, 1))
    assert ((counts - n / 64) ** 2 / (n / 64)).sum() < 63 + 4 * np.sqrt(2 * 63)
    assert most_correlated(found, found) < 6.5
    for bit in (0, 3, 7, 12, 18, 23):
        digit = np.floor(found * 2.0**24 / 2**bit) % 2
        assert abs(digit.mean() - 0.5) < 4 * 0.5 / np.sqrt(n) and most_correlated(digit, digit) < 6.5


def test_no_line_through_the_origin_is_special() -> None:
    """Zeros among the coordinates give no word that is all zeros, as products would."""
    n = np.arange(-2000, 2000)
    for axis in range(3):
        line = np.zeros((3, n.size))
        line[axis] = n
        found = hash_by_hand(line)
        assert np.unique(found).size >= n.size - 5 and abs(found.mean() - 0.5) < 4 * np.sqrt(1 / 12 / n.size)
        assert abs(np.corrcoef(found[1:], found[:-1])[0, 1]) < 4 / np.sqrt(n.size)
        steps = directions(word(*line))
        assert abs((steps[:, 1:] * steps[:, :-1]).mean()) < 4 * (2 / 3) / np.sqrt(3 * n.size)


@pytest.mark.parametrize("place", PLACES)
def test_directions_are_even_and_know_nothing_of_each_other(place: tuple[int, int, int]) -> None:
    found = directions(word(*block(place))).astype(float)
    n = found.shape[1]
    assert (np.abs(found.mean(axis=1)) < 4 * np.sqrt(2 / 3 / n)).all()
    covariance = found @ found.T / n
    assert np.abs(covariance - 2 / 3 * np.eye(3)).max() < 4 * np.sqrt(1 / n)
    assert np.unique(found, axis=1, return_counts=True)[1] == pytest.approx(n / 12, abs=5 * np.sqrt(n / 12))
    for a, b in ((0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (2, 0)):
        assert most_correlated(found[a], found[b]) < 6.5
    # Four corners of a square: products of four, which a hash that is linear at heart would give away.
    fields = found.reshape(3, SIDE, SIDE, SIDE)
    for k, (first, second) in product(range(3), ((0, 1), (0, 2), (1, 2))):
        square = fields[k] * np.roll(fields[k], 1, first)
        assert abs((square * np.roll(square, 1, second)).mean()) < 5 * (2 / 3) ** 2 / np.sqrt(n)


def test_noise_is_alike_in_every_direction(rng: np.random.Generator) -> None:
    """Mean, variance, and how the difference of two places grows with their distance, along axes and diagonals."""
    points = rng.uniform(-500, 500, (3, 60_000))
    here = noise_by_hand(points)
    assert abs(here.mean()) < 0.005 and here.std() == pytest.approx(0.253, rel=0.02)
    grown = {}
    for step in ((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 0, -1), (0, -1, 1), (1, 1, 1), (-1, 1, 1)):
        away = points + 0.3 * np.array(step)[:, None] / np.linalg.norm(step)
        grown[step] = float(((noise_by_hand(away) - here) ** 2).mean())
    assert max(grown.values()) < 1.12 * min(grown.values()), grown
    assert max(grown[s] for s in list(grown)[:3]) < 1.03 * min(grown[s] for s in list(grown)[:3])
