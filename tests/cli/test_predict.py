"""`fdifc predict`, from a stranger's side."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch

from fdif_dsl.runtime.finetuning import FinetuneRecipe
from fdif_dsl.runtime.training.networks import NETWORKS


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """What a run of fine-tuning leaves, of a network that was never trained."""
    torch.manual_seed(0)
    network, folder = NETWORKS["unet"].build(4, 2, (16, 16, 16)), tmp_path / "tuned"
    (folder / "scratch-seed-1").mkdir(parents=True)
    levels = {"low": 0.0, "high": 0.0, "mean": 0.0, "deviation": 1.0}
    torch.save({"network_weights": network.state_dict(), "network": "unet", "features": 4, "patch": [16, 16, 16],
                "head": ["model.3."], "task": "segmentation", "label": "classes",
                "tasks": {"classes": ["background", "liver"]}, "recipe": FinetuneRecipe.load("small").to_dict(),
                "labels": [0, 1], "channels": 1, "channel_names": ["CT"], "spacing": [1.0, 1.0, 1.0],
                "orientation": "RAS", "normalise": [["zscore", levels]], "fdif_dsl": "0"},
               folder / "scratch-seed-1/weights.pt")
    (folder / "finetune.toml").touch()
    (folder / "run.json").write_text(json.dumps({}))
    return folder


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for name in "ab":
        voxels = np.random.default_rng(0).normal(size=(20, 16, 17)).astype(np.float32)
        nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), folder / f"{name}.nii.gz")
    return folder


def test_a_folder_of_images(fdifc: Any, run: Path, images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for _ in range(2):
        result = fdifc("predict", run, images, "-o", out, "--accelerator", "cpu")
        assert result.exit_code == 0, result.output
        assert result.stdout == f"""\
predicting 2 images with unet of {run}: 0 background, 1 liver
  {out}/a.nii.gz
  {out}/b.nii.gz
"""
    other = fdifc("predict", run, images / "a.nii.gz", "-o", out, "--flips")
    assert other.exit_code == 1
    assert other.stderr == f"""\
error[E0953]: {out} holds predictions that were made in another way
  why: their flips are not the same
  hint: --overwrite makes all anew, -o names another folder
"""
    anew = fdifc("predict", run, images / "a.nii.gz", "-o", out, "--flips", "--probabilities", "--overwrite")
    assert anew.exit_code == 0 and (out / "probabilities/a.nii").exists() and not (out / "b.nii.gz").exists()


@pytest.mark.parametrize(("arguments", "said"), [
    (["IMAGES/a.nii"], """\
error[E0952]: there is no image IMAGES/a.nii
  hint: did you mean `a.nii.gz`?
"""),
    (["EMPTY"], """\
error[E0952]: there is no image in EMPTY
  why: it holds no DICOM series, and no file's name ends in .nii.gz, .nii, .nrrd, .nhdr, .mha or .mhd
"""),
    (["IMAGES", "--accelerator", "gpu"], """\
error[E0955]: there is no GPU that torch can use
  hint: --accelerator cpu predicts on the processor
"""),
])
def test_a_wrong_command_leaves_nothing(
        arguments: list[str], said: str, fdifc: Any, run: Path, images: Path, tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    (tmp_path / "empty").mkdir()

    def named(text: str) -> str:
        return text.replace("IMAGES", str(images)).replace("EMPTY", str(tmp_path / "empty"))

    result = fdifc("predict", run, *map(named, arguments), "-o", tmp_path / "out")
    assert (result.exit_code, result.stderr) == (1, named(said))
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written(fdifc: Any, run: Path, images: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = fdifc("predict", run, images, "-o", tmp_path / "file")
    assert (result.exit_code, result.stderr) == (1, f"""\
error[E0803]: {tmp_path}/file is a file, and a folder is to go there
  hint: name another folder with -o
""")
    result = fdifc("predict", run, images, "-o", images)
    assert (result.exit_code, result.stderr) == (1, f"""\
error[E0804]: {images} holds files of something else
  why: it is not empty and has no predictions.json
  hint: name a new or empty folder with -o
""")
    if os.geteuid():  # root may write anywhere
        (tmp_path / "locked").mkdir(mode=0o500)
        result = fdifc("predict", run, images, "-o", tmp_path / "locked/out")
        assert result.exit_code == 1 and result.stderr.startswith(f"error[E0801]: {tmp_path}/locked/out: ")


def test_formulas_that_are_looked_for(fdifc: Any, a_run: Any, images: Path, tmp_path: Path) -> None:
    made, out = a_run("unet", "train.features=4", "volume.grid=[16, 16, 16]"), tmp_path / "out"
    stored = torch.load(made / "weights.pt", weights_only=True)
    names = next(iter(stored["tasks"].values()))
    result = fdifc("predict", made, images, "-o", out, "--classes", f"{names[2]}=7", "--spacing", "1,2,1")
    assert result.exit_code == 0, result.output
    assert f"0 background, 7 {names[2]}\n" in result.stdout
    voxels = np.asarray(nibabel.load(out / "a.nii.gz").dataobj)
    assert voxels.shape == (20, 16, 17) and set(np.unique(voxels)) <= {0, 7}
    assert json.loads((out / "predictions.json").read_text())["labels"] == {"background": 0, names[2]: 7}
    # Other classes of the same network do not come into the same folder.
    result = fdifc("predict", made, images, "-o", out, "--classes", f"{names[1]}=7", "--spacing", "1,2,1")
    assert result.exit_code == 1 and "their labels are not the same" in result.stderr
    result = fdifc("predict", made, images, "-o", tmp_path / "other", "--classes", f"{names[1]}x=1")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"error[E0958]: the network learnt no class `{names[1]}x`")
    assert f"did you mean `{names[1]}`?" in result.stderr and not (tmp_path / "other").exists()


def test_formulas_of_a_fine_tuned_network(fdifc: Any, run: Path, images: Path, tmp_path: Path) -> None:
    for given, said in ((("--classes", "liver"), "write a class and its number"),
                        (("--classes", "liver=0"), "write a class and its number"),
                        (("--classes", "liver=1", "--spacing", "1,2"), "write the side of a voxel in mm"),
                        (("--classes", "liver=1", "--spacing", "-1"), "write the side of a voxel in mm")):
        result = fdifc("predict", run, images, "-o", tmp_path / "out", *given)
        assert result.exit_code == 2 and said in result.output
    path = run / "scratch-seed-1/weights.pt"
    torch.save(torch.load(path, weights_only=True) | {"library": "", "seed": 1, "step": 9, "trained_on": ["a"]}, path)
    result = fdifc("predict", path.parent, images, "-o", tmp_path / "out", "--classes", "liver=1")
    assert result.exit_code == 1 and "the network was fine-tuned" in result.stderr
