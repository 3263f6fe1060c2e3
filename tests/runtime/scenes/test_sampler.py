"""Random scenes: what they depend on, how they are distributed, and what they hold."""

from __future__ import annotations

import gc
import json
import multiprocessing
import weakref
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from fdif_dsl.compiler.backends.cpu.sampling import sampler_units
from fdif_dsl.compiler.ir.grid import Grid
from fdif_dsl.compiler.library import Library, load_library
from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.runtime.recipe import Placement, Recipe
from fdif_dsl.runtime.scenes import sampler
from fdif_dsl.runtime.scenes.philox import uniforms
from fdif_dsl.runtime.scenes.render import render
from fdif_dsl.runtime.scenes.sampler import OWN_DRAWS, draw_objects, sample_scene
from fdif_dsl.runtime.scenes.sampler_definition import sample_parameters, scene_by_definition
from fdif_dsl.runtime.scenes.scene import Scene

STD = load_library()
GOLDEN = Path(__file__).parents[2] / "data" / "golden"


def own_library(folder: Path, text: str) -> Library:
    (folder / "own.sdf").write_text(text + "\nmapper m { intensity = 1 }\n")
    return load_library(folder / "own.sdf")


def numbers(scene: Scene, name: str) -> np.ndarray:
    return np.array([o.params[name] for o in scene.objects])


PINNED: dict[str, Any] = {
    "class": "ball", "params": {"radius": 15.893582851067185},
    "affine": [
        [0.39311537636940264, -0.23392345108467247, 0.9487643073786175, 6.403698212653398],
        [0.9001131541070673, -0.2965839918870202, -0.3252123540266739, -7.792138033546507],
        [0.2073447528410331, 0.932784996824225, -0.03630955524783773, -33.562287628278135],
        [0.0, 0.0, 0.0, 1.0],
    ],
    "displacement": "wave", "mapper": "m",
}


# -- what a scene depends on ---------------------------------------------------------------------------


def test_a_scene_is_pinned_down(tmp_path: Path) -> None:
    """These numbers may never change: people name a data set by its seed."""
    library = own_library(tmp_path, """
shape ball {
  radius ~ uniform(0.15, 0.40) * grid.min
  distance = length(p) - radius
}
displacement wave { offset = sin(p.x) }
""")
    one = sample_scene(library, 7, 123456, Recipe(grid=(96, 80, 64), objects=1)).objects[0].to_dict()
    np.testing.assert_allclose(one.pop("affine"), PINNED["affine"], rtol=1e-12)
    assert one.pop("params") == pytest.approx(PINNED["params"], rel=1e-12)
    assert one == {key: PINNED[key] for key in ("class", "displacement", "mapper")}


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**63 - 1))
@settings(deadline=None, max_examples=30)
def test_any_seed_and_index_give_a_scene_that_reads_back(seed: int, index: int) -> None:
    scene = sample_scene(STD, seed, index, Recipe(objects=2))
    assert Scene.from_dict(scene.to_dict()) == scene
    assert sample_scene(STD, seed, index, Recipe(objects=2)) == scene


def test_seed_and_index_are_told_apart() -> None:
    scenes = [sample_scene(STD, s, i, Recipe(objects=1)).to_text() for s in range(4) for i in range(4)]
    assert len(set(scenes)) == 16


def test_one_more_object_changes_nothing_about_the_others() -> None:
    few, many = (sample_scene(STD, 7, 0, Recipe(objects=n)).objects for n in (3, 9))
    assert many[:3] == few
    assert sample_scene(STD, 7, 0, Recipe(objects=(9, 9))).objects == many


def test_a_choice_changes_nothing_about_the_rest() -> None:
    plain, rough = (sample_scene(STD, 7, 0, Recipe(displacements=d)).objects for d in ([], ["ridge"]))
    assert [(o.shape, o.params, o.affine) for o in plain] == [(o.shape, o.params, o.affine) for o in rough]
    assert {o.displacement for o in plain} == {None} and {o.displacement for o in rough} == {"ridge"}


