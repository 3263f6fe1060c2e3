"""What is wrong with a data set is said before training starts, each mistake in one message."""

from __future__ import annotations

import gzip
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.runtime.finetuning import open_data
from fdif_dsl.runtime.finetuning.data.medmnist import read_medmnist
from fdif_dsl.runtime.settings.wording import in_bytes


def change(path: Path, how: Callable[[np.ndarray], np.ndarray], shift: float = 0.0) -> None:
    """Stores a file anew, with other voxels or moved along x."""
    stored = nibabel.load(path)
    affine = stored.affine.copy()
    affine[0, 3] += shift
    nibabel.save(nibabel.Nifti1Image(how(np.asarray(stored.dataobj)), affine), path)


def relabel(folder: Path, value: float, kind: Any = np.int16) -> None:
    def how(voxels: np.ndarray) -> np.ndarray:
        voxels = voxels.astype(kind)
        voxels[0, 0, 0] = value
        return voxels

    change(folder / "labelsTr/case1.nii.gz", how)


def with_nan(folder: Path) -> None:
    def how(voxels: np.ndarray) -> np.ndarray:
        voxels[1, 2, 3], voxels[2, 2, 3] = np.nan, np.inf
        return voxels

    change(folder / "imagesTr/case1.nii.gz", how)


def cut_off(folder: Path) -> None:
    path = folder / "imagesTr/case1.nii.gz"
    path.write_bytes(path.read_bytes()[:2000])


def odd_header(folder: Path) -> None:
    rewrite(folder, 70, struct.pack("<h", 4100))  # the field `datatype`


def flat_header(folder: Path) -> None:
    rewrite(folder, 280, bytes(48))  # the three rows of the affine


def impossible_turn(folder: Path) -> None:
    rewrite(folder, 252, struct.pack("<hh3f", 1, 0, 1, 1, 0))  # by a quaternion, and not by rows


def as_picture(voxels: np.ndarray) -> np.ndarray:
    return (np.arange(voxels.size) % 1025).reshape(voxels.shape).astype(np.int16)


def as_colours(voxels: np.ndarray) -> np.ndarray:
    return np.zeros(voxels.shape, [("R", "u1"), ("G", "u1"), ("B", "u1")])


def rewrite(folder: Path, at: int, what: bytes) -> None:
    path = folder / "imagesTr/case1.nii.gz"
    data = bytearray(gzip.decompress(path.read_bytes()))
    data[at : at + len(what)] = what
    path.write_bytes(gzip.compress(bytes(data)))


def edit(**changes: object) -> Callable[[Path], None]:
    """Changes keys of the list; None takes one away."""

    def how(folder: Path) -> None:
        path = next(folder.glob("*.json"))
        table = json.loads(path.read_text()) | changes
        path.write_text(json.dumps({key: value for key, value in table.items() if value is not None}))

    return how


def empty_labels(folder: Path) -> None:
    for path in (folder / "labelsTr").iterdir():
        change(path, np.zeros_like)


def unnamed_with_gap(folder: Path) -> None:
    edit(labels=None)(folder)
    for path in (folder / "labelsTr").iterdir():
        change(path, lambda voxels: voxels * 2)


MISTAKES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a file is missing": (lambda folder: (folder / "labelsTr/case1.nii.gz").unlink(), """\
error[E0911]: a file is missing
  --> FOLDER/labelsTr/case1.nii.gz
  why: the data set names it
  hint: put it there, or take its case off the list"""),
    "a file is cut off": (cut_off, """\
error[E0912]: a file cannot be read
  --> FOLDER/imagesTr/case1.nii.gz
  why: Compressed file ended before the end-of-stream marker was reached
  hint: it may have been cut off while it was copied; copy it again"""),
    "a file is no NIfTI": (lambda folder: (folder / "imagesTr/case1.nii.gz").write_text("no image"), """\
error[E0912]: a file is no NIfTI file
  --> FOLDER/imagesTr/case1.nii.gz
  why: its first bytes are not those of NIfTI
  hint: give an image in that format; if it was one, it was damaged when it was copied"""),
    "a header is damaged": (odd_header, """\
error[E0912]: a file cannot be read
  --> FOLDER/imagesTr/case1.nii.gz
  why: data code 4100 not recognized
  hint: it may have been cut off while it was copied; copy it again"""),
    "voxels have no place": (flat_header, """\
error[E0912]: a file does not say where its voxels lie
  --> FOLDER/imagesTr/case1.nii.gz
  why: the affine in its header cannot be inverted
  hint: write the header anew, with the size of a voxel in mm"""),
    "a picture and no volume": (lambda folder: change(
        folder / "imagesTr/case1.nii.gz", lambda voxels: voxels[:, :, 0]), """\
