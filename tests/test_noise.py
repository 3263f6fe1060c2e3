"""Noise in the language: what `std` makes of it, on every back end; in volumes; and nested deeply."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fdif_dsl as fd
from fdif_dsl.compiler.backends.cpu import CpuBackend, codegen, textures
from fdif_dsl.compiler.backends.cpu.prepared import Prepared
from fdif_dsl.compiler.ir.grid import Grid
from fdif_dsl.compiler.ir.ops import OPS
from fdif_dsl.runtime.scenes.render import place

SOURCE = """
use std

shape one { distance = fbm(p, 6) }
shape two { distance = fbm(p, 4, 1.9, gain = 0.6) }
shape three { distance = ridged(p, 5) }
shape four { distance = turbulence(p, 3, gain = 0.7) }
shape five { distance = noise(warp(p, 0.4)) }
shape six { distance = hash(p) + 2 * hash(p, 1) + 4 * hash(p.x, 2) + 8 * noise(p.xy) + 16 * noise(p.x) }
shape seven { distance = cells(p).x + 10 * cells(p).y }
"""
OCTAVES = {"one": (6, 2.0, 0.5), "two": (4, 1.9, 0.6), "three": (5, 2.0, 0.5), "four": (3, 2.0, 0.7)}
RANGES = {"one": (-1, 1), "two": (-1, 1), "three": (0, 1), "four": (0, 1), "five": (-1, 1)}
VOLUMES = """
use std

shape stone {
  place ~ uniform(vec3(-99, -99, -99), vec3(99, 99, 99))
  distance = length(p) - 9 + 3 * fbm(p / 9 + place, 3)
}
shape ball { distance = length(p) - 8 }
displacement rough { offset = 3 * fbm(p / 9, 3) }
displacement moved {
  by ~ uniform(vec3(-99, -99, -99), vec3(99, 99, 99))
  offset = 3 * fbm(p / 9 + by, 2)
}
displacement walls { offset = 4 * (cells(p / 7).y - cells(p / 7).x) }
mapper bright { intensity = where(d <= 0, 40 - 5 * d, 0) }
mapper halo { intensity = 60 / (abs(d) + 1) }
mapper glow { intensity = 128 / (abs(d) ^ 3 + 1) }
mapper glimmer {
  width ~ uniform(1, 2)
  intensity = 128 / ((d / width) ^ 4 + 1)
}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> fd.Library:
    path = tmp_path_factory.mktemp("noise") / "made.sdf"
    path.write_text(SOURCE)
    return fd.load_library(path)


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> fd.Library:
    path = tmp_path_factory.mktemp("volumes") / "volumes.sdf"
    path.write_text(VOLUMES)
    return fd.load_library(path)


def noise(points: np.ndarray) -> np.ndarray:
    return np.asarray(OPS["noise"].array(np, *points.T))


def octave(points: np.ndarray, k: int, lacunarity: float) -> np.ndarray:
    """As std.sdf says, with Rodrigues' formula as a matrix."""
    x, y, z = np.array([1, 2, 3]) / np.sqrt(14)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    turned = np.eye(3) + np.sin(-2 * k) * cross + (1 - np.cos(2 * k)) * cross @ cross
    return np.asarray(lacunarity**k * points @ turned + k * np.array([5.3, 9.1, 2.7]))


def by_hand(name: str, points: np.ndarray) -> np.ndarray:
    if name == "five":
        moved = [noise(octave(points, k, 1)) for k in range(3)]
        return noise(points + 0.4 * np.stack(moved, axis=1))
    octaves, lacunarity, gain = OCTAVES[name]
    total = np.zeros(len(points))
    for k in range(octaves):
        n = noise(octave(points, k, lacunarity))
        total += gain**k * {"one": n, "two": n, "three": (1 - abs(n)) ** 2, "four": abs(n)}[name]
    return total / sum(gain**k for k in range(octaves))