@pytest.mark.parametrize(("seed", "index", "expected"), [
    (-1, 0, "error[E0904]: -1 is no seed\n  hint: it is a whole number from 0 to 2^64 - 1"),
    (2**64, 0, f"error[E0904]: {2**64} is no seed\n  hint: it is a whole number from 0 to 2^64 - 1"),
    (0, 2**63, f"error[E0904]: {2**63} is no index\n  hint: it is a whole number from 0 to 2^63 - 1"),
    (1.5, 0, "error[E0904]: 1.5 is no seed\n  hint: it is a whole number from 0 to 2^64 - 1"),
    (True, 0, "error[E0904]: True is no seed\n  hint: it is a whole number from 0 to 2^64 - 1"),
])
def test_a_seed_that_is_none(seed: Any, index: Any, expected: str) -> None:
    with pytest.raises(FdifError) as caught:
        sample_scene(STD, seed, index)
    assert str(caught.value) == expected


# -- compiled code and the definition ------------------------------------------------------------------


def same(scene: Scene, expected: Scene) -> bool:
    """To the bit: the text tells zeros apart, and NaN is written alike."""
    types = [[type(v) for v in o.params.values()] for o in scene.objects]
    return (scene.to_text(), scene.where, scene.grid) == (expected.to_text(), expected.where, expected.grid) and (
        types == [[type(v) for v in o.params.values()] for o in expected.objects])


def test_every_class_is_drawn_as_defined() -> None:
    for name in STD.shapes:
        recipe = Recipe(grid=(96, 81, 70), objects=6, shapes=[name])
        for seed, index in ((7, 0), (2**64 - 1, 2**63 - 1)):
            assert same(sample_scene(STD, seed, index, recipe), scene_by_definition(STD, seed, index, recipe)), name


def test_the_papers_volumes_are_drawn_as_defined() -> None:
    for index in range(40):
        expected = scene_by_definition(STD, 7, index, Recipe())
        assert same(sample_scene(STD, 7, index), expected)
        assert sample_scene(STD, 7, index) == expected  # tuples for tuples, lists for lists


recipes = st.builds(
    Recipe,
    grid=st.tuples(*[st.integers(1, 130)] * 3),
    objects=st.tuples(st.integers(0, 4), st.integers(4, 9)) | st.integers(0, 9),
    shapes=st.none() | st.lists(st.sampled_from([*STD.shapes]), min_size=1, max_size=5, unique=True),
    displacements=st.lists(st.sampled_from([None, *STD.displacements]), max_size=4, unique=True),
    mappers=st.lists(st.sampled_from([*STD.mappers]), min_size=1, max_size=4, unique=True),
    placement=st.builds(Placement, translate=st.floats(0, 10), rotation=st.floats(0, 180), shear=st.floats(0, 0.49),
                        grid_scale=st.floats(0.01, 1) | st.just(1.0)),
)


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**63 - 1), recipes)
@settings(deadline=None, max_examples=60)
def test_any_recipe_is_drawn_as_defined(seed: int, index: int, recipe: Recipe) -> None:
    assert same(sample_scene(STD, seed, index, recipe), scene_by_definition(STD, seed, index, recipe))


def test_the_most_objects_are_drawn_as_defined() -> None:
    recipe = Recipe(objects=(9_990, 10_000), shapes=["sphere", "pentagon_prism"])
    assert sample_scene(STD, 1, 2, recipe) == scene_by_definition(STD, 1, 2, recipe)


def test_threads_draw_what_one_does() -> None:
    library = load_library()  # so that they all begin with nothing prepared
    recipe = Recipe(objects=(0, 30))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda i: sample_scene(library, 7, i % 50, recipe), range(400), chunksize=1))
    one_by_one = [sample_scene(STD, 7, i, recipe) for i in range(50)]
    assert found == one_by_one * 8


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_another_process_draws_the_same(method: str) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip("this system does not fork")
    here = sample_scene(STD, 7, 3)  # so that a fork inherits prepared code
    with ProcessPoolExecutor(1, multiprocessing.get_context(method)) as pool:
        assert pool.submit(sample_scene, STD, 7, 3).result() == here


