"""One run of classification."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from torch.utils.data import IterableDataset

from fdif_dsl.runtime.finetuning.augmentation import changes, place_of, random_of
from fdif_dsl.runtime.finetuning.checkpoint import save_weights
from fdif_dsl.runtime.finetuning.data.medmnist import MedMnist
from fdif_dsl.runtime.finetuning.data.split import few
from fdif_dsl.runtime.finetuning.naming import accuracy, auc
from fdif_dsl.runtime.finetuning.preflight import Settled
from fdif_dsl.runtime.finetuning.recipe import FinetuneRecipe
from fdif_dsl.runtime.finetuning.trainer import fit, half
from fdif_dsl.runtime.finetuning.transfer import take_over
from fdif_dsl.runtime.finetuning.tuner import Tuner
from fdif_dsl.runtime.training.checkpoints import on_cpu
from fdif_dsl.runtime.training.heads import Classifier
from fdif_dsl.runtime.training.interrupt import Stop
from fdif_dsl.runtime.training.log import Report
from fdif_dsl.runtime.training.run_folder import WEIGHTS

_AT_ONCE = 32  # test images


@dataclass(frozen=True)
class Run:
    """A run of one seed: the numbers of its images, what came from the weights, and for each test image, of class
    `truth`, the `chances` (images, classes)."""

    trained_on: tuple[str, ...]
    taken: str
    truth: np.ndarray
    chances: np.ndarray

    def __str__(self) -> str:
        return f"accuracy {accuracy(self.chances, self.truth):.3f}, AUC {auc(self.chances, self.truth):.3f}"


def run(recipe: FinetuneRecipe, settled: Settled, data: MedMnist, seed: int, folder: Path, *, scratch: bool, stop: Stop,
        report: Report | None) -> Run:
    """Trains and scores; leaves metrics.csv and weights.pt in the folder. Raises as `fit` does."""
    folder.mkdir(parents=True, exist_ok=True)
    chosen = settled.plan
    pretrained = None if scratch else settled.pretrained
    torch.manual_seed(seed % 2**63)
    network = chosen.row.build(chosen.features, 1, chosen.patch, data.channels)
    taken = take_over(network, chosen.row, pretrained, chosen.patch) if pretrained is not None else None
    classifier = Classifier(network, chosen.row, data.classes, chosen.patch, data.channels)
    which = few([{label} for label in data.train.labels.tolist()], recipe.data.cases, seed)
    body = frozenset(f"network.{name}" for name in taken.body) if taken else frozenset()
    loss = torch.nn.CrossEntropyLoss()
    tuner = Tuner(classifier, loss, recipe.train, body, seed)
    fit(tuner, Volumes(data, which, chosen.patch, recipe, seed), settled, folder, stop, report)
    trained_on = tuple(map(str, which))
    save_weights(folder / WEIGHTS, network, settled, recipe, seed, pretrained, trained_on, {
        "classifier": on_cpu(classifier.head.state_dict()), "task": "classification",
        "tasks": {"classes": [str(k) for k in range(data.classes)]}, "channels": data.channels,
        "normalise": recipe.data.normalise})
    return Run(trained_on, str(taken or ""), data.test.labels, _chances(classifier, data, recipe, settled))


def _chances(classifier: Classifier, data: MedMnist, recipe: FinetuneRecipe, settled: Settled) -> np.ndarray:
    device = torch.device("cuda" if settled.accelerator == "gpu" else "cpu")
    classifier.to(device).eval()
    out = []
    with torch.inference_mode(), half(device, recipe.train.precision):
        for first in range(0, len(data.test.labels), _AT_ONCE):
            images = data.test.images[first : first + _AT_ONCE]
            seen = torch.stack([as_seen(image, settled.plan.patch, recipe.data.normalise) for image in images])
            out.append(classifier(seen.to(device)).float().softmax(1).cpu())
    return torch.cat(out).double().numpy()


def as_seen(image: np.ndarray, patch: tuple[int, int, int], how: str) -> torch.Tensor:
    """An image (c, D, H, W) as the network sees it: as large as a patch, and normalised on its own: `unit` from its
    lowest to its highest grey level, `keep` not at all, else to mean 0 and deviation 1."""
    out = torch.as_tensor(image.astype(np.float32))
    if tuple(out.shape[1:]) != patch:
        out = functional.interpolate(out[None], patch, mode="trilinear", align_corners=False)[0]
    flat = out.flatten(1)
    if how == "keep":
        return out
    shift, size = (flat.amin(1), flat.amax(1) - flat.amin(1)) if how == "unit" else (
        flat.mean(1), flat.std(1, correction=0))
    scaled: torch.Tensor = (out - shift[:, None, None, None]) / size.clamp_min(1e-8)[:, None, None, None]
    return scaled


class Volumes(IterableDataset):  # type: ignore[type-arg, misc, unused-ignore]
    """Batches {"image", "label", "number"} of the images `which`; every image comes once before any comes again."""

    def __init__(self, data: MedMnist, which: list[int], patch: tuple[int, int, int], recipe: FinetuneRecipe,
                 seed: int) -> None:
        super().__init__()
        self.data, self.which, self.patch, self.seed = data, which, patch, seed
        self.batch, self.how = recipe.train.batch, recipe.data.normalise
        self.changes = changes(recipe.augment, label=False)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        first = 0
        while True:
            numbers = list(range(first, first + self.batch))
            places = [self.which[place_of(number, len(self.which), self.seed)] for number in numbers]
            yield {"image": torch.stack([self._seen(number, i) for number, i in zip(numbers, places, strict=True)]),
                   "label": torch.as_tensor(self.data.train.labels[places]), "number": numbers}
            first += self.batch

    def _seen(self, number: int, image: int) -> torch.Tensor:
        self.changes.set_random_state(state=random_of(number, self.seed))
        seen = as_seen(self.data.train.images[image], self.patch, self.how)
        out: torch.Tensor = self.changes({"image": seen})["image"]
        return out