error[E0912]: a file holds no volume
  --> FOLDER/imagesTr/case1.nii.gz
  why: its shape is [26, 22]
  hint: a volume has three axes, or four, the last of which are channels"""),
    "shapes differ": (lambda folder: change(folder / "labelsTr/case1.nii.gz", lambda voxels: voxels[:-1]), """\
error[E0913]: an image and its label differ in shape
  --> FOLDER/imagesTr/case1.nii.gz
  why: the image has 26 x 22 x 12 voxels, and FOLDER/labelsTr/case1.nii.gz has 25 x 22 x 12
  hint: give the label that was drawn on this image"""),
    "places differ": (lambda folder: change(folder / "labelsTr/case1.nii.gz", lambda voxels: voxels, 3.0), """\
error[E0914]: an image and its label lie in different places
  --> FOLDER/imagesTr/case1.nii.gz
  why: by their headers, the same voxel of FOLDER/labelsTr/case1.nii.gz is up to 3 mm away
  hint: if the voxels do belong together, copy the header of the image into the label"""),
    "no numbers": (with_nan, """\
error[E0915]: an image holds voxels that are no numbers
  --> FOLDER/imagesTr/case1.nii.gz
  why: 2 of 6864 are NaN or infinite
  hint: replace them, for example by the lowest grey level of the image"""),
    "an undeclared label": (lambda folder: relabel(folder, 7), """\
error[E0916]: a label holds a class that the data set does not have
  --> FOLDER/labelsTr/case1.nii.gz
  why: it holds 7, and the list has classes 0 to 2
  hint: add the class to the list, or correct the label"""),
    "a negative label": (lambda folder: relabel(folder, -1), """\
error[E0916]: a label holds a class that the data set does not have
  --> FOLDER/labelsTr/case1.nii.gz
  why: it holds -1, and the list has classes 0 to 2
  hint: add the class to the list, or correct the label"""),
    "a broken label": (lambda folder: relabel(folder, 0.5, np.float32), """\
error[E0916]: a label holds values that are no classes
  --> FOLDER/labelsTr/case1.nii.gz
  why: 0.5 is no whole number
  hint: labels are whole numbers from 0; resample labels by nearest neighbour"""),
    "a label that is no number": (lambda folder: relabel(folder, np.nan, np.float32), """\
error[E0916]: a label holds values that are no classes
  --> FOLDER/labelsTr/case1.nii.gz
  why: nan is no whole number
  hint: labels are whole numbers from 0; resample labels by nearest neighbour"""),
    "a label of several channels": (lambda folder: change(
        folder / "labelsTr/case1.nii.gz", lambda voxels: np.stack([voxels, voxels], -1)), """\
error[E0916]: a label has several channels
  --> FOLDER/labelsTr/case1.nii.gz
  why: it has 2
  hint: give a file with one class a voxel"""),
    "channels differ": (lambda folder: change(
        folder / "imagesTr/case1.nii.gz", lambda voxels: np.stack([voxels, voxels], -1)), """\
error[E0917]: a case has 2 channels, and others have 1
  --> FOLDER/datalist.json: case1
  why: the network's input has one number of channels
  hint: give each case all of its channels, in the same order"""),
    "nothing is labelled": (empty_labels, """\
error[E0918]: no case has a label
  --> FOLDER/datalist.json
  why: every voxel of every label file is 0, background
  hint: check that the list names the labels, and not other files"""),
    "a gap among declared labels": (edit(labels={"0": "background", "2": "bright"}), """\
error[E0910]: the classes of the data set cannot be used
  --> FOLDER/datalist.json: labels
  why: the labels are 0, 2, and 1 is missing
  hint: data.renumber=true numbers the classes anew, and leaves the files as they are"""),
    "no background": (edit(labels={"1": "dim", "2": "bright"}), """\
