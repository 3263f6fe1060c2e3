"""One run: a network learns on a few cases, and is scored on those held out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fdif_dsl.compiler.support.files import write_text
from fdif_dsl.runtime.finetuning.checkpoint import save_weights
from fdif_dsl.runtime.finetuning.data.cases import Case
from fdif_dsl.runtime.finetuning.data.memory import within_memory
from fdif_dsl.runtime.finetuning.data.nifti import Stored
from fdif_dsl.runtime.finetuning.data.normalisation import Levels, foreground, scaled, scaling
from fdif_dsl.runtime.finetuning.data.preprocessing import Prepared
from fdif_dsl.runtime.finetuning.data.split import few
from fdif_dsl.runtime.finetuning.inference import half, on_own_grid, predict, write_classes
from fdif_dsl.runtime.finetuning.loader import Patches, Source
from fdif_dsl.runtime.finetuning.metrics import CaseScore, nanmean, score
from fdif_dsl.runtime.finetuning.preflight import Work
from fdif_dsl.runtime.finetuning.results import curve_table
from fdif_dsl.runtime.finetuning.trainer import Tuner, tune
from fdif_dsl.runtime.finetuning.transfer import take_over
from fdif_dsl.runtime.training.interrupt import Stop
from fdif_dsl.runtime.training.log import Report
from fdif_dsl.runtime.training.losses import DeepSupervision, DiceAndCrossEntropy
from fdif_dsl.runtime.training.pictures import draw_predictions
from fdif_dsl.runtime.training.run_folder import WEIGHTS
from fdif_dsl.runtime.training.validation import Sample

PICTURE, PREDICTIONS, CURVE = "predictions.png", "predictions", "curve.csv"
_PICTURED = 4  # held-out cases


@dataclass(frozen=True)
class Run:
    """A run of one seed: the cases that it was trained on, what came from the weights, and the score of each held-out
    case. `curve` has the scores after those steps that the recipe asks for, without distances."""

    trained_on: tuple[str, ...]
    taken: str
    scores: list[CaseScore]
    curve: dict[int, list[CaseScore]] = field(default_factory=dict)

    def __str__(self) -> str:
        dice = np.array([[score.dice for score in self.scores]])
        mean = float(nanmean(nanmean(dice, (0, 1)), (0,)))
        return f"mean Dice {mean:.3f}" if mean == mean else "no held-out case has a class"


@dataclass(frozen=True)
class Grey:
    """How grey levels become what the network sees: the scheme of each channel, its levels in the training cases."""

    how: tuple[str, ...]
    levels: tuple[Levels, ...]

    def of(self, case: Prepared) -> Any:
        return scaling(case, self.how, self.levels)


def run(work: Work, seed: int, folder: Path, *, scratch: bool, stop: Stop, report: Report | None) -> Run:
    """Trains and scores; leaves metrics.csv, weights.pt and pictures in the folder. Raises KeyboardInterrupt where
    `stop` is wanted, and `FdifError` where the GPU has not enough memory or the loss is no longer a number."""
    folder.mkdir(parents=True, exist_ok=True)
    recipe, chosen, data = work.recipe, work.settled.plan, work.bank.data
    pretrained = None if scratch else work.settled.pretrained
    classes = len(data.classes)
    torch.manual_seed(seed % 2**63)
    network = chosen.row.build(chosen.features, classes, chosen.patch, data.channels)
    taken = None
    if pretrained is not None:
        taken = take_over(network, chosen.row, pretrained, chosen.patch)
    there = [data.facts[case.name].voxels.keys() for case in work.train]
    cases = [work.train[i] for i in few(there, recipe.data.cases, seed)]
    prepared = [work.bank[case] for case in cases]
    grey = Grey(work.schemes, foreground(prepared))
    patches = Patches([Source(p, grey.of(p)) for p in prepared], chosen.patch, recipe.train.batch, recipe.augment, seed,
                      recipe.train.workers)
    tuner = Tuner(network, DeepSupervision(DiceAndCrossEntropy([classes], present=True)), recipe.train,
                  taken.body if taken else frozenset(), seed)
    curve: dict[int, list[CaseScore]] = {}

    def on_the_way(step: int) -> None:
        curve[step] = [score(found.classes, found.label, classes, distance=False)
                       for found in _find(work, network, grey, stop)]

    at, steps = recipe.validate.at, recipe.train.steps
    tune(tuner, patches, work.settled.place, folder, stop, report, on_the_way, [step for step in at if step < steps])
    trained_on = tuple(case.name for case in cases)
    save_weights(folder / WEIGHTS, network, work.settled, recipe, seed, pretrained if taken else None, trained_on, {
        "task": "segmentation", "tasks": {"classes": list(data.classes)}, "labels": list(data.numbers),
        "channels": data.channels,
        "spacing": work.bank.spacing, "orientation": work.bank.orientation,
        "normalise": [[how, vars(levels)] for how, levels in zip(grey.how, grey.levels, strict=True)]})
    scores = _score(work, network, grey, folder, stop)
    if steps in at:
        curve[steps] = scores
    if curve:
        write_text(folder / CURVE, curve_table(curve, [case.name for case in work.held_out], data.classes[1:]))
    return Run(trained_on, str(taken or ""), scores, curve)


@dataclass(frozen=True)
class Found:
    """What a network made of a held-out case: its `answer` on the grid that it sees, the `classes` of the case's own
    voxels, and the `label` that these should have."""

    case: Case
    prepared: Prepared
    answer: torch.Tensor
    classes: np.ndarray
    label: Stored


def _find(work: Work, network: torch.nn.Module, grey: Grey, stop: Stop) -> Iterator[Found]:
    """What the network, as it is, makes of each held-out case. Raises KeyboardInterrupt where `stop` is wanted."""
    device = torch.device("cuda" if work.settled.place.accelerator == "gpu" else "cpu")
    network.to(device).eval()
    for case in work.held_out:
        if stop.wanted:
            raise KeyboardInterrupt
        prepared, label = work.bank[case], work.bank.label(case)
        with within_memory(f"{case.name} was scored", "coarser voxels make cases smaller: data.spacing; on a GPU a "
                           "smaller train.patch needs less"):
            image = scaled(prepared.image, grey.of(prepared))
            with half(device, work.recipe.train.precision):
                answer = predict(network, image, work.settled.plan.patch, work.recipe.validate.overlap, device)
            classes = on_own_grid(answer, prepared.affine, label)
        yield Found(case, prepared, answer, classes, label)


def _score(work: Work, network: torch.nn.Module, grey: Grey, folder: Path, stop: Stop) -> list[CaseScore]:
    """Scores each held-out case, and keeps pictures of the first, and all classes found where they are wanted."""
    validate, classes = work.recipe.validate, work.bank.data.classes
    scores: list[CaseScore] = []
    samples: list[Sample] = []
    for found in _find(work, network, grey, stop):
        scores.append(score(found.classes, found.label, len(classes), validate.distance))
        if len(samples) < _PICTURED:
            samples.append(_sample(found.prepared, found.answer, work.bank.orientation))
        if validate.predictions:
            write_classes(np.asarray(work.bank.data.numbers)[found.classes], found.label.affine,
                          folder / PREDICTIONS / f"{found.case.name}.nii.gz")
    draw_predictions(samples, classes, folder / PICTURE, f"Held-out cases, {folder.name}")
    return scores


def _sample(case: Prepared, answer: torch.Tensor, orientation: str) -> Sample:
    """The first channel of a case with grey levels from 0 to 1, its label and the classes found, (D, H, W), turned as
    radiologists look at them: the patient's front at the top, their right at the left."""
    low, high = case.percentiles[0]
    image = ((case.image[0] - low) / max(high - low, 1e-8)).clamp(0, 1)
    axes = [axis for axis, end in ((1, orientation[1] == "A"), (2, orientation[0] == "R")) if end]
    image, label, found = (part.flip(axes) for part in (image, case.label[0].long(), answer.argmax(0)))
    return image, label, found
