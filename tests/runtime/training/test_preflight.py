"""Mistakes that are told before a run starts."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("lightning")
pytest.importorskip("monai")

from fdif_dsl.compiler.library import Library
from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.runtime.training import devices, extra, preflight
from fdif_dsl.runtime.training.devices import find_place, is_first
from fdif_dsl.runtime.training.pretrain import pretrain


def refused(own: Library, recipe: Any, folder: Path) -> str:
    """What is said; and nothing is left on disk."""
    with pytest.raises(FdifError) as caught:
        pretrain(own, recipe, folder, name="small")
    assert not folder.exists()
    return str(caught.value)


def test_classification_needs_single_whole_objects(own: Library, small: Any, tmp_path: Path) -> None:
    recipe = small("train.task=classification", "train.patch=[16, 16, 8]", "volume.grid=[16, 16, 16]",
                   "train.network=vnet", "train.patch=[32, 32, 32]", "volume.grid=[32, 32, 48]")
    assert refused(own, recipe, tmp_path / "run") == """\
error[E0851]: classification needs volumes with one object
  --> ...:3:1
  |
3 | objects = [1, 2]
  | ^^^^^^^
  why: the class of a volume is that of its object
  hint: set objects = 1 in [volume]

error[E0851]: classification needs whole volumes
  --> command line:1:7
  |
1 | train.patch=[32, 32, 32]
  |       ^^^^^
  why: a crop may miss the object
  hint: set patch = "grid" in [train]""".replace("...", str(tmp_path / "small.toml"))


def test_structure_needs_the_numbers_of_objects(own: Library, small: Any, tmp_path: Path) -> None:
    assert refused(own, small("train.task=structure", 'volume.label="object"'), tmp_path / "run") == """\
error[E0851]: `structure` needs the number of each object
  --> command line:1:8
  |
1 | volume.label="object"
  |        ^^^^^
  why: it learns where one object ends and another begins, which classes do not say
  hint: set label = "instance" in [volume], and no images"""


def test_images_alone_have_nothing_to_segment(own: Library, small: Any, tmp_path: Path) -> None:
    assert refused(own, small('volume.images="scans"'), tmp_path / "run") == """\
error[E0851]: `segmentation` cannot learn from images alone
  --> command line:1:8
  |
1 | volume.images="scans"
  |        ^^^^^^
  why: they have no labels
  hint: set task = "masked" in [train]"""


def test_images_are_not_drawn_on_a_gpu(
        own: Library, small: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = small('volume.images="scans"', "train.task=masked", "train.volumes=gpu")
    assert "error[E0851]: images are not drawn on a GPU" in refused(own, recipe, tmp_path / "run")


def test_a_network_whose_encoder_is_not_known_cannot_classify(
        own: Library, small: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text("def net(): pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    recipe = small("train.task=classification", "volume.objects=1", "train.network=mine:net")
    assert refused(own, recipe, tmp_path / "run") == """\
error[E0851]: `mine:net` cannot classify
  --> command line:1:7
  |
1 | train.network="mine:net"
  |       ^^^^^^^
  why: it is not known which part of it is its encoder
  hint: take a network of `fdifc list networks`, or segment"""


def test_classification_needs_an_object_in_each_volume(own: Library, small: Any, tmp_path: Path) -> None:
    recipe = small("train.task=classification", "volume.objects=1", "placement.translate=inside")
    assert refused(own, recipe, tmp_path / "run") == """\
error[E0851]: classification needs an object in each volume
  --> command line:1:11
  |
1 | placement.translate="inside"
  |           ^^^^^^^^^
  why: one that is too large to lie inside the grid is left out
  hint: write a number for `translate` in [placement]"""


def test_a_network_that_cannot_compute_again(own: Library, small: Any, tmp_path: Path) -> None:
    recipe = small("train.recompute=true", "train.network=vnet", "volume.grid=[32, 32, 32]")
    assert refused(own, recipe, tmp_path / "run") == """\
error[E0851]: `vnet` cannot compute its activations again
  --> command line:1:7
  |
1 | train.recompute=true
  |       ^^^^^^^^^
  why: its batch norm would count each batch twice, or its parts are not known
  hint: leave out train.recompute"""


def test_compiling_needs_a_compiler(own: Library, small: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight.shutil, "which", lambda name: None)
    assert refused(own, small("train.compile=true"), tmp_path / "run") == """\
error[E0851]: torch.compile needs a C++ compiler, and there is none
  --> command line:1:7
  |
1 | train.compile=true
  |       ^^^^^^^
  why: it writes C++ and has it compiled
  hint: install g++, or leave out train.compile"""


def test_no_gpu(own: Library, small: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.version, "cuda", None)
    assert refused(own, small("train.accelerator=gpu"), tmp_path / "run") == f"""\
error[E0836]: the recipe trains on a GPU, and torch finds none
  --> command line:1:7
  |
1 | train.accelerator="gpu"
  |       ^^^^^^^^^^^
  why: torch {torch.__version__} was built without CUDA
  hint: train.accelerator=cpu trains on the processor, which takes far longer; the recipe `demo` is made for that"""


def test_volumes_on_a_gpu_that_does_not_train(small: Any) -> None:
    _, mistakes = find_place(small("train.volumes=gpu", "train.accelerator=cpu"))
    assert "\n".join(m.render() for m in mistakes) == """\
