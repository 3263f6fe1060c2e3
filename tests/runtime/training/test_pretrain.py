"""Whole runs in this process: what they leave, that they repeat themselves, and that they go on where they were."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("lightning")
pytest.importorskip("monai")

from matplotlib.image import imread

from fdif_dsl.compiler.library import Library
from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.runtime.recipe import Recipe, resolve
from fdif_dsl.runtime.recipe.meaning import MEANINGS
from fdif_dsl.runtime.streams.stream import VolumeStream
from fdif_dsl.runtime.training.networks import NETWORKS
from fdif_dsl.runtime.training.pretrain import Run, pretrain
from fdif_dsl.runtime.training.validation import held_out_seed

TINY = """
import torch

def net(out_channels):
    return torch.nn.Sequential(torch.nn.Conv3d(1, 4, 1), torch.nn.ReLU(), torch.nn.Conv3d(4, out_channels, 1))

def dropping(out_channels):
    return torch.nn.Sequential(torch.nn.Conv3d(1, 8, 3, padding=1), torch.nn.BatchNorm3d(8), torch.nn.Dropout3d(0.5),
                               torch.nn.Conv3d(8, out_channels, 1))
"""


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The module `tiny` with networks of the user's."""
    (tmp_path / "tiny.py").write_text(TINY)
    monkeypatch.syspath_prepend(str(tmp_path))


def run(own: Library, recipe: Recipe, folder: Path, **options: Any) -> Run:
    made = pretrain(own, recipe, folder, name="small", **options)
    assert made is not None
    return made


def weights(folder: Path, name: str = "weights.pt") -> dict[str, torch.Tensor]:
    stored: dict[str, torch.Tensor] = torch.load(folder / name, weights_only=True)["network_weights"]
    return stored


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def rows(folder: Path, name: str = "metrics.csv") -> list[dict[str, str]]:
    with (folder / name).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_what_a_run_leaves(own: Library, small: Any, tmp_path: Path) -> None:
    recipe = small()
    made = run(own, recipe, tmp_path / "run")
    folder = tmp_path / "run"
    assert {p.name for p in folder.iterdir()} - {"tensorboard"} == {
        "last.ckpt", "best.ckpt", "checkpoints", "weights.pt", "best.pt", "metrics.csv", "validation.csv",
        "loss.png", "scores.png", "predictions.png", "recipe.toml", "run.json", "summary.json"}
    assert sorted(p.name for p in (folder / "checkpoints").iterdir()) == ["step-00000004.ckpt", "step-00000006.ckpt"]
    assert (folder / "last.ckpt").samefile(folder / "checkpoints" / "step-00000006.ckpt")

    stored = torch.load(folder / "weights.pt", weights_only=True)
    assert stored["tasks"] == {"shape": ["background", "ball", "cube"]}
    assert (stored["seed"], stored["step"], stored["network"], stored["head"]) == (7, 6, "unet", ["model.3."])
    assert stored["recipe"] == recipe.to_dict() and stored["library"] == own.hash
    assert NETWORKS["unet"].build(4, 3, (16, 16, 16)).load_state_dict(stored["network_weights"])

    assert [int(r["step"]) for r in rows(folder)] == [1, 2, 3, 4, 5, 6]
    assert all(float(r["seconds"]) >= float(r["waited"]) >= 0 and r["volumes"] == "2" for r in rows(folder))
    assert made.steps == 6 and made.loss.first == float(rows(folder)[0]["loss"])

    scores = rows(folder, "validation.csv")
    assert [r["step"] for r in scores] == ["2", "4", "6"] and list(scores[0]) == ["step", "mean", "ball", "cube"]
    best = max(scores, key=lambda r: float(r["mean"]))
    assert made.best == (int(best["step"]), float(best["mean"]))
    assert torch.load(folder / "best.pt", weights_only=True)["step"] == made.best[0]

    assert Recipe.load(folder / "recipe.toml") == recipe
    about = json.loads((folder / "run.json").read_text())
    assert about["library"] == own.hash and about["versions"]["torch"] == torch.__version__
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["validation"]["shape"]["mean"] == float(scores[-1]["mean"]) and not summary["interrupted"]
    assert tomllib.loads((folder / "recipe.toml").read_text())["train"]["steps"] == 6
    picture = imread(folder / "predictions.png")
    assert picture.shape[0] > picture.shape[1] / 2 and picture.std() > 0.05


def test_the_validation_set_is_never_trained_on(own: Library, small: Any) -> None:
    recipe = small()
    seeds = {recipe.training.seed, held_out_seed(recipe.training.seed)}
    assert len(seeds) == 2 and held_out_seed(held_out_seed(7)) == 7
    train, held_out = (VolumeStream(own, recipe, seed) for seed in sorted(seeds))
    seen = [train.volume(i)["image"] for i in range(12)]
    assert not any(torch.equal(held_out.volume(i)["image"], image) for i in range(3) for image in seen)


