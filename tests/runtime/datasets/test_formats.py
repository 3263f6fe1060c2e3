"""Each format, read by those whom it is for."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from fdif_dsl.compiler.library import load_library
from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.runtime.datasets.blosc import b2nd
from fdif_dsl.runtime.datasets.case import draw
from fdif_dsl.runtime.datasets.classification import z_scored
from fdif_dsl.runtime.datasets.nifti import Nifti, gzipped, nifti
from fdif_dsl.runtime.datasets.nnunet import place
from fdif_dsl.runtime.datasets.plan import Plan
from fdif_dsl.runtime.datasets.write import write
from fdif_dsl.runtime.recipe import Placement, Recipe
from fdif_dsl.runtime.recipe.meaning import MEANINGS


def message(error: Any) -> str:
    return str(error.value)


# -- files


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_nifti(kind: Any, tmp_path: Path, rng: np.random.Generator) -> None:
    volume = rng.integers(0, np.iinfo(kind).max, (5, 6, 7)).astype(kind)[:, ::2]
    (tmp_path / "a.nii").write_bytes(nifti(volume, "from a test"))
    file: Any = nibabel.load(tmp_path / "a.nii")
    assert file.get_data_dtype() == kind and file.header.get_zooms() == (1, 1, 1)
    assert file.header.get_xyzt_units()[0] == "mm" and bytes(file.header["descrip"]).startswith(b"from a test\0")
    assert np.array_equal(np.asarray(file.dataobj).transpose(2, 1, 0), volume)


def test_a_long_note_is_cut_off() -> None:
    data = nifti(np.zeros((1, 1, 1), np.uint8), "ü" * 200)
    assert len(data) == 353 and data[148:228] == b"?" * 79 + b"\0"


def test_packed_files_hold_no_time(rng: np.random.Generator) -> None:
    data = rng.integers(0, 4, 10_000).astype(np.uint8).tobytes()
    sizes = []
    for level in range(1, 10):
        packed = gzipped(data, level)
        assert gzip.decompress(packed) == data and packed[:8] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00"
        sizes.append(len(packed))
    assert sizes[-1] < sizes[0] < len(data)
    assert Nifti(0).ending == ".nii" and Nifti(1).ending == ".nii.gz"


@pytest.mark.parametrize("shape", [(1, 96, 32, 40), (1, 33, 40, 17), (2, 7, 5, 64), (1, 1, 1, 1)])
def test_chunks_filled_one_by_one_are_what_blosc2_writes(shape: Any, rng: np.random.Generator) -> None:
    blosc2 = pytest.importorskip("blosc2")
    array = rng.integers(0, 5, shape).astype(np.float32)
    data = b2nd(array, 3)
    found = blosc2.ndarray_from_cframe(data)
    assert np.array_equal(found[:], array)
    settings = {"codec": blosc2.Codec.ZSTD, "clevel": 3, "nthreads": 1}
    assert data == blosc2.asarray(array, chunks=found.chunks, blocks=found.blocks, cparams=settings).to_cframe()


def test_z_scores(rng: np.random.Generator) -> None:
    image = rng.integers(0, 129, (7, 8, 9)).astype(np.uint8)
    expected = (image - image.astype(np.float64).mean()) / image.astype(np.float64).std()
    found = z_scored(image)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
    assert not z_scored(np.full((2, 2, 2), 9, np.uint8)).any()


# -- MONAI


@pytest.mark.parametrize("label", MEANINGS)
def test_monai_reads_what_was_rendered(label: str, plan: Any, tmp_path: Path) -> None:
    data, transforms = pytest.importorskip("monai.data"), pytest.importorskip("monai.transforms")
    made: Plan = plan("monai", {"training": 2, "validation": 1}, label=label)
    write(made, tmp_path / "set")
    load = transforms.LoadImaged(keys=["image", "label"], ensure_channel_first=True)
    listed = {split: data.load_decathlon_datalist(str(tmp_path / "set" / "datalist.json"), data_list_key=split)
              for split in ("training", "validation")}
    assert {split: len(cases) for split, cases in listed.items()} == {"training": 2, "validation": 1}
    for case in made.cases():
        pair = load(listed[case.split].pop(0))
        volume = draw(made, case)[1]
        assert np.array_equal(pair["image"].numpy().transpose(0, 3, 2, 1)[0], volume.image)
        tasks = len(made.meaning.tasks)
        labels = volume.label.reshape(tasks, *volume.image.shape)
        assert labels.any() and np.array_equal(pair["label"].numpy().transpose(0, 3, 2, 1), labels)


def test_labels_of_several_tasks_have_their_names(plan: Any, tmp_path: Path) -> None:
    made = plan("monai", 1, label="multi_task")
    write(made, tmp_path / "set")
    listed = json.loads((tmp_path / "set" / "datalist.json").read_text())
    assert listed["labels"] == {
        "shape": {"0": "background", "1": "ball", "2": "cube"},
        "displacement": {"0": "background", "1": "none", "2": "waves"},
        "mapper": {"0": "background", "1": "glow", "2": "flat"}}
    assert listed["training"][0]["label"] == [f"labelsTr/case_00000_{t}.nii.gz" for t in listed["labels"]]


def test_many_classes_take_two_bytes(plan: Any, tmp_path: Path) -> None:
    library = tmp_path / "many.sdf"
    library.write_text("mapper flat { intensity = 100 }\n" + "".join(
        f"shape s{i} {{ distance = length(p) - 3 }}\n" for i in range(300)))
    made = replace(plan("monai", 1, objects=3), library=load_library(library),
                   recipe=Recipe(grid=(8, 8, 8), objects=30, displacements=[]))
    write(made, tmp_path / "set")
    label: Any = nibabel.load(tmp_path / "set" / "labelsTr" / "case_00000.nii.gz")
    assert label.get_data_dtype() == np.uint16
    assert np.array_equal(np.asarray(label.dataobj).transpose(2, 1, 0), draw(made, next(made.cases()))[1].label)


# -- nnU-Net


def test_nnunet_lists_what_is_there(plan: Any, tmp_path: Path) -> None:
    folder = place(tmp_path, 7, "FDIF")
    write(plan("nnunet", 2, title=folder.name, label="shape_mapper"), folder)
    assert folder.name == "Dataset007_FDIF"
    assert sorted(p.name for p in (folder / "imagesTr").iterdir()) == [
        "case_00000_0000.nii.gz", "case_00001_0000.nii.gz"]
    listed = json.loads((folder / "dataset.json").read_text())
    assert listed["labels"] == {"background": 0, "ball+glow": 1, "ball+flat": 2, "cube+glow": 3, "cube+flat": 4}
    assert listed["channel_names"] == {"0": "formula"} and listed["numTraining"] == 2
    assert listed["file_ending"] == ".nii.gz"


def test_volumes_for_validation_are_a_data_set_of_their_own(plan: Any, tmp_path: Path) -> None:
    write(plan("nnunet", {"validation": 2}, title="Dataset902_FDIFValidation"), tmp_path / "set")
    assert json.loads((tmp_path / "set" / "dataset.json").read_text())["numTraining"] == 2
    assert len(list((tmp_path / "set" / "labelsTr").iterdir())) == 2


def test_a_number_that_is_taken(tmp_path: Path) -> None:
    for name in ("Dataset901_Liver", "Dataset902_Heart", "photos"):
        (tmp_path / name).mkdir()
    assert place(tmp_path, 901, "Liver") == tmp_path / "Dataset901_Liver"
    with pytest.raises(FdifError) as caught:
        place(tmp_path, 901, "FDIF")
    assert message(caught) == f"""\
