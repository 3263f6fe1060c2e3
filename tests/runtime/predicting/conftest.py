"""A small data set of two channels, and a run of fine-tuning on it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import nibabel
import numpy as np
import pytest

from fdif_dsl.runtime.finetuning import FinetuneRecipe, finetune
from fdif_dsl.runtime.training.extra import mend_torchvision

mend_torchvision()  # before a test imports Lightning itself

SHAPE, STEPS = (26, 22, 12), (1.0, 1.5, 2.5)
NUMBERS = (0, 5, 9)


class Run(NamedTuple):
    """`data` is a raw data set of nnU-Net with six cases, `folder` what `finetune` left of it, with two seeds."""

    data: Path
    folder: Path

    def images(self, name: str) -> list[Path]:
        return [self.data / f"imagesTr/{name}_{k:04d}.nii.gz" for k in (0, 1)]

    @property
    def one(self) -> Path:
        return self.folder / "scratch-seed-1"


def affine(i: int) -> np.ndarray:
    """Where voxels lie: every second case is stored the other way round."""
    matrix = np.diag([-STEPS[0], -STEPS[1], STEPS[2], 1.0] if i % 2 else [*STEPS, 1.0])
    matrix[:3, 3] = (5, -20, 300)
    return matrix


def save(path: Path, voxels: np.ndarray, where: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(voxels, where), path)


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Nobody writes into it."""
    data = tmp_path_factory.mktemp("raw") / "Dataset007_Balls"
    at = np.stack(np.meshgrid(*[np.arange(n) * mm for n, mm in zip(SHAPE, STEPS, strict=True)], indexing="ij"), -1)
    for i in range(6):
        random = np.random.default_rng(i)
        label = np.zeros(SHAPE, np.uint8)
        for k, place in ((1, 0.3), (2, 0.7)):
            middle = np.array(SHAPE) * STEPS * place + random.uniform(-2, 2, 3)
            label[((at - middle) ** 2).sum(-1) < 49] = k
        for channel in range(2):
            image = random.normal(100, 5, SHAPE) + (80.0 if channel else -60.0) * label
            save(data / f"imagesTr/ball{i}_{channel:04d}.nii.gz", image.astype(np.float32), affine(i))
        save(data / f"labelsTr/ball{i}.nii.gz", np.array(NUMBERS, np.uint8)[label], affine(i))
    (data / "dataset.json").write_text(json.dumps({
        "channel_names": {"0": "T1", "1": "CT"}, "labels": {"background": 0, "dim": 5, "bright": 9}, "numTraining": 6,
        "file_ending": ".nii.gz"}))
    recipe = FinetuneRecipe.load("small", [
        f'data.path="{data}"', "data.folds=3", "data.renumber=true", "train.features=4", "train.patch=[16, 16, 16]",
        "train.network=unet",
        "train.steps=25", "train.warmup=0", "train.lr=2e-2", "train.seeds=[1, 2]", "train.accelerator=cpu",
        "validate.distance=false", "validate.predictions=true"])
    folder = tmp_path_factory.mktemp("tuned")
    finetune(recipe, folder)
    yield Run(data, folder)
