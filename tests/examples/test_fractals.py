"""The published formulas of `examples/fractals.sdf` against NumPy, written anew from the publications."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import fdif_dsl as fd
from fdif_dsl.compiler.backends.cpu import CpuBackend
from fdif_dsl.compiler.ir.grid import Grid
from fdif_dsl.runtime.scenes.render import place

FILE = Path(__file__).parents[2] / "examples" / "fractals.sdf"
Points = np.ndarray
Params = dict[str, float | list[float]]
MOST_LINES = 25


def bulb(p: Points, size: float) -> np.ndarray:
    c = p / size
    z, dr = c.copy(), np.ones(len(p))
    for _ in range(8):
        r = np.linalg.norm(z, axis=1)
        polar, around = np.arccos(np.clip(z[:, 2] / r, -1, 1)), np.arctan2(z[:, 1], z[:, 0])
        powered = r[:, None] ** 8 * np.stack(
            [np.sin(8 * polar) * np.cos(8 * around), np.sin(8 * polar) * np.sin(8 * around), np.cos(8 * polar)], 1)
        held = r > 4
        z, dr = np.where(held[:, None], z, powered + c), np.where(held, dr, 8 * r**7 * dr + 1)
    r = np.linalg.norm(z, axis=1)
    return 0.5 * np.log(r) * r / dr * size


def julia(p: Points, size: float, c: list[float]) -> np.ndarray:
    # A quaternion as a matrix of complex numbers: (w + ix, y + iz; -y + iz, w - ix).
    def matrix(x: np.ndarray, y: np.ndarray, z: np.ndarray, w: np.ndarray) -> np.ndarray:
        return np.moveaxis(np.array([[w + 1j * x, y + 1j * z], [-y + 1j * z, w - 1j * x]]), -1, 0)

    q = matrix(p[:, 1] / size, p[:, 2] / size, np.zeros(len(p)), p[:, 0] / size)
    constant = matrix(*(np.full(len(p), v) for v in c))
    dr = np.ones(len(p))
    for _ in range(9):
        r = np.sqrt(np.linalg.det(q).real)
        held = r > 4
        q, dr = np.where(held[:, None, None], q, q @ q + constant), np.where(held, dr, 2 * r * dr)
    r = np.sqrt(np.linalg.det(q).real)
    return 0.5 * np.log(r) * r / dr * size


def sponge(p: Points, half: float) -> np.ndarray:
    q = p / half
    beyond = np.abs(q) - 1
    d = np.linalg.norm(np.maximum(beyond, 0), axis=1) + np.minimum(beyond.max(axis=1), 0)
    for k in range(3):
        wide = 3.0**k
        cell = np.sort(np.abs(1 - 3 * np.abs(np.mod(q * wide, 2) - 1)), axis=1)
        d = np.maximum(d, (cell[:, 1] - 1) / (3 * wide))  # the least of the greater of two is the middle one
    return d * half


def tree(p: Points, height: float, ratio: float, angle: float, turn: float) -> np.ndarray:
    def turned(about: str, by: float) -> np.ndarray:
        c, s = np.cos(by), np.sin(by)
        return np.array({"y": [[c, 0, -s], [0, 1, 0], [s, 0, c]], "z": [[c, s, 0], [-s, c, 0], [0, 0, 1]]}[about])

    q, size, d = p / height + [0, 0, 2], height, np.full(len(p), 1e6)
    for _ in range(5):
        along = np.clip(q[:, 2], 0, 1)
        d = np.minimum(d, (np.sqrt(q[:, 0] ** 2 + q[:, 1] ** 2 + (q[:, 2] - along) ** 2) - 0.15) * size)
        end = (q - [0, 0, 1]) * np.where(q[:, :1] < 0, [[-1, 1, 1]], 1)
        q, size = end @ (turned("z", turn) @ turned("y", angle)).T / ratio, size * ratio
    return d


def superquadric(p: Points, axes: list[float], e1: float, e2: float) -> np.ndarray:
    x, y, z = np.abs(p / axes).T
    return (((x ** (2 / e2) + y ** (2 / e2)) ** (e2 / e1) + z ** (2 / e1)) ** (e1 / 2) - 1) * min(axes)


def blob(p: Points, radius: float, zonal: list[float], even: list[float], odd: list[float]) -> np.ndarray:
    far = np.linalg.norm(p, axis=1)
    cosine, around = p[:, 2] / far, np.arctan2(p[:, 1], p[:, 0])
    sine = np.sqrt(1 - cosine**2)
    bump = np.polynomial.legendre.legval(cosine, [0, *zonal])
    for m, (a, b) in enumerate(zip(even, odd, strict=True), 1):
        bump = bump + sine**m * (a * np.cos(m * around) + b * np.sin(m * around))
    return far - radius * (1 + bump)


CASES: dict[str, tuple[Callable[..., np.ndarray], Params]] = {
    "mandelbulb": (bulb, {"size": 11.0}),
    "julia": (julia, {"size": 9.0, "c": [0.1, 0.55, -0.2, -0.25]}),
    "menger": (sponge, {"half": 11.0}),
    "tree": (tree, {"height": 4.5, "ratio": 0.8, "angle": 0.5, "turn": 1.4}),
    "superquadric": (superquadric, {"axes": [9.0, 12.0, 7.0], "e1": 0.6, "e2": 1.7}),
    "harmonic_blob": (blob, {"radius": 9.0, "zonal": [0.1, -0.2, 0.05, 0.1, -0.07], "even": [0.1, 0.15, -0.1, 0, 0.1],
                             "odd": [-0.05, 0.1, 0.1, -0.1, 0.02]}),
}


@pytest.fixture(scope="module")
def library() -> fd.Library:
    return fd.load_library(FILE)


def test_a_julia_set_is_no_ball(library: fd.Library) -> None:
    ways = np.random.default_rng(0).normal(size=(200, 3))
    points = 7 * ways / np.linalg.norm(ways, axis=1, keepdims=True)
    found = library.shapes["julia"].distance(points, CASES["julia"][1], grid=(32, 32, 32))
    assert np.std(found) > 0.1


def test_each_is_short(library: fd.Library) -> None:
    assert list(library.shapes) == list(CASES)
    text = FILE.read_text("utf-8")
    for name in CASES:
        (body,) = re.findall(rf"^shape {name} {{\n(.*?)^}}", text, re.MULTILINE | re.DOTALL)
        assert body.count("\n") <= MOST_LINES


@pytest.mark.parametrize("name", CASES)
def test_values(name: str, library: fd.Library) -> None:
    formula, params = CASES[name]
    points = np.random.default_rng(3).uniform(-14, 14, (3000, 3)).astype(np.float32).astype(np.float64)
    wanted = formula(points, **params)
    shape = library.shapes[name]
    np.testing.assert_allclose(shape.distance(points, params, backend="interpret"), wanted, rtol=1e-6, atol=1e-9)
    # Rounds may magnify what a number's rounding is: look where a tenth of it does not matter.
    nearby = [formula(points * (1 + e), **params) for e in (1e-7, -1e-7)]
    steady = np.all([np.abs(n - wanted) <= 1e-5 * (1 + np.abs(wanted)) for n in nearby], axis=0)
    assert steady.mean() > 0.8 and (wanted[steady] < 0).sum() > 5
    for backend in ("cpu", "torch"):
        found = np.asarray(shape.distance(points, params, backend=backend))
        np.testing.assert_allclose(found[steady], wanted[steady], rtol=1e-4, atol=1e-4)


LARGE = ("mandelbulb", "tree")  # their bounds take several seconds each to compile


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.long] * (n in LARGE)) for n in CASES])
def test_culling_changes_no_voxel(name: str, library: fd.Library) -> None:
    scene = fd.sample_scene(library, 3, 0, fd.Recipe(grid=(40, 48, 44), objects=2, shapes=[name], displacements=[],
                                                     mappers=["depth"]))
    objects = place(scene, library)
    drawn = [CpuBackend(culling=culling).render(objects, Grid(scene.grid)) for culling in (True, False)]
    assert drawn[0].counts.all()
    for part in ("image", "label", "counts"):
        np.testing.assert_array_equal(getattr(drawn[0], part), getattr(drawn[1], part))


@pytest.mark.gpu
@pytest.mark.parametrize("name", CASES)
def test_on_a_gpu(name: str, library: fd.Library) -> None:
    points = np.random.default_rng(3).uniform(-14, 14, (200, 3))
    params = CASES[name][1]
    found, wanted = (np.asarray(library.shapes[name].distance(points, params, backend=b)) for b in ("cuda", "cpu"))
    assert (np.abs(found - wanted) <= 1e-3 * (1 + np.abs(wanted))).mean() > 0.9
    scene = fd.Scene.from_dict({"grid": [6, 9, 8], "objects": [
        {"class": name, "params": params, "affine": np.eye(4).tolist(), "displacement": None, "mapper": "depth"}]})
    found, wanted = (np.asarray(fd.render(scene, library, backend=b).label) for b in ("cuda", "cpu"))
    assert wanted.any() and (found != wanted).mean() < 0.01