error[E0920]: number 901 is taken by Dataset901_Liver
  --> {tmp_path}
  why: nnU-Net finds a data set by its number alone
  hint: name another one, such as --dataset-id 903"""


def test_nnunet_has_one_label_a_voxel(plan: Any, tmp_path: Path) -> None:
    with pytest.raises(FdifError) as caught:
        write(plan("nnunet", 1, label="multi_task"), tmp_path / "set")
    assert message(caught) == """\
error[E0921]: nnU-Net takes one label a voxel, and `multi_task` gives 3
  hint: label by `shape_displacement_mapper`, which has a class for each combination, or write --format monai"""
    assert not (tmp_path / "set").exists()


# -- SSL3D's classification


def test_a_reader_of_blosc2_finds_images_and_classes(plan: Any, tmp_path: Path) -> None:
    blosc2 = pytest.importorskip("blosc2")
    made = plan("classification", 12, level=3, objects=1, label="shape_mapper")
    write(made, tmp_path / "set")
    labels, classes, splits = (json.loads((tmp_path / "set" / f"{name}.json").read_text())
                               for name in ("labelsTr", "classes", "splits_final"))
    assert classes == {"0": "ball+glow", "1": "ball+flat", "2": "cube+glow", "3": "cube+flat"}
    for case in made.cases():
        path = tmp_path / "set" / "nnUNetResEncUNetLPlans_3d_fullres" / f"{case.name}.b2nd"
        image = blosc2.open(str(path), mode="r")
        scene, volume = draw(made, case)
        grey = volume.image.astype(np.float64)
        assert image.shape == (1, 12, 16, 20) and image.dtype == np.float32
        np.testing.assert_allclose(image[:][0], (grey - grey.mean()) / grey.std(), rtol=1e-5, atol=1e-5)
        assert classes[str(labels[case.name])] == f"{scene.objects[0].shape}+{scene.objects[0].mapper}"
    assert len(splits) == 5 and len(set(labels.values())) > 1
    assert sorted(name for fold in splits for name in fold["val"]) == sorted(labels)
    assert all(sorted(fold["train"] + fold["val"]) == sorted(labels) for fold in splits)


@pytest.mark.parametrize(("count", "fields", "said"), [
    (9, {"objects": 2}, """\
