"""From scenes to volumes: the authors' scenes, and messages about what does not fit the library."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fdif_dsl.compiler.library import load_library
from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.runtime.recipe import Recipe
from fdif_dsl.runtime.scenes.render import place, render
from fdif_dsl.runtime.scenes.sampler import sample_scene
from fdif_dsl.runtime.scenes.scene import Scene, SceneObject

STD = load_library()
GOLDEN = Path(__file__).parents[2] / "data" / "golden"
EYE = ((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0))
BALL = SceneObject("sphere", {"radius": 3.2}, EYE, None, "linear_slope_10.0")


def scene(*objects: SceneObject) -> Scene:
    return Scene((8, 9, 10), objects, "s.json")


def message(*args: Any) -> str:
    with pytest.raises(FdifError) as caught:
        render(*args)
    return str(caught.value)


@pytest.mark.parametrize("backend", ["interpret", "torch"])
@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("without", [(), ("thickness",)], ids=["given", "derived"])
def test_the_authors_scenes(number: int, backend: str, without: tuple[str, ...]) -> None:
    """Voxel for voxel, with the onions' walls as given and as worked out from the grid."""
    authors = np.load(GOLDEN / f"scene_dev_{number}.npz")
    read = Scene.from_json(GOLDEN / f"scene_dev_{number}.json")
    read = dataclasses.replace(read, objects=tuple(
        dataclasses.replace(o, params={k: v for k, v in o.params.items() if k not in without}) for o in read.objects))
    volume = render(read, STD, backend)
    assert np.array_equal(np.asarray(volume.image), authors["image"])
    assert np.array_equal(np.asarray(volume.label), authors["label"])
    assert np.array_equal(np.asarray(volume.counts), authors["voxel_count"])


@pytest.mark.parametrize("backend", ["interpret", "torch", "cpu"])
def test_a_ball(backend: str) -> None:
    volume = render(scene(BALL), STD, backend)
    z, y, x = np.meshgrid(np.arange(8) - 4, np.arange(9) - 4.5, np.arange(10) - 5, indexing="ij")
    distance = np.sqrt(x**2 + y**2 + z**2) - 3.2
    assert np.array_equal(np.asarray(volume.label), distance <= 0)
    assert np.array_equal(np.asarray(volume.image), np.where(distance <= 0, np.trunc(128 + 10 * distance), 0))
    assert np.asarray(volume.counts).tolist() == [np.count_nonzero(distance <= 0)]
    assert (np.asarray(volume.image).dtype, np.asarray(volume.label).dtype) == (np.uint8, np.uint8)


def test_the_last_class_of_the_library_has_its_number() -> None:
    """The label is the class id, the place in the library + 1."""
    for id_, name in ((1, "sphere"), (5, "octahedron")):
        params = {"radius": 3} if name == "sphere" else {"size": 3}
        volume = render(scene(dataclasses.replace(BALL, shape=name, params=params)), STD, "interpret")
        assert np.unique(volume.label).tolist() == [0, id_]


def test_labels_take_two_bytes_where_there_are_many_classes(tmp_path: Path) -> None:
    text = "".join(f"shape s{i} {{ distance = length(p) - 3 }}\n" for i in range(300)) + "mapper m { intensity = 1 }\n"
    (tmp_path / "many.sdf").write_text(text)
    library = load_library(tmp_path / "many.sdf")
    objects = scene(SceneObject("s299", {}, EYE, None, "m"))
    volume = render(objects, library, "interpret")
    assert volume.label.dtype == np.uint16 and volume.label.max() == 300
    assert render(objects, library, "torch").label.dtype == torch.uint16


def test_names_that_the_library_lacks_are_told_with_their_place() -> None:
    wrong = dataclasses.replace(BALL, shape="spere", displacement="rigde", mapper="zzz")
    assert message(scene(BALL, wrong), STD, "interpret") == """\
error[E0903]: the library has no shape `spere`
  --> s.json: objects[1].class
  hint: did you mean `sphere`?

error[E0903]: the library has no mapper `zzz`
  --> s.json: objects[1].mapper
  hint: `fdifc list mappers` shows what there is

error[E0903]: the library has no displacement `rigde`
  --> s.json: objects[1].displacement
  hint: did you mean `ridge`?"""


