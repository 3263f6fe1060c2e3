"""NRRD, MetaImage and DICOM series are read and written as NIfTI is."""

from __future__ import annotations

import json
import locale
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.runtime.finetuning.data import itk
from fdif_dsl.runtime.finetuning.data.datalists import read_list
from fdif_dsl.runtime.finetuning.data.fingerprint import examine
from fdif_dsl.runtime.finetuning.data.nifti import read_label, read_volume
from fdif_dsl.runtime.finetuning.data.writing import ending_of, write_classes

COS, SIN = np.cos(0.3), np.sin(0.3)
TURNED = np.array([[-0.8 * COS, 1.1 * SIN, 0, 12.5], [0.8 * SIN, 1.1 * COS, 0, -40], [0, 0, -2.5, 7], [0, 0, 0, 1]])
VOXELS = np.random.default_rng(0).integers(-900, 900, (7, 6, 5)).astype(np.int16)


def series(image: Any, folder: Path, slices: list[int] | None = None, uid: str = "1.2.3") -> Path:
    """Writes an image as a scanner does: a file for each slice, which says where that lies."""
    folder.mkdir(exist_ok=True)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    turn = image.GetDirection()
    for k in range(image.GetDepth()) if slices is None else slices:
        part = image[:, :, k]
        for tag, value in (
                ("0008|0060", "MR"), ("0020|000d", f"{uid}.1"), ("0020|000e", uid), ("0008|0018", f"{uid}.2.{k}"),
                ("0020|0032", "\\".join(f"{mm:.10g}" for mm in image.TransformIndexToPhysicalPoint((0, 0, k)))),
                ("0020|0037", "\\".join(f"{turn[place]:.10g}" for place in (0, 3, 6, 1, 4, 7)))):
            part.SetMetaData(tag, value)
        writer.SetFileName(str(folder / f"{uid}-{k}.dcm"))
        writer.Execute(part)
    return folder


@pytest.fixture(autouse=True)
def own_locale() -> Iterator[None]:
    """Writing slices with SimpleITK changes it."""
    before = locale.setlocale(locale.LC_ALL)
    yield
    locale.setlocale(locale.LC_ALL, before)


@pytest.fixture
def nifti(tmp_path: Path) -> Path:
    path = tmp_path / "a.nii.gz"
    nibabel.save(nibabel.Nifti1Image(VOXELS, TURNED), path)
    return path


@pytest.mark.parametrize("ending", [".nrrd", ".nhdr", ".mha", ".mhd", ".NRRD"])
def test_a_file_is_read_as_its_nifti_is(ending: str, nifti: Path) -> None:
    path = nifti.with_name(f"a{ending}")
    sitk.WriteImage(sitk.ReadImage(str(nifti)), str(path))
    found, wanted = read_volume(path), read_volume(nifti)
    assert np.array_equal(found.voxels, wanted.voxels) and found.voxels.dtype == np.int16
    np.testing.assert_allclose(found.affine, wanted.affine, atol=1e-5)
    np.testing.assert_allclose(found.affine, TURNED, atol=1e-5)


def test_a_series_is_read_as_its_nifti_is(nifti: Path) -> None:
    """Slices go from one end to the other, so the axis may run the other way; each voxel lies where it did."""
    found = read_volume(series(sitk.ReadImage(str(nifti)), nifti.parent / "series"))
    wanted = read_volume(nifti)
    assert np.array_equal(found.upright(), wanted.upright())
    np.testing.assert_allclose(found.spacing, wanted.spacing, atol=1e-5)
    places = [its.affine @ [*np.argwhere(its.voxels[0] == its.voxels.max())[0], 1] for its in (found, wanted)]
    np.testing.assert_allclose(*places, atol=1e-4)


def test_reading_and_writing_leave_the_locale_as_it_was(nifti: Path) -> None:
    """ITK leaves "C" behind after a series, and all text of the process would be ASCII from then on."""
    folder = series(sitk.ReadImage(str(nifti)), nifti.parent / "series")
    before = locale.setlocale(locale.LC_ALL, "C.UTF-8")
    read_volume(folder)
    write_classes(VOXELS > 0, TURNED, nifti.parent / "label.mha")
    assert locale.setlocale(locale.LC_ALL) == before


