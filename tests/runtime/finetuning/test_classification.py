"""Classification of MedMNIST's volumes, from the file to the scores."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.runtime.finetuning import FinetuneRecipe, Hooks, classify, compare_classified


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_grey_levels_of_whole_volumes_know_no_foreground(medmnist: Path, tmp_path: Path) -> None:
    recipe = FinetuneRecipe.load("medmnist", [f'data.path="{medmnist}"', "data.normalise=ct"])
    with pytest.raises(FdifError) as error:
        classify(recipe, tmp_path / "run")
    assert str(error.value) == """\
error[E0947]: `ct` needs labelled voxels
  --> command line:1:6
  |
1 | data.normalise="ct"
  |      ^^^^^^^^^
  why: images of MedMNIST have a class as a whole
  hint: write "clipped", "zscore", "unit" or "keep\""""
    many = FinetuneRecipe.load("medmnist", [f'data.path="{medmnist}"', "data.cases=13"])
    with pytest.raises(FdifError, match="there are 12 images to train on, and 13 are asked for"):
        classify(many, tmp_path / "run")


def test_volumes_of_medmnist(medmnist: Path, weights: Any, tiny: Any, tmp_path: Path) -> None:
    recipe = FinetuneRecipe.load("medmnist", [
        f'data.path="{medmnist}"', f'train.weights="{weights()}"', "train.steps=40", "train.warmup=2", "train.batch=6",
        "train.lr=1e-2", "augment.rotate=0", "augment.zoom=0"])
    result = classify(recipe, tmp_path / "run")
    assert result.chances.shape == (1, 8, 2) and np.allclose(result.chances.sum(2), 1)
    assert result.auc > 0.9  # a ball is no cube
    scores = rows(tmp_path / "run/scores.csv")
    assert [int(row["class"]) for row in scores] == [0, 1] * 4
    right = np.mean([(float(row["p1"]) > 0.5) == (row["class"] == "1") for row in scores])
    assert right == pytest.approx(result.accuracy)
    stored = torch.load(tmp_path / "run/pretrained-seed-1/weights.pt", weights_only=True)
    assert stored["patch"] == [24, 24, 24]  # the least that holds 20 voxels and that the network takes


def test_volumes_of_medmnist_with_and_without_weights(medmnist: Path, weights: Any, tmp_path: Path) -> None:
    recipe = FinetuneRecipe.load("medmnist", [
        f'data.path="{medmnist}"', f'train.weights="{weights()}"', "train.steps=1", "train.warmup=0", "train.batch=2",
        "data.cases=4"])
    found = compare_classified(recipe, tmp_path / "run")
    assert found.pretrained.trained_on == found.scratch.trained_on and len(found.pretrained.trained_on[0]) == 4
    assert found.accuracy.mean == pytest.approx(found.pretrained.accuracy - found.scratch.accuracy)
    assert found.auc.low <= found.auc.mean <= found.auc.high
    assert [row["score"] for row in rows(tmp_path / "run/comparison.csv")] == ["accuracy", "auc"]


def test_test_images_of_one_class_have_no_area(medmnist: Path, weights: Any, tmp_path: Path) -> None:
    with np.load(medmnist) as stored:
        parts = dict(stored) | {"test_labels": np.zeros((8, 1), np.uint8)}
    np.savez(medmnist, **parts)
    said: list[str] = []
    recipe = FinetuneRecipe.load("medmnist", [
        f'data.path="{medmnist}"', f'train.weights="{weights()}"', "train.steps=1", "train.warmup=0", "train.batch=2"])
    found = compare_classified(recipe, tmp_path / "run", hooks=Hooks(on_start=said.append, on_scores=said.append))
    assert said[0].splitlines()[2] == "grey levels: clipped"
    assert all(line.endswith(", no AUC: all test images have the same class") for line in said[1:])
    assert np.isnan([found.pretrained.auc, found.auc.mean, found.auc.low]).all() and 0 <= found.scratch.accuracy <= 1
    assert rows(tmp_path / "run/comparison.csv")[1] == {
        "score": "auc", "pretrained": "", "scratch": "", "difference": "", "low": "", "high": ""}
    assert json.loads((tmp_path / "run/run.json").read_text())["normalise"] == ["clipped"]
