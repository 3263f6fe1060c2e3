"""`fdifc finetune`, from a stranger's side."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch

from fdif_dsl.runtime.finetuning import FinetuneRecipe, finetune_recipes
from fdif_dsl.runtime.finetuning.preflight import plan
from fdif_dsl.runtime.training.extra import mend_torchvision
from fdif_dsl.runtime.training.networks import NETWORKS

mend_torchvision()  # before a command imports Lightning itself

QUICK = ("--steps", "2", "train.features=4", "train.patch=[16, 16, 16]", "data.folds=2", "validate.distance=false")
ALONE = (*QUICK, "train.network=unet")  # without weights


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Four cases with one class, as a folder with a MONAI list."""
    folder = tmp_path / "data"
    folder.mkdir()
    random = np.random.default_rng(0)
    entries = []
    for i in range(4):
        label = np.zeros((16, 16, 16), np.uint8)
        label[4:10, 4:10, 4:10] = 1
        image = (random.normal(0, 1, label.shape) + 9 * label).astype(np.float32)
        for name, voxels in (("image", image), ("label", label)):
            nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), folder / f"{name}{i}.nii.gz")
        entries.append({"image": f"image{i}.nii.gz", "label": f"label{i}.nii.gz"})
    table = {"training": entries, "labels": {"0": "background", "1": "[box]"}}
    (folder / "datalist.json").write_text(json.dumps(table))
    return folder


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    network, folder = NETWORKS["unet"].build(4, 3, (16, 16, 16)), tmp_path / "weights"
    folder.mkdir()
    torch.save({"network_weights": network.state_dict(), "network": "unet", "features": 4, "patch": [16, 16, 16],
                "head": ["model.3."], "task": "segmentation", "label": "shape", "tasks": {"shape": ["0", "a", "b"]},
                "recipe": {}, "library": "", "seed": 7, "step": 7, "fdif_dsl": "0"}, folder / "weights.pt")
    return folder


def test_a_comparison_from_start_to_end(fdifc: Any, data: Path, weights: Path, tmp_path: Path) -> None:
    moved = np.eye(4)
    moved[0, 3] = 0.25  # a quarter of a voxel is worth a warning
    nibabel.save(nibabel.Nifti1Image(np.asarray(nibabel.load(data / "label2.nii.gz").dataobj), moved),
                 data / "label2.nii.gz")
    result = fdifc("finetune", "small", "--data", data, "--weights", weights, "--compare", "scratch", "--cases", 1,
                   "--seeds", "1,2", *QUICK, "-o", tmp_path / "run")
    assert result.exit_code == 0, result.output
    assert result.stderr.startswith("warning[E0928]: the headers of an image and its label differ\n")
    lines = result.stdout.splitlines()
    assert lines[:4] == [
        "fine-tuning unet for 2 steps on 1 of 2 cases, with 2 held out",
        f"{data}/datalist.json: 1 class, 1 channel; voxels (z, y, x) of 1 x 1 x 1 mm",
        "grey levels: clipped",
        "pretrained, seed 1"]
    assert [line for line in lines if "seed" in line and line[0] != " "][:4] == [
        "pretrained, seed 1", "pretrained, seed 2", "scratch, seed 1", "scratch, seed 2"]
    assert "  taken 49 of 51 tensors; new: model.3.weight" in result.stdout
    (header,) = (i for i, line in enumerate(lines) if line.startswith("class "))
    assert lines[header].split() == ["class", "pretrained", "scratch", "difference", "95", "%", "interval"]
    assert lines[header + 1].startswith("[box]") and lines[header + 2].startswith("mean")
    assert lines[-1].startswith(f"every score in {tmp_path / 'run/scores.csv'}; ")
    again = fdifc("finetune", "small", "--data", data, *ALONE, "-o", tmp_path / "run")
    assert again.exit_code == 1 and "holds an earlier fine-tuning" in again.stderr
    whole = fdifc("finetune", tmp_path / "run/finetune.toml", "--fold", 1, "-o", tmp_path / "other")
    assert whole.exit_code == 0 and "HD95 mm" in whole.stdout


