"""Displacements and mappers with random quantities, and mappers that see: drawn, kept, checked and rendered."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fdif_dsl as fd
from fdif_dsl.compiler.backends.cpu import CpuBackend
from fdif_dsl.compiler.ir.grid import Grid
from fdif_dsl.runtime.recipe import Placement, resolve
from fdif_dsl.runtime.scenes.batches import sample_batch
from fdif_dsl.runtime.scenes.philox import uniforms
from fdif_dsl.runtime.scenes.render import place
from fdif_dsl.runtime.scenes.sampler_definition import scene_by_definition
from fdif_dsl.runtime.scenes.scene import Scene, SceneObject

EYE = tuple(map(tuple, np.eye(4).tolist()))
NAMES = {"shapes": ["ball", "shell"], "displacements": ["ridges", "waves", "bent_2", None],
         "mappers": ["glow", "slope", "tissue", "lattice", "lamp"]}
TISSUE = {"rim": 2.0, "wavelength": 5.0}


def recipe(**changes: Any) -> fd.Recipe:
    return fd.Recipe(**{"grid": (20, 24, 17), "objects": (1, 6), **NAMES, **changes})


def one(**changes: Any) -> Scene:
    made = SceneObject("ball", {"radius": 6.0}, EYE, None, "tissue", mapper_params=TISSUE)
    return Scene((16, 16, 16), (dataclasses.replace(made, **changes),), "s.json")


# -- sampling ------------------------------------------------------------------------------------------


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**63 - 1), st.sampled_from([1.0, 0.5]), st.data())
@settings(deadline=None, max_examples=25)
def test_any_scene_is_drawn_as_defined(textures: fd.Library, seed: int, index: int, scale: float,
                                       data: st.DataObject) -> None:
    chosen = {kind: data.draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
              for kind, names in NAMES.items()}
    mine = recipe(placement=Placement(grid_scale=scale), **chosen)
    scene = fd.sample_scene(textures, seed, index, mine)
    wanted = scene_by_definition(textures, seed, index, mine)
    assert scene == wanted and scene.to_text() == wanted.to_text()
    assert Scene.from_dict(json.loads(scene.to_text())) == scene


def test_each_texture_draws_from_a_range_of_its_own(textures: fd.Library) -> None:
    """These numbers may never change: people name a data set by its seed."""
    mine = recipe(objects=3, displacements=["ridges"], mappers=["lamp"])
    for i, o in enumerate(fd.sample_scene(textures, 7, 2, mine).objects):
        first, second, *turns = uniforms(7, 2, i, 1 << 20, 5)[0]
        assert o.displacement_params == {"amplitude": 0.01 + (0.05 - 0.01) * first, "frequency": 5 + 10 * second,
                                         "phase": [2 * np.pi * turn for turn in turns]}
        assert o.mapper_params == {"power": 1 + 2 * uniforms(7, 2, i, 1 << 21, 1)[0, 0]}


def test_a_texture_changes_nothing_about_the_rest(textures: fd.Library) -> None:
    plain = fd.sample_scene(textures, 7, 0, recipe(displacements=["waves"], mappers=["glow"])).objects
    random = fd.sample_scene(textures, 7, 0, recipe(displacements=["ridges"], mappers=["slope"])).objects
    assert [(o.shape, o.params, o.affine) for o in plain] == [(o.shape, o.params, o.affine) for o in random]
    assert all(o.displacement_params == {} == o.mapper_params for o in plain)
    assert all(o.to_dict()["displacement"] == "waves" and o.to_dict()["mapper"] == "glow" for o in plain)


def test_whole_numbers_of_a_random_texture_are_in_the_scene(textures: fd.Library) -> None:
    (o,) = fd.sample_scene(textures, 7, 0, recipe(objects=1, displacements=["bent_2"])).objects
    assert [*o.displacement_params] == ["n", "length_", "shift"] and o.displacement_params["n"] == 2


# -- scenes --------------------------------------------------------------------------------------------


def test_a_texture_with_parameters_in_json(tmp_path: Path) -> None:
    scene = one(displacement="ridges", displacement_params={"phase": np.arange(3.0)})
    scene.to_json(tmp_path / "s.json")
    text = (tmp_path / "s.json").read_text()
    assert '"displacement": {"name": "ridges", "params": {"phase": [0.0, 1.0, 2.0]}},\n' in text
    assert '"mapper": {"name": "tissue", "params": {"rim": 2.0, "wavelength": 5.0}}\n' in text
    assert Scene.from_json(tmp_path / "s.json").to_text() == text
    data = json.loads(text)
    data["objects"][0]["displacement"] = {"name": "waves", "params": {}, "note": "of another program"}
    assert Scene.from_dict(data).to_dict()["objects"][0]["displacement"] == "waves"


@pytest.mark.parametrize(("mapper", "said"), [
    ({"params": {}}, """\