@pytest.mark.parametrize("name", RANGES)
def test_sums_of_octaves_are_those_by_hand(made: fd.Library, name: str, rng: np.random.Generator) -> None:
    points = rng.uniform(-8, 8, (4000, 3)).astype(np.float32)
    wanted = by_hand(name, points.astype(np.float64))
    least, most = RANGES[name]
    for backend in ("interpret", "torch", "cpu"):
        found = np.asarray(made.shapes[name].distance(points, backend=backend), np.float64)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4 if backend == "cpu" else 1e-9)
        assert found.min() >= least and found.max() <= most


def test_what_a_point_lacks_is_0(made: fd.Library, rng: np.random.Generator) -> None:
    points = np.round(rng.uniform(-50, 50, (500, 3)), 1).astype(np.float32)
    x, y, z = points.astype(np.float64).T
    zero = np.zeros_like(x)

    def op(name: str, *point: np.ndarray) -> np.ndarray:
        return np.asarray(OPS[name].array(np, *point))

    wanted = (op("hash", x, y, z) + 2 * op("hash", op("hash", x, y, z) * 2**24, zero + 1, zero)
              + 4 * op("hash", op("hash", x, zero, zero) * 2**24, zero + 2, zero)
              + 8 * op("noise", x, y, zero) + 16 * op("noise", x, zero, zero))
    for backend in ("interpret", "torch", "cpu"):
        found = np.asarray(made.shapes["six"].distance(points, backend=backend))
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4)


def test_both_distances_of_cells(made: fd.Library, rng: np.random.Generator) -> None:
    points = rng.uniform(-30, 30, (2000, 3)).astype(np.float32)
    nearest, second = (OPS[name].array(np, *points.astype(np.float64).T) for name in ("cell_nearest", "cell_second"))
    for backend in ("interpret", "torch", "cpu"):
        found = np.asarray(made.shapes["seven"].distance(points, backend=backend))
        np.testing.assert_allclose(found, nearest + 10 * second, rtol=0, atol=2e-5)


