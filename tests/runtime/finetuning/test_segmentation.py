"""Segmentation from a data set on disk to the scores."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch

from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.runtime.finetuning import FinetuneRecipe, compare, finetune, open_data
from fdif_dsl.runtime.training.pretrained import Pretrained


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_data_list_of_one_channel(datalist: Any, tiny: Any, tmp_path: Path) -> None:
    """Thick slices, two directions of storing, a class that a held-out case has none of."""
    path = datalist(cases=6)
    recipe = tiny(path, "train.steps=60", "train.lr=2e-2", "train.patch=[16, 24, 32]", "train.seeds=[3]",
                  "augment.rotate=0", "augment.zoom=0", "validate.predictions=true")
    result = finetune(recipe, tmp_path / "run")
    assert result.classes == ("dim", "bright") and result.dice.shape == (1, 2, 2)
    without = [case in ("case2", "case5") for case in result.cases]
    assert np.isnan(result.dice[0, :, 1]).tolist() == np.isnan(result.hd95[0, :, 1]).tolist() == without
    # The balls are far brighter than what is around them, which a network soon sees.
    assert result.mean_dice > 0.6 and result.mean_hd95 < 8
    assert set(result.trained_on[0]) | set(result.cases) == {f"case{i}" for i in range(6)}
    # Scores are of the classes found in the case's own voxels, with its own header.
    scores = rows(tmp_path / "run/scores.csv")
    assert [(row["start"], row["seed"], row["class"]) for row in scores] == [
        ("scratch", "3", name) for _ in result.cases for name in ("dim", "bright")]
    for i, case in enumerate(result.cases):
        found = nibabel.load(tmp_path / f"run/scratch-seed-3/predictions/{case}.nii.gz")
        label = nibabel.load(path.parent / f"labelsTr/{case}.nii.gz")
        assert np.allclose(found.affine, label.affine)
        mine, its = (np.asarray(part.dataobj) == 1 for part in (found, label))
        dice = 2 * (mine & its).sum() / (mine.sum() + its.sum())
        assert dice == pytest.approx(result.dice[0, i, 0]) == pytest.approx(float(scores[2 * i]["dice"]), abs=1e-5)
    assert (tmp_path / "run/scratch-seed-3/predictions.png").stat().st_size > 5000
    assert FinetuneRecipe.load(tmp_path / "run/finetune.toml") == recipe


def test_raw_data_of_nnunet_with_weights(nnunet: Any, weights: Any, tiny: Any, tmp_path: Path) -> None:
    """Two channels, one of them CT, and a network that was pre-trained on one."""
    folder = weights()
    recipe = tiny(nnunet(channels=2), f'train.weights="{folder}"', "data.cases=2", "train.seeds=[1, 2]",
                  "train.features=auto")
    result = finetune(recipe, tmp_path / "run")
    assert result.dice.shape == (2, 2, 2) and np.nanmin(result.dice) >= 0
    assert result.taken.startswith("taken 49 of 51 tensors; adapted: model.0.conv.unit0.conv.weight")
    about = json.loads((tmp_path / "run/run.json").read_text())
    assert about["channels"] == 2 and about["spacing"] == [2.5, 1.0, 1.0]
    assert about["runs"]["pretrained"]["2"] == {
        "taken": result.taken, "trained_on": list(result.trained_on[1]), "mirrored": ""}  # the balls lie apart
    stored = torch.load(tmp_path / "run/pretrained-seed-1/weights.pt", weights_only=True)
    assert [how for how, _ in stored["normalise"]] == ["clipped", "ct"] and stored["channels"] == 2
    # What was fine-tuned can be fine-tuned again.
    assert Pretrained.read(tmp_path / "run/pretrained-seed-1").tasks == {"classes": ("background", "dim", "bright")}


def alike(one: torch.Tensor, other: torch.Tensor) -> bool:
    """But for their size, which the normalisation that follows takes away."""
    return torch.allclose(one * other.norm(), other * one.norm(), rtol=1e-4, atol=1e-6)


def test_weights_are_in_the_network_before_it_learns(datalist: Any, weights: Any, tiny: Any, tmp_path: Path) -> None:
    """Without learning, the network that is kept is the pre-trained one but for its head; from scratch it is not."""
    folder = weights()
    recipe = tiny(datalist(), f'train.weights="{folder}"', "train.steps=1", "train.lr=0", "validate.distance=false")
    compare(recipe, tmp_path / "run")
    before = torch.load(folder / "weights.pt", weights_only=True)["network_weights"]
    kept, scratch = (torch.load(tmp_path / f"run/{start}-seed-1/weights.pt", weights_only=True)["network_weights"]
                     for start in ("pretrained", "scratch"))
    body = [name for name in before if not name.startswith("model.3.")]
    assert len(body) > 30 and all(alike(kept[name], before[name]) for name in body)
    learnt = [name for name in body if before[name].unique().numel() > 1]
    assert not any(alike(scratch[name], before[name]) for name in learnt)
    # Both have the same new tensors.
    assert all(torch.equal(kept[name], scratch[name]) for name in kept if name.startswith("model.3."))


def test_frozen_weights_do_not_move(datalist: Any, weights: Any, tiny: Any, tmp_path: Path) -> None:
    folder = weights()
    recipe = tiny(datalist(), f'train.weights="{folder}"', "train.freeze=3", "validate.distance=false")
    finetune(recipe, tmp_path / "run")
    before, after = (torch.load(path, weights_only=True)["network_weights"]
                     for path in (folder / "weights.pt", tmp_path / "run/pretrained-seed-1/weights.pt"))
    assert all(alike(after[name], before[name]) for name in before if not name.startswith("model.3."))
    assert not torch.equal(after["model.3.weight"], before["model.3.weight"])


def test_the_same_seed_gives_the_same_scores(datalist: Any, tiny: Any, tmp_path: Path) -> None:
    """Whoever makes the batches, and wherever volumes are kept."""
    path = datalist()
    bank = open_data(tiny(path))
    one = finetune(tiny(path), tmp_path / "one", data=bank)
    again = finetune(tiny(path, "train.workers=2", "data.memory=0"), tmp_path / "again")
    other = finetune(tiny(path, "train.seeds=[5]"), tmp_path / "other", data=bank)
    np.testing.assert_array_equal(one.dice, again.dice)
    np.testing.assert_array_equal(one.hd95, again.hd95)
    assert not np.array_equal(one.dice, other.dice)
    with pytest.raises(ValueError, match="of another data set"):
        finetune(tiny(path, "data.spacing=keep"), tmp_path / "no", data=bank)


def test_scores_on_the_way_change_nothing(datalist: Any, tiny: Any, tmp_path: Path) -> None:
    path = datalist()
    bank = open_data(tiny(path))
    plain = finetune(tiny(path, "train.steps=4", "validate.distance=false"), tmp_path / "plain", data=bank)
    watched = finetune(tiny(path, "train.steps=4", "validate.distance=false", "validate.at=[3, 1, 4, 900]",
                            "train.seeds=[1, 2]"), tmp_path / "watched")  # cases are read on the way
    np.testing.assert_array_equal(plain.dice[0], watched.dice[0])
    assert plain.curve == {} and not (tmp_path / "plain/scratch-seed-1/curve.csv").exists()
    assert list(watched.curve) == [1, 3, 4] and watched.curve[1].shape == watched.dice.shape
    np.testing.assert_array_equal(watched.curve[4], watched.dice)
    assert not np.array_equal(watched.curve[1], watched.dice)
    table = rows(tmp_path / "watched/scratch-seed-2/curve.csv")
    assert len(table) == 3 * watched.dice[0].size and {row["step"] for row in table} == {"1", "3", "4"}
    last = [row for row in table if row["step"] == "4" and row["class"] == "bright"]
    np.testing.assert_allclose([float(row["dice"] or "nan") for row in last], watched.dice[1, :, 1], rtol=1e-4)


def test_a_comparison_is_of_the_same_cases(datalist: Any, weights: Any, tiny: Any, tmp_path: Path) -> None:
    recipe = tiny(datalist(held_out=2), f'train.weights="{weights()}"', "train.seeds=[1, 2]", "data.cases=2",
                  "validate.distance=false")
    found = compare(recipe, tmp_path / "run")
    assert found.pretrained.cases == found.scratch.cases == ("case6", "case7")
    assert found.pretrained.trained_on == found.scratch.trained_on
    table = rows(tmp_path / "run/comparison.csv")
    assert [row["class"] for row in table] == ["dim", "bright", "mean"]
    assert float(table[2]["difference"]) == pytest.approx(
        found.pretrained.mean_dice - found.scratch.mean_dice, abs=1e-5)
    assert float(table[2]["low"]) <= float(table[2]["difference"]) <= float(table[2]["high"])


def test_an_ensemble_scores_each_case_by_the_network_that_has_not_seen_it(
        datalist: Any, tiny: Any, tmp_path: Path) -> None:
    path = datalist(held_out=2)
    result = finetune(tiny(path, "data.ensemble=true", "train.steps=1", "validate.distance=false"), tmp_path / "all")
    assert sorted(result.cases) == [f"case{i}" for i in range(6)] and result.dice.shape == (1, 6, 2)
    assert sorted(result.trained_on[0]) == sorted(result.cases)
    bank = open_data(tiny(path))
    for fold in range(3):
        recipe = tiny(path, f"data.fold={fold}", "data.validation=fold", "train.steps=1", "validate.distance=false")
        one = finetune(recipe, tmp_path / str(fold), data=bank)
        places = [result.cases.index(name) for name in one.cases]
        np.testing.assert_array_equal(result.dice[:, places], one.dice)
        kept, its = (torch.load(folder / "weights.pt", weights_only=True)["network_weights"] for folder in (
            tmp_path / f"all/scratch-seed-1/fold-{fold}", tmp_path / f"{fold}/scratch-seed-1"))
        assert all(torch.equal(kept[name], its[name]) for name in its)


def test_an_ensemble_is_of_folds(datalist: Any, tiny: Any, tmp_path: Path) -> None:
    recipe = tiny(datalist(held_out=2), "data.ensemble=true", "data.validation=list")
    with pytest.raises(FdifError) as caught:
        finetune(recipe, tmp_path / "run")
    assert str(caught.value) == """\