error[E0836]: volumes are to be drawn on the GPU that trains, and the processor trains
  --> command line:1:7
  |
1 | train.volumes="gpu"
  |       ^^^^^^^
  hint: leave out train.volumes"""


def test_too_few_gpus(small: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    place, mistakes = find_place(small("train.accelerator=gpu", "train.devices=4"))
    assert place.devices == 4
    assert "\n".join(m.render() for m in mistakes) == """\
error[E0836]: 4 processes a machine, and torch finds 1 GPU
  --> command line:1:7
  |
1 | train.devices=4
  |       ^^^^^^^
  why: each process has a GPU of its own
  hint: at most train.devices=1"""


def test_a_full_disk(own: Library, small: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9, 10**5))
    said = refused(own, small("monitor.keep=5"), tmp_path / "deep" / "run")
    title, where, why, hint = said.splitlines()
    assert title.startswith("error[E0839]: the checkpoints need ")
    assert title.endswith(f" MB, and {tmp_path} has 0.1 MB free")
    assert where == f"  --> {tmp_path / 'deep' / 'run'}"
    assert why.endswith(", and the last 5 and the best are kept")
    assert hint == "  hint: free some space, name a folder elsewhere with -o, or keep fewer with monitor.keep=1"
    assert not (tmp_path / "deep").exists()


def test_the_estimate_of_the_disk_is_that_of_a_run(own: Library, small: Any, tmp_path: Path) -> None:
    made = pretrain(own, small("train.features=16", "monitor.keep=3", "train.ema=0.9"), tmp_path / "run", name="small")
    assert made is not None
    files = {p.stat().st_ino: p.stat().st_size for p in (tmp_path / "run").rglob("*.*t")}
    whole = (tmp_path / "run" / "last.ckpt").stat().st_size
    counted = 4 * made.parameters * 4  # the weights, their mean, two moments
    assert whole == pytest.approx(counted, rel=0.15)
    assert sum(files.values()) < counted * (3 + 2) + 2 * 4 * made.parameters * 1.15


def test_wandb_that_is_not_installed(own: Library, small: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = extra.find_spec
    monkeypatch.setattr(extra, "find_spec", lambda name: None if name == "wandb" else real(name))
    assert refused(own, small("monitor.wandb=trials"), tmp_path / "run") == """\
error[E0821]: training needs the package `wandb`, which is not installed
  hint: pip install wandb"""


@pytest.mark.parametrize("half", ["16-mixed", "bf16-mixed"])
def test_half_precision_on_a_cpu_is_single_precision(
        small: Any, half: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    place, mistakes = find_place(small(f"train.precision={half}"))
    assert (place.accelerator, place.precision, mistakes) == ("cpu", "32-true", [])
    assert f"half precision ({half}) needs a GPU" in capsys.readouterr().err
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert find_place(small(f"train.precision={half}"))[0].precision == half


@pytest.mark.parametrize(("environment", "expected"), [
    ({}, (2, 3)),  # what the recipe says
    ({"LOCAL_WORLD_SIZE": "4", "WORLD_SIZE": "8", "RANK": "5", "LOCAL_RANK": "1"}, (4, 2)),
    ({"SLURM_NTASKS": "6", "SLURM_NNODES": "3", "SLURM_PROCID": "0", "SLURM_STEP_ID": "0",
      "SLURM_NTASKS_PER_NODE": "2"}, (2, 3)),
    ({"SLURM_NTASKS": "1", "SLURM_PROCID": "0", "SLURM_STEP_ID": "0"}, (1, 1)),
])
def test_the_launcher_says_how_many_processes_there_are(
        small: Any, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: tuple[int, int]) -> None:
    for name in ("LOCAL_WORLD_SIZE", "WORLD_SIZE", "RANK", "LOCAL_RANK", "SLURM_NTASKS", "SLURM_NNODES",
                 "SLURM_PROCID", "SLURM_STEP_ID", "SLURM_NTASKS_PER_NODE", "SLURM_JOB_NAME", "NODE_RANK"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    place, _ = find_place(small("train.devices=2", "train.nodes=3", "train.accelerator=cpu"))
    assert (place.devices, place.nodes) == expected
    assert place.strategy == ("ddp" if place.world > 1 else "auto")
    assert is_first() == ("RANK" not in environment)
    assert devices.launched() == (expected if environment else None)


def test_srun_must_say_how_many_run_on_each_machine(small: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOCAL_WORLD_SIZE", "SLURM_NNODES", "SLURM_NTASKS_PER_NODE", "SLURM_JOB_NAME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in (("NTASKS", "4"), ("PROCID", "0"), ("STEP_ID", "0")):
        monkeypatch.setenv(f"SLURM_{name}", value)
    with pytest.raises(FdifError) as caught:
        find_place(small("train.accelerator=cpu"))
    assert str(caught.value) == """\
error[E0838]: srun has started 4 processes, and it is not said how many run on each machine
  why: each must know its place among those beside it
  hint: srun --ntasks-per-node=4 fdifc pretrain ..."""