error[E0903]: `name` is missing
  --> s.json: objects[0].mapper
  hint: write its name, or with parameters {"name": ..., "params": {...}}"""),
    ({"name": "tissue"}, """\
error[E0903]: `params` is missing
  --> s.json: objects[0].mapper
  hint: write its name, or with parameters {"name": ..., "params": {...}}"""),
    ({"name": None, "params": [1]}, """\
error[E0903]: nothing (null) where a name is expected
  --> s.json: objects[0].mapper.name
  hint: write a name in quotes, like "a"

error[E0903]: a list where a table of names and values is expected
  --> s.json: objects[0].mapper.params
  hint: write it like {"radius": 10.0}"""),
])
def test_a_texture_that_is_ill_formed(mapper: Any, said: str) -> None:
    data = one().to_dict()
    data["objects"][0]["mapper"] = mapper
    with pytest.raises(fd.FdifError) as caught:
        Scene.from_dict(data, "s.json")
    assert str(caught.value) == said


@pytest.mark.parametrize(("changes", "said"), [
    ({"mapper_params": {"rim": [1, 2], "wavelength": 5.0, "rum": 1}}, """\
error[E0404]: a list where a number is expected
  --> s.json: objects[0].mapper.params.rim
  why: `rim` is of the type float
  hint: write it like 10.0

error[E0406]: `tissue` has no parameter `rum`
  --> s.json: objects[0].mapper.params.rum
  why: it has `rim`, `wavelength`
  hint: did you mean `rim`?"""),
    ({"mapper_params": {"rim": 2.0}}, """\
error[E0402]: parameter of `tissue` missing: `wavelength` (float)
  --> s.json: objects[0].mapper.params
  why: a random parameter has no value until somebody gives or draws one
  hint: give a value, for example {"name": "tissue", "params": {"wavelength": 10.0}}"""),
    ({"displacement": "ridges"}, """\
error[E0402]: parameters of `ridges` missing: `frequency` (float), `phase` (vec3), `amplitude` (float)
  --> s.json: objects[0].displacement.params
  why: a random parameter has no value until somebody gives or draws one
  hint: give a value, for example {"name": "ridges", "params": {"frequency": 10.0}}"""),
    ({"mapper": "lattice"}, """\
error[E0406]: `lattice` has no parameter `rim`
  --> s.json: objects[0].mapper.params.rim
  why: it has no parameters

error[E0406]: `lattice` has no parameter `wavelength`
  --> s.json: objects[0].mapper.params.wavelength
  why: it has no parameters"""),
    ({"displacement_params": {"height": 1.0}}, """\
