"""The library: loading, ids, docs, the shape of results, mistakes."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

import fdif_dsl as fd
from fdif_dsl.compiler.frontend.built_in import standard_files
from fdif_dsl.grammar.parse import parse, read_source


def test_every_declaration_of_the_standard_library_has_a_doc() -> None:
    for path in standard_files():
        for decl in parse(read_source(path)).decls:
            assert decl.doc, f"{path.name}: {decl.name}"


def test_every_quantity_of_the_classes_has_a_doc(lib: fd.Library) -> None:
    for shape in lib.shapes.values():
        for q in shape.parameters:
            assert q.doc, f"{shape.name}.{q.name}"


def test_a_file_adds_its_classes_after_those_it_uses(tmp_path: Path, lib: fd.Library) -> None:
    (tmp_path / "own.sdf").write_text("use classes\nuse displacements\nshape egg { distance = length(p) - 4 }\n")
    own = fd.load_library(tmp_path / "own.sdf")
    assert [*own.shapes] == [*lib.shapes, "egg"]
    assert own.shapes["egg"].id == 110
    assert [*own.displacements] == [*lib.displacements] and not own.mappers


def test_own_names_win_and_a_folder_is_one_library(tmp_path: Path) -> None:
    (tmp_path / "a.sdf").write_text("fn union(a, b) = a + b\nshape one { distance = union(1, 2) }\n")
    (tmp_path / "b.sdf").write_text("use std\nuse a\nfn union(a, b) = 10\nshape two { distance = union(1, 2) }\n")
    own = fd.load_library(tmp_path)
    values = {n: s.distance(np.zeros((1, 3)), backend="interpret")[0] for n, s in own.shapes.items()}
    assert values == {"one": 3, "two": 10}


def test_the_hash_follows_the_formulas_and_nothing_else(tmp_path: Path) -> None:
    def hash_of(text: str) -> str:
        (tmp_path / "s.sdf").write_text(text)
        return fd.load_library(tmp_path / "s.sdf").hash

    first = hash_of("shape s { r ~ uniform(1, 2)\n distance = length(p) - r }")
    assert first == hash_of("# a comment\n## And a doc.\nshape s {\n r ~ uniform(1, 2)\n\n distance = length(p) - r }")
    assert first != hash_of("shape s { r ~ uniform(1, 3)\n distance = length(p) - r }")
    assert first != hash_of("shape t { r ~ uniform(1, 2)\n distance = length(p) - r }")


def test_a_library_travels_to_other_processes(lib: fd.Library) -> None:
    copy = pickle.loads(pickle.dumps(lib))
    assert copy.hash == lib.hash and list(copy.shapes) == list(lib.shapes)
    points = np.random.default_rng(0).uniform(-20, 20, (10, 3))
    params = {"radius": 9.0, "w": 0.4, "height": 12.0}
    a, b = (x.shapes["six_star_prism"].distance(points, params, backend="interpret") for x in (lib, copy))
    assert np.array_equal(a, b)


@pytest.mark.parametrize(("backend", "dtype"), [("cpu", np.float32), ("interpret", np.float64)])
def test_results_have_a_shape_and_a_type(lib: fd.Library, backend: str, dtype: type) -> None:
    points = np.ones((7, 3))
    found = lib.shapes["sphere"].distance(points, {"radius": 1.0}, backend=backend)
    assert found.shape == (7,) and found.dtype == dtype
    assert lib.displacements["ridge"].offset(points, grid=(96, 96, 96), backend=backend).shape == (7,)
    assert lib.mappers["modular_5"].intensity(np.zeros(7), backend=backend).shape == (7,)
    assert lib.shapes["sphere"].distance(np.empty((0, 3)), {"radius": 1.0}, backend=backend).shape == (0,)


def test_points_may_be_lists_and_the_affine_moves_the_object(lib: fd.Library) -> None:
    affine = np.eye(4)
    affine[:3, 3] = 10, 0, 0
    assert lib.shapes["sphere"].distance([[10, 0, 3]], {"radius": 1}, affine.tolist())[0] == pytest.approx(2)


MISTAKES = {
    "points": (lambda s: s.distance([1, 2, 3], {"radius": 1}), """\
error[E0605]: points have the shape (3,)
  --> points
  why: wanted are numbers of the shape (N, 3): x, y, z in voxels
  hint: one point is [[x, y, z]]"""),
    "backend": (lambda s: s.distance([[1, 2, 3]], {"radius": 1}, backend="cpus"), """\
error[E0602]: there is no backend 'cpus'
  --> backend
  why: backends are cpu, cuda, torch, interpret
  hint: did you mean `cpu`?"""),
    "affine": (lambda s: s.distance([[1, 2, 3]], {"radius": 1}, np.zeros((4, 4))), """\
error[E0607]: the affine has no inverse
  --> affine
  why: distances are taken at the point in object coordinates
  hint: make its first three columns independent"""),
    "affine shape": (lambda s: s.distance([[1, 2, 3]], {"radius": 1}, np.eye(3)), """\
error[E0606]: the affine has the shape (3, 3)
  --> affine
  why: wanted is a 4 x 4 matrix from object to world coordinates
  hint: None leaves the object where it is"""),
    "grid": (lambda s: s.distance([[1, 2, 3]], {"radius": 1}, grid=(1, 2)), """\
error[E0608]: (1, 2) is no grid
  --> grid
  why: a grid is three whole numbers (D, H, W), each from 1 to 2048 voxels
  hint: for example (96, 96, 96)"""),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(lib: fd.Library, name: str) -> None:
    call, wanted = MISTAKES[name]
    with pytest.raises(fd.FdifError) as caught:
        call(lib.shapes["sphere"])
    assert str(caught.value) == wanted


def test_an_unknown_name_is_both_a_diagnostic_and_a_key_error(lib: fd.Library) -> None:
    assert "spheer" not in lib.shapes and lib.shapes.get("spheer") is None
    with pytest.raises(KeyError) as caught:
        lib.shapes["spheer"]
    assert str(caught.value) == """\
error[E0603]: the library has no shape 'spheer'
  --> shape
  hint: did you mean `sphere`?"""
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_an_empty_folder_is_no_library(tmp_path: Path) -> None:
    with pytest.raises(fd.FdifError, match="E0604"):
        fd.load_library(tmp_path)


def test_built_in_libraries_are_known_by_name(lib: fd.Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert fd.load_library("standard").hash == lib.hash
    both = fd.load_library(["mappers", "displacements"])
    assert list(both.mappers) == list(lib.mappers) and list(both.displacements) == list(lib.displacements)
    assert not both.shapes
    monkeypatch.chdir(tmp_path)  # a folder of that name is named as a place
    Path("mappers").mkdir()
    Path("mappers/own.sdf").write_text("mapper own { intensity = d }")
    assert list(fd.load_library("mappers").mappers) == list(lib.mappers)
    for place in ("./mappers", Path("mappers")):
        assert list(fd.load_library(place).mappers) == ["own"]


def test_a_library_that_there_is_not() -> None:
    with pytest.raises(fd.FdifError) as caught:
        fd.load_library("mapper")
    title, why, hint = str(caught.value).splitlines()
    assert title == "error[E0625]: there is no library `mapper`"
    assert why.startswith("  why: the built-in ones are `standard`, `classes`, ") and "`mappers`" in why
    assert hint == "  hint: did you mean `mappers`?"
