"""Fine-tuned networks on new images."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch

import fdif_dsl as fd
from fdif_dsl.runtime.predicting import Hooks


def voxels(path: Path) -> np.ndarray:
    return np.asarray(nibabel.load(path).dataobj)


def held_out(run: Any) -> list[str]:
    names: list[str] = json.loads((run.folder / "run.json").read_text())["held_out"]
    return names


def test_predictions_have_the_scores_that_finetune_reports(run: Any, tmp_path: Path) -> None:
    """Dice is counted here, from the files alone."""
    names = held_out(run)
    files = fd.predict(run.one, [run.images(name)[0] for name in names], tmp_path / "out")
    assert files == [tmp_path / f"out/{name}.nii.gz" for name in names]
    with (run.folder / "scores.csv").open() as table:
        told = {(row["case"], row["class"]): float(row["dice"]) for row in csv.DictReader(table) if row["seed"] == "1"}
    for name, file in zip(names, files, strict=True):
        found, label = voxels(file), voxels(run.data / f"labelsTr/{name}.nii.gz")
        assert set(np.unique(found)) <= {0, 5, 9}
        assert np.array_equal(found, voxels(run.one / f"predictions/{name}.nii.gz"))
        assert np.allclose(nibabel.load(file).affine, nibabel.load(run.images(name)[0]).affine)
        for number, kind in ((5, "dim"), (9, "bright")):
            mine, its = found == number, label == number
            assert told[name, kind] == pytest.approx(2 * (mine & its).sum() / (mine.sum() + its.sum()), abs=1e-5)
    assert max(told.values()) > 0.3


def test_several_networks_are_one(run: Any, tmp_path: Path) -> None:
    """The mean of what they say before it becomes a class: probabilities are those of the mean."""
    both, *each = (fd.predict(folder, run.images("ball0")[0], tmp_path / folder.name, probabilities=True)[0]
                   for folder in (run.folder, run.one, run.folder / "scratch-seed-2"))
    logits = [np.log(voxels(path.parent / "probabilities/ball0.nii").clip(1e-30)) for path in each]
    mean = np.exp(sum(logits) / 2)
    chances = voxels(both.parent / "probabilities/ball0.nii")
    np.testing.assert_allclose(chances, mean / mean.sum(-1, keepdims=True), atol=1e-4)
    assert chances.shape == (26, 22, 12, 3) and chances.dtype == np.float32
    assert np.array_equal(np.array([0, 5, 9])[chances.argmax(-1)], voxels(both))
    assert np.allclose(nibabel.load(both.parent / "probabilities/ball0.nii").affine, nibabel.load(both).affine)


def test_folds_of_an_ensemble_are_one(run: Any, tmp_path: Path) -> None:
    """As the same networks of several seeds are; a fold can be named alone."""
    tuned = tmp_path / "tuned"
    shutil.copytree(run.folder, tuned, ignore=shutil.ignore_patterns("scratch-*"))
    for seed, fold in ((1, 0), (2, 1)):
        shutil.copytree(run.folder / f"scratch-seed-{seed}", tuned / f"scratch-seed-7/fold-{fold}")
    image = run.images("ball0")[0]
    seeds, folds, inner, one = (voxels(fd.predict(folder, image, tmp_path / str(i))[0]) for i, folder in enumerate(
        (run.folder, tuned, tuned / "scratch-seed-7", tuned / "scratch-seed-7/fold-0")))
    assert np.array_equal(folds, seeds) and np.array_equal(inner, seeds)
    assert np.array_equal(one, voxels(fd.predict(run.one, image, tmp_path / "one")[0]))
    assert not np.array_equal(one, seeds)


def test_flips_change_little(run: Any, tmp_path: Path) -> None:
    plain, flipped = (voxels(fd.predict(run.one, run.images("ball0")[0], tmp_path / str(flips), flips=flips)[0])
                      for flips in (False, True))
    assert not np.array_equal(plain, flipped)
    assert (plain != flipped).mean() < 0.25


def test_what_is_done_is_kept(run: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    made: list[str] = []
    hooks = Hooks(progress=lambda name, done, total: made.append(name) if done == total else None)
    fd.predict(run.one, run.images("ball0")[0], out, hooks=hooks)
    files = fd.predict(run.one, run.data / "imagesTr", out, hooks=hooks)
    assert made == [f"ball{i}" for i in range(6)]  # the two channels are one image
    assert [file.name for file in files] == [f"ball{i}.nii.gz" for i in range(6)]
    files[2].unlink()
    fd.predict(run.one, run.data / "imagesTr", out, probabilities=True, hooks=hooks)
    assert made[6:] == [f"ball{i}" for i in range(6)]
    fd.predict(run.one, run.images("ball1")[0], out, overwrite=True)
    assert sorted(path.name for path in out.iterdir() if path.is_file()) == [
        "ball1.nii.gz", "labels-itksnap.txt", "labels-slicer.ctbl", "predictions.json"]
    record = json.loads((out / "predictions.json").read_text())
    assert record["labels"] == {"background": 0, "dim": 5, "bright": 9} and record["flips"] is False


def test_other_settings_are_not_mixed(run: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    fd.predict(run.one, run.images("ball0")[0], out)
    for arguments, why in (({"flips": True}, "their flips are not the same"), ({"overlap": 0.25}, "their overlap is")):
        with pytest.raises(fd.FdifError, match="holds predictions that were made in another way") as caught:
            fd.predict(run.one, run.images("ball1")[0], out, **arguments)  # type: ignore[arg-type]
        assert why in str(caught.value)
    with pytest.raises(fd.FdifError, match="their weights are not the same"):
        fd.predict(run.folder, run.images("ball1")[0], out)
    other = tmp_path / "other"
    other.mkdir()
    for path in run.images("ball1"):
        shutil.copy(path, other / path.name.replace("ball1", "ball0"))
    with pytest.raises(fd.FdifError) as caught:
        fd.predict(run.one, other, out)
    assert str(caught.value) == f"""\
