"""Groups: classes that come together, with one place and the same numbers, and what is said of groups that cannot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import fdif_dsl as fd
from fdif_dsl.runtime.recipe import resolve

TEXT = """
shape heart(part: int) {
  radius ~ uniform(0.15, 0.2) * grid.min
  wall ~ radius * uniform(0.3, 0.6)
  chamber = length(p) - radius
  muscle = max(chamber - wall, -chamber)
  distance = [chamber, muscle][part]
}
shape chamber = heart(0)
shape muscle = heart(1)
shape ball { r ~ uniform(2, 3)
  distance = length(p) - r }
mapper flat { level ~ uniform(20, 100)
  intensity = where(d > 0, 0, level) }
"""


@pytest.fixture
def lib(tmp_path: Path) -> fd.Library:
    (tmp_path / "heart.sdf").write_text(TEXT)
    return fd.load_library(tmp_path / "heart.sdf")


def recipe(**more) -> fd.Recipe:  # type: ignore[no-untyped-def]
    given = {"grid": (24, 24, 24), "objects": 3, "shapes": ["ball", "chamber"], "displacements": [],
             "mappers": ["flat"], "groups": [["chamber", "muscle"]]}
    return fd.Recipe(**given | more)


def test_the_parts_of_a_group_lie_together(lib: fd.Library) -> None:
    with_parts, alone = recipe(), recipe(groups=[])
    seen = 0
    for index in range(6):
        scene, before = fd.sample_scene(lib, 7, index, with_parts), fd.sample_scene(lib, 7, index, alone)
        assert scene.objects[:3] == before.objects
        first = [o for o in before.objects if o.shape == "chamber"]
        others = scene.objects[3:]
        assert [o.shape for o in others] == ["muscle"] * len(first)
        for one, other in zip(first, others, strict=True):
            assert one.affine == other.affine and other.params["part"] == 1
            assert one.params["radius"] == other.params["radius"] and 0 < other.params["wall"] < one.params["radius"]
            assert one.mapper_params != other.mapper_params
            seen += 1
    assert seen > 3


def test_each_part_has_its_label(lib: fd.Library) -> None:
    one = recipe(shapes=["chamber"], objects=1)
    meaning = resolve(one, lib).meaning
    assert meaning.tasks[0].classes == ("background", "chamber", "muscle")
    volume = fd.render(fd.sample_scene(lib, 7, 0, one), lib, backend="interpret", meaning=meaning)
    assert set(np.unique(volume.label)) == {0, 1, 2}
    # Of all classes of a library, those that come with another are not drawn alone.
    assert [shape.name for shape in resolve(recipe(shapes=None), lib).shapes] == ["chamber", "ball"]
    assert fd.Recipe(**{"groups": [["a", "b"]]}).to_dict()["classes"]["groups"] == [["a", "b"]]


@pytest.mark.parametrize(("wrong", "said"), [
    ({"groups": [["chamber", "muscel"]]}, "no shape `muscel`"),
    ({"groups": [["muscle", "chamber"]]}, "`muscle` is not among the shapes"),
    ({"groups": [["ball", "chamber"]]}, "`chamber` is drawn alone too"),
    ({"shapes": ["ball"], "groups": [["ball", "chamber"]]}, "`chamber` draws other quantities than `ball`"),
    ({"placement": fd.Recipe.load("primgeoseg").placement}, "not placed inside the grid")])
def test_one_message_for_a_group_that_cannot_be(lib: fd.Library, wrong: dict, said: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(fd.FdifError, match=said) as caught:
        resolve(recipe(**wrong), lib)
    assert len(caught.value.diagnostics) == 1


@pytest.mark.parametrize("wrong", [3, [["a"]], [["a", "b"], ["c", "b"]], ["ab"]])
def test_groups_are_lists_of_classes(wrong: object) -> None:
    with pytest.raises(fd.FdifError):
        fd.Recipe(groups=wrong)  # type: ignore[arg-type]