def test_what_is_prepared_goes_with_the_library(tmp_path: Path) -> None:
    library = own_library(tmp_path, "shape speck { radius ~ uniform(1, 2)\n distance = length(p) - radius }")
    sample_scene(library, 7, 0, Recipe(objects=2))
    gone = weakref.ref(library)
    del library
    gc.collect()
    assert gone() is None


def test_equal_recipes_share_what_is_prepared() -> None:
    def prepared() -> Any:
        return sampler._sampler(STD, Recipe(objects=3, shapes=["cone", "torus"]))

    assert prepared() is prepared()


def test_sampler_units_are_all_that_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """So an artefact that holds them is complete."""
    asked: set[str] = set()

    def addresses(lib: Library, units: Any) -> Any:
        asked.update(u.symbol for u in units)
        return real(lib, units)

    real = sampler._addresses
    monkeypatch.setattr(sampler, "_addresses", addresses)
    sample_scene(load_library(), 7, 0)
    assert asked == {unit.symbol for unit in sampler_units(STD.formulas)}


# -- how scenes are distributed ------------------------------------------------------------------------


def chi_squared(found: Counter[Any], kinds: int) -> float:
    """The probability of counts as uneven as these, if all kinds have the same chance."""
    counts = [*found.values(), *([0] * (kinds - len(found)))]
    return float(stats.chisquare(counts).pvalue)


def test_classes_displacements_and_mappers_are_uniform() -> None:
    objects = sample_scene(STD, 7, 0, Recipe(objects=10_000)).objects
    assert chi_squared(Counter(o.shape for o in objects), 109) > 1e-4
    assert chi_squared(Counter(o.displacement for o in objects), 10) > 1e-4
    assert chi_squared(Counter(o.mapper for o in objects), 10) > 1e-4
    # and independent of each other
    assert chi_squared(Counter((o.displacement, o.mapper) for o in objects), 100) > 1e-4


def test_the_number_of_objects_is_uniform() -> None:
    recipe = Recipe(objects=(0, 3), shapes=["sphere"])
    counts = Counter(len(sample_scene(STD, 7, i, recipe).objects) for i in range(2000))
    assert set(counts) == {0, 1, 2, 3}
    assert chi_squared(counts, 4) > 1e-4


def test_an_affine_is_shift_rotation_and_shear() -> None:
    """Against REFERENCE.md, with the draws of each object."""
    recipe = Recipe(grid=(40, 50, 60), objects=50, shapes=["sphere"])
    drawn = 2 * uniforms(11, 5, np.arange(50), 0, OWN_DRAWS) - 1
    for o, u in zip(sample_scene(STD, 11, 5, recipe).objects, drawn, strict=True):
        (sx, sy, sz), (cx, cy, cz) = np.sin(np.pi * u[6:9]), np.cos(np.pi * u[6:9])
        turn_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
        turn_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
        turn_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
        a, b, c = 0.1 * u[9:12]
        shear = np.array([[1, a, b], [a, 1, c], [b, c, 1]])
        expected = np.eye(4)
        expected[:3, :3] = turn_z @ turn_y @ turn_x @ shear
        expected[:3, 3] = 0.35 * u[3:6] * (60, 50, 40)
        np.testing.assert_allclose(o.affine, expected, atol=1e-12)


def test_placement_can_be_switched_off() -> None:
    still = Recipe(objects=3, placement=Placement(translate=0, rotation=0, shear=0))
    for o in sample_scene(STD, 7, 0, still).objects:
        assert np.array_equal(o.affine, np.eye(4))