error[E0919]: an ensemble holds out folds, and the recipe says to hold out the validation list
  --> command line:1:6
  |
1 | data.ensemble=true
  |      ^^^^^^^^
  hint: leave out validation = "list", or the ensemble"""


def test_a_folder_of_an_earlier_run_is_kept(datalist: Any, tiny: Any, tmp_path: Path) -> None:
    recipe = tiny(datalist(), "train.steps=1", "train.seeds=[1, 2]", "validate.distance=false")
    finetune(recipe, tmp_path / "run")
    with pytest.raises(FdifError) as error:
        finetune(recipe, tmp_path / "run")
    assert str(error.value) == f"""\
error[E0944]: {tmp_path / "run"} holds an earlier fine-tuning
  hint: --overwrite starts anew in its place, -o names another folder"""
    finetune(tiny(datalist(), "train.steps=1", "validate.distance=false"), tmp_path / "run", overwrite=True)
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "finetune.toml", "run.json", "scores.csv", "scratch-seed-1"]


OWN = """\
import torch

def net(in_channels, out_channels):
    return torch.nn.Sequential(torch.nn.Conv3d(in_channels, 3, 3, padding=1), torch.nn.Conv3d(3, out_channels, 1))

def deaf(out_channels):
    return torch.nn.Conv3d(1, out_channels, 1)
"""


def test_a_network_of_the_users_own(
        nnunet: Any, tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tuned_net.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*sys.path, str(tmp_path)])
    path = nnunet(channels=2)
    result = finetune(tiny(path, "train.network=tuned_net:net", "train.steps=1"), tmp_path / "run")
    assert result.dice.shape == (1, 2, 2)
    with pytest.raises(FdifError) as error:
        finetune(tiny(path, "train.network=tuned_net:deaf"), tmp_path / "other")
    assert "the network cannot take patches of 16 x 16 x 16 voxels" in str(error.value)
    assert not (tmp_path / "other").exists()
