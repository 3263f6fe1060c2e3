"""Objects inside the grid: where they lie, how much they overlap, and what is left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from scipy import stats

from fdif_dsl.compiler.library import Library, load_library
from fdif_dsl.runtime.recipe import Placement, Recipe, resolve
from fdif_dsl.runtime.scenes.batches import sample_batch
from fdif_dsl.runtime.scenes.philox import uniforms
from fdif_dsl.runtime.scenes.render import render
from fdif_dsl.runtime.scenes.sampler import draw_objects, sample_scene
from fdif_dsl.runtime.scenes.sampler_definition import scene_by_definition
from fdif_dsl.runtime.scenes.scene import Scene, SceneObject

TEXT = """
shape ball {
  radius ~ uniform(1.2, 4)
  distance = length(p) - radius
}
## Stands on its origin, so that half of the grid is not enough for it in the middle.
shape tower {
  height ~ uniform(6, 14)
  distance = max(abs(p.x) - 1.3, abs(p.y) - 2.3, -p.z, p.z - height)
}
## A small ball in a large box; the box says `spare`, which the distance does not use.
shape roomy {
  spare ~ uniform(0, 1)
  extent = vec3(3, 2, 4) + spare
  distance = length(p) - 1.5
}
shape long { distance = max(abs(p.x) - 30, abs(p.y) - 1, abs(p.z) - 1) }
## Exactly as wide as the grid of the tests is along x.
shape filling { distance = max(abs(p.x + 0.5) - 10, abs(p.y) - 1, abs(p.z) - 1) }
shape nothing { distance = length(p) + 1 }
## This `extent` is a number, so it says nothing about room.
shape named { extent = 100  distance = length(p) - 2 + 0 * extent }
shape unknown { extent = vec3(sqrt(-1 - length(vec2(1, 2))))  distance = length(p) - 2 }
displacement waves { offset = 0.8 * sin(p.x) * cos(p.y) }
mapper glow { intensity = 90 - 3 * d }
"""
GRID = (16, 18, 20)  # z, y, x


@pytest.fixture(scope="module")
def lib(tmp_path_factory: pytest.TempPathFactory) -> Library:
    path = tmp_path_factory.mktemp("library") / "own.sdf"
    path.write_text(TEXT)
    return load_library(path)


def recipe(shapes: Sequence[str], objects: int = 1, displacements: Sequence[str] = (), **placement: Any) -> Recipe:
    return Recipe(grid=GRID, objects=objects, shapes=list(shapes), displacements=list(displacements), mappers=["glow"],
                  placement=Placement(**{"translate": "inside", "rotation": 0, "shear": 0, **placement}))


def mask_of(o: SceneObject, lib: Library, grid: tuple[int, int, int] = GRID) -> np.ndarray:
    """The voxels inside an object, without its displacement, point by point."""
    z, y, x = np.meshgrid(*(np.arange(n) - n / 2 for n in grid), indexing="ij")
    points = np.stack([x, y, z], axis=-1).reshape(-1, 3)
    distance = lib.shapes[o.shape].distance(points, o.params, o.affine, grid=GRID, backend="interpret")
    return (distance <= 0).reshape(grid)


def shift_of(o: SceneObject) -> list[float]:
    return [row[3] for row in o.affine[:3]]


# -- the places ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("overlap", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("order", ["drawn", "largest"])
def test_objects_find_the_places_of_a_search_by_hand(lib: Library, overlap: float, order: str) -> None:
    """Whole grids that are shifted, and sets of places, in place of boxes and bounds."""
    mine = recipe(["ball", "tower"], 9, ["none", "waves"], rotation=180, overlap=overlap, order=order, tries=5)
    middle = Recipe(grid=GRID, objects=9, shapes=["ball", "tower"], displacements=[None, "waves"], mappers=["glow"],
                    placement=Placement(translate=0, rotation=180, shear=0))
    wide = tuple(3 * n for n in GRID)
    left_out = 0
    for index in range(6):
        drawn = sample_scene(lib, 4, index, middle).objects
        large = [mask_of(o, lib, wide) for o in drawn]  # type: ignore[arg-type]
        places = range(len(drawn))
        if order == "largest":
            places = sorted(places, key=lambda i: -int(large[i].sum()))  # type: ignore[assignment]
        taken = np.zeros(wide, bool)
        inner = tuple(slice(n, 2 * n) for n in GRID)
        expected: dict[int, list[float]] = {}
        for i in places:
            found = np.argwhere(large[i])[:, ::-1]  # x, y, z
            low, high = found.min(axis=0), found.max(axis=0)
            if (high - low + 1 >= GRID[::-1]).any():
                continue
            start, end = np.array(GRID[::-1]), 2 * np.array(GRID[::-1]) - 1
            for k in range(5):
                u = uniforms(4, index, [i], (3 << 20) + 4 * k, 3)[0]
                choices = [np.arange(a, b + 1) for a, b in zip(start - low, end - high, strict=True)]
                shift = [int(c[int(v * len(c))]) for c, v in zip(choices, u, strict=True)]
                moved = np.roll(large[i], shift[::-1], axis=(0, 1, 2))
                assert moved[inner].sum() == moved.sum()
                if (moved & taken).sum() <= overlap * moved.sum():
                    taken |= moved
                    expected[i] = shift
                    break
        scene = sample_scene(lib, 4, index, mine)
        assert [o.params for o in scene.objects] == [drawn[i].params for i in sorted(expected)]
        assert [shift_of(o) for o in scene.objects] == [expected[i] for i in sorted(expected)]
        left_out += len(drawn) - len(expected)
    assert (left_out > 0) == (overlap < 1)


def test_all_places_are_alike(lib: Library) -> None:
    """Of a tower 4 voxels wide, 6 deep and 8 to 15 high, along x and y; it is never cut off."""
    scenes = [sample_scene(lib, 1, index, recipe(["tower"])) for index in range(400)]
    places = np.array([shift_of(scene.objects[0]) for scene in scenes])
    for axis, least, most in ((0, -9, 8), (1, -7, 6)):
        seen = np.bincount((places[:, axis] - least).astype(int), minlength=most - least + 1)
        assert len(seen) == most - least + 1 and stats.chisquare(seen).pvalue > 0.001
    for scene in scenes[:40]:
        height = scene.objects[0].params["height"]
        assert render(scene, lib).counts.tolist() == [3 * 5 * (int(height) + 1)]


def test_a_shape_says_how_much_room_it_takes(lib: Library) -> None:
    for index in range(60):
        (o,) = sample_scene(lib, 2, index, recipe(["roomy"])).objects
        spare = o.params["spare"]
        for place, half, side in zip(shift_of(o), (3, 2, 4), GRID[::-1], strict=True):
            assert abs(place) + half + spare <= side / 2
    turned = [sample_scene(lib, 2, index, recipe(["roomy"], rotation=180)).objects[0] for index in range(60)]
    for o in turned:
        affine = np.array(o.affine)
        corners = np.array([[a, b, c] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)]) * (
            np.array([3, 2, 4]) + o.params["spare"])
        assert (abs(corners @ affine[:3, :3].T + affine[:3, 3]) <= np.array(GRID[::-1]) / 2 + 1e-9).all()
    assert max(abs(shift_of(o)[0]) for o in turned) > 5


def test_an_extent_that_is_no_vector_is_a_quantity_like_any_other(lib: Library) -> None:
    assert len(sample_scene(lib, 2, 0, recipe(["named"], 3)).objects) == 3


@pytest.mark.parametrize("shape", ["long", "filling", "unknown"])
def test_what_does_not_fit_is_left_out(lib: Library, shape: str) -> None:
    assert sample_scene(lib, 2, 0, recipe([shape], 3)).objects == ()


def test_what_has_no_voxel_stays_in_the_middle(lib: Library) -> None:
    scene = sample_scene(lib, 2, 0, recipe(["nothing"], 2))
    assert [shift_of(o) for o in scene.objects] == [[0, 0, 0]] * 2


# -- what else stays as it is --------------------------------------------------------------------------


def test_scenes_are_those_of_the_definition(lib: Library) -> None:
    mine = recipe(["ball", "tower", "roomy"], 8, ["none", "waves"], rotation=90, shear=0.2, grid_scale=0.8,
                  overlap=0.3, order="largest")
    for index in range(8):
        scene = sample_scene(lib, 9, index, mine)
        assert scene == scene_by_definition(lib, 9, index, mine)
        assert Scene.from_dict(scene.to_dict()) == scene


def test_the_linear_part_and_the_parameters_are_drawn_as_ever(lib: Library) -> None:
    def objects(translate: float | str) -> tuple[SceneObject, ...]:
        mine = recipe(["ball", "tower"], 6, ["waves"], translate=translate, rotation=40, shear=0.1)
        return sample_scene(lib, 9, 3, mine).objects

    inside, apart = objects("inside"), objects(2)
    assert len(inside) == len(apart) == 6
    for a, b in zip(inside, apart, strict=True):
        assert [row[:3] for row in a.affine] == [row[:3] for row in b.affine]
        assert (a.params, a.displacement, a.mapper) == (b.params, b.displacement, b.mapper)


def test_a_batch_has_the_objects_of_its_scenes(lib: Library) -> None:
    mine = recipe(["ball", "tower"], 7, overlap=0.1, order="largest", tries=3)
    assert draw_objects(lib, 3, [0, 1], mine) is None
    batch = sample_batch(lib, 3, range(4), mine, resolve(mine, lib)).objects
    scenes = [sample_scene(lib, 3, index, mine) for index in range(4)]
    assert batch.volumes.tolist() == [len(scene.objects) for scene in scenes]
    inverses = [np.linalg.inv(o.affine)[:3] for scene in scenes for o in scene.objects]
    np.testing.assert_array_equal(batch.inverse, inverses)
