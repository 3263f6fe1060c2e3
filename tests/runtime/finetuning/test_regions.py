"""Regions that overlap, and voxels without a class, of nnU-Net's data sets."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch

import fdif_dsl as fd
from fdif_dsl.runtime.finetuning import finetune, open_data
from fdif_dsl.runtime.finetuning.data.cases import Region
from fdif_dsl.runtime.finetuning.data.nifti import Stored
from fdif_dsl.runtime.finetuning.inference import decision
from fdif_dsl.runtime.finetuning.losses import PartlyLabelled
from fdif_dsl.runtime.finetuning.metrics import score
from fdif_dsl.runtime.training.losses import DiceAndCrossEntropy
from fdif_dsl.runtime.training.pretrained import Pretrained

LABELS = {"background": 0, "whole": [1, 2], "bright": 2, "ignore": 3}


@pytest.fixture
def regions(nnunet: Any) -> Path:
    """Both balls are one region, the second one another; a corner of each case has no class."""
    folder: Path = nnunet(channels=1, labels=LABELS, regions_class_order=[1, 2])
    for path in (folder / "labelsTr").iterdir():
        stored = nibabel.load(path)
        voxels = np.asarray(stored.dataobj).copy()
        voxels[:6, :6] = 3
        nibabel.save(nibabel.Nifti1Image(voxels, stored.affine), path)
    return folder


def voxels(path: Path) -> np.ndarray:
    return np.asarray(nibabel.load(path).dataobj)


def test_regions_are_learnt_scored_and_predicted(regions: Path, tiny: Any, tmp_path: Path) -> None:
    """Dice of each region is counted from the files, without the voxels that have no class."""
    data = open_data(tiny(regions)).data
    assert data.scored == ("whole", "bright") and data.groups == ((1, 2), (2,)) and data.outputs == 2
    assert data.classes == ("background", "whole", "bright") and data.numbers == (0, 1, 2)
    result = finetune(tiny(regions, "train.steps=40", "train.lr=2e-2", "validate.distance=false"), tmp_path / "run")
    assert result.classes == ("whole", "bright")
    out = tmp_path / "out"
    images = [regions / f"imagesTr/{name}_0000.nii.gz" for name in result.cases]
    files = fd.predict(tmp_path / "run", images, out, probabilities=True)
    with (tmp_path / "run/scores.csv").open() as table:
        told = {(row["case"], row["class"]): float(row["dice"] or "nan") for row in csv.DictReader(table)}
    for name, file in zip(result.cases, files, strict=True):
        found, label = voxels(file), voxels(regions / f"labelsTr/{name}.nii.gz")
        assert set(np.unique(found)) <= {0, 1, 2}
        chances = voxels(out / f"probabilities/{name}.nii")
        assert chances.shape == (*found.shape, 2)
        assert np.array_equal(np.where(chances[..., 1] > 0.5, 2, np.where(chances[..., 0] > 0.5, 1, 0)), found)
        for kind, its in (("whole", (1, 2)), ("bright", (2,))):
            a, b = np.isin(found, its) & (label != 3), np.isin(label, its)
            if b.any():
                assert told[name, kind] == pytest.approx(2 * (a & b).sum() / (a.sum() + b.sum()), abs=1e-5)
    assert np.nanmax([*told.values()]) > 0.2
    assert json.loads((out / "predictions.json").read_text())["labels"] == {"background": 0, "whole": 1, "bright": 2}
    # What was fine-tuned on regions can be fine-tuned again.
    assert Pretrained.read(tmp_path / "run/scratch-seed-1").channels == 2


def test_a_label_to_be_ignored_alone(nnunet: Any, tiny: Any, tmp_path: Path) -> None:
    folder = nnunet(channels=1, labels={"background": 0, "dim": 1, "bright": 2, "ignore": 3})
    path = folder / "labelsTr/toy_000.nii.gz"
    stored = nibabel.load(path)
    most = np.asarray(stored.dataobj).copy()
    most[:, :, 2:] = 3
    nibabel.save(nibabel.Nifti1Image(most, stored.affine), path)
    facts = open_data(tiny(folder)).data.facts["toy_000"]
    assert 3 not in facts.voxels and sum(facts.voxels.values()) == (most != 3).sum()
    result = finetune(tiny(folder), tmp_path / "run")
    assert result.classes == ("dim", "bright") and np.isfinite(result.dice).any()


def test_voxels_without_a_class_do_not_count() -> None:
    label = np.array([0, 1, 1, 2, 3, 3]).reshape(1, 6, 1, 1)
    found = np.array([1, 1, 0, 2, 1, 2]).reshape(6, 1, 1)
    its = score(found, Stored(label, np.eye(4)), 3, [[1], [2], [1, 2]], False)
    assert its.dice == pytest.approx([2 / 4, 2 / 2, 4 / 6])


def test_of_regions_that_overlap_the_later_one_is_written() -> None:
    values = torch.tensor([[1.0, 1, -1, -1], [-1, 1, 1, -1]])
    decide = decision((Region("a", (1, 2), 7), Region("b", (2,), 4)), (0, 4, 7))
    assert decide(values).tolist() == [2, 1, 1, 0]


def test_the_loss_is_the_usual_one_where_all_voxels_have_a_class() -> None:
    torch.manual_seed(0)
    output, label = torch.randn(2, 3, 5, 6, 7), torch.randint(0, 3, (2, 1, 5, 6, 7))
    usual, mine = DiceAndCrossEntropy([3], present=True), PartlyLabelled(3)
    torch.testing.assert_close(mine(output, label), usual(output, label), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("groups", [(), ((1, 2), (2,))])
def test_the_loss_does_not_see_what_has_no_class(groups: Any) -> None:
    torch.manual_seed(0)
    outputs = len(groups) or 3
    output, label = torch.randn(1, outputs, 4, 4, 4), torch.randint(0, 3, (1, 1, 4, 4, 4))
    label[..., 2:] = 3
    loss = PartlyLabelled(3, groups)
    other = output.clone()
    other[..., 2:] = torch.randn(1, outputs, 4, 4, 2)
    torch.testing.assert_close(loss(output, label), loss(other, label))
    torch.testing.assert_close(loss(output, label), loss(output[..., :2], label[..., :2]))
    output.requires_grad_()
    loss(output, torch.full_like(label, 3)).backward()  # a patch without any class
    assert output.grad is not None and not output.grad.any()


def test_the_loss_of_regions_falls_as_they_are_found() -> None:
    label = torch.tensor([0, 1, 2, 2]).reshape(1, 1, 4, 1, 1)
    inside = torch.tensor([[0.0, 1, 1, 1], [0, 0, 1, 1]]).reshape(1, 2, 4, 1, 1)
    loss = PartlyLabelled(3, ((1, 2), (2,)))
    assert loss(20 * inside - 10, label) < 1e-3 < 1 < loss(10 - 20 * inside, label)
