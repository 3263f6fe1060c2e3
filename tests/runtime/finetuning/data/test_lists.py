"""Lists as they are found in the wild: what can be read is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from fdif_dsl.runtime.finetuning import FinetuneRecipe, open_data
from fdif_dsl.runtime.finetuning.data.datalists import read_list
from fdif_dsl.runtime.finetuning.data.normalisation import schemes, told
from fdif_dsl.runtime.finetuning.preflight import begin


def test_a_mark_at_the_beginning(datalist: Any, nnunet: Any, tiny: Any, tmp_path: Path) -> None:
    path = datalist(cases=3)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(read_list(path).cases) == 3
    folder = nnunet(cases=3)
    splits = json.dumps([{"train": ["toy_000", "toy_001"], "val": ["toy_002"]}])
    (folder / "splits_final.json").write_text(splits, encoding="utf-8-sig")
    assert read_list(folder).folds is not None
    recipe = tmp_path / "mine.toml"
    recipe.write_text("[train]\nsteps = 1234\n", encoding="utf-8-sig")
    assert FinetuneRecipe.load(recipe).train.steps == 1234


def test_backslashes(datalist: Any, tiny: Any) -> None:
    path = datalist(cases=3)
    path.write_text(path.read_text().replace("Tr/", r"Tr\\"))
    data = read_list(path)
    assert [case.name for case in data.cases] == ["case0", "case1", "case2"]
    assert data.cases[0].images == (path.parent / "imagesTr/case0.nii.gz",)
    assert len(open_data(tiny(path)).data.facts) == 3


def test_names_of_the_first_nnunet(datalist: Any, tiny: Any) -> None:
    """Its list has no number of the channel, and its files have."""
    path = datalist(cases=3, modality={"0": "T1", "1": "CT"})
    for image in (path.parent / "imagesTr").iterdir():
        bare = image.name.removesuffix(".nii.gz")
        (image.with_name(f"{bare}_0001.nii.gz")).write_bytes(image.read_bytes())
        image.rename(image.with_name(f"{bare}_0000.nii.gz"))
    data = open_data(tiny(path)).data
    assert data.channels == 2
    assert [file.name for file in data.list.cases[1].images] == ["case1_0000.nii.gz", "case1_0001.nii.gz"]


def test_hidden_files_are_no_cases(nnunet: Any, tiny: Any) -> None:
    folder = nnunet(cases=3)
    for part in ("imagesTr", "labelsTr"):
        for file in list((folder / part).iterdir()):
            (folder / part / f"._{file.name}").write_bytes(b"\x00\x05\x16\x07Mac OS X")
    assert sorted(open_data(tiny(folder)).data.facts) == ["toy_000", "toy_001", "toy_002"]


@pytest.mark.parametrize(("wanted", "names", "channels", "how", "line"), [
    ("auto", ("CT ",), 1, ("ct",), "CT ct"),
    ("auto", (" ct", "T1", "noNorm\t"), 3, ("ct", "clipped", "keep"), "ct ct, T1 clipped, noNorm keep"),
    ("auto", (), 1, ("clipped",), "clipped"),
    ("auto", ("CT",), 2, ("ct", "clipped"), "CT ct, 1 clipped"),
    ("unit", ("CT", ""), 2, ("unit", "unit"), "CT unit, 1 unit"),
])
def test_a_channel_is_normalised_by_its_name(
        wanted: str, names: tuple[str, ...], channels: int, how: tuple[str, ...], line: str) -> None:
    assert schemes(wanted, names, channels) == how
    assert told(how, names) == line


@pytest.mark.parametrize(("shift", "apart"), [(0.4, "0.4 of a voxel apart, 0.4 mm"),
                                              (0.02, "0.02 of a voxel apart, 0.02 mm")])
def test_headers_that_differ_a_little(shift: float, apart: str, datalist: Any, tiny: Any) -> None:
    path = datalist(cases=4)
    for number, by in ((1, shift), (3, shift / 4), (0, 0.004)):
        file = path.parent / f"labelsTr/case{number}.nii.gz"
        stored = nibabel.load(file)
        affine = stored.affine.copy()
        affine[1, 3] += by
        nibabel.save(nibabel.Nifti1Image(np.asarray(stored.dataobj), affine), file)
    among = ", in 2 of 4 cases" if shift > 0.02 else ""
    (warning,) = begin(tiny(path), "small", False).warnings
    assert warning.render() == f"""\
warning[E0928]: the headers of an image and its label differ
  --> {path.parent}/imagesTr/case1.nii.gz and {path.parent}/labelsTr/case1.nii.gz
  why: they put the same voxel up to {apart}{among}; the image's is used
  hint: if that is no rounding, the label may have been drawn on another image"""
