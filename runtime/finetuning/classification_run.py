"""One run of classification."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fdif_dsl.runtime.finetuning.checkpoint import save_weights
from fdif_dsl.runtime.finetuning.data.medmnist import MedMnist
from fdif_dsl.runtime.finetuning.data.split import few
from fdif_dsl.runtime.finetuning.inference import half
from fdif_dsl.runtime.finetuning.loader import Volumes, as_seen, scheme
from fdif_dsl.runtime.finetuning.metrics import accuracy, auc
from fdif_dsl.runtime.finetuning.preflight import Settled
from fdif_dsl.runtime.finetuning.recipe import FinetuneRecipe
from fdif_dsl.runtime.finetuning.rescaling import kernels_of_new_size
from fdif_dsl.runtime.finetuning.trainer import Tuner, tune
from fdif_dsl.runtime.training.heads import Classifier
from fdif_dsl.runtime.training.interrupt import Stop
from fdif_dsl.runtime.training.log import Report
from fdif_dsl.runtime.training.run_folder import WEIGHTS, on_cpu
from fdif_dsl.runtime.weights.transfer import take_over

_AT_ONCE = 32  # test images


@dataclass(frozen=True)
class Run:
    """A run of one seed: the numbers of its images, what came from the weights, and for each test image, of class
    `truth`, the `chances` (images, classes)."""

    trained_on: tuple[str, ...]
    taken: str
    truth: np.ndarray
    chances: np.ndarray

    @property
    def facts(self) -> dict[str, Any]:
        return {}

    def __str__(self) -> str:
        area = float(auc(self.chances, self.truth))
        return f"accuracy {accuracy(self.chances, self.truth):.3f}, " + (
            f"AUC {area:.3f}" if area == area else "no AUC: all test images have the same class")


def run(recipe: FinetuneRecipe, settled: Settled, data: MedMnist, seed: int, folder: Path, *, scratch: bool, stop: Stop,
        report: Report | None) -> Run:
    """Trains and scores; leaves metrics.csv and weights.pt in the folder. Raises as `tune` does."""
    folder.mkdir(parents=True, exist_ok=True)
    chosen = settled.plan
    pretrained = None if scratch else settled.pretrained
    torch.manual_seed(seed % 2**63)
    network = chosen.row.build(chosen.features, 1, chosen.patch, data.channels)
    taken = None
    if pretrained is not None:
        with kernels_of_new_size(network, chosen.patch, data.channels):
            taken = take_over(network, chosen.row, pretrained, chosen.patch)
    classifier = Classifier(network, chosen.row, data.classes, chosen.patch, data.channels)
    which = few([{label} for label in data.train.labels.tolist()], recipe.data.cases, seed)
    body = frozenset(f"network.{name}" for name in taken.body) if taken else frozenset()
    loss = torch.nn.CrossEntropyLoss()
    tuner = Tuner(classifier, loss, recipe.train, body, seed)
    tune(tuner, Volumes(data, which, chosen.patch, recipe, seed), settled.place, folder, stop, report)
    trained_on = tuple(map(str, which))
    save_weights(folder / WEIGHTS, network, settled, recipe, seed, pretrained, trained_on, {
        "classifier": on_cpu(classifier.head.state_dict()), "task": "classification",
        "tasks": {"classes": [str(k) for k in range(data.classes)]}, "channels": data.channels,
        "normalise": scheme(recipe)})
    return Run(trained_on, str(taken or ""), data.test.labels, _chances(classifier, data, recipe, settled))


def _chances(classifier: Classifier, data: MedMnist, recipe: FinetuneRecipe, settled: Settled) -> np.ndarray:
    device = torch.device("cuda" if settled.place.accelerator == "gpu" else "cpu")
    classifier.to(device).eval()
    out = []
    with torch.inference_mode(), half(device, recipe.train.precision):
        for first in range(0, len(data.test.labels), _AT_ONCE):
            images = data.test.images[first : first + _AT_ONCE]
            seen = torch.stack([as_seen(image, settled.plan.patch, scheme(recipe)) for image in images])
            out.append(classifier(seen.to(device)).float().softmax(1).cpu())
    return torch.cat(out).double().numpy()