error[E0910]: the classes of the data set cannot be used
  --> FOLDER/datalist.json: labels
  why: the labels are 1, 2, and 0 is missing
  hint: 0 is background: add "0": "background\""""),
    "no background, names first": (edit(labels={"dim": 1, "bright": 2}), """\
error[E0910]: the classes of the data set cannot be used
  --> FOLDER/datalist.json: labels
  why: the labels are 1, 2, and 0 is missing
  hint: 0 is background: add "background": 0"""),
    "a negative name": (edit(labels={"0": "background", "-1": "dim"}), """\
error[E0910]: the classes of the data set cannot be used
  --> FOLDER/datalist.json: labels
  why: the labels are -1, 0
  hint: labels count 0 (background), 1, 2 and so on: number the classes anew, in the list and in the files"""),
    "a gap among labels without names": (unnamed_with_gap, """\
error[E0910]: the classes of the data set cannot be used
  --> FOLDER/datalist.json: labels
  why: the files hold labels up to 4, and none holds 1; the list does not name them
  hint: data.renumber=true numbers the classes anew, and leaves the files as they are; or name all of them in the \
list: "labels": {"0": "background", "1": "liver"}"""),
    "labels of another atlas": (lambda folder: (edit(labels=None)(folder), relabel(folder, 2035)), """\
error[E0916]: a label holds a class that the data set does not have
  --> FOLDER/labelsTr/case1.nii.gz
  why: it holds 2035, and classes are 0 to 1024
  hint: name the classes in the list, or number them anew with data.renumber=true"""),
    "an image in the place of a label": (lambda folder: (
        edit(labels=None)(folder), change(folder / "labelsTr/case1.nii.gz", as_picture)), """\
error[E0916]: a label holds too many classes
  --> FOLDER/labelsTr/case1.nii.gz
  why: it has 1025, and a data set at most 1024
  hint: check that the list names the label, and not an image"""),
    "colours": (lambda folder: change(folder / "imagesTr/case1.nii.gz", as_colours), """\
error[E0912]: the voxels of a file are colours
  --> FOLDER/imagesTr/case1.nii.gz
  why: each voxel of a channel is one number
  hint: make grey levels of them, or give each colour as a channel, along a fourth axis"""),
    "complex numbers": (lambda folder: change(
        folder / "imagesTr/case1.nii.gz", lambda voxels: voxels.astype(np.complex64)), """\
error[E0912]: the voxels of a file are complex numbers
  --> FOLDER/imagesTr/case1.nii.gz
  why: each voxel of a channel is one number
  hint: store their magnitude"""),
    "a turn that is none": (impossible_turn, """\
error[E0912]: a file does not say where its voxels lie
  --> FOLDER/imagesTr/case1.nii.gz
  why: the quaternion in its header is no rotation: b, c and d have length 1.41421, and at most 1 is possible
  hint: write the header anew from the original; where its `sform` is set, that is used instead"""),
    "voxels beyond the end": (lambda folder: rewrite(folder, 42, struct.pack("<3h", 32000, 32000, 32000)), """\
error[E0912]: a file cannot be read
  --> FOLDER/imagesTr/case1.nii.gz
  why: by its header it holds 131 TB of voxels, and the file has SIZE
  hint: it may have been cut off while it was copied; copy it again"""),
    "voxels beyond every scanner": (lambda folder: rewrite(folder, 280, struct.pack("<f", 1e12)), """\
error[E0912]: a file does not say where its voxels lie
  --> FOLDER/imagesTr/case1.nii.gz
  why: by its header its voxels are 1 mm, or 1e+12 mm away
  hint: write the header anew, with the size of a voxel in mm"""),
    "a fold that is no number": (edit(training=[{
        "image": "imagesTr/case0.nii.gz", "label": "labelsTr/case0.nii.gz", "fold": "0"}]), """\
error[E0909]: `fold` is '0'
  --> FOLDER/datalist.json: training[0]
  why: folds count 0, 1, 2 and so on
  hint: number them anew, or take the keys `fold` out: then the cases are dealt"""),
    "labels without numbers": (edit(labels={"background": "none"}), """\
error[E0910]: the classes of the data set cannot be used
  --> FOLDER/datalist.json: labels
  why: they do not give each label, a whole number, a name
  hint: write {"0": "background", "1": "liver"}"""),
    "an entry without a label": (edit(training=[{"image": "imagesTr/case0.nii.gz"}]), """\
error[E0909]: an entry has no `label`
  --> FOLDER/datalist.json: training[0]
  why: each case needs its image and its label
  hint: an entry looks like {"image": "imagesTr/a.nii.gz", "label": "labelsTr/a.nii.gz"}"""),
    "no cases": (edit(training=[]), """\
error[E0909]: the data set has no cases
  --> FOLDER/datalist.json
  hint: list them, or put their files into imagesTr and labelsTr"""),
    "a list that is neither": (edit(training=None), """\
error[E0909]: the list has neither `training` nor `channel_names`
  --> FOLDER/datalist.json
  why: MONAI's lists have the first, nnU-Net's have `channel_names`, `labels` and `file_ending`
  hint: the page on fine-tuning shows what a list looks like"""),
    "a list that is no object": (lambda folder: (folder / "datalist.json").write_text("[]"), """\
error[E0908]: the list of the data set is no JSON object
  --> FOLDER/datalist.json
  hint: it begins with { and has keys such as "training" or "channel_names\""""),
    "a list that is not JSON": (lambda folder: (folder / "datalist.json").write_text('{"training": [}'), """\
error[E0908]: the list of the data set is not JSON
  --> FOLDER/datalist.json:1:15
  why: Expecting value
  hint: give a MONAI data list (a .json file), a raw data set of nnU-Net (its folder), or MedMNIST (a .npz file)"""),
}


