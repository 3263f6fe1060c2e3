"""What labels mean: their names, and that one rendering gives the labels of every task."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from fdif_dsl.compiler.library import load_library
from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.runtime.recipe import Recipe, resolve
from fdif_dsl.runtime.recipe.meaning import MEANINGS, Meaning, meaning_of
from fdif_dsl.runtime.scenes.render import render
from fdif_dsl.runtime.scenes.sampler import sample_scene
from fdif_dsl.runtime.scenes.scene import SceneObject
from fdif_dsl.runtime.streams.stream import VolumeStream

STD = load_library()
SHAPES, DISPLACEMENTS, MAPPERS = ["torus", "sphere"], [None, "ridge", "turbulence"], ["inverse_cube", "modular_5"]


def recipe(label: str, **options: Any) -> Recipe:
    return Recipe(**{"grid": (12, 14, 16), "objects": 6, "shapes": SHAPES, "displacements": DISPLACEMENTS,
                     "mappers": MAPPERS, "label": label} | options)


def meaning(label: str) -> Meaning:
    return resolve(recipe(label), STD).meaning


def an_object(shape: str, displacement: str | None, mapper: str) -> SceneObject:
    return SceneObject(shape, {}, (), displacement, mapper)


def test_a_class_for_each_combination() -> None:
    assert meaning("shape").tasks[0].classes == ("background", "torus", "sphere")
    assert meaning("shape_mapper").tasks[0].classes == (
        "background", "torus+inverse_cube", "torus+modular_5", "sphere+inverse_cube", "sphere+modular_5")
    classes = meaning("shape_displacement_mapper").tasks[0].classes
    assert len(classes) == 1 + 2 * 3 * 2 and len(set(classes)) == len(classes)
    assert classes[1] == "torus+none+inverse_cube" and classes[-1] == "sphere+turbulence+modular_5"


def test_three_tasks() -> None:
    tasks = meaning("multi_task").tasks
    assert [task.name for task in tasks] == ["shape", "displacement", "mapper"]
    assert tasks[1].classes == ("background", "none", "ridge", "turbulence")
    assert tasks[2].classes == ("background", "inverse_cube", "modular_5")


@pytest.mark.parametrize("label", MEANINGS)
def test_the_label_of_an_object_is_its_class(label: str) -> None:
    """Each combination has the name that its parts make, so labels and names agree."""
    its = meaning(label)
    for shape in SHAPES:
        for displacement in DISPLACEMENTS:
            for mapper in MAPPERS:
                o = an_object(shape, displacement, mapper)
                names = {"shape": shape, "displacement": displacement or "none", "mapper": mapper}
                names["number"] = "2"
                assert [task.classes[label] for task, label in zip(its.tasks, its.labels(o, 2), strict=True)] == [
                    "+".join(names[part] for part in task.parts) or "object" for task in its.tasks]


def test_what_a_recipe_does_not_draw_has_no_label() -> None:
    with pytest.raises(FdifError) as caught:
        meaning("multi_task").labels(an_object("torus", "sawtooth", "modular_5"), 1)
    assert str(caught.value) == """\
error[E0506]: the recipe draws no displacement `sawtooth`, so it has no label for it
  hint: render the scene without a meaning to have class ids of the library as labels"""


@pytest.mark.parametrize("label", MEANINGS)
@pytest.mark.parametrize("backend", ["cpu", "torch", "interpret"])
def test_a_volume_has_the_labels_of_its_objects(label: str, backend: str) -> None:
    """Voxels lie where the class ids lie; each has the labels of the object that is there."""
    its = meaning(label)
    scene = sample_scene(STD, 3, 0, recipe(label))
    volume = render(scene, STD, backend, its)
    assert np.array_equal(np.asarray(volume.image), np.asarray(render(scene, STD, backend).image))
    labels = np.asarray(volume.label).reshape(len(its.tasks), *scene.grid)
    assert labels.dtype == np.uint8 and volume.label.ndim == (3 if len(its.tasks) == 1 else 4)
    possible = {its.labels(o, k): STD.shapes[o.shape].id for k, o in enumerate(scene.objects, 1)}
    possible[(0,) * len(its.tasks)] = 0
    found = np.zeros(scene.grid, np.int64)
    for values, shape in possible.items():
        found[(labels == np.array(values).reshape(-1, 1, 1, 1)).all(0)] = shape
    plain = np.asarray(render(scene, STD, backend).label)
    if label == "object":
        assert np.array_equal(labels[0], plain > 0)
        return
    assert np.array_equal(found, plain)
    assert len(np.unique(found)) == 3


def test_labels_grow_with_the_number_of_classes() -> None:
    many = recipe("shape_displacement_mapper", shapes=None, displacements=[None, *STD.displacements],
                  mappers=list(STD.mappers))
    its = resolve(many, STD).meaning
    assert its.tasks[0].count == 109 * 11 * 11 and its.dtype is np.uint16
    volume = render(sample_scene(STD, 0, 0, many), STD, meaning=its)
    assert volume.label.dtype == np.uint16 and volume.label.max() > 255
    names = [f"s{i}" for i in range(300)]
    two = meaning_of("multi_task", names, [None], ["a"], 2)
    assert two.table([an_object("s299", None, "a")]).tolist() == [[0, 300], [0, 1], [0, 1]]


def test_more_classes_than_labels(tmp_path: Any) -> None:
    path = tmp_path / "many.sdf"
    path.write_text("".join(f"mapper m{i} {{ intensity = {i} }}\n" for i in range(257))
                    + "".join(f"shape s{i} {{ distance = length(p) - {i} }}\n" for i in range(256)))
    many = load_library(path)
    with pytest.raises(FdifError) as caught:
        resolve(Recipe(label="shape_mapper", displacements=[]), many)
    assert str(caught.value) == """\
error[E0504]: `shape_mapper` makes 65792 classes of this recipe's choices
  --> recipe: volume.label
  why: a label has at most 65535
  hint: choose from fewer classes in [classes], or label by `shape`"""
    assert resolve(Recipe(label="shape", displacements=[]), many).meaning.dtype is np.uint16


def test_a_stream_of_several_tasks() -> None:
    stream = VolumeStream(STD, recipe("multi_task"), 3)
    pair = next(iter(stream))
    assert stream.classes == 3 + 4 + 3
    assert pair["label"].shape == (3, 12, 14, 16) and pair["label"].dtype == torch.int64
    scene = sample_scene(STD, 3, 0, recipe("multi_task"))
    assert np.array_equal(pair["label"].numpy(), render(scene, STD, meaning=stream.meaning).label)
