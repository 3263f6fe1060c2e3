"""`pretrain`: a real run of a small network, to its end, stopped, resumed, and refused."""

from __future__ import annotations

import csv
import json
import os
import pty
import re
import select
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch

from fdif_dsl.runtime.training.extra import mend_torchvision

mend_torchvision()
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
    assert lines[-1] == f"weights in {out / 'weights.pt'}, curves in {out / 'loss.png'} and {out / 'scores.png'}"
    assert re.fullmatch(r"[0-9.]+ volumes/s; [0-9.]+ % of the time waiting for data", lines[-2])
    assert "  step 6  validation: shape 0." in result.output
    summary = json.loads((out / "summary.json").read_text())
    assert f"shape: mean {summary['validation']['shape']['mean']:.3f}, above 0.5 in " in result.output
    assert summary["seed"] == 3 and summary["loss"]["first"] == _losses(out)[0]
    stored = torch.load(out / "weights.pt", weights_only=True)
    assert (stored["seed"], stored["step"], stored["network"]) == (3, 6, "unet")


def test_values_of_the_recipe_are_replaced(fdifc: Any, shapes: Path, recipe: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    result = fdifc("pretrain", recipe, "train.steps=2", "monitor.validate=0", "-o", out, "--library", shapes)
    assert result.exit_code == 0, result.output
    assert len(_losses(out)) == 2 and not (out / "validation.csv").exists()
    result = fdifc("pretrain", recipe, "train.stepz=2", "-o", tmp_path / "other", "--library", shapes)
    assert result.exit_code == 1 and "did you mean `steps`?" in result.stderr
    assert not (tmp_path / "other").exists()


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
    from fdif_dsl.runtime.training import learner

    monkeypatch.setattr(learner, "normalise", lambda image, how: image * float("nan"))
    result = fdifc("pretrain", recipe, "-o", tmp_path / "run", "--library", shapes)
    assert (result.exit_code, result.stderr) == (1, """\
error[E0831]: the loss of step 1 is nan
  why: from there no training can recover
  hint: a smaller `lr`, a `clip` of gradients or precision "32" helps; the last checkpoint is as it was
""")


@pytest.mark.parametrize(("change", "said"), [
    (('"unet"', '"unett"'), """\
error[E0811]: unknown network `unett`
  --> small: train.network
  why: there are unet, resunet, swin_unetr, unetr, vnet, resenc_l, primus_m
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
        fdifc: Any, interrupted: Any, shapes: Path, recipe: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    code, said = interrupted(out / "metrics.csv", "pretrain", recipe, "-o", out, "--library", shapes, "--steps", 100000,
                             "monitor.validate=0")
    assert code == 130
    steps = len(_losses(out))
    assert said[-2:] == [
        "finishing this step; Ctrl-C again ends the run at once",
        f"interrupted after step {steps}; the checkpoint is {out / 'last.ckpt'}, and --resume goes on from it"]
    assert torch.load(out / "weights.pt", weights_only=True)["step"] == steps
    result = fdifc("pretrain", recipe, "monitor.validate=0", "-o", out, "--library", shapes, "--steps", steps + 1,
                   "--resume")
    assert result.exit_code == 0, result.output
    assert len(_losses(out)) == steps + 1


def test_two_runs_in_one_folder(fdifc: Any, started: Any, shapes: Path, recipe: Path, tmp_path: Path) -> None:
    """The second is refused whatever it was told, and the first goes on as if nothing had been."""
    out = tmp_path / "run"
    command = ("pretrain", recipe, "-o", out, "--library", shapes, "--steps", 100000, "monitor.validate=0",
               "monitor.checkpoint=1")
    first = started(out / "metrics.csv", *command)
    written = (out / "recipe.toml").stat().st_mtime_ns
    for option in ([], ["--resume"], ["--overwrite"]):
        result = fdifc(*command, *option)
        assert (result.exit_code, result.stderr) == (1, f"""\
error[E0883]: another run is writing into {out}
  hint: wait until it ends, or name another folder with -o
""")
    first.send_signal(signal.SIGINT)
    _, said = first.communicate(timeout=120)
    assert first.returncode == 130, said
    assert (out / "recipe.toml").stat().st_mtime_ns == written
    with (out / "metrics.csv").open(encoding="utf-8") as file:
        steps = [int(row["step"]) for row in csv.DictReader(file)]
    assert steps == list(range(1, len(steps) + 1))
    assert torch.load(out / "weights.pt", weights_only=True)["step"] == len(steps)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2])
def test_a_signal_of_a_cluster_leaves_a_checkpoint(
        number: signal.Signals, started: Any, shapes: Path, recipe: Path, tmp_path: Path) -> None:
    """It reaches the processes that render, too."""
    out = tmp_path / "run"
    process = started(out / "metrics.csv", "pretrain", recipe, "-o", out, "--library", shapes, "--steps", 100000,
                      "monitor.validate=0", "train.workers=1")
    os.killpg(process.pid, number)
    _, said = process.communicate(timeout=120)
    steps = len(_losses(out))
    assert (process.returncode, said.splitlines()) == (130, [
        "finishing this step; Ctrl-C again ends the run at once",
        f"interrupted after step {steps}; the checkpoint is {out / 'last.ckpt'}, and --resume goes on from it"])
    assert torch.load(out / "last.ckpt", weights_only=True)["global_step"] == steps


def test_a_lost_terminal_leaves_a_checkpoint(shapes: Path, recipe: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    child, terminal = pty.fork()
    if not child:
        os.chdir(tmp_path)
        os.execv(sys.executable, [
            sys.executable, "-P", "-c", "from fdif_dsl.cli import main; main()", "pretrain", str(recipe),
            "-o", str(out), "--library", str(shapes), "--steps", "100000", "monitor.validate=0"])
    log = out / "metrics.csv"
    try:
        while not (log.exists() and log.read_text().count("\n") >= 3):
            if select.select([terminal], [], [], 0.05)[0]:
                os.read(terminal, 65536)
    finally:
        os.close(terminal)
    deadline = time.monotonic() + 60
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.05)
    assert torch.load(out / "last.ckpt", weights_only=True)["global_step"] == len(_losses(out))


@pytest.mark.parametrize("pause", [0.05, 0.2, 0.8])
def test_a_second_signal_while_workers_start(
        pause: float, started: Any, shapes: Path, recipe: Path, tmp_path: Path) -> None:
    """In all processes at once, as a terminal sends it."""
    psutil = pytest.importorskip("psutil")
    out = tmp_path / "run"
    process = started(None, "pretrain", recipe, "-o", out, "--library", shapes, "--steps", 100000,
                      "monitor.validate=0", "train.workers=2")

    assert process.stdout.readline().startswith("pre-training")  # what was begun before that compiles kernels

    def workers() -> int:
        with suppress(psutil.Error):  # a child that has just ended
            return sum("spawn_main" in " ".join(c.cmdline()) for c in psutil.Process(process.pid).children())
        return 0

    while not workers():
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGINT)
    time.sleep(pause)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    # Where the second comes while the first is being told, that line is cut off as well.
    assert (process.returncode, said.removeprefix("finishing this step; Ctrl-C again ends the run at once\n")) == (
        130, "interrupted\n")


@pytest.mark.parametrize("task", [{}, {"SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0"}])
def test_a_job_of_slurm_without_srun(
        task: dict[str, str], started: Any, shapes: Path, recipe: Path, tmp_path: Path) -> None:
    """Run by the script of a job, or in a shell that has one: it is one process, and says so."""
    out = tmp_path / "run"
    process = started(None, "pretrain", recipe, "-o", out, "--library", shapes, "--steps", 2, SLURM_NTASKS="4",
                      SLURM_JOB_ID="17", SLURM_NNODES="1", SLURM_JOB_NAME="train", **task)
    _, said = process.communicate(timeout=120)
    assert (process.returncode, said) == (
        0, "fdif-dsl: the job has 4 tasks of Slurm, but srun has not started this process: it runs without them\n")
    assert json.loads((out / "summary.json").read_text())["processes"] == 1