def message(call: Callable[..., object], *args: object) -> str:
    with pytest.raises(FdifError) as caught:
        call(*args)
    return str(caught.value)


@pytest.mark.parametrize("title", MISTAKES)
def test_a_mistake_in_a_data_list(title: str, datalist: Any, tiny: Any) -> None:
    spoil, said = MISTAKES[title]
    path = datalist(cases=3)
    spoil(path.parent)
    size = in_bytes((path.parent / "imagesTr/case1.nii.gz").stat().st_size) if "SIZE" in said else ""
    assert message(open_data, tiny(path)) == said.replace("FOLDER", str(path.parent)).replace("SIZE", size)


NNUNET: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a channel is missing": (lambda folder: (folder / "imagesTr/toy_001_0001.nii.gz").unlink(), """\
error[E0911]: a file is missing
  --> FOLDER/imagesTr/toy_001_0001.nii.gz
  why: the data set names it
  hint: put it there, or take its case off the list"""),
    "a case has no label": (lambda folder: (folder / "labelsTr/toy_001.nii.gz").unlink(), """\
error[E0911]: a file is missing
  --> FOLDER/labelsTr/toy_001.nii.gz
  why: the data set names it
  hint: put it there, or take its case off the list"""),
    "an ending that is not read": (edit(file_ending=".tif"), """\
error[E0908]: files that end in `.tif` cannot be read
  --> FOLDER/dataset.json: file_ending
  why: images and labels end in .nii.gz, .nii, .nrrd, .nhdr, .mha or .mhd
  hint: convert them, for example with SimpleITK's ReadImage and WriteImage"""),
    "an ending without its dot": (edit(file_ending="nii.gz"), """\
error[E0909]: `file_ending` is `nii.gz`, and no file's name ends so
  --> FOLDER/dataset.json: file_ending
  hint: write "file_ending": ".nii.gz\""""),
    "no ending": (edit(file_ending=None), """\
error[E0909]: the list has no `file_ending`
  --> FOLDER/dataset.json
  why: it says how the files of nnU-Net's data sets end
  hint: add "file_ending": ".nii.gz\""""),
    "an ending that is no text": (edit(file_ending=3), """\
error[E0909]: `file_ending` is no text
  --> FOLDER/dataset.json: file_ending
  hint: write "file_ending": ".nii.gz\""""),
    "a channel without a name": (edit(channel_names={"0": "CT"}), """\
error[E0909]: `channel_names` does not name channel 1, and there are files of it
  --> FOLDER/dataset.json: channel_names
  why: FOLDER/imagesTr/toy_000_0001.nii.gz would not be used
  hint: add "1" with its name, or take the files away"""),
    "no background": (edit(labels={"dim": 1, "bright": 2}), """\
error[E0910]: the classes of the data set cannot be used
  --> FOLDER/dataset.json: labels
  why: the labels are 1, 2, and 0 is missing
  hint: 0 is background: add "background": 0"""),
    "regions": (edit(labels={"background": 0, "whole": [1, 2], "bright": 2}), """\
error[E0909]: `regions_class_order` does not give each region its label
  --> FOLDER/dataset.json: regions_class_order
  why: there are 2 regions: whole, bright
  hint: it is a list with the label that is written for each, in their order; of regions that overlap the later one \
counts"""),
    "a region of no labels": (edit(labels={"background": 0, "whole": [1, "two"]}, regions_class_order=[1]), """\
error[E0910]: the classes of the data set cannot be used
  --> FOLDER/dataset.json: labels
  why: a region is no list of whole numbers
  hint: write {"background": 0, "whole": [1, 2]}"""),
    "a label to be ignored among others": (edit(labels={"background": 0, "dim": 1, "bright": 3, "ignore": 2}), """\
error[E0910]: the classes of the data set cannot be used
  --> FOLDER/dataset.json: labels
  why: the labels are 0, 1, 3, and 2 is missing
  hint: data.renumber=true numbers the classes anew, and leaves the files as they are"""),
    "a label to be ignored that is not the next": (
        edit(labels={"background": 0, "dim": 1, "bright": 2, "ignore": 255}), """\
error[E0910]: the classes of the data set cannot be used
  --> FOLDER/dataset.json: labels
  why: `ignore` is 255, and the greatest other label is 2
  hint: voxels without a class have the label after all others: "ignore": 3"""),
}