def test_parameters_that_do_not_fit_the_class_are_told_with_their_place() -> None:
    assert message(scene(dataclasses.replace(BALL, params={"radius": "big", "size": 1})), STD, "interpret") == """\
error[E0404]: text where a number is expected
  --> s.json: objects[0].params.radius
  why: `radius` is of the type float
  hint: write it like 10.0

error[E0406]: `sphere` has no parameter `size`
  --> s.json: objects[0].params.size
  why: it has `radius`"""


@pytest.mark.parametrize("backend", ["interpret", "torch", "cpu"])
def test_missing_parameters_are_told_with_their_place(backend: str) -> None:
    assert message(scene(BALL, dataclasses.replace(BALL, params={})), STD, backend) == """\
error[E0402]: parameter of `sphere` missing: `radius` (float)
  --> s.json: objects[1].params
  why: a random parameter has no value until somebody gives or draws one
  hint: give a value, for example params={"radius": 10.0}"""


def test_a_scene_made_by_hand_is_checked_too() -> None:
    flat = dataclasses.replace(BALL, affine=((0.0,) * 4, *EYE[1:]))
    assert message(Scene((8, 8, 3000), (flat,)), STD, "interpret") == """\
error[E0903]: [8, 8, 3000] is no possible volume
  --> scene: grid
  why: each side has 1 to 2048 voxels
  hint: write the voxels along z, y and x, for example [96, 96, 96]

error[E0903]: the matrix cannot be inverted
  --> scene: objects[0].affine
  why: it flattens space, and a distance is measured in the object's own coordinates
  hint: make its first three columns independent"""


def test_a_scene_is_placed_as_if_object_by_object() -> None:
    """The floats of a sampled scene need no closer look; other numbers are read one by one."""
    sampled = sample_scene(STD, 7, 0, Recipe(objects=60))
    placed = place(sampled, STD)
    lists = tuple(dataclasses.replace(o, affine=[list(row) for row in o.affine],  # type: ignore[arg-type]
                                      params={k: np.array(v) for k, v in o.params.items()}) for o in sampled.objects)
    for a, b, o in zip(placed, place(dataclasses.replace(sampled, objects=lists), STD), sampled.objects, strict=True):
        assert np.array_equal(a.inverse, np.linalg.inv(np.array(o.affine))) and np.array_equal(a.inverse, b.inverse)
        assert a.slots == b.slots and {type(v) for v in a.slots.values()} == {float}
        assert (a.shape, a.displacement, a.mapper, a.label) == (b.shape, b.displacement, b.mapper, b.label)


@pytest.mark.parametrize("affine", [
    (EYE[0], EYE[1], EYE[2], (0.0, 0.0, 0.0, 2.0)), (EYE[0], EYE[1], EYE[2], (0.0, 0.0, float("nan"), 1.0)),
    ((1.0, 0.0, 0.0, float("inf")), *EYE[1:]), ((1e-13, 0.0, 0.0, 0.0), *EYE[1:]), ((0.0, 0.0, 0.0, 0.0), *EYE[1:]),
    ((1e-200, 0.0, 0.0, 0.0), (0.0, 1e200, 0.0, 0.0), *EYE[2:]),
    ((1.0, 0.0, 0.0), *EYE[1:]), EYE[:3], (1.0,) * 4, (), None,
    ((True, 0.0, 0.0, 0.0), *EYE[1:]), (("1", 0.0, 0.0, 0.0), *EYE[1:]),
])
def test_a_matrix_among_good_ones_is_found(affine: Any) -> None:
    bad = dataclasses.replace(BALL, affine=affine)
    with pytest.raises(FdifError) as caught:
        place(scene(BALL, bad, BALL), STD)
    assert [d.where for d in caught.value.diagnostics] == ["s.json: objects[1].affine"]


def test_a_matrix_that_can_just_be_inverted_is_taken() -> None:
    thin = ((1e-11, 0.0, 0.0, 0.0), *EYE[1:])
    first, second = place(scene(BALL, dataclasses.replace(BALL, affine=thin)), STD)
    assert np.array_equal(first.inverse, np.eye(4)) and np.isclose(second.inverse[0, 0], 1e11)


def test_an_unknown_backend_is_an_error_that_names_them() -> None:
    assert all(name in message(scene(BALL), STD, "cpuu") for name in ("cpu", "cuda", "torch", "interpret"))