error[E0953]: {out} holds the prediction of another image that is called ball0
  why: that image is {run.images("ball0")[0]}
  hint: --overwrite makes all anew, -o names another folder"""
    (out / "predictions.json").write_text('{"images": [')
    with pytest.raises(fd.FdifError, match="is damaged"):
        fd.predict(run.one, run.images("ball0")[0], out)


def test_one_bad_image_does_not_stop_the_others(run: Any, tmp_path: Path) -> None:
    images = tmp_path / "images"
    shutil.copytree(run.data / "imagesTr", images)
    (images / "ball1_0001.nii.gz").unlink()
    broken = images / "ball3_0000.nii.gz"
    broken.write_bytes(broken.read_bytes()[:2000])
    nibabel.save(nibabel.Nifti1Image(np.ones((5, 6, 7)), np.eye(4)), images / "ball4_0001.nii.gz")
    with pytest.raises(fd.FdifError) as caught:
        fd.predict(run.one, images, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").glob("*.gz")) == [f"ball{i}.nii.gz" for i in (0, 2, 5)]
    one, two, three = caught.value.diagnostics
    assert one.render() == f"""\
error[E0954]: an image has 1 channel, and the network was trained on 2
  --> {images}/ball1_0000.nii.gz
  why: its input is 2 channels: T1, CT
  hint: give an image with these channels: one file with four axes, or a file for each, NAME_0000.nii.gz, \
NAME_0001.nii.gz and so on"""
    assert two.code == "E0912" and two.where == str(broken)
    assert three.render() == f"""\
error[E0913]: the channels of an image do not lie in the same place
  --> {images}/ball4_0001.nii.gz
  why: it has 5 x 6 x 7 voxels, and {images}/ball4_0000.nii.gz has 26 x 22 x 12
  hint: resample them to one grid"""


def test_channels_in_one_file(run: Any, tmp_path: Path) -> None:
    parts = [nibabel.load(path) for path in run.images("ball0")]
    together = nibabel.Nifti1Image(np.stack([np.asarray(part.dataobj) for part in parts], -1), parts[0].affine)
    nibabel.save(together, tmp_path / "both.nii")
    one, two = fd.predict(run.one, [tmp_path / "both.nii", run.images("ball0")[1]], tmp_path / "out")
    assert [path.name for path in (one, two)] == ["both.nii", "ball0.nii.gz"]
    assert np.array_equal(voxels(one), voxels(two))


def test_names_that_two_images_share(run: Any, tmp_path: Path) -> None:
    for folder in ("p1", "p2", "x/p1"):
        (tmp_path / folder).mkdir(parents=True)
        for path in run.images("ball0"):
            shutil.copy(path, tmp_path / folder / path.name.replace("ball0", "scan"))
    scans = [tmp_path / folder / "scan_0000.nii.gz" for folder in ("p1", "p2", "x/p1")]
    files = fd.predict(run.one, scans[:2], tmp_path / "out")
    assert [file.name for file in files] == ["p1-scan.nii.gz", "p2-scan.nii.gz"]
    with pytest.raises(fd.FdifError) as caught:
        fd.predict(run.one, scans, tmp_path / "out")
    assert str(caught.value) == f"""\
