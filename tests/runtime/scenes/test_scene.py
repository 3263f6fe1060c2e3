"""Scenes as JSON: round trips, the authors' files, and every message about a file that is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.runtime.scenes import scene as scene_module
from fdif_dsl.runtime.scenes.scene import Scene, SceneObject

GOLDEN = Path(__file__).parents[2] / "data" / "golden"
EYE = ((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0))


def data(**changes: Any) -> dict[str, Any]:
    """A scene of one object as JSON, some fields of the object changed; `...` leaves one out."""
    one = {"class": "sphere", "params": {"radius": 3.5}, "affine": [list(r) for r in EYE], "displacement": None,
           "mapper": "modular_5"}
    return {"grid": [4, 5, 6], "objects": [{k: v for k, v in (one | changes).items() if v is not ...}]}


def message(call: Any, *args: Any) -> str:
    with pytest.raises(FdifError) as caught:
        call(*args)
    return str(caught.value)


numbers = st.floats(allow_nan=False)
values = st.one_of(numbers, st.integers(), st.lists(numbers), st.lists(st.lists(numbers)))
objects = st.builds(
    SceneObject, shape=st.text(min_size=1), params=st.dictionaries(st.text(), values),
    affine=st.tuples(*[st.floats(-50, 50)] * 3).map(lambda t: (*((*EYE[i][:3], t[i]) for i in range(3)), EYE[3])),
    displacement=st.none() | st.text(min_size=1), mapper=st.text(min_size=1))
scenes = st.builds(Scene, grid=st.tuples(*[st.integers(1, 1024)] * 3), objects=st.lists(objects, max_size=3).map(tuple))


@given(scenes)
def test_a_scene_reads_back_as_it_was(scene: Scene) -> None:
    assert Scene.from_dict(scene.to_dict()) == scene
    assert Scene.from_dict(json.loads(scene.to_text())) == scene
    assert Scene.from_dict(json.loads(scene.to_text())).to_text() == scene.to_text()


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("scene_dev_*.json")), ids=lambda p: p.stem)
def test_the_authors_scenes_read(path: Path) -> None:
    """They hold keys of their own (seed, class_id, inverse_affine, ...), which are passed over."""
    scene, raw = Scene.from_json(path), json.loads(path.read_text())
    assert scene.to_dict()["grid"] == raw["grid"]
    for read, written in zip(scene.to_dict()["objects"], raw["objects"], strict=True):
        assert read == {key: written[key] for key in read}


def test_the_text_of_a_scene(tmp_path: Path) -> None:
    scene = Scene((4, 5, 6), (SceneObject("sphere", {"radius": 3.5}, EYE, None, "modular_5"),))
    expected = """\
{
  "grid": [4, 5, 6],
  "objects": [
    {
      "class": "sphere",
      "params": {"radius": 3.5},
      "affine": [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]],
      "displacement": null,
      "mapper": "modular_5"
    }
  ]
}
"""
    scene.to_json(tmp_path / "s.json")
    assert (tmp_path / "s.json").read_text() == expected
    assert list(tmp_path.iterdir()) == [tmp_path / "s.json"]
    assert Scene((1, 1, 1), ()).to_text() == '{\n  "grid": [1, 1, 1],\n  "objects": []\n}\n'


def test_parameters_may_be_arrays_and_nan(tmp_path: Path) -> None:
    params = {"a": np.float32(1.5), "b": np.eye(2), "c": torch.ones(2), "d": [np.float64(1)], "e": float("nan")}
    Scene((1, 1, 1), (SceneObject("x", params, EYE, None, "m"),)).to_json(tmp_path / "s.json")
    read = Scene.from_json(tmp_path / "s.json").objects[0].params
    assert np.isnan(read.pop("e"))  # type: ignore[attr-defined]
    assert read == {"a": 1.5, "b": [[1, 0], [0, 1]], "c": [1, 1], "d": [1]}


FIELDS = {
    "class": ({"class": 3}, """\
error[E0903]: 3 where a name is expected
  --> scene: objects[0].class
  hint: write a name in quotes, like "a\""""),
    "missing": ({"mapper": ...}, """\
error[E0903]: `mapper` is missing
  --> scene: objects[0]
  hint: an object is {"class": ..., "params": {...}, "affine": ..., "displacement": ... or null, "mapper": ...}"""),
    "params": ({"params": [1]}, """\
error[E0903]: a list where a table of names and values is expected
  --> scene: objects[0].params
  hint: write it like {"radius": 10.0}"""),
    "displacement": ({"displacement": False}, """\
error[E0903]: a truth value where a name is expected
  --> scene: objects[0].displacement
  hint: write a name in quotes, like "a\""""),
    "singular": ({"affine": [[1, 2, 3, 0], [2, 4, 6, 0], [0, 0, 1, 0], [0, 0, 0, 1]]}, """\
error[E0903]: the matrix cannot be inverted
  --> scene: objects[0].affine
  why: it flattens space, and a distance is measured in the object's own coordinates
  hint: make its first three columns independent"""),
    "NaN": ({"affine": [[float("nan"), 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]}, """\
error[E0903]: the matrix holds an infinity or NaN
  --> scene: objects[0].affine
  hint: write four rows of four numbers, the last row 0, 0, 0, 1"""),
    "perspective": ({"affine": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 1, 1]]}, """\
error[E0903]: the last row of the matrix is not 0, 0, 0, 1
  --> scene: objects[0].affine
  why: it maps points, without perspective
  hint: write four rows of four numbers, the last row 0, 0, 0, 1"""),
    "ragged": ({"affine": [[1, 0, 0, 0], [0, 1]]}, """\
error[E0903]: [[1, 0, 0, 0], [0, 1]] where a 4 x 4 matrix is expected
  --> scene: objects[0].affine
  hint: write four rows of four numbers, the last row 0, 0, 0, 1"""),
    "text": ({"affine": "identity"}, """\
error[E0903]: `identity` where a 4 x 4 matrix is expected
  --> scene: objects[0].affine
  hint: write four rows of four numbers, the last row 0, 0, 0, 1"""),
}