@pytest.mark.parametrize("grid", [(9, 16, 31), (1, 2, 3)])
def test_a_part_of_the_grid_is_seen(grid: tuple[int, int, int]) -> None:
    """Voxels 0 to N - 1 of an axis are at `linspace(-s N / 2, s N / 2, N)`, as the authors' classification has them."""
    placement = Placement(translate=0, rotation=0, shear=0, grid_scale=0.45)
    scene = sample_scene(STD, 7, 0, Recipe(grid=grid, objects=1, shapes=["sphere"], placement=placement))
    inverse = np.linalg.inv(np.array(scene.objects[0].affine))
    for axis, side in enumerate(reversed(grid)):
        voxels = np.zeros((side, 4))
        voxels[:, 3], voxels[:, axis] = 1, np.arange(side) - side / 2
        expected = np.linspace(-side / 2 * 0.45, side / 2 * 0.45, side)
        np.testing.assert_allclose((voxels @ inverse.T)[:, axis], expected, atol=1e-12)
    # Batches for a GPU are drawn in another way.
    several = Recipe(grid=grid, objects=(1, 4), placement=Placement(grid_scale=0.45))
    drawn = draw_objects(STD, 7, [3, 4], several)
    assert drawn is not None
    objects = [o for index in (3, 4) for o in sample_scene(STD, 7, index, several).objects]
    assert np.array_equal(drawn.affines, [o.affine for o in objects])
    # A ball has that many more voxels along each axis.
    close, far = (Recipe(grid=(64, 64, 64), objects=1, shapes=["sphere"], placement=Placement(
        translate=0, rotation=0, shear=0, grid_scale=scale)) for scale in (0.8, 1))
    ratio = np.divide(*(render(sample_scene(STD, 7, 0, recipe), STD).counts[0] for recipe in (close, far)))
    assert ratio == pytest.approx((63 / 64 / 0.8) ** 3, rel=0.02)


def test_parameters_follow_their_priors() -> None:
    g = 64
    recipe = Recipe(grid=(80, g, 96), objects=4000, shapes=["torus"])
    scene = sample_scene(STD, 7, 0, recipe)
    major, minor = numbers(scene, "major"), numbers(scene, "minor")
    assert stats.kstest(major / g, stats.uniform(0.15, 0.25).cdf).pvalue > 1e-4
    assert stats.kstest(minor / major, stats.uniform(0.3, 0.4).cdf).pvalue > 1e-4


def test_a_polygon_has_a_corner_in_each_sector() -> None:
    vertices = numbers(sample_scene(STD, 7, 0, Recipe(objects=500, shapes=["pentagon_prism"])), "vertices")
    assert vertices.shape == (500, 5, 2)
    turn = np.mod(np.arctan2(vertices[..., 1], vertices[..., 0]) / (2 * np.pi) * 5, 5)
    assert (np.floor(turn) == np.arange(5)).all()
    assert stats.kstest((turn % 1).ravel(), stats.uniform(0, 1).cdf).pvalue > 1e-4
    reach = np.hypot(*np.moveaxis(vertices, -1, 0))
    assert reach.min() >= 0.15 * 96 and reach.max() <= 0.40 * 96


# -- what a scene holds --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def one_of_each() -> dict[str, dict[str, Any]]:
    return {name: dict(sample_scene(STD, 7, 0, Recipe(objects=1, shapes=[name])).objects[0].params)
            for name in STD.shapes}


def test_a_scene_holds_the_papers_parameters(one_of_each: dict[str, dict[str, Any]]) -> None:
    """Those of the authors' own scenes, apart from what is worked out when the scene is rendered."""
    for authors in json.loads((GOLDEN / "shapes_dev.json").read_text()):
        name = authors["class"]
        derived = {q.name for q in STD.shapes[name].formula.quantities if not q.random}
        assert one_of_each[name].keys() - derived == authors["params"].keys() - derived, name
        assert one_of_each[name].get("n") == authors["params"].get("n")


