"""What is said of a file by its first bytes, and of one that is not there."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest

from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.runtime.finetuning.data.nifti import read_volume

VOXELS = np.arange(60, dtype=np.float32).reshape(3, 4, 5)
NIFTI = nibabel.Nifti1Image(VOXELS, np.eye(4)).to_bytes()
PACKED = gzip.compress(NIFTI, mtime=0)
CONVERT = 'convert it, for example with SimpleITK: WriteImage(ReadImage("NAME"), "a.nii.gz")'


def said(path: Path) -> str:
    with pytest.raises(FdifError) as caught:
        read_volume(path)
    return str(caught.value)


@pytest.mark.parametrize(("name", "content", "why", "hint"), [
    ("a.nii", PACKED, "it is packed with gzip, and its name does not say so",
     "unpack it: mv a.nii a.nii.gz && gunzip a.nii.gz"),
    ("a.nii.gz", NIFTI, "it is not packed with gzip, and its name says so", "pack it: mv a.nii.gz a.nii && gzip a.nii"),
    ("a.nii.gz", b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
     "it is a pointer of Git LFS, and the file itself was not fetched", "fetch it: git lfs pull"),
    ("a.nii.gz", b"\n<!DOCTYPE html><html><title>Log in</title>", "it is a web page",
     "it was downloaded from a page that wants a login, or has moved; download it again"),
    ("a.nii.gz", b"PK\x03\x04" + bytes(60), "it is a ZIP archive", "unpack it with unzip"),
    ("a.nii", bytes(128) + b"DICM" + bytes(60), "it is a DICOM file",
     "name the folder of its series, which is one image"),
    ("a.nii", b"ObjectType = Image\nNDims = 3\n", "it is a MetaImage file", CONVERT),
    ("a.nii.gz", b"NRRD0004\n# Complete NRRD\n", "it is an NRRD file", CONVERT),
    ("a.nii.gz", gzip.compress(b"NRRD0004\n", mtime=0), "it is an NRRD file", CONVERT),
    ("a.h5", b"\x89HDF\r\n\x1a\n" + bytes(60), "it is an HDF5 file", CONVERT),
    ("a.npy", b"\x93NUMPY\x01\x00" + bytes(60), "it is a NumPy array", CONVERT),
    ("a.nii", b"", "it is empty", "copy it again"),
    ("a.nii", b"some words", "its first bytes are not those of NIfTI",
     "give an image in that format; if it was one, it was damaged when it was copied"),
], ids=lambda value: "bytes" if isinstance(value, bytes) else None)  # bytes make ids that nobody can read
def test_a_file_is_named_by_its_first_bytes(name: str, content: bytes, why: str, hint: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert said(path) == f"""\
error[E0912]: a file is no NIfTI file
  --> {path}
  why: {why}
  hint: {hint.replace("NAME", name)}"""


@pytest.mark.parametrize("spoil", [
    lambda data: data[:-8] + bytes(4) + data[-4:],  # the checksum
    lambda data: data[:-4] + bytes(4),  # the length
    lambda data: data[:-3],
    lambda data: data + b"more",
])
def test_a_stream_of_gzip_is_read_to_its_end(spoil: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = tmp_path / "a.nii.gz"
    path.write_bytes(spoil(PACKED))
    assert said(path).startswith(f"error[E0912]: a file cannot be read\n  --> {path}\n")


@pytest.mark.parametrize("pack", [lambda data: data, lambda data: gzip.compress(data[:100]) + gzip.compress(data[100:]),
                                  lambda data: gzip.compress(data) + bytes(512)])
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_a_file_that_is_whole_is_read(pack: Callable[[bytes], bytes], kind: type, tmp_path: Path) -> None:
    data = pack(kind(VOXELS, np.eye(4)).to_bytes())
    path = tmp_path / ("a.nii.gz" if data[:2] == b"\x1f\x8b" else "a.nii")
    path.write_bytes(data)
    assert np.array_equal(read_volume(path).voxels[0], VOXELS)


@pytest.mark.parametrize(("there", "why", "hint"), [
    ("a_0000.nii", "a_0000.nii is there", "name a_0000.nii in the list, or convert it"),
    ("a.nii.gz", "a.nii.gz is there",
     "nnU-Net's images end in the number of their channel: rename it to a_0000.nii.gz"),
    ("a_0000.mha", "a_0000.mha is there", "name a_0000.mha in the list, or convert it"),
    ("a_0000.mgz", "a_0000.mgz is there",
     'convert it, for example with SimpleITK: WriteImage(ReadImage("a_0000.mgz"), "a_0000.nii.gz")'),
])
def test_a_missing_file_may_be_there_under_another_name(there: str, why: str, hint: str, tmp_path: Path) -> None:
    (tmp_path / there).write_bytes(NIFTI)
    path = tmp_path / "a_0000.nii.gz"
    assert said(path) == f"""\
error[E0911]: a file is missing
  --> {path}
  why: the data set names it; {why}
  hint: {hint}"""


def test_what_stands_in_the_place_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.nii.gz"
    path.symlink_to(".git/annex/objects/xy/a.nii.gz")
    assert said(path) == f"""\
error[E0911]: a file is missing
  --> {path}
  why: it is a link to .git/annex/objects/xy/a.nii.gz, where nothing is
  hint: fetch it: datalad get, or git annex get"""
    path.unlink()
    path.symlink_to("gone.nii.gz")
    assert said(path).endswith("hint: mend the link, or put it there, or take its case off the list")
    path.unlink()
    path.mkdir()
    assert said(path) == f"""\
error[E0911]: a folder stands where a file is expected
  --> {path}
  why: it holds no DICOM series, and all else is one file
  hint: name the file"""
