"""`pretrain`: a real run of a small network, to its end, stopped, resumed, and refused."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("lightning")


def _losses(folder: Path) -> list[float]:
    with (folder / "metrics.csv").open(encoding="utf-8") as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


def test_a_run(fdifc: Any, shapes: Path, recipe: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    result = fdifc("pretrain", recipe, "-o", out, "--library", shapes, "--seed", 3)
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[0] == f"pre-training unet on the recipe small for 6 steps, into {out}"
    assert lines[1].startswith("  step 1/6  loss ")
    assert lines[-1] == f"weights in {out / 'weights.pt'}, loss curve in {out / 'loss.png'}"
    assert {p.name for p in out.iterdir()} - {"tensorboard"} == {
        "last.ckpt", "weights.pt", "metrics.csv", "loss.png", "recipe.json", "summary.json"}

    stored = torch.load(out / "weights.pt", weights_only=True)
    assert stored["classes"] == ["background", "ball", "cube"]
    assert (stored["seed"], stored["step"], stored["network"]) == (3, 6, "unet")
    assert all(v.device.type == "cpu" for v in stored["network_weights"].values())
    summary = json.loads((out / "summary.json").read_text())
    assert summary["steps"] == 6 and summary["loss"]["first"] == _losses(out)[0] and not summary["interrupted"]
    assert json.loads((out / "recipe.json").read_text())["train"]["steps"] == 6


def test_a_resumed_run_goes_on_as_the_first_would_have(
        fdifc: Any, shapes: Path, recipe: Path, tmp_path: Path) -> None:
    recipe.write_text(recipe.read_text().replace("warmup = 1", "warmup = 0").replace("lr = 1e-2", "lr = 1e-9"))
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert fdifc("pretrain", recipe, "-o", whole, "--library", shapes, "--steps", 4).exit_code == 0
    assert fdifc("pretrain", recipe, "-o", parts, "--library", shapes, "--steps", 2).exit_code == 0
    result = fdifc("pretrain", recipe, "-o", parts, "--library", shapes, "--steps", 4, "--resume")
    assert result.exit_code == 0, result.output
    assert _losses(parts) == pytest.approx(_losses(whole), rel=1e-5)


def test_an_earlier_run_is_not_lost_by_accident(fdifc: Any, shapes: Path, recipe: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    arguments = ("pretrain", recipe, "-o", out, "--library", shapes, "--steps", 1)
    assert fdifc(*arguments).exit_code == 0
    result = fdifc(*arguments)
    assert (result.exit_code, result.stderr) == (1, f"""\
error[E0832]: {out} holds an earlier run
  hint: --resume continues it, --overwrite starts anew in its place, -o names another folder
""")
    assert fdifc(*arguments, "--overwrite").exit_code == 0


def test_nothing_to_resume(fdifc: Any, shapes: Path, recipe: Path, tmp_path: Path) -> None:
    result = fdifc("pretrain", recipe, "-o", tmp_path / "run", "--library", shapes, "--resume")
    assert (result.exit_code, result.stderr) == (1, f"""\
error[E0833]: there is no run to resume in {tmp_path / 'run'}
  why: it has no last.ckpt
  hint: leave out --resume to begin one
""")


def test_a_loss_that_did_not_fall_enough(fdifc: Any, shapes: Path, recipe: Path, tmp_path: Path) -> None:
    result = fdifc("pretrain", recipe, "-o", tmp_path / "run", "--library", shapes, "--steps", 1, "--require-fall", 99)
    assert result.exit_code == 1
    assert result.stderr == """\
error[E0843]: the loss fell by 0.0 %
  --> --require-fall
  why: at least 99 % were asked for
  hint: more steps or another learning rate may help
"""


def test_a_loss_that_is_no_number(
        fdifc: Any, shapes: Path, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fdif_dsl.runtime.training import module

    monkeypatch.setattr(module, "augment", lambda image, label, generator: (image * float("nan"), label))
    result = fdifc("pretrain", recipe, "-o", tmp_path / "run", "--library", shapes)
    assert (result.exit_code, result.stderr) == (1, """\
error[E0831]: the loss of step 1 is nan
  why: from there no training can recover
  hint: a smaller `lr` or precision "32" helps
""")


@pytest.mark.parametrize(("change", "said"), [
    (('"unet"', '"unett"'), """\
error[E0811]: unknown network `unett`
  --> small: train.network
  why: there are unet, swin_unetr, unetr, vnet
  hint: did you mean `unet`?
"""),
    (("grid = [16, 16, 16]", "grid = [16, 16, 20]"), """\
error[E0812]: `unet` cannot take patches of 16 x 16 x 20 voxels
  --> small: train.patch
  why: each side must be a multiple of 8 and at least 16
  hint: the nearest patch that it takes is 16 x 16 x 16
"""),
    (('"unet"\nfeatures = 4', '"swin_unetr"\nfeatures = 16\npatch = [64, 64, 64]'), None),
])
def test_a_network_that_does_not_fit(fdifc: Any, shapes: Path, recipe: Path, tmp_path: Path,
                                     change: tuple[str, str], said: str | None) -> None:
    text = recipe.read_text()
    assert change[0] in text
    recipe.write_text(text.replace(*change).replace("[16, 16, 16]", "[64, 64, 64]" if said is None else "[16, 16, 16]"))
    result = fdifc("pretrain", recipe, "-o", tmp_path / "run", "--library", shapes)
    assert result.exit_code == 1
    assert result.stderr == (said or """\
error[E0813]: `swin_unetr` cannot have 16 features
  --> small: train.features
  why: their number must be a multiple of 12
  hint: write 12
""")
    assert not (tmp_path / "run").exists()


def test_interrupt_leaves_a_checkpoint_to_resume_from(
        fdifc: Any, shapes: Path, recipe: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", "from fdif_dsl.cli import main; main()", "pretrain", str(recipe), "-o", str(out),
         "--library", str(shapes), "--steps", "100000"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)
    log = out / "metrics.csv"
    while not (log.exists() and log.read_text().count("\n") >= 3):
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130
    steps = len(_losses(out))
    assert said.splitlines() == [
        "finishing this step; Ctrl-C again ends the run at once",
        f"interrupted after step {steps}; the checkpoint is {out / 'last.ckpt'}, and --resume goes on from it"]
    assert torch.load(out / "weights.pt", weights_only=True)["step"] == steps
    result = fdifc("pretrain", recipe, "-o", out, "--library", shapes, "--steps", steps + 1, "--resume")
    assert result.exit_code == 0, result.output
    assert len(_losses(out)) == steps + 1