def test_the_same_seed_makes_the_same_run(own: Library, small: Any, tmp_path: Path) -> None:
    first, second, other = (run(own, small(f"train.seed={seed}", "train.steps=4"), tmp_path / f"{i}")
                            for i, seed in enumerate((3, 3, 4)))
    assert first.scores == second.scores != other.scores
    assert [r["loss"] for r in rows(tmp_path / "0")] == [r["loss"] for r in rows(tmp_path / "1")]
    assert same(weights(tmp_path / "0"), weights(tmp_path / "1"))


def test_workers_change_nothing(own: Library, small: Any, tmp_path: Path) -> None:
    for workers in (0, 2):
        run(own, small("train.steps=3", "monitor.validate=0", f"train.workers={workers}"), tmp_path / str(workers))
    assert same(weights(tmp_path / "0"), weights(tmp_path / "2"))


@pytest.mark.parametrize("how", [
    (), ("train.ema=0.9", "train.accumulate=2", "train.clip=0.5", "train.batch=1"),
    ("train.optimizer=sgd", "train.schedule=poly", "volume.label=multi_task", "train.network=tiny:dropping",
     "volume.grid=[16, 16, 24]", "train.patch=[16, 16, 16]", "train.steps=4"),
    ("train.task=masked", "train.crops=2", "volume.grid=[16, 16, 24]", "train.patch=[16, 16, 16]", "train.steps=4"),
], ids=["plain", "averaged", "dropout", "masked"])
def test_a_resumed_run_is_the_same_bit_for_bit(
        own: Library, small: Any, tmp_path: Path, tiny: None, how: tuple[str, ...]) -> None:
    recipe = small("monitor.checkpoint=1", "train.warmup=0", *how)
    steps = recipe.training.steps
    run(own, recipe, tmp_path / "whole")
    # The schedule is that of the whole run: it is stopped as a signal would stop it.
    parts = tmp_path / "parts"
    stopped = stop_after(steps // 2, own, recipe, parts)
    assert stopped.interrupted and stopped.steps == steps // 2
    assert not same(weights(parts), weights(tmp_path / "whole"))
    done = run(own, recipe, parts, resume=True)
    assert done.steps == steps and not done.interrupted
    assert same(weights(parts), weights(tmp_path / "whole"))
    assert [r["loss"] for r in rows(parts)] == [r["loss"] for r in rows(tmp_path / "whole")]
    assert rows(parts, "validation.csv") == rows(tmp_path / "whole", "validation.csv")


def stop_after(step: int, own: Library, recipe: Recipe, folder: Path) -> Run:
    def report(row: Any, steps: int) -> None:
        if row.step == step:
            signal.raise_signal(signal.SIGTERM)

    return run(own, recipe, folder, report=report)


def test_a_second_signal_ends_a_run_at_once(own: Library, small: Any, tmp_path: Path) -> None:
    def report(row: Any, steps: int) -> None:
        if row.step == 3:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run(own, small(), tmp_path / "run", report=report)
    assert torch.load(tmp_path / "run" / "weights.pt", weights_only=True)["step"] == 2  # the last checkpoint
    assert run(own, small(), tmp_path / "run", resume=True).steps == 6


def test_a_gpu_that_is_too_small(
        own: Library, small: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fdif_dsl.runtime.training import learner

    def fail(image: Any, how: str) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of")

    monkeypatch.setattr(learner, "normalise", fail)
    with pytest.raises(FdifError) as caught:
        run(own, small(), tmp_path / "run")
    assert str(caught.value) == """\
error[E0853]: the GPU has not enough memory for a training step
  why: CUDA out of memory
  hint: a smaller train.batch, train.crops or train.patch needs less, and so does train.recompute=true; \
`fdifc list networks` estimates it"""


def test_a_run_that_is_done_stays_as_it_is(own: Library, small: Any, tmp_path: Path) -> None:
    recipe = small("train.steps=2")
    run(own, recipe, tmp_path / "run")
    before = weights(tmp_path / "run")
    again = run(own, recipe, tmp_path / "run", resume=True)
    assert again.steps == 2 and same(before, weights(tmp_path / "run"))


def test_a_recipe_that_has_changed_is_not_resumed(own: Library, small: Any, tmp_path: Path) -> None:
    out = tmp_path / "run"
    run(own, small("train.steps=2"), out)
    with pytest.raises(FdifError) as caught:
        run(own, small("train.steps=4", "train.lr=0.5", "volume.objects=3"), out, resume=True)
    assert str(caught.value) == f"""\
error[E0835]: the run in {out} was made differently, so it cannot go on
  why: volume.objects was [1, 2] and is 3; train.lr was 0.01 and is 0.5
  hint: its own recipe is {out / 'recipe.toml'}; another run goes into another folder"""


def test_a_run_can_be_made_longer(own: Library, small: Any, tmp_path: Path) -> None:
    run(own, small("train.steps=2"), tmp_path / "run")
    assert run(own, small("train.steps=3"), tmp_path / "run", resume=True).steps == 3
    assert len(rows(tmp_path / "run")) == 3


@pytest.mark.parametrize(("first", "then", "warmup"), [(3, 6, 4), (2, 3, 5), (4, 3, 4)])
def test_a_warm_up_that_was_shortened_changes_with_the_steps(
        own: Library, recipe_path: Path, tmp_path: Path, first: int, then: int, warmup: int) -> None:
    recipe_path.write_text(recipe_path.read_text().replace("warmup = 1", f"warmup = {warmup}"))
    plain = ["monitor.validate=0", "monitor.checkpoint=1"]
    short, long = (Recipe.load(recipe_path, [*plain, f"train.steps={steps}"]) for steps in (first, then))
    assert short.training.warmup == min(first, warmup)
    run(own, short, tmp_path / "run")
    assert run(own, long, tmp_path / "run", resume=True).steps == max(first, then)
    rates = [float(row["lr"]) for row in rows(tmp_path / "run")]
    if then > first:  # the rate of each step is that of the recipe with which it was made
        w = min(warmup, then)
        assert rates[first] == pytest.approx(0.01 * (min(first, w) + 1) / (w + 1))


def test_another_warm_up_is_another_run(own: Library, small: Any, tmp_path: Path) -> None:
    run(own, small("train.steps=3", "train.warmup=1"), tmp_path / "run")
    with pytest.raises(FdifError, match=r"train\.warmup was 1 and is 2"):
        run(own, small("train.steps=4", "train.warmup=2"), tmp_path / "run", resume=True)


class Touch:
    """When it is unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["last.ckpt", "weights.pt"])
def test_foreign_objects_are_not_made(own: Library, small: Any, tmp_path: Path, name: str) -> None:
    out, made = tmp_path / "run", tmp_path / "made"
    run(own, small("train.steps=2", "monitor.checkpoint=1"), out)
    stored = torch.load(out / name, weights_only=True)
    (out / name).unlink()  # a second name of the newest checkpoint
    torch.save(stored | {"more": Touch(made)}, out / name)
    with pytest.raises(FdifError) as caught:
        run(own, small("train.steps=3", "monitor.checkpoint=1"), out, resume=True)
    last = out / "checkpoints" / "step-00000002.ckpt"
    title, hint = {
        "last.ckpt": ("is no checkpoint of a run",
                      f"{last} is whole, after step 2; copy it to {out / name}, and --resume goes on from there"),
        "weights.pt": ("does not say what the run was",
                       "remove it, and --resume makes it again, but cannot tell whether the recipe is the same"),
    }[name]
    assert str(caught.value) == f"""\
error[E0834]: {out / name} {title}
  why: it holds other Python objects than tensors and plain values, and none of them was made
  hint: {hint}"""
    assert not made.exists()


@pytest.mark.parametrize(("share", "why"), [
    (0.0, "it is empty"), (0.3, "it is damaged: a part of it is missing, or it never was one"),
    (0.99, "it is damaged: a part of it is missing, or it never was one")])
def test_a_checkpoint_that_was_cut(own: Library, small: Any, tmp_path: Path, share: float, why: str) -> None:
    """Its other name, that of its step, is cut with it: the one before is named, and does."""
    out, recipe = tmp_path / "run", small("train.steps=3", "monitor.checkpoint=1", "monitor.validate=0")
    run(own, recipe, out)
    last = out / "last.ckpt"
    whole = sorted((out / "checkpoints").iterdir())[-2]
    os.truncate(last, int(share * last.stat().st_size))
    with pytest.raises(FdifError) as caught:
        run(own, recipe, out, resume=True)
    assert str(caught.value) == f"""\
error[E0834]: {last} is no checkpoint of a run
  why: {why}
  hint: {whole} is whole, after step 2; copy it to {last}, and --resume goes on from there"""
    last.unlink()
    shutil.copy(whole, last)
    assert run(own, recipe, out, resume=True).steps == 3


@pytest.mark.parametrize("label", MEANINGS)
def test_every_meaning_can_be_learnt(own: Library, small: Any, tmp_path: Path, label: str) -> None:
    recipe = small(f"volume.label={label}", "train.steps=2")
    made = run(own, recipe, tmp_path / label)
    meaning = resolve(recipe, own).meaning
    assert [(s.task, s.classes) for s in made.scores] == [(t.name, t.classes[1:]) for t in meaning.tasks]
    head = [v for key, v in weights(tmp_path / label).items() if key.startswith("model.3.")]
    assert head[-1].shape[0] == sum(t.count + 1 for t in meaning.tasks)


def test_volumes_can_be_classified(own: Library, small: Any, tmp_path: Path) -> None:
    recipe = small("train.task=classification", "volume.objects=1", "placement.translate=0.0", "train.steps=60",
                   "train.batch=8", "train.warmup=5", "monitor.validate=60", "monitor.volumes=24",
                   'classes.mappers=["glow"]', 'classes.displacements=["none"]', "placement.rotation=0")
    made = run(own, recipe, tmp_path / "run")
    assert made.scores[0].classes == ("ball", "cube") and sum(made.scores[0].size) == 24
    assert made.scores[0].mean > 0.8  # a ball and a cube can be told apart
    NETWORKS["unet"].build(4, 1, (16, 16, 16)).load_state_dict(weights(tmp_path / "run"))


def test_the_structure_of_volumes_can_be_learnt(own: Library, small: Any, tmp_path: Path) -> None:
    """What is an object, which is in the middle, how far its border is: of crops, whose middle is not the volume's."""
    recipe = small("train.task=structure", "volume.label=instance", "volume.grid=[20, 20, 20]",
                   "train.patch=[16, 16, 16]", "train.steps=60", "train.batch=4", "monitor.validate=60",
                   "monitor.volumes=12")
    made = run(own, recipe, tmp_path / "run")
    assert [(score.task, score.classes) for score in made.scores] == [
        ("object", ("object",)), ("middle", ("the object in the middle",)), ("distance", ("inside",))]
    assert made.scores[0].mean > 0.7 and made.scores[2].mean > 0.7
    stored = torch.load(tmp_path / "run/weights.pt", weights_only=True)
    assert (stored["task"], sum(map(len, stored["tasks"].values()))) == ("structure", 5)
    assert weights(tmp_path / "run")["model.3.bias"].shape == (5,)


def test_images_of_ones_own_can_be_filled_in(own: Library, small: Any, tmp_path: Path) -> None:
    import nibabel

    places = np.meshgrid(*[np.arange(20)] * 3, indexing="ij")
    for i in range(3):
        smooth = sum(np.sin(place / 4 + i) for place in places).astype(np.float32)
        nibabel.save(nibabel.Nifti1Image(smooth, np.eye(4)), tmp_path / f"{i}.nii.gz")
    recipe = small("train.task=masked", f'volume.images="{tmp_path}"', "train.steps=80", "train.batch=4",
                   "train.mask_size=2", "monitor.validate=80", "augment.normalise=zscore", "augment.shift=0")
    made = run(own, recipe, tmp_path / "run")
    assert [(score.task, score.classes) for score in made.scores] == [("masked", ("grey level",))]
    assert made.scores[0].mean > 0.5
    assert not (tmp_path / "run/predictions.png").exists()
    stored = torch.load(tmp_path / "run/weights.pt", weights_only=True)
    assert stored["recipe"]["volume"]["images"] == str(tmp_path)


def test_patches_of_larger_volumes_are_validated_as_a_whole(own: Library, small: Any, tmp_path: Path) -> None:
    made = run(own, small("volume.grid=[24, 20, 28]", "train.patch=[16, 16, 16]", "train.steps=2"), tmp_path / "run")
    stream = VolumeStream(own, small("volume.grid=[24, 20, 28]"), held_out_seed(7))
    labels = torch.stack([stream.volume(i)["label"] for i in range(3)])
    assert made.scores[0].size == tuple(int((labels == k).sum()) for k in (1, 2))


def test_the_network_learns(own: Library, small: Any, tmp_path: Path) -> None:
    """To find balls, on volumes that were not trained on."""
    recipe = small("train.steps=60", "monitor.validate=20", "monitor.volumes=12", 'classes.shapes=["ball"]',
                   "train.batch=4", "train.dice=present")
    made = run(own, recipe, tmp_path / "run")
    assert made.loss.percent > 50
    assert made.scores[0].classes == ("ball",) and made.scores[0].mean > 0.8
    assert made.best[1] == max(float(r["mean"]) for r in rows(tmp_path / "run", "validation.csv"))


def test_a_compiled_network_of_ones_own_learns_the_same(
        own: Library, small: Any, tmp_path: Path, tiny: None) -> None:
    for compiled in ("true", "false"):
        run(own, small("train.steps=2", "monitor.validate=0", "train.network=tiny:net", f"train.compile={compiled}"),
            tmp_path / compiled)
    plain, compiled_ = weights(tmp_path / "false"), weights(tmp_path / "true")
    assert list(plain) == list(compiled_) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert all(np.allclose(plain[key], compiled_[key], atol=1e-4) for key in plain)