error[E0952]: two images would have the same prediction, p1-scan
  why: they are {scans[0]} and {scans[2]}
  hint: predict them into two folders, or rename one of them"""


def changed(run: Any, path: Path, without: tuple[str, ...] = (), **more: object) -> Path:
    """The weights of a run with other facts."""
    stored = torch.load(run.one / "weights.pt", weights_only=True)
    torch.save({key: value for key, value in {**stored, **more}.items() if key not in without}, path)
    return path


def test_what_is_no_run_of_fine_tuning(run: Any, tmp_path: Path) -> None:
    def said(path: Path) -> str:
        with pytest.raises(fd.FdifError) as caught:
            fd.predict(path, run.images("ball0")[0], tmp_path / "out")
        assert not (tmp_path / "out").exists()
        return str(caught.value)

    weights = tmp_path / "weights.pt"
    changed(run, weights, ("spacing", "orientation", "labels", "channels", "normalise"))
    assert said(weights) == f"""\
error[E0951]: the network in {weights} was pre-trained, and not fine-tuned
  why: it knows classes of formulas, and none of yours
  hint: fine-tune it on labelled images first: fdifc finetune small --data ... --weights ..."""
    changed(run, weights, task="classification")
    assert said(weights) == f"""\
error[E0951]: the network in {weights} names whole images, and no voxels
  why: it was trained to classify
  hint: networks that segment can predict"""
    changed(run, weights, ("normalise",), fdif_dsl="0.1.0")
    assert said(weights) == f"""\
error[E0951]: the network in {weights} does not say its `normalise`
  why: it was left by fdif-dsl 0.1.0, which did not keep it
  hint: fine-tune again with this version"""
    weights.write_bytes(weights.read_bytes()[:5000])
    assert said(weights) == f"""\
error[E0951]: {weights} holds no fine-tuned network
  why: it was written by another program, or is damaged
  hint: give the folder of a run of `fdifc finetune`, or a weights.pt in it"""
    assert said(tmp_path / "none") == f"""\
error[E0950]: there is no run {tmp_path}/none
  hint: give the folder of a run of `fdifc finetune`, or a weights.pt in it"""
    assert said(run.data) == f"""\
error[E0950]: {run.data} is no run of `fdifc finetune`
  why: it has neither finetune.toml nor weights.pt
  hint: give the folder of a run of `fdifc finetune`, or a weights.pt in it"""
    shutil.copytree(run.folder, tmp_path / "cut")
    (tmp_path / "cut/run.json").unlink()
    assert said(tmp_path / "cut") == f"""\
error[E0950]: the fine-tuning in {tmp_path}/cut has not ended
  why: it has no run.json, which is written last
  hint: wait for it, or give a network of it that is there: {tmp_path}/cut/scratch-seed-1"""


def test_more_voxels_than_there_is_memory_for(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fdif_dsl.runtime.finetuning.data import memory

    monkeypatch.setattr(memory, "free_memory", lambda: 10**5)
    with pytest.raises(fd.FdifError) as caught:
        fd.predict(run.one, run.images("ball0")[0], tmp_path / "out")
    assert str(caught.value) == f"""\
error[E0927]: an image is larger than the memory that is free
  --> {run.images("ball0")[0]}
  why: with voxels of 2.5 x 1.5 x 1 mm it has 12 x 22 x 26 (z, y, x); preparing it takes 302 kB, and 100 kB are free
  hint: by its header its own voxels are 2.5 x 1.5 x 1 mm: mend that if it is wrong"""


def test_a_prediction_has_the_format_of_its_image(run: Any, tmp_path: Path) -> None:
    import SimpleITK as sitk

    wanted = fd.predict(run.one, run.images("ball1")[0], tmp_path / "nifti")[0]
    for path in run.images("ball1"):
        sitk.WriteImage(sitk.ReadImage(str(path)), str(tmp_path / path.name.replace(".nii.gz", ".nrrd")))
    (found,) = fd.predict(run.one, tmp_path / "ball1_0000.nrrd", tmp_path / "out")
    one, two = (sitk.ReadImage(str(path)) for path in (wanted, found))
    assert found.name == "ball1.nrrd" and np.array_equal(*map(sitk.GetArrayFromImage, (one, two)))
    np.testing.assert_allclose(two.GetOrigin(), one.GetOrigin(), atol=1e-5)
    assert {"labels-itksnap.txt", "labels-slicer.ctbl"} <= {path.name for path in found.parent.iterdir()}
