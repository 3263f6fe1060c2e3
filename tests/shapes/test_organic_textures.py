"""The libraries `organic` and `textures`: each declaration of theirs, on all back ends, and what their recipes draw."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

import fdif_dsl as fd
from fdif_dsl.compiler.backends.cpu import CpuBackend
from fdif_dsl.compiler.frontend.built_in import STANDARD
from fdif_dsl.compiler.ir.grid import Grid
from fdif_dsl.runtime.recipe import resolve
from fdif_dsl.runtime.scenes.render import place
from fdif_dsl.runtime.scenes.sampler_definition import sample_instance

BOTH = fd.load_library(["organic", "textures"])
SHAPES, DISPLACEMENTS, MAPPERS = list(BOTH.shapes), list(BOTH.displacements), list(BOTH.mappers)
GRID = (32, 32, 32)
LONG_SHARE = (0.5, 25.0)  # per cent of the grid, as a mean over draws


@cache
def drawn(name: str, kind: str, seed: int = 3) -> dict[str, Any]:
    entry = getattr(BOTH, kind)[name]
    return dict(sample_instance(entry.formula, seed, entry.id, Grid(GRID)))


def points(count: int = 400) -> np.ndarray:
    """In the middle of the grid, where objects are. They are halves of thirds of voxels: on no lattice."""
    return np.random.default_rng(5).uniform(-12, 12, (count, 3)) + 1 / 6


def values(name: str, kind: str, backend: str, at: np.ndarray | None = None) -> np.ndarray:
    """What one instance gives at points."""
    entry: Any = getattr(BOTH, kind)[name]
    params, at = drawn(name, kind), points() if at is None else at
    if kind == "shapes":
        found = entry.distance(at, params=params, backend=backend, grid=GRID)
    elif kind == "displacements":
        found = entry.offset(at, params=params, backend=backend, grid=GRID)
    else:
        d = np.linspace(-9, 3, len(at))
        found = entry.intensity(d, params=params, points=at, backend=backend, grid=GRID)
    return np.asarray(found, np.float64)


ALL = [*(("shapes", name) for name in SHAPES), *(("displacements", name) for name in DISPLACEMENTS),
       *(("mappers", name) for name in MAPPERS)]
# One of each kind of formula: chains of rods, folds, cells, noise, powers.
SOME = [("shapes", "vessel_tree"), ("shapes", "julia"), ("shapes", "foam"), ("shapes", "superquadric"),
        ("displacements", "undulations"), ("displacements", "roughness"), ("displacements", "cobbles"),
        ("mappers", "marble"), ("mappers", "septa"), ("mappers", "three_coats")]


def test_what_there_is() -> None:
    assert (len(SHAPES), len(DISPLACEMENTS), len(MAPPERS)) == (26, 15, 29)
    assert len({name for _, name in ALL}) == len(ALL)
    for kind, name in ALL:
        entry = getattr(BOTH, kind)[name]
        assert entry.doc.endswith("."), name
        assert any(q.random for q in entry.formula.quantities), f"{name} has no prior"
        for q in entry.formula.quantities:
            assert q.doc or not q.random, f"{name}.{q.name}"


def test_beside_the_standard_library_its_ids_stay(lib: fd.Library) -> None:
    together = fd.load_library([STANDARD, "organic", "textures"])
    assert list(together.shapes) == [*lib.shapes, *SHAPES]
    assert together.shapes["blob"].id == 110
    assert list(together.mappers) == [*lib.mappers, *MAPPERS]
    assert list(together.displacements) == [*lib.displacements, *DISPLACEMENTS]


@pytest.mark.parametrize(("kind", "name"), ALL, ids=[name for _, name in ALL])
def test_back_ends_agree(kind: str, name: str) -> None:
    wanted = values(name, kind, "interpret")
    assert np.isfinite(wanted).all() and np.ptp(wanted) > 0
    scale = 1 + abs(wanted)
    for backend, most in (("torch", 1e-9), ("cpu", 2e-3)):
        off = abs(values(name, kind, backend) - wanted) / scale
        # Where a formula jumps, back ends may stand on both sides of it.
        assert (off > most).mean() <= (0.01 if backend == "cpu" else 0), f"{backend}: {off.max()}"


def test_culling_changes_no_voxel() -> None:
    """Scenes of every class, displacement and mapper, alone and together."""
    rng = np.random.default_rng(1)
    backend = BOTH.backend("cpu")
    assert isinstance(backend, CpuBackend)
    without = CpuBackend(BOTH.formulas, culling=False)
    seen: set[str] = set()
    for index in range(20):
        recipe = fd.Recipe(grid=(24, 20, 28), objects=8, shapes=list(rng.permutation(SHAPES)[:8]),
                           displacements=[None, *rng.permutation(DISPLACEMENTS)[:4]],
                           mappers=list(rng.permutation(MAPPERS)[:8]))
        scene = fd.sample_scene(BOTH, 11, index, recipe)
        seen |= {n for o in scene.objects for n in (o.shape, o.displacement, o.mapper) if n}
        objects, grid = place(scene, BOTH), Grid(scene.grid)
        found, wanted = backend.render(objects, grid), without.render(objects, grid)
        for part in ("image", "label", "counts"):
            np.testing.assert_array_equal(getattr(found, part), getattr(wanted, part), f"{part} of scene {index}")
    assert seen == {name for _, name in ALL}


@pytest.mark.gpu
@pytest.mark.parametrize(("kind", "name"), SOME, ids=[name for _, name in SOME])
def test_cuda_agrees(kind: str, name: str) -> None:
    at = points(24)
    wanted = values(name, kind, "interpret", at)
    np.testing.assert_allclose(values(name, kind, "cuda", at), wanted, rtol=2e-3, atol=2e-3)


def shares(name: str, side: int, draws: int) -> np.ndarray:
    """Per cent of the grid that one object of the paper's placement covers, draw by draw."""
    recipe = fd.Recipe(grid=(side, side, side), objects=1, shapes=[name], displacements=[], mappers=["flat"])
    counts = [fd.render(fd.sample_scene(BOTH, 7, i, recipe), BOTH).counts.sum() for i in range(draws)]
    return 100 * np.array(counts) / side**3


@pytest.mark.parametrize("name", SHAPES)
def test_objects_are_neither_specks_nor_walls(name: str) -> None:
    found = shares(name, 32, 60)
    least, most = LONG_SHARE
    assert least * 0.8 <= found.mean() <= most, found.mean()
    assert found.min() > 0


@pytest.mark.long  # minutes: a thousand volumes of each class
@pytest.mark.parametrize("name", SHAPES)
def test_the_foreground_of_full_volumes(name: str) -> None:
    found = shares(name, 96, 1000)
    least, most = LONG_SHARE
    assert least <= found[:200].mean() <= most, found[:200].mean()
    assert (found == 0).sum() == 0


@pytest.mark.parametrize("name", ["organic", "textures"])
def test_the_recipe_draws_from_its_libraries(name: str) -> None:
    recipe = fd.Recipe.load(name, ["volume.grid=[24, 24, 24]"])
    library = fd.load_library(recipe.library)
    choices = resolve(recipe, library)
    assert [f.name for f in choices.mappers] == MAPPERS
    assert {f.name for f in choices.displacements if f} <= set(DISPLACEMENTS) and None in choices.displacements
    assert len(choices.shapes) == {"organic": len(SHAPES), "textures": 109}[name]
