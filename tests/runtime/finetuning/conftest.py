"""Small labelled data sets, in both formats, and weights of a network as it was made."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import nibabel
import numpy as np
import pytest

from fdif_dsl.runtime.finetuning import FinetuneRecipe
from fdif_dsl.runtime.training.extra import mend_torchvision

mend_torchvision()  # before a test imports Lightning itself

SPACING = (1.0, 1.0, 2.5)  # x, y, z in mm: thick slices
SHAPE = (26, 22, 12)  # x, y, z in voxels

Write = Callable[..., Path]


def save(path: Path, voxels: np.ndarray, affine: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(voxels, affine), path)


def a_case(seed: int, channels: int, classes: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """An image (channels, x, y, z) and its label: a bright ball and a brighter one, of those `classes` that it has."""
    random = np.random.default_rng(seed)
    at = np.stack(np.meshgrid(*[np.arange(n) * mm for n, mm in zip(SHAPE, SPACING, strict=True)], indexing="ij"), -1)
    size = np.array(SHAPE) * SPACING
    image, label = random.normal(100, 5, (channels, *SHAPE)), np.zeros(SHAPE, np.uint8)
    for k in classes:
        middle = size * (0.3 if k == 1 else 0.68) + random.uniform(-2, 2, 3)
        inside = ((at - middle) ** 2).sum(-1) < random.uniform(5, 7) ** 2
        label[inside] = k
        image[:, inside] += 80 * k
    return image.astype(np.float32), label


def affine(i: int) -> np.ndarray:
    """Where voxels lie, in mm; every second case looks the other way, as another scanner stores it."""
    matrix = np.diag([-SPACING[0], -SPACING[1], SPACING[2], 1.0]) if i % 2 else np.diag([*SPACING, 1.0])
    matrix[:3, 3] = (5, -20, 300)
    return matrix


def stored(i: int, channels: int, classes: Sequence[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Case i as it is stored; cases of both directions show the same."""
    image, label = a_case(i, channels, classes)
    if i % 2:
        image, label = image[:, ::-1, ::-1], label[::-1, ::-1]
    return image, label, affine(i)


def present(i: int) -> tuple[int, ...]:
    """Every third case has none of the second class."""
    return (1,) if i % 3 == 2 else (1, 2)


@pytest.fixture
def datalist(tmp_path: Path) -> Write:
    """A MONAI data list: `datalist(cases=6, channels=1)`, several channels as the last axis of one file."""

    def write(cases: int = 6, channels: int = 1, held_out: int = 0, **more: object) -> Path:
        folder = tmp_path / "monai"
        entries = []
        for i in range(cases + held_out):
            image, label, where = stored(i, channels, present(i))
            save(folder / f"imagesTr/case{i}.nii.gz", np.moveaxis(image, 0, 3).squeeze(), where)
            save(folder / f"labelsTr/case{i}.nii.gz", label, where)
            entries.append({"image": f"imagesTr/case{i}.nii.gz", "label": f"labelsTr/case{i}.nii.gz"})
        table = {"labels": {"0": "background", "1": "dim", "2": "bright"}, "training": entries[:cases],
                 **({"validation": entries[cases:]} if held_out else {}), **more}
        (folder / "datalist.json").write_text(json.dumps(table))
        return folder / "datalist.json"

    return write


@pytest.fixture
def nnunet(tmp_path: Path) -> Write:
    """A raw data set of nnU-Net: `nnunet(cases=6, channels=2)`, a file for each channel."""

    def write(cases: int = 6, channels: int = 2, **more: object) -> Path:
        folder = tmp_path / "Dataset042_Toy"
        for i in range(cases):
            image, label, where = stored(i, channels, present(i))
            for channel, part in enumerate(image):
                save(folder / f"imagesTr/toy_{i:03d}_{channel:04d}.nii.gz", part, where)
            save(folder / f"labelsTr/toy_{i:03d}.nii.gz", label, where)
        table = {"channel_names": {str(k): ("T1", "CT", "T2")[k] for k in range(channels)},
                 "labels": {"background": 0, "dim": 1, "bright": 2}, "numTraining": cases, "file_ending": ".nii.gz",
                 **more}
        (folder / "dataset.json").write_text(json.dumps(table))
        return folder

    return write


@pytest.fixture
def medmnist(tmp_path: Path) -> Path:
    """Balls and cubes of 20 voxels a side, as MedMNIST stores them."""
    random = np.random.default_rng(0)
    from_middle = np.stack(np.meshgrid(*[np.arange(20) - 9.5] * 3, indexing="ij"), -1)
    parts: dict[str, np.ndarray] = {}
    for name, count in (("train", 12), ("val", 2), ("test", 8)):
        labels = np.arange(count) % 2
        radius = random.uniform(4, 6, count)
        inside = [((from_middle**2).sum(-1) < r * r) if k == 0 else (np.abs(from_middle).max(-1) < r)
                  for k, r in zip(labels, radius, strict=True)]
        images = random.normal(60, 6, (count, 20, 20, 20)) + 120 * np.stack(inside)
        parts[f"{name}_images"] = images.clip(0, 255).astype(np.uint8)
        parts[f"{name}_labels"] = labels[:, None].astype(np.uint8)
    path = tmp_path / "balls3d.npz"
    np.savez(path, **parts)  # type: ignore[arg-type]
    return path


@pytest.fixture
def tiny() -> Callable[..., FinetuneRecipe]:
    """A recipe for a data set that takes a second: `tiny(path, "train.steps=5")`."""

    def load(path: Path, *overrides: str) -> FinetuneRecipe:
        its_own = any(override.startswith("train.weights") for override in overrides)
        return FinetuneRecipe.load("small", [
            f'data.path="{path}"', "data.folds=3", "train.features=4", "train.patch=[16, 16, 16]", "train.steps=3",
            "train.warmup=0", *(() if its_own else ("train.network=unet",)), *overrides])

    return load
