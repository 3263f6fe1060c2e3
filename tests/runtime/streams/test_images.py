"""Patches of a user's own images in place of volumes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch

from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.runtime.recipe import Recipe
from fdif_dsl.runtime.streams.images import ImageStream, find_images


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three images (x, y, z), of voxels of 1 x 1 x 2 mm; the second lies the other way round along x."""
    place = tmp_path / "images"
    place.mkdir()
    for i, shape in enumerate(((12, 10, 9), (12, 10, 9), (5, 30, 9))):
        x, y, z = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij")
        image = (x + 100 * y + 10_000 * z).astype(np.float32)
        affine = np.diag([1.0, 1.0, 2.0, 1.0])
        if i == 1:
            image, affine[0, 0] = image[::-1], -1.0
            affine[0, 3] = shape[0] - 1
        nibabel.save(nibabel.Nifti1Image(image, affine), place / f"case{i}.nii.gz")
    return place


def recipe(images: Path, *overrides: str) -> Recipe:
    return Recipe.load("paper", [f"volume.images={json.dumps(str(images))}", "volume.grid=[8, 8, 8]",
                                 "train.task=masked", *overrides])


def test_patches_are_places_of_the_images(folder: Path) -> None:
    stream = ImageStream(recipe(folder), 3)
    whole = [stream._read(file)[0] for file in stream.files]
    assert torch.equal(whole[0], whole[1])  # whichever way they are stored
    found = set()
    for number in range(12):
        pair = stream.volume(number)
        assert pair["image"].shape == pair["label"].shape == (1, 8, 8, 8) and pair["image"].dtype == torch.float32
        assert not pair["label"].any()
        patch = (pair["image"][0] * 255).round().to(torch.uint8)
        places = [(i, z, y, x) for i, its in enumerate(whole[1:], 1) if its.shape[2] >= 8
                  for z in range(its.shape[0] - 7) for y in range(its.shape[1] - 7) for x in range(its.shape[2] - 7)
                  if torch.equal(its[z:z + 8, y:y + 8, x:x + 8], patch)]
        narrow = not patch[..., [0, 6, 7]].any()  # of 5 voxels, in the middle
        assert len(places) == 1 or narrow
        found.add(places[0] if places else "narrow")
    assert len(found) > 4 and "narrow" in found


def test_a_number_is_always_the_same_patch_and_each_image_comes_in_turn(folder: Path) -> None:
    one, again, other = ImageStream(recipe(folder), 3), ImageStream(recipe(folder), 3), ImageStream(recipe(folder), 4)
    pairs = list(one.volumes(range(6)))
    assert all(torch.equal(pair["image"], again.volume(i)["image"]) for i, pair in enumerate(pairs))
    assert not all(torch.equal(pair["image"], other.volume(i)["image"]) for i, pair in enumerate(pairs))
    narrow = [bool((pair["image"][..., 0] == 0).all()) for pair in pairs]
    assert sum(narrow[:3]) == sum(narrow[3:]) == 1


def test_voxels_are_resampled(folder: Path) -> None:
    stream = ImageStream(recipe(folder, "volume.spacing=[1, 2, 1]"), 3)
    assert stream._read(stream.files[0]).shape == (1, 17, 6, 12)


def test_a_list_and_a_folder_of_a_data_set(folder: Path, tmp_path: Path) -> None:
    listed = tmp_path / "list.json"
    listed.write_text(json.dumps({"training": [{"image": "images/case1.nii.gz"}, {"image": ["images/case0.nii.gz"]}]}))
    assert [file.name for file in find_images(recipe(listed))] == ["case1.nii.gz", "case0.nii.gz"]
    (tmp_path / "set").mkdir()
    folder.rename(tmp_path / "set/imagesTr")
    (tmp_path / "set/imagesTr/._case0.nii.gz").write_bytes(b"of a Mac")
    assert len(find_images(recipe(tmp_path / "set"))) == 3


@pytest.mark.parametrize(("make", "expected"), [
    (lambda path: None, "there are no images at PATH"),
    (lambda path: path.mkdir(), "there are no images in PATH"),
    (lambda path: path.write_text("{}"), "PATH is no list of images"),
    (lambda path: path.write_text("{'"), "PATH is no list of images"),
    (lambda path: path.write_text('{"training": [1]}'), "PATH is no list of images"),
    (lambda path: path.write_text('{"training": []}'), "there are no images in PATH"),
])
def test_where_there_are_no_images(make: Any, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "what"
    make(path)
    with pytest.raises(FdifError) as caught:
        ImageStream(recipe(path), 0)
    first, rest = str(caught.value).split("\n", 1)
    assert first == "error[E0854]: " + expected.replace("PATH", str(path))
    assert "volume.images" in rest and "hint: name a folder of NIfTI files, or a MONAI data list" in rest


def test_an_image_that_cannot_be_read(folder: Path) -> None:
    (folder / "case0.nii.gz").write_bytes(b"nothing of the kind")
    with pytest.raises(FdifError) as caught:
        ImageStream(recipe(folder), 0)
    assert str(caught.value).startswith(
        f"error[E0855]: an image cannot be read\n  --> {folder / 'case0.nii.gz'}\n  why: ")
    nibabel.save(nibabel.Nifti1Image(np.full((4, 4, 4), np.nan, np.float32), np.eye(4)), folder / "case0.nii.gz")
    with pytest.raises(FdifError, match="it holds NaN or infinity"):
        ImageStream(recipe(folder), 0)