def test_a_wall_that_depends_on_the_grid_is_left_to_the_renderer(one_of_each: dict[str, dict[str, Any]]) -> None:
    onions = {name: params for name, params in one_of_each.items() if "onion_ratio" in params}
    assert len(onions) == 44
    assert not any("thickness" in params for params in onions.values())


def test_every_class_renders_from_what_a_scene_holds() -> None:
    for name in STD.shapes:
        scene = sample_scene(STD, 7, 0, Recipe(grid=(12, 12, 12), objects=1, shapes=[name]))
        assert render(scene, STD, "interpret").counts.shape == (1,)


def test_one_by_one_and_many_at_once_agree() -> None:
    """`sample_parameters` on arrays against the scenes' scalar arithmetic, for every class."""
    grid = Grid((96, 96, 96))
    for name, shape in STD.shapes.items():
        scene = sample_scene(STD, 3, 1, Recipe(objects=4, shapes=[name]))
        draws = uniforms(3, 1, np.arange(4), OWN_DRAWS, shape.formula.draws).T
        many = sample_parameters(shape.formula, grid, draws)
        for i, o in enumerate(scene.objects):
            for key, value in o.params.items():
                if key not in shape.formula.integers:
                    np.testing.assert_allclose(many[key][i], value, rtol=1e-12)


def test_many_at_once_have_an_axis_for_each_kind_of_list() -> None:
    formula = STD.shapes["pentagon_prism"].formula
    drawn = sample_parameters(formula, Grid((96, 96, 96)), np.full((formula.draws, 7), 0.5))
    assert drawn["vertices"].shape == (7, 5, 2) and drawn["height"].shape == (7,)
    onion = STD.shapes["onioned_pentagon_prism"].formula
    assert "thickness" not in sample_parameters(onion, Grid((96, 96, 96)), np.full((onion.draws, 7), 0.5))


def test_a_prior_that_depends_on_the_grid_is_drawn_where_the_object_lies(tmp_path: Path) -> None:
    """A random quantity has to be in the scene, even where drawing it takes a scan of the grid."""
    library = own_library(tmp_path, """
profile ball { distance = length(q) - 10 }
profile tube(section: profile) {
  wall ~ uniform(0.5, 1) * abs(deepest(section))
  distance = abs(section(q, t)) - wall
}
shape pillar(section: profile) { distance = max(section(p.xy, p.z), abs(p.z) - 5) }
shape pipe = pillar(tube(ball))
shape post {
  radius ~ uniform(20, 30)
  distance = length(p.xy) - radius
}
""")
    still = Placement(rotation=0, shear=0, translate=0)
    near = Recipe(grid=(16, 16, 16), objects=5, shapes=["pipe"], placement=still)
    for o in sample_scene(library, 7, 0, near).objects:
        assert 5 < o.params["wall"] < 10
    # Far away the least distance of a voxel is 90 - 10.
    far = Recipe(grid=(16, 16, 16), objects=20, placement=Placement(translate=10))
    away = sample_scene(library, 7, 0, far)
    assert same(away, scene_by_definition(library, 7, 0, far))
    assert max(o.params["wall"] for o in away.objects if o.shape == "pipe") > 12
    assert {o.shape for o in away.objects} == {"pipe", "post"}


def test_division_by_zero_and_other_corners_are_numbers(tmp_path: Path) -> None:
    library = own_library(tmp_path, """
shape odd {
  zero ~ uniform(0, 1) * 0
  a ~ uniform(1, 2) / zero
  b ~ log(zero * uniform(1, 2))
  c ~ sqrt(uniform(-2, -1) - zero)
  d ~ exp(uniform(1000, 2000) + zero)
  distance = length(p) - a - b - c - d
}
""")
    recipe = Recipe(objects=1)
    params = sample_scene(library, 7, 0, recipe).objects[0].params
    assert same(sample_scene(library, 7, 0, recipe), scene_by_definition(library, 7, 0, recipe))
    assert (params["a"], params["b"], params["d"]) == (np.inf, -np.inf, np.inf)
    assert np.isnan(params["c"])