@pytest.mark.parametrize("title", NNUNET)
def test_a_mistake_in_raw_data_of_nnunet(title: str, nnunet: Any, tiny: Any) -> None:
    spoil, said = NNUNET[title]
    folder = nnunet(cases=3)
    spoil(folder)
    assert message(open_data, tiny(folder)) == said.replace("FOLDER", str(folder))


def test_a_path_that_leads_nowhere(datalist: Any, tiny: Any, tmp_path: Path) -> None:
    path = datalist(cases=3)
    assert message(open_data, tiny(path.with_name("datalst.json"))) == f"""\
error[E0907]: there is no data set {path.with_name("datalst.json")}
  hint: did you mean `datalist.json`?"""
    assert message(open_data, tiny(path.parent / "imagesTr")) == f"""\
error[E0907]: {path.parent / "imagesTr"} is no data set that can be read
  why: it has no dataset.json and no datalist.json
  hint: give a MONAI data list (a .json file), a raw data set of nnU-Net (its folder), or MedMNIST (a .npz file)"""
    assert message(open_data, tiny(path.parent / "imagesTr/case0.nii.gz")).splitlines()[0].endswith(
        "case0.nii.gz is no data set that can be read")


def test_many_mistakes_are_told_together(datalist: Any, tiny: Any) -> None:
    path = datalist(cases=13)
    for file in (path.parent / "labelsTr").iterdir():
        file.unlink()
    said = message(open_data, tiny(path))
    assert said.count("error[E0911]") == 10
    assert said.endswith("""\
error[E0949]: and 3 more mistakes in this data set
  hint: mend these first; the others may have the same cause""")


def test_a_label_without_names_is_counted(datalist: Any, tiny: Any) -> None:
    path = datalist(cases=3)
    edit(labels=None)(path.parent)
    assert open_data(tiny(path)).data.classes == ("background", "1", "2")


@pytest.mark.parametrize(("changes", "why", "hint"), [
    ({"train_labels": None}, "it has no `train_labels`",
     "MedMNIST's files have train_images, train_labels, and the same for test"),
    ({"train_images": np.zeros((12, 28, 28), np.uint8)}, "`train_images` has shape [12, 28, 28]",
     "only the 3-D sets have volumes, (n, D, H, W)"),
    ({"train_images": np.zeros((12, 28, 28, 3), np.uint8)},
     "`train_images` has shape [12, 28, 28, 3]: pictures in colour", "only the 3-D sets have volumes, (n, D, H, W)"),
    ({"train_labels": np.zeros((12, 3), np.uint8)}, "`train_labels` has 3 columns", "an image can have one class only"),
    ({"train_labels": np.zeros((5, 1), np.uint8)}, "`train` has 12 images and 5 labels",
     "MedMNIST's files have train_images, train_labels, and the same for test"),
    ({"train_labels": np.zeros((12, 1), np.uint8)}, "all images have the same class",
     "MedMNIST's files have train_images, train_labels, and the same for test"),
    ({"test_labels": np.full((8, 1), 2, np.uint8)}, "an image of `test` has class 2, and none of `train` has",
     "MedMNIST's files have train_images, train_labels, and the same for test"),
    ({"test_images": np.zeros((8, 9, 9, 9), np.uint8)},
     "images of `train` are 20 x 20 x 20, and those of `test` 9 x 9 x 9",
     "MedMNIST's files have train_images, train_labels, and the same for test"),
])
def test_a_mistake_in_a_file_of_medmnist(changes: dict[str, Any], why: str, hint: str, medmnist: Path) -> None:
    with np.load(medmnist) as stored:
        parts = {key: value for key, value in (dict(stored) | changes).items() if value is not None}
    np.savez(medmnist, **parts)
    assert message(read_medmnist, medmnist) == f"""\
error[E0946]: the file is no 3-D data set of MedMNIST
  --> {medmnist}
  why: {why}
  hint: {hint}"""


def test_a_file_that_is_not_of_medmnist(medmnist: Path) -> None:
    medmnist.write_bytes(medmnist.read_bytes()[:300])
    assert message(read_medmnist, medmnist).startswith("error[E0946]: the file is no 3-D data set of MedMNIST")
    assert message(read_medmnist, medmnist.with_name("other.npz")).startswith("error[E0907]: there is no data set")