error[E0922]: a volume of the recipe small has 2 objects
  why: the class of an image is that of its one object
  hint: take --recipe classification, or write objects = 1 into your recipe"""),
    (9, {}, """\
error[E0922]: a volume of the recipe small has 1 to 3 objects
  why: the class of an image is that of its one object
  hint: take --recipe classification, or write objects = 1 into your recipe"""),
    (9, {"objects": 1, "placement": Placement(translate="inside")}, """\
error[E0939]: a volume of the recipe small may be without its object
  why: with translate = "inside", an object that is too large for the grid is left out
  hint: write a number for `translate` in [placement], such as 0, the middle of the grid"""),
    (9, {"objects": 1, "label": "multi_task"}, """\
error[E0921]: an image has one class here, and `multi_task` gives 3
  hint: label by `shape_displacement_mapper`, which has a class for each combination"""),
    (4, {"objects": 1}, """\
error[E0923]: 4 volumes are too few for 5 folds
  hint: ask for 5 or more"""),
])
def test_what_is_no_classification(count: int, fields: dict[str, Any], said: str, plan: Any, tmp_path: Path) -> None:
    with pytest.raises(FdifError) as caught:
        write(plan("classification", count, **fields), tmp_path / "set")
    assert message(caught) == said
    assert not (tmp_path / "set").exists()


def test_without_blosc2(plan: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "blosc2", None)
    with pytest.raises(FdifError) as caught:
        write(plan("classification", 5, objects=1), tmp_path / "set")
    assert message(caught) == """\
error[E0924]: this format needs the package blosc2, which is not installed
  hint: pip install 'fdif-dsl[blosc2]'"""


# -- what all have


@pytest.mark.parametrize("label", MEANINGS)
def test_the_summary_counts_what_is_there(label: str, plan: Any, tmp_path: Path) -> None:
    made = plan("monai", 5, label=label)
    write(made, tmp_path / "set")
    summary = json.loads((tmp_path / "set" / "summary.json").read_text())
    drawn = [draw(made, case) for case in made.cases()]
    for number, task in enumerate(made.meaning.tasks):
        labels = [volume.label.reshape(len(made.meaning.tasks), -1)[number] for _, volume in drawn]
        for row in summary["tasks"][task.name]:
            assert row["name"] == task.classes[row["label"]]
            assert row["voxels"] == sum(int((one == row["label"]).sum()) for one in labels)
            assert row["volumes"] == sum(bool((one == row["label"]).any()) for one in labels)
            assert row["objects"] == sum(task.label(o, number) == row["label"] for scene, _ in drawn
                                         for number, o in enumerate(scene.objects, 1))
    shares = sorted((volume.label.reshape(-1, 12 * 16 * 20)[0] > 0).mean() for _, volume in drawn)
    assert summary["foreground"]["median"] == pytest.approx(shares[2], abs=1e-6)
    assert summary["foreground"]["mean"] == pytest.approx(np.mean(shares), abs=1e-6)
    for name in ("overview.png", "summary.png"):
        assert (tmp_path / "set" / name).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("form", ["monai", "nnunet", "classification"])
def test_the_card_says_how_to_read_it(form: str, plan: Any, tmp_path: Path) -> None:
    """The code on the card runs, where the data set is of a kind that Python reads."""
    write(plan(form, 5, objects=1, title="Dataset901_FDIF"), tmp_path / "set")
    card = (tmp_path / "set" / "README.md").read_text()
    code = "\n".join(line[4:] for line in card.splitlines() if line.startswith("    ") or not line)
    if form == "nnunet":
        assert "nnUNetv2_plan_and_preprocess -d 901 --verify_dataset_integrity" in code
        return
    names: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path / "set")
        exec(code, names)
    shape = names["image"].shape if form == "classification" else names["pair"]["image"].shape
    assert tuple(shape) == ((1, 12, 16, 20) if form == "classification" else (1, 20, 16, 12))
