"""Random smooth unions: which they are, and what they are made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fdif_dsl.compiler.library import load_library
from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.grammar.format import format_source
from fdif_dsl.runtime.scenes.unions import with_unions

STD = load_library()


def names(library: object, count: int) -> list[str]:
    return list(library.shapes)[-count:]  # type: ignore[attr-defined]


def test_they_come_after_the_library(tmp_path: Path) -> None:
    more, text = with_unions(STD, None, 7, 3)
    assert list(more.shapes)[:109] == list(STD.shapes) and len(more.shapes) == 112
    assert list(more.mappers) == list(STD.mappers) and list(more.displacements) == list(STD.displacements)
    assert all(name.startswith("union_") for name in names(more, 3))
    (tmp_path / "unions.sdf").write_text(text)
    assert load_library(tmp_path / "unions.sdf").hash == more.hash, "the file alone makes the same library"
    assert format_source(text, "unions.sdf") == text


def test_which_they_are_the_seed_says() -> None:
    three = names(with_unions(STD, None, 7, 3)[0], 3)
    assert names(with_unions(STD, None, 7, 5)[0], 5)[:3] == three
    assert names(with_unions(STD, None, 8, 3)[0], 3) != three
    five = names(with_unions(STD, ["torus", "cone", "sphere", "cylinder"], 7, 6)[0], 6)
    assert len(set(five)) == 6
    assert {part for name in five for part in name.split("_")[1:]} == {"torus", "cone", "sphere", "cylinder"}


def test_a_union_is_what_its_parameters_say() -> None:
    """By hand: two balls, the second moved aside; turning a ball changes nothing."""
    library, _ = with_unions(STD, ["sphere", "octahedron"], 1, 1)
    union = library.shapes["union_octahedron_sphere"]
    given = {"size": 4.0, "radius": 10.0, "fillet": 3.0, "apart": 12.0, "axis_1": (0, 0, 1), "angle_1": np.pi / 2,
             "axis_2": (1, 2, 3), "angle_2": 0.7}
    points = np.array([[0, 0, 0], [12, 0, 0], [3, 0, 1], [2.5, 0, 0], [0, 30, 0]])
    solid = (np.abs(points).sum(1) - 4) * 0.35773502691896257
    ball = np.linalg.norm(points - (12, 0, 0), axis=1) - 10
    expected = np.minimum(solid, ball) - np.maximum(3 - np.abs(solid - ball), 0) ** 2 / 12
    np.testing.assert_allclose(union.distance(points, given, backend="interpret"), expected, atol=1e-9)


def test_each_has_priors_of_its_own() -> None:
    union = with_unions(STD, ["sphere", "torus"], 1, 1)[0].shapes["union_sphere_torus"]
    random = {q.name for q in union.parameters if q.prior}
    assert random == {"fillet", "apart", "axis_1", "angle_1", "axis_2", "angle_2", "radius", "major", "minor"}


def test_of_a_library_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "own.sdf").write_text(
        'shape a { distance = length(p) - 5 }\nshape b { distance = p.z }\nshape "c-1" { distance = p.x }\n')
    own = load_library(tmp_path / "own.sdf")
    assert list(with_unions(own, None, 0, 1)[0].shapes) == ["a", "b", "c-1", "union_a_b"]
    with pytest.raises(FdifError) as caught:
        with_unions(own, None, 0, 2)
    assert str(caught.value) == """\
error[E0925]: 2 unions of two of 2 classes
  --> --unions
  why: so many make 1 pair
  hint: ask for fewer, or choose from more classes"""


def test_of_a_compiled_library(tmp_path: Path) -> None:
    (tmp_path / "own.sdf").write_text("use std\nshape a { distance = union(p.z, p.x) }\nshape b { distance = p.y }\n")
    own = load_library(tmp_path / "own.sdf")
    own.save(tmp_path / "compiled")
    loaded = load_library(tmp_path / "compiled")
    assert with_unions(loaded, None, 0, 1)[0].hash == with_unions(own, None, 0, 1)[0].hash
