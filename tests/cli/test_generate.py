"""`generate`: what lies on disk, and what MONAI reads from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from fdif_dsl.compiler.library import load_library
from fdif_dsl.runtime.recipe import Recipe
from fdif_dsl.runtime.render import render
from fdif_dsl.runtime.sampler import sample_scene
from fdif_dsl.runtime.scene import Scene


@pytest.fixture
def uneven(tmp_path: Path, recipe: Path) -> Path:
    """A recipe whose grid has three different sides."""
    path = tmp_path / "uneven.toml"
    path.write_text(recipe.read_text().replace("[16, 16, 16]", "[12, 16, 20]"))
    return path


def test_a_data_set(fdifc: Any, shapes: Path, uneven: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    result = fdifc("generate", "--recipe", uneven, "--count", 3, "--seed", 5, "-o", out, "--library", shapes,
                   "--scenes")
    assert result.exit_code == 0, result.output
    assert result.output == f"3 volumes in {out}, picture in {out / 'overview.png'}\n"
    lib = load_library(shapes)
    for i in range(3):
        volume = render(sample_scene(lib, 5, i, Recipe.load(uneven)), lib)
        for folder, expected in (("imagesTr", volume.image), ("labelsTr", volume.label)):
            file: Any = nibabel.load(out / folder / f"case_{i:05d}.nii.gz")
            assert file.shape == (20, 16, 12)  # x, y, z
            assert file.get_data_dtype() == np.uint8 and np.array_equal(file.affine, np.eye(4))
            assert np.array_equal(np.asarray(file.dataobj).transpose(2, 1, 0), expected)
        scene = Scene.from_json(out / "scenesTr" / f"case_{i:05d}.json")
        assert np.array_equal(render(scene, lib).image, volume.image)


def test_the_list_is_what_monai_reads(fdifc: Any, shapes: Path, recipe: Path, tmp_path: Path) -> None:
    data = pytest.importorskip("monai.data")
    out = tmp_path / "set"
    assert fdifc("generate", "--recipe", recipe, "--count", 2, "-o", out, "--library", shapes).exit_code == 0
    cases = data.load_decathlon_datalist(str(out / "datalist.json"), is_segmentation=True)
    assert [Path(c["image"]).name for c in cases] == ["case_00000.nii.gz", "case_00001.nii.gz"]
    assert all(Path(c[key]).is_file() for c in cases for key in ("image", "label"))
    stored = json.loads((out / "datalist.json").read_text())
    assert stored["labels"] == {"0": "background", "1": "ball", "2": "cube"}
    assert stored["numTraining"] == 2 and stored["name"] == "small"


def test_a_smaller_set_replaces_a_larger_one(fdifc: Any, shapes: Path, recipe: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    for count in (3, 1):
        result = fdifc("generate", "--recipe", recipe, "--count", count, "-o", out, "--library", shapes)
        assert result.exit_code == 0, result.output
    assert result.output.startswith("1 volume in")
    assert [p.name for p in (out / "imagesTr").iterdir()] == ["case_00000.nii.gz"]


def test_a_foreign_folder_is_left_alone(fdifc: Any, shapes: Path, recipe: Path, tmp_path: Path) -> None:
    out = tmp_path / "photos"
    out.mkdir()
    (out / "cat.jpg").write_bytes(b"")
    result = fdifc("generate", "--recipe", recipe, "--count", 1, "-o", out, "--library", shapes)
    assert (result.exit_code, result.stderr) == (1, f"""\
error[E0804]: {out} holds files of something else
  why: it is not empty and has no datalist.json
  hint: name a new or empty folder with -o
""")
    assert [p.name for p in out.iterdir()] == ["cat.jpg"]


def test_a_file_in_the_way(fdifc: Any, shapes: Path, recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    result = fdifc("generate", "--recipe", recipe, "--count", 1, "-o", tmp_path / "out", "--library", shapes)
    assert (result.exit_code, result.stderr) == (
        1, f"error[E0803]: {tmp_path / 'out'} is a file, and a folder is to go there\n"
        "  hint: name another folder with -o\n")


def test_an_interrupted_run_leaves_no_list_and_no_half_file(
        fdifc: Any, shapes: Path, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fdif_dsl.runtime.datasets import decathlon

    out = tmp_path / "set"
    arguments = ("generate", "--recipe", recipe, "--count", 2, "-o", out, "--library", shapes)
    assert fdifc(*arguments).exit_code == 0

    def stop(scene: Scene, lib: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(decathlon, "render", stop)
    result = fdifc(*arguments)
    assert (result.exit_code, result.stderr) == (130, "interrupted\n")
    assert not (out / "datalist.json").exists()
    assert not list(out.rglob(".*"))


def test_an_unknown_recipe(fdifc: Any, tmp_path: Path) -> None:
    result = fdifc("generate", "--recipe", "papper", "--count", 1, "-o", tmp_path / "out")
    assert result.exit_code == 1 and "did you mean `paper`?" in result.stderr
    assert not (tmp_path / "out").exists()


def test_an_unknown_format(fdifc: Any, tmp_path: Path) -> None:
    result = fdifc("generate", "--count", 1, "-o", tmp_path / "out", "--format", "dicom")
    assert result.exit_code == 2 and "'dicom'" in result.stderr