@pytest.mark.parametrize(("arguments", "said"), [
    (["small"], """\
error[E0907]: the recipe does not say which data set it fine-tunes on
  --> small.toml:4:1
  |
4 | path = "none"             # a MONAI data list (.json), a raw data set of nnU-Net (its folder), or Me…
  | ^^^^
  hint: give it with --data PATH, or as `path` in [data]
"""),
    (["small", "--data", "DATA", "--compare", "scratch"], """\
error[E0945]: there are no weights to compare with a start from scratch
   --> small.toml:17:1
   |
17 | weights = "none"          # a run of `fdifc pretrain`, or its weights.pt
   | ^^^^^^^
  hint: give those of a run of `fdifc pretrain` with --weights
"""),
    (["smal", "--data", "DATA"], """\
error[E0501]: no recipe is called `smal`
  why: the built-in recipes are `small`, `medmnist`, `primus-m`, `resenc-l`, `swin-unetr`, `unetr`, `vnet`
  hint: did you mean `small`?
"""),
    (["small", "--data", "DATA", "train.learning_rate=1"], """\
error[E0504]: [train] has no key `learning_rate`
  --> command line:1:7
  |
1 | train.learning_rate=1
  |       ^^^^^^^^^^^^^
  why: its keys are `weights`, `network`, `features`, `patch`, `batch`, `steps`, `optimizer`, `lr`, `weight_decay`, \
`schedule`, `warmup`, `body_lr`, `freeze`, `clip`, `precision`, `accelerator`, `workers`, `seeds`
  hint: leave it out
"""),
    (["small", "--data", "DATA", "--seeds", "1,1"], """\
error[E0504]: a seed stands twice in the list
  --> command line:1:7
  |
1 | train.seeds=[1, 1]
  |       ^^^^^
  why: its two runs would be the same
  hint: name it once
"""),
    (["small", "--data", "DATA", "--seeds", "one"], """\
error[E0507]: `[one]` is no value
  --> command line: train.seeds
  hint: write a number, a word, true or false, or a list like [48, 48, 48] or ["a", "b"]; quotes keep the shell from \
reading it
"""),
    (["small", "--data", "DATA", "data.orientation=ARS"], """\
error[E0504]: `ARS` is no orientation
  --> command line:1:6
  |
1 | data.orientation="ARS"
  |      ^^^^^^^^^^^
  why: it says where x, y and z point: x to the right or left, y to the front (A) or back (P), z to the head (S) or \
feet (I)
  hint: write three letters, like "RAS" or "LPS"
"""),
    (["small", "--data", "DATA", "--fold", "7"], """\
error[E0504]: there is no fold 7 among 5
  --> command line:1:6
  |
1 | data.fold=7
  |      ^^^^
  why: they are counted from 0
  hint: write a number from 0 to 4
"""),
])
def test_a_wrong_command_leaves_nothing(
        arguments: list[str], said: str, fdifc: Any, data: Path, tmp_path: Path) -> None:
    result = fdifc("finetune", *(data if part == "DATA" else part for part in arguments), "-o", tmp_path / "run")
    assert result.exit_code == 1
    assert result.stderr == said
    assert not (tmp_path / "run").exists()


def test_three_channels_are_none_for_vnet(fdifc: Any, data: Path, tmp_path: Path) -> None:
    for path in data.glob("image*"):
        voxels = np.asarray(nibabel.load(path).dataobj)
        nibabel.save(nibabel.Nifti1Image(np.stack([voxels] * 3, -1), np.eye(4)), path)
    result = fdifc("finetune", "vnet", "--data", data, "data.folds=2", "train.accelerator=cpu", "-o", tmp_path / "run")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-4:] == [
        "error[E0938]: `vnet` cannot take images of 3 channels", "  --> vnet: train.network",
        "  why: it repeats its input until it has 16 channels",
        "  hint: take another network, or 1, 2, 4, 8 or 16 channels"]


def test_ctrl_c_ends_a_run(interrupted: Any, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    code, said = interrupted(out / "scratch-seed-1/metrics.csv", "finetune", "small", "--data", data, *ALONE, "--steps",
                             100000, "-o", out)
    assert code == 130
    assert said[-2:] == [
        "finishing this step; Ctrl-C again ends the run at once",
        f"interrupted; what was not finished is made anew with --overwrite, in {out}"]
    assert not (out / "scores.csv").exists()


def test_two_runs_in_one_folder(fdifc: Any, started: Any, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = ("finetune", "small", "--data", data, *ALONE, "--steps", 100000, "-o", out)
    log = out / "scratch-seed-1/metrics.csv"
    first = started(log, *command)
    for option in ([], ["--overwrite"]):
        result = fdifc(*command, *option)
        assert (result.exit_code, result.stderr) == (1, f"""\
error[E0883]: another run is writing into {out}
  hint: wait until it ends, or name another folder with -o
""")
    first.send_signal(signal.SIGINT)
    _, said = first.communicate(timeout=120)
    assert first.returncode == 130, said
    steps = [int(line.split(",")[0]) for line in log.read_text().splitlines()[1:]]
    assert steps == list(range(1, len(steps) + 1))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_a_signal_of_a_cluster_ends_a_run(number: signal.Signals, interrupted: Any, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    code, said = interrupted(out / "scratch-seed-1/metrics.csv", "finetune", "small", "--data", data, *ALONE, "--steps",
                             100000, "-o", out, number=number)
    assert (code, said[-2:]) == (130, [
        "finishing this step; Ctrl-C again ends the run at once",
        f"interrupted; what was not finished is made anew with --overwrite, in {out}"])


def test_a_job_of_slurm_without_srun(started: Any, data: Path, tmp_path: Path) -> None:
    process = started(None, "finetune", "small", "--data", data, *ALONE, "-o", tmp_path / "run", SLURM_NTASKS="4",
                      SLURM_JOB_ID="17", SLURM_PROCID="0", SLURM_LOCALID="0", SLURM_NODEID="0")
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert said.splitlines()[0] == (
        "fdif-dsl: the job has 4 tasks of Slurm, but srun has not started this process: it runs without them")
    assert (tmp_path / "run" / "scores.csv").exists()


def test_every_built_in_recipe_names_a_network_that_it_can_have() -> None:
    for name in finetune_recipes():
        chosen = plan(FinetuneRecipe.load(name), None, name)
        assert name in ("small", "medmnist") or chosen.row.name == name.replace("-", "_")


def test_recipes_of_both_kinds_are_listed_apart(fdifc: Any) -> None:
    lines = fdifc("list", "recipes").stdout.splitlines()
    kinds = [line.split()[:2] for line in lines if line.split()[0] in ("pretrain", "finetune")]
    assert ["pretrain", "demo"] in kinds and ["finetune", "small"] in kinds
    assert [kind for kind, _ in kinds] == sorted((kind for kind, _ in kinds), reverse=True)
