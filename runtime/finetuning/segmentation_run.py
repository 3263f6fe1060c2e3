"""One run: a network learns on a few cases, and is scored on those held out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fdif_dsl.compiler.support.files import write_text
from fdif_dsl.runtime.finetuning.checkpoint import save_weights
from fdif_dsl.runtime.finetuning.data.cases import Case
from fdif_dsl.runtime.finetuning.data.memory import within_memory
from fdif_dsl.runtime.finetuning.data.nifti import Stored
from fdif_dsl.runtime.finetuning.data.normalisation import Levels, foreground, scaling
from fdif_dsl.runtime.finetuning.data.preprocessing import Prepared
from fdif_dsl.runtime.finetuning.data.split import Split, few
from fdif_dsl.runtime.finetuning.data.writing import ending_of, write_classes
from fdif_dsl.runtime.finetuning.inference import Member, Sliding, decision, segment
from fdif_dsl.runtime.finetuning.loader import Patches, Source
from fdif_dsl.runtime.finetuning.losses import loss_of
from fdif_dsl.runtime.finetuning.metrics import CaseScore, nanmean, score
from fdif_dsl.runtime.finetuning.mirroring import axes_to_mirror
from fdif_dsl.runtime.finetuning.preflight import Work
from fdif_dsl.runtime.finetuning.rescaling import kernels_of_new_size
from fdif_dsl.runtime.finetuning.results import curve_table
from fdif_dsl.runtime.finetuning.rules import AXES
from fdif_dsl.runtime.finetuning.runs import FOLD
from fdif_dsl.runtime.finetuning.trainer import Tuner, tune
from fdif_dsl.runtime.pictures.colour_tables import write_colour_tables
from fdif_dsl.runtime.training.interrupt import Stop
from fdif_dsl.runtime.training.log import Report
from fdif_dsl.runtime.training.pictures import draw_predictions
from fdif_dsl.runtime.training.run_folder import WEIGHTS
from fdif_dsl.runtime.training.validation import Sample
from fdif_dsl.runtime.weights.transfer import take_over

PICTURE, PREDICTIONS, CURVE = "predictions.png", "predictions", "curve.csv"
_PICTURED = 4  # held-out cases


@dataclass(frozen=True)
class Run:
    """A run of one seed: the cases that it was trained on, what came from the weights, and the score of each held-out
    case. `curve` has the scores after those steps that the recipe asks for, without distances. `mirrored` are the axes
    along which patches were."""

    trained_on: tuple[str, ...]
    taken: str
    scores: list[CaseScore]
    curve: dict[int, list[CaseScore]] = field(default_factory=dict)
    mirrored: str = ""

    @property
    def facts(self) -> dict[str, Any]:
        return {"mirrored": self.mirrored}

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
    """Trains and scores; leaves metrics.csv, weights.pt and pictures in the folder, of an ensemble in a folder for each
    fold. Raises KeyboardInterrupt where `stop` is wanted, and `FdifError` where the GPU has not enough memory or the
    loss is no longer a number."""
    runs = [_run(work, its, seed, folder if len(work.splits) == 1 else folder / f"{FOLD}-{k}", scratch=scratch,
                 stop=stop, report=report) for k, its in enumerate(work.splits)]
    trained_on = dict.fromkeys(name for its in runs for name in its.trained_on)
    return Run(tuple(trained_on), runs[0].taken, [score for its in runs for score in its.scores],
               {step: [score for its in runs for score in its.curve[step]] for step in runs[0].curve},
               "".join(axis for axis in AXES if any(axis in its.mirrored for its in runs)))


def _run(work: Work, split: Split, seed: int, folder: Path, *, scratch: bool, stop: Stop, report: Report | None) -> Run:
    train, held_out = split
    folder.mkdir(parents=True, exist_ok=True)
    recipe, chosen, data = work.recipe, work.settled.plan, work.bank.data
    pretrained = None if scratch else work.settled.pretrained
    classes = len(data.classes)
    torch.manual_seed(seed % 2**63)
    network = chosen.row.build(chosen.features, data.outputs, chosen.patch, data.channels)
    taken = None
    if pretrained is not None:
        with kernels_of_new_size(network, chosen.patch, data.channels):
            taken = take_over(network, chosen.row, pretrained, chosen.patch)
    there = [data.facts[case.name].voxels.keys() for case in train]
    cases = [train[i] for i in few(there, recipe.data.cases, seed)]
    prepared = [work.bank[case] for case in cases]
    grey = Grey(work.schemes, foreground(prepared))
    augment = replace(recipe.augment, axes=axes_to_mirror(recipe.augment.axes, prepared))
    patches = Patches([Source(p, grey.of(p)) for p in prepared], chosen.patch, recipe.train.batch, augment, seed,
                      recipe.train.workers)
    loss = loss_of(classes, [region.places for region in data.list.regions], data.list.ignore is not None)
    tuner = Tuner(network, loss, recipe.train, taken.body if taken else frozenset(), seed)
    curve: dict[int, list[CaseScore]] = {}

    def on_the_way(step: int) -> None:
        curve[step] = [score(found.classes, found.label, classes, data.groups, distance=False)
                       for found in _find(work, held_out, network, grey, stop)]

    at, steps = recipe.validate.at, recipe.train.steps
    tune(tuner, patches, work.settled.place, folder, stop, report, on_the_way, [step for step in at if step < steps])
    trained_on = tuple(case.name for case in cases)
    save_weights(folder / WEIGHTS, network, work.settled, recipe, seed, pretrained if taken else None, trained_on, {
        "task": "segmentation", "classes": list(data.classes),
        "tasks": {"regions": list(data.scored)} if data.list.regions else {"classes": list(data.classes)},
        "regions": [[region.name, list(region.places), region.number] for region in data.list.regions],
        "labels": list(data.numbers),
        "channels": data.channels, "channel_names": list(data.list.channels[: data.channels]),
        "spacing": work.bank.spacing, "orientation": work.bank.orientation,
        "normalise": [[how, vars(levels)] for how, levels in zip(grey.how, grey.levels, strict=True)]})
    scores = _score(work, held_out, network, grey, folder, stop)
    if steps in at:
        curve[steps] = scores
    if curve:
        write_text(folder / CURVE, curve_table(curve, [case.name for case in held_out], data.scored))
    return Run(trained_on, str(taken or ""), scores, curve, augment.axes if augment.flip else "")


@dataclass(frozen=True)
class Found:
    """What a network made of a held-out case: the `classes` of the case's own voxels, the `label` that these should
    have, and, for a picture, the classes of the `prepared` voxels `before` they were brought back."""

    case: Case
    prepared: Prepared
    classes: np.ndarray
    label: Stored
    before: torch.Tensor | None


def _find(work: Work, held_out: Sequence[Case], network: torch.nn.Module, grey: Grey, stop: Stop,
          pictured: int = 0) -> Iterator[Found]:
    """What the network, as it is, makes of each held-out case; of the first `pictured`, for pictures too. Raises
    KeyboardInterrupt where `stop` is wanted."""
    device = torch.device("cuda" if work.settled.place.accelerator == "gpu" else "cpu")
    network.to(device).eval()
    data = work.bank.data
    sliding = Sliding(work.settled.plan.patch, work.recipe.validate.overlap, device, work.recipe.train.precision)
    decide = decision(data.list.regions, data.numbers)
    for number, case in enumerate(held_out):
        if stop.wanted:
            raise KeyboardInterrupt
        prepared, label = work.bank[case], work.bank.label(case)
        with within_memory(f"{case.name} was scored", "coarser voxels make cases smaller: data.spacing; on a GPU a "
                           "smaller train.patch needs less"):
            before = torch.zeros_like(prepared.label[0], dtype=torch.int16) if number < pictured else None
            parts = sliding.parts([Member(network, grey.of(prepared))], data.outputs, prepared.image)
            found = segment(parts, prepared, decide, before=before)
        yield Found(case, prepared, found, label, before)


def _score(work: Work, held_out: Sequence[Case], network: torch.nn.Module, grey: Grey, folder: Path,
           stop: Stop) -> list[CaseScore]:
    """Scores each held-out case, and keeps pictures of the first, and all classes found where they are wanted."""
    validate, data = work.recipe.validate, work.bank.data
    scores: list[CaseScore] = []
    samples: list[Sample] = []
    for found in _find(work, held_out, network, grey, stop, _PICTURED):
        scores.append(score(found.classes, found.label, len(data.classes), data.groups, validate.distance))
        if found.before is not None:
            samples.append(_sample(found.prepared, found.before, work.bank.orientation))
        if validate.predictions:
            write_classes(np.asarray(data.numbers)[found.classes], found.prepared.grid.affine,
                          folder / PREDICTIONS / f"{found.case.name}{ending_of(found.case.images[0])}")
    if validate.predictions and held_out:
        write_colour_tables(folder / PREDICTIONS, dict(zip(data.numbers, data.classes, strict=True)))
    draw_predictions(samples, data.classes, folder / PICTURE, f"Held-out cases, {folder.name}")
    return scores


def _sample(case: Prepared, found: torch.Tensor, orientation: str) -> Sample:
    """The first channel of a case with grey levels from 0 to 1, its label and the classes found, (D, H, W), turned as
    radiologists look at them: the patient's front at the top, their right at the left."""
    low, high = case.percentiles[0]
    image = ((case.image[0] - low) / max(high - low, 1e-8)).clamp(0, 1)
    axes = [axis for axis, end in ((1, orientation[1] == "A"), (2, orientation[0] == "R")) if end]
    label = case.label[0].long()
    label[label >= len(case.places)] = 0  # has no class
    image, label, found = (part.flip(axes) for part in (image, label, found.long()))
    return image, label, found