error[E0903]: parameters of no displacement
  --> s.json: objects[0].displacement
  hint: name the displacement, or leave its parameters out"""),
])
@pytest.mark.parametrize("backend", ["cpu", "interpret"])
def test_parameters_of_a_texture_that_do_not_fit(textures: fd.Library, changes: dict[str, Any], said: str,
                                                 backend: str) -> None:
    with pytest.raises(fd.FdifError) as caught:
        fd.render(one(**changes), textures, backend)
    assert str(caught.value) == said


# -- volumes -------------------------------------------------------------------------------------------


def test_volumes_on_all_back_ends_with_and_without_culling(textures: fd.Library) -> None:
    every = CpuBackend(culling=False)
    odd = CpuBackend(tile=(5, 3, 7))
    for index in range(80):
        scene = fd.sample_scene(textures, 11, index, recipe())
        found = fd.render(scene, textures)
        for other in (every, odd):
            same = other.render(place(scene, textures), Grid(scene.grid))
            assert np.array_equal(found.image, same.image) and np.array_equal(found.label, same.label)
        for backend in ("interpret", "torch") if index < 2 else ("interpret",) if index < 6 else ():
            wanted = fd.render(scene, textures, backend)
            image, label = np.asarray(wanted.image), np.asarray(wanted.label)
            assert (label != found.label).mean() < 1e-3
            assert (abs(image.astype(int) - found.image) > 1).mean() < 1e-3


@pytest.mark.parametrize("given", [{"rim": float("nan"), "wavelength": 5.0}, {"rim": 1e9, "wavelength": 1e-9},
                                   {"rim": float("inf"), "wavelength": -1.0}])
def test_numbers_for_which_no_bounds_hold(textures: fd.Library, given: dict[str, float]) -> None:
    scene = one(mapper_params=given, affine=tuple(map(tuple, np.diag([1e-6, 1e-6, 1e-6, 1]).tolist())),
                params={"radius": 6e6})
    found = fd.render(scene, textures)
    same = CpuBackend(culling=False).render(place(scene, textures), Grid(scene.grid))
    assert np.array_equal(found.image, same.image) and found.counts.any()


def test_a_deep_inside_of_one_level_is_filled_and_no_other(textures: fd.Library) -> None:
    """`slope` is 0 from some depth on, which differs from object to object."""
    scene = Scene((40, 40, 40), tuple(
        SceneObject("ball", {"radius": 17.0}, EYE, None, "slope", mapper_params={"steep": steep})
        for steep in (12.0, 30.0)))
    found, wanted = fd.render(scene, textures), fd.render(scene, textures, "interpret")
    assert found.image[20, 20, 20] == 0 and found.image.max() == 128
    assert (abs(found.image.astype(int) - wanted.image) <= 1).all()


def test_a_definition_of_a_texture_may_be_replaced(textures: fd.Library) -> None:
    waves: dict[str, Any] = {"displacement": "waves"}
    glow: dict[str, Any] = {"mapper": "glow", "mapper_params": {}}
    for plain, params in ((waves, {"displacement_params": {"height": 4.0}}), (glow, {"mapper_params": {"top": 50.0}})):
        scene = one(**{**plain, **params})
        found, wanted = fd.render(scene, textures), fd.render(scene, textures, "interpret")
        assert (abs(found.image.astype(int) - wanted.image) > 1).mean() < 1e-3
        assert (found.image != fd.render(one(**plain), textures).image).mean() > 0.01
    ridged = {"amplitude": 0.05, "frequency": 9.0, "phase": [0.0, 0.0, 0.0]}
    flat = fd.render(one(displacement="ridges", displacement_params={**ridged, "height": 0.0}), textures)
    assert np.array_equal(flat.image, fd.render(one(), textures).image)


def test_a_mapper_sees_the_object_and_the_world(textures: fd.Library) -> None:
    moved = tuple(map(tuple, [[1.0, 0, 0, 4], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]))
    here, there = (fd.render(one(affine=affine), textures).image for affine in (EYE, moved))
    assert np.array_equal(here[:, :, 2:12], there[:, :, 6:16])  # the pattern goes with the object
    world = [fd.render(one(affine=affine, mapper="lattice", mapper_params={}), textures) for affine in (EYE, moved)]
    both = (world[0].label > 0) & (world[1].label > 0)
    assert both.any() and np.array_equal(world[0].image[both], world[1].image[both])


def test_a_batch_holds_what_scenes_hold(textures: fd.Library) -> None:
    mine = recipe()
    batch = sample_batch(textures, 7, [0, 1, 2], mine, resolve(mine, textures)).objects
    objects = [p for i in range(3) for p in place(fd.sample_scene(textures, 7, i, mine), textures)]
    for k, placed in enumerate(objects):
        for column, slots in enumerate((placed.slots, placed.displacement_slots, placed.mapper_slots)):
            first = batch.slot_start[k, column]
            assert batch.slots[first : first + len(slots)].tolist() == [*slots.values()]