@pytest.mark.parametrize("memory", [textures._FIELDS, 0], ids=["worked out", "run by run"])
@pytest.mark.parametrize("size", [(24, 40, 32), (5, 11, 19)])
def test_culling_changes_no_voxel(
        volumes: fd.Library, size: tuple[int, int, int], memory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A displacement with noise is worked out once for all objects, or, where it is an object's own or would take too
    much memory, computed where the object may be in a tile, or shine so brightly that it matters."""
    monkeypatch.setattr(textures, "_FIELDS", memory)
    with_, without = CpuBackend(volumes.formulas), CpuBackend(volumes.formulas, culling=False)
    recipe = fd.Recipe(grid=size, objects=6, displacements=["rough", "moved", "walls"],
                       mappers=["bright", "halo", "glow", "glimmer"])
    for index in range(12):
        scene = fd.sample_scene(volumes, 5, index, recipe)
        objects, grid = place(scene, volumes), Grid(scene.grid)
        found, wanted = with_.render(objects, grid), without.render(objects, grid)
        for part in ("image", "label", "counts"):
            np.testing.assert_array_equal(getattr(found, part), getattr(wanted, part), f"{part} of scene {index}")
    assert wanted.counts.any()


def test_bounds_are_made_of_mappers_that_shine_everywhere(volumes: fd.Library) -> None:
    """And not of others that objects share, which are never asked for them."""
    endless = {name for name, mapper in volumes.mappers.items() if Prepared(mapper.formula).endless}
    assert endless == {"halo", "glow", "glimmer"}
    made = {name for name, mapper in volumes.mappers.items()
            if (prepared := Prepared(mapper.formula)).bounds in prepared.kernels}
    assert made == endless


def test_what_is_worked_out_is_what_runs_give(volumes: fd.Library, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = fd.Recipe(grid=(24, 40, 33), objects=6, displacements=["rough", "walls"], mappers=["bright", "halo"])
    scene = fd.sample_scene(volumes, 5, 2, recipe)
    objects, grid = place(scene, volumes), Grid(scene.grid)
    worked_out = CpuBackend(volumes.formulas).render(objects, grid)
    monkeypatch.setattr(textures, "_FIELDS", 0)
    by_run = CpuBackend(volumes.formulas).render(objects, grid)
    assert worked_out.counts.any() and (worked_out.label != by_run.label).mean() < 1e-4
    assert (abs(worked_out.image.astype(int) - by_run.image) > 1).mean() < 1e-4


def test_what_is_worked_out_needs_no_other_bounds(volumes: fd.Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(textures.Textures, "_bounds_of_levels", None)
    backend = CpuBackend(volumes.formulas)
    recipe = fd.Recipe(grid=(24, 40, 33), objects=4, displacements=["rough"], mappers=["bright"])
    assert backend.render(place(fd.sample_scene(volumes, 5, 2, recipe), volumes), Grid(recipe.grid)).counts.any()
    prepared = backend._prepare(volumes.displacements["rough"].formula)
    tables = backend._textures.tables(prepared, Grid(recipe.grid), {})
    assert tables.field is not None and tables.low[-75:].tolist() == tables.field.min(axis=1).tolist()
    assert tables.high[-75:].tolist() == tables.field.max(axis=1).tolist()


def test_what_is_no_number_somewhere_is_worked_out_too(tmp_path: Path) -> None:
    """There the object is outside, and the bounds of such a tile say nothing."""
    path = tmp_path / "odd.sdf"
    path.write_text("""
shape ball { distance = length(p) - 8 }
displacement torn { offset = noise(p / 5) + where(p.x > 2, sqrt(-1 - p.y * p.y), 0) }
mapper bright { intensity = where(d <= 0, 40 - 5 * d, 0) }
""")
    lib = fd.load_library(path)
    scene = fd.sample_scene(lib, 1, 0, fd.Recipe(grid=(20, 24, 30), objects=3, displacements=["torn"]))
    found, wanted = fd.render(scene, lib), fd.render(scene, lib, backend="interpret")
    assert found.counts.any() and (found.label != wanted.label).mean() <= 1e-3
    assert not found.label[:, :, 18:].any()


def test_a_volume_is_the_one_of_the_definition(volumes: fd.Library) -> None:
    recipe = fd.Recipe(grid=(20, 16, 24), objects=5, displacements=["rough", "moved", "walls"], mappers=["bright"])
    scene = fd.sample_scene(volumes, 5, 1, recipe)
    found, wanted = fd.render(scene, volumes), fd.render(scene, volumes, backend="interpret")
    assert (found.label != wanted.label).mean() <= 1e-3
    assert (abs(found.image.astype(int) - wanted.image) > 1).mean() <= 1e-3


def test_a_displacement_with_noise_reads_one_number_of_an_axis(volumes: fd.Library) -> None:
    """What all is made of, and not a table for each product of it, of which six octaves have fifty."""
    kernel = codegen.tile_kernel(volumes.displacements["rough"].formula.result)
    assert kernel.dear and [[(n.op, n.args[0].const) for n in axis] for axis in kernel.axis_values] == [
        [("div", "w.x")], [("div", "w.y")], [("div", "w.z")]]
    assert "/" not in kernel.source


NESTED = {"noise": "noise(vec3({0}, p.y, p.z) + p)", "cells": "cells(p + {0}).y", "hash": "noise(p + hash(p * {0}))"}


@pytest.mark.parametrize("name", NESTED)
def test_forty_in_each_other_take_seconds_and_no_memory(name: str, tmp_path: Path) -> None:
    """As quantities, as a formula may nest a hundred deep; `fdifc check` evaluates it too."""
    lines = ["r0 = p.x", *(f"r{k + 1} = {NESTED[name].format(f'r{k}')}" for k in range(40))]
    path = tmp_path / "deep.sdf"
    path.write_text("shape deep {\n" + "\n".join(lines) + "\n  distance = r40\n}\n")
    text = f"""
import time
from fdif_dsl.cli import cli
try:
    cli(["check", {str(path)!r}])
finally:
    print(time.process_time())
"""
    done = subprocess.run(
        [sys.executable, "-P", "-c", text], capture_output=True, text=True, check=True,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # on a large machine its threads alone take more memory
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (500 * 2**20,) * 2))
    assert float(done.stdout.split()[-1]) < 2, done.stdout