@pytest.mark.parametrize(("changes", "expected"), FIELDS.values(), ids=FIELDS)
def test_a_wrong_field_is_named(changes: dict[str, Any], expected: str) -> None:
    assert message(Scene.from_dict, data(**changes)) == expected


@pytest.mark.parametrize(("value", "expected"), [
    ([], """\
error[E0903]: a list where a scene is expected
  --> scene
  hint: a scene is {"grid": [D, H, W], "objects": [...]}"""),
    ({"grid": [4, 4, 0], "objects": 3}, """\
error[E0903]: [4, 4, 0] is no possible volume
  --> scene: grid
  why: each side has 1 to 2048 voxels
  hint: write the voxels along z, y and x, for example [96, 96, 96]

error[E0903]: a number where a list is expected
  --> scene: objects
  hint: write it in square brackets"""),
    ({"objects": [None]}, """\
error[E0903]: `grid` is missing
  --> scene
  hint: a scene is {"grid": [D, H, W], "objects": [...]}

error[E0903]: nothing (null) where an object is expected
  --> scene: objects[0]
  hint: an object is {"class": ..., "params": {...}, "affine": ..., "displacement": ... or null, "mapper": ...}"""),
])
def test_a_wrong_scene(value: Any, expected: str) -> None:
    assert message(Scene.from_dict, value) == expected


@pytest.mark.parametrize("field", ["class", "params", "affine", "displacement", "mapper"])
def test_a_deeply_nested_value_is_no_trouble(field: str) -> None:
    deep: list[Any] = []
    for _ in range(900):
        deep = [deep] * 2
    assert message(Scene.from_dict, data(**{field: deep})).count("error[") == 1


def test_every_mistake_is_told_and_none_twice() -> None:
    wrong = data(**{"class": "", "params": None, "affine": None, "displacement": 1, "mapper": []})
    assert message(Scene.from_dict, wrong).count("error[") == 5


FILES = {
    "syntax": (b'{"grid": [1, 1, 1],\n  "objects": [}\n', """\
error[E0902]: the scene is not JSON
  --> s.json:2:15
  |
2 |   "objects": [}
  |               ^
  why: Expecting value
  hint: a scene is {"grid": [D, H, W], "objects": [...]}"""),
    "cut off": (b'{"grid": [1', """\
error[E0902]: the scene is not JSON
  --> s.json:1:12
  |
1 | {"grid": [1
  |            ^
  why: Expecting ',' delimiter
  hint: a scene is {"grid": [D, H, W], "objects": [...]}"""),
    "empty": (b"", """\
error[E0902]: the scene is not JSON
  --> s.json:1:1
  |
1 | 
  | ^
  why: Expecting value
  hint: a scene is {"grid": [D, H, W], "objects": [...]}"""),
    "not text": (b"\xff\xfe", """\
error[E0902]: the scene is not UTF-8 text
  --> s.json
  hint: save it as UTF-8; is it a scene at all?"""),
    "deep": (b"[" * 100_000, """\
error[E0902]: the scene is nested too deeply
  --> s.json
  hint: a scene is {"grid": [D, H, W], "objects": [...]}"""),
    "long number": (b"9" * 5000, """\
error[E0902]: the scene holds a number of too many digits
  --> s.json
  hint: 17 digits are all that a number holds"""),
}


@pytest.mark.parametrize(("content", "expected"), FILES.values(), ids=FILES)
def test_a_file_that_is_no_scene(content: bytes, expected: str, tmp_path: Path,
                                 monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("s.json").write_bytes(content)
    assert message(Scene.from_json, "s.json") == expected


def test_a_field_of_a_file_is_named_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    path.write_text(json.dumps(data(mapper=7)))
    assert message(Scene.from_json, path).splitlines()[1] == f"  --> {path}: objects[0].mapper"


def test_a_file_that_is_not_there_or_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert message(Scene.from_json, "s.json") == """\
error[E0901]: cannot read the scene
  --> s.json
  why: No such file or directory
  hint: check the path and its permissions"""
    Path("s.json").write_text(json.dumps(data()))
    monkeypatch.setattr(scene_module, "BYTES", 100)
    assert message(Scene.from_json, "s.json") == """\
error[E0901]: the scene file is too large
  --> s.json
  why: it has 225 bytes, and at most 100 are read
  hint: split it into several scenes"""