def test_channels_of_a_file(tmp_path: Path) -> None:
    voxels = np.random.default_rng(0).normal(size=(5, 6, 7, 2)).astype(np.float32)  # z, y, x, channel
    sitk.WriteImage(sitk.GetImageFromArray(voxels, isVector=True), str(tmp_path / "vector.nrrd"))
    sitk.WriteImage(sitk.GetImageFromArray(np.moveaxis(voxels, 3, 0), isVector=False), str(tmp_path / "four.mha"))
    for name in ("vector.nrrd", "four.mha"):
        assert np.array_equal(read_volume(tmp_path / name).voxels, voxels.transpose(3, 2, 1, 0)), name


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha"])
def test_labels_are_written_where_they_lie(ending: str, nifti: Path) -> None:
    label = (VOXELS > 0) * 300
    path = nifti.parent / f"label{ending}"
    write_classes(label, TURNED, path)
    found = read_label(path)
    assert np.array_equal(found.voxels[0], label)
    np.testing.assert_allclose(found.affine, TURNED, atol=1e-5)
    other = sitk.ReadImage(str(path))
    np.testing.assert_allclose(other.GetOrigin(), sitk.ReadImage(str(nifti)).GetOrigin(), atol=1e-5)
    assert [file.name for file in nifti.parent.iterdir() if file.name.startswith(".")] == []


def test_a_prediction_ends_as_its_image(tmp_path: Path) -> None:
    names = ("a.nii", "a.NII.GZ", "a.nrrd", "a.nhdr", "a.mha", "a.mhd")
    assert [ending_of(Path(name)) for name in names] == [".nii", ".nii.gz", ".nrrd", ".nrrd", ".mha", ".mha"]
    assert ending_of(tmp_path) == ".nii.gz"


def test_a_data_set_of_nnunet(nnunet: Any) -> None:
    folder = nnunet(cases=3, channels=2)
    before = examine(read_list(folder))
    for path in [*folder.rglob("*.nii.gz")]:
        sitk.WriteImage(sitk.ReadImage(str(path)), str(path.with_name(path.name.replace(".nii.gz", ".mha"))))
        path.unlink()
    table = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps({**table, "file_ending": ".mha"}))
    after = examine(read_list(folder))
    assert [case.name for case in after.list.cases] == [f"toy_{i:03d}" for i in range(3)]
    for name, facts in after.facts.items():
        its = before.facts[name]
        assert (facts.shape, facts.voxels, facts.channels) == (its.shape, its.voxels, its.channels)
        assert facts.content == its.content and facts.spacing == pytest.approx(its.spacing)


def said(path: Path) -> str:
    with pytest.raises(FdifError) as caught:
        read_volume(path)
    return str(caught.value)


def test_what_cannot_be_read(nifti: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = nifti.with_name("a.mhd")
    sitk.WriteImage(sitk.ReadImage(str(nifti)), str(path))
    assert said(path.with_name("b.mhd")).startswith("error[E0911]: a file is missing")
    path.with_suffix(".raw").unlink()
    assert said(path) == f"""\
error[E0912]: a file cannot be read
  --> {path}
  why: it is damaged, or a part of it is missing
  hint: it may have been cut off while it was copied; copy it again"""
    flat = nifti.with_name("flat.mha")
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((4, 5), np.uint8)), str(flat))
    assert said(flat).startswith("error[E0912]: a file holds no volume")
    monkeypatch.setattr(itk, "find_spec", lambda name: None)
    assert said(path) == f"""\
error[E0956]: to read or write this format the package `SimpleITK` is needed, which is not installed
  --> {path}
  hint: pip install 'fdif-dsl[formats]'"""


def test_series_that_are_no_even_stack(nifti: Path) -> None:
    image, folder = sitk.ReadImage(str(nifti)), nifti.parent
    assert said(series(image, folder / "gap", [0, 1, 3, 4])) == f"""\
error[E0957]: the slices of a DICOM series are not evenly apart
  --> {folder}/gap
  why: most are 2.5 mm apart, and slices 2 and 3 are 5 mm
  hint: a slice may be missing: copy the series again; or resample it evenly"""
    series(image, folder / "two")
    assert said(series(image, folder / "two", uid="1.2.4")) == f"""\
error[E0957]: a folder holds 2 DICOM series
  --> {folder}/two
  why: an image is one series
  hint: put each series into a folder of its own"""
    with pytest.raises(FdifError) as caught:
        itk._check_slices(folder, ["0\\0\\0", "0\\1\\3", "0\\2\\6"], np.eye(3).reshape(-1))
    assert str(caught.value) == f"""\
error[E0957]: the slices of a DICOM series do not lie straight above each other
  --> {folder}
  why: the gantry was tilted
  hint: correct the tilt, for example with dcm2niix"""
