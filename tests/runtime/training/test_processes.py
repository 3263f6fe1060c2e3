"""Runs in processes of their own: killed at random moments, and shared by two."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("lightning")
pytest.importorskip("monai")

from fdif_dsl.compiler.library import Library
from fdif_dsl.runtime.training.pretrain import pretrain

# What a user's terminal starts; -P keeps the folders here from being taken for the installed package.
FDIFC = [sys.executable, "-P", "-c", "from fdif_dsl.cli import main; main()"]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    stored: dict[str, torch.Tensor] = torch.load(folder / "weights.pt", weights_only=True)["network_weights"]
    return stored


def losses(folder: Path) -> list[str]:
    return [line.split(",")[1] for line in (folder / "metrics.csv").read_text().splitlines()[1:]]


@pytest.mark.slow  # six processes one after the other, each of which loads torch and Lightning
def test_a_run_that_is_killed_five_times_ends_as_one_that_was_not(
        own: Library, own_path: Path, recipe_path: Path, small: Any, tmp_path: Path) -> None:
    steps = 60
    whole = tmp_path / "whole"
    torch.set_num_threads(1)
    pretrain(own, small(f"train.steps={steps}", "monitor.checkpoint=3", "monitor.validate=10"), whole, name="small")
    out = tmp_path / "parts"
    command = [*FDIFC, "pretrain", str(recipe_path), f"train.steps={steps}", "monitor.checkpoint=3",
               "monitor.validate=10", "-o", str(out), "--library", str(own_path)]
    moments = random.Random(0)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}  # as here; sums over threads are rounded in another order
    for kill in range(5):
        begun = len(losses(out)) if kill else 0
        process = subprocess.Popen([*command, *(["--resume"] if (out / "last.ckpt").exists() else ["--overwrite"])],
                                   cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   text=True)
        # It works once its log grows beyond what it found; then it may be killed at any moment of some steps.
        mark = (out / "metrics.csv").stat().st_mtime_ns if begun else 0
        while not ((out / "metrics.csv").exists() and (out / "metrics.csv").stat().st_mtime_ns > mark
                   and len(losses(out)) > 1):
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        time.sleep(moments.uniform(0, 0.6))
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL or len(losses(out)) == steps
    subprocess.run([*command, "--resume"] if (out / "last.ckpt").exists() else [*command, "--overwrite"],
                   cwd=tmp_path, env=environment, check=True, capture_output=True)
    assert losses(out) == losses(whole)
    one, other = weights(out), weights(whole)
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert (out / "validation.csv").read_text() == (whole / "validation.csv").read_text()


# Runs in each of two processes; what each of them saw and ended with is compared below.
WATCHED = """
import json, os, sys
from pathlib import Path
import torch
from fdif_dsl.compiler.library import load_library
from fdif_dsl.runtime.recipe import Recipe
from fdif_dsl.runtime.training import pretrain as driver
from fdif_dsl.runtime.training.extra import mend_torchvision
mend_torchvision()
from fdif_dsl.runtime.training.learner import Learner

seen, step = [], Learner.training_step
def watched(self, batch, batch_idx):
    seen.append(batch["number"])
    watched.learner = self
    return step(self, batch, batch_idx)
Learner.training_step = watched

library, recipe, out, *overrides = sys.argv[1:]
run = driver.pretrain(load_library(Path(library)), Recipe.load(recipe, overrides), Path(out), name="small")
rank = torch.distributed.get_rank()
weights = {key: value.detach() for key, value in watched.learner.network.state_dict().items()}
torch.save({"seen": seen, "weights": weights, "spoke": run is not None}, f"{out}-{rank}.pt")
"""


def test_two_processes_train_as_one_with_twice_the_batch(
        own: Library, own_path: Path, recipe_path: Path, small: Any, tmp_path: Path) -> None:
    script = tmp_path / "watched.py"
    script.write_text(WATCHED)
    # Not AdamW: it makes whole steps of gradients that are nothing but rounding, as those of biases before a norm are.
    alike = ("train.steps=4", "monitor.validate=2", "train.clip=1.0", "train.optimizer=sgd")
    pretrain(own, small(*alike, "train.batch=4"), tmp_path / "one", name="small")
    environment = {key: value for key, value in os.environ.items() if key not in ("RANK", "LOCAL_RANK", "WORLD_SIZE")}
    done = subprocess.run(
        [sys.executable, "-P", str(script), str(own_path), str(recipe_path), str(tmp_path / "two"), *alike,
         "train.batch=2", "train.devices=2", "train.accelerator=cpu"],
        cwd=tmp_path, capture_output=True, text=True, env=environment | {"OMP_NUM_THREADS": "1"}, timeout=300)
    assert done.returncode == 0, done.stderr
    first, second = (torch.load(tmp_path / f"two-{rank}.pt", weights_only=True) for rank in (0, 1))
    assert (first["spoke"], second["spoke"]) == (True, False)
    # Disjoint volumes, and together those of the single process.
    assert first["seen"] == [[4 * k, 4 * k + 2] for k in range(4)]
    assert second["seen"] == [[4 * k + 1, 4 * k + 3] for k in range(4)]
    # The same weights in both, and those of the single process but for rounding.
    assert all(torch.equal(first["weights"][key], second["weights"][key]) for key in first["weights"])
    alone = weights(tmp_path / "one")
    assert all(torch.allclose(alone[key], value, atol=2e-5) for key, value in first["weights"].items())
    assert [float(a) for a in losses(tmp_path / "two")] == pytest.approx(
        [float(a) for a in losses(tmp_path / "one")], rel=1e-4)
    scores = [json.loads((tmp_path / name / "summary.json").read_text())["validation"] for name in ("one", "two")]
    assert scores[0]["shape"]["mean"] == pytest.approx(scores[1]["shape"]["mean"], abs=0.01)


def test_torchrun_starts_the_processes(own_path: Path, recipe_path: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONSAFEPATH": "1"}
    script = tmp_path / "fdifc.py"
    script.write_text("from fdif_dsl.cli import main\nmain()\n")
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script),
         "pretrain", str(recipe_path), "train.steps=2", "train.accelerator=cpu", "-o", str(out), "--library",
         str(own_path)], cwd=tmp_path, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    assert json.loads((out / "summary.json").read_text())["processes"] == 2
    assert sum(line.startswith("pre-training") for line in done.stdout.splitlines()) == 1  # one of them speaks
    assert [line.split(",")[-1] for line in (out / "metrics.csv").read_text().splitlines()[1:]] == ["4", "4"]
