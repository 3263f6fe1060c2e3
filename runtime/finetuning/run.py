"""One run: a network learns on a few cases, and is scored on those held out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer
from monai.data.meta_obj import get_track_meta, set_track_meta
from torch.utils.data import DataLoader

from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError
from fdif_dsl.runtime.finetuning.evaluate import CaseScore, on_own_grid, predict, score
from fdif_dsl.runtime.finetuning.normalise import Levels, foreground, scaled, scaling, schemes
from fdif_dsl.runtime.finetuning.patches import Patches, Source
from fdif_dsl.runtime.finetuning.prepare import Prepared
from fdif_dsl.runtime.finetuning.show import Sample, draw, sample, write_classes
from fdif_dsl.runtime.finetuning.split import few
from fdif_dsl.runtime.finetuning.tuner import EndOnStop, Tuner
from fdif_dsl.runtime.finetuning.volumes import read_volume
from fdif_dsl.runtime.finetuning.weights import Taken, take_over
from fdif_dsl.runtime.finetuning.work import PICTURE, PREDICTIONS, Work
from fdif_dsl.runtime.training.checkpoints import on_cpu, save_whole
from fdif_dsl.runtime.training.interrupt import Stop
from fdif_dsl.runtime.training.log import Log, Report
from fdif_dsl.runtime.training.losses import DeepSupervision
from fdif_dsl.runtime.training.quiet import quiet
from fdif_dsl.runtime.training.record import WEIGHTS

_PICTURED = 4  # held-out cases


@dataclass(frozen=True)
class Run:
    """A run of one seed: the cases that it was trained on, what came from the weights, and the score of each held-out
    case."""

    trained_on: tuple[str, ...]
    taken: Taken | None
    scores: list[CaseScore]


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
    recipe, chosen, data = work.recipe, work.plan, work.bank.data
    classes = len(data.classes)
    torch.manual_seed(seed % 2**63)
    network = chosen.row.build(chosen.features, classes, chosen.patch, data.channels)
    taken = None
    if work.pretrained is not None and not scratch:
        taken = take_over(network, chosen.row, work.pretrained, chosen.patch)
    cases = few(work.train, data.facts, recipe.data.cases, seed)
    prepared = [work.bank[case] for case in cases]
    grey = Grey(schemes(recipe.data.normalise, data.list.channels, data.channels), foreground(prepared))
    patches = Patches([Source(p, grey.of(p)) for p in prepared], chosen.patch, recipe.train.batch, recipe.augment, seed,
                      recipe.train.workers)
    tuner = Tuner(network, DeepSupervision([classes], present=True), recipe.train,
                  taken.body if taken else frozenset(), seed)
    _fit(tuner, patches, work, folder, stop, report)
    trained_on = tuple(case.name for case in cases)
    save_whole(_stored(work, network, grey, trained_on, taken, seed), folder / WEIGHTS)
    return Run(trained_on, taken, _score(work, network, grey, folder, stop))


def _fit(tuner: Tuner, patches: Patches, work: Work, folder: Path, stop: Stop, report: Report | None) -> None:
    train = work.recipe.train
    with quiet(), _untracked():
        trainer = Trainer(
            max_steps=train.steps, accelerator=work.accelerator, devices=1, precision=work.precision,
            gradient_clip_val=train.clip or None, logger=False, enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False, use_distributed_sampler=False,
            callbacks=[Log(folder, train.steps, report), EndOnStop(stop)])
        try:
            trainer.fit(tuner, DataLoader(patches, batch_size=None))
        except torch.OutOfMemoryError as error:
            raise FdifError(Diagnostic(
                "E0853", "the GPU has not enough memory for a training step", why=str(error).partition(". ")[0],
                hint="a smaller train.batch or train.patch needs less")) from error
        except SystemExit:  # what Lightning makes of the second Ctrl-C
            if not stop.wanted:
                raise
    if stop.wanted:
        raise KeyboardInterrupt


@contextmanager
def _untracked() -> Iterator[None]:
    """Keeps MONAI from noting where each patch came from, which takes longer than cutting it."""
    before = get_track_meta()
    set_track_meta(False)
    try:
        yield
    finally:
        set_track_meta(before)


def _score(work: Work, network: torch.nn.Module, grey: Grey, folder: Path, stop: Stop) -> list[CaseScore]:
    """Scores each held-out case, and keeps pictures of the first, and all classes found where they are wanted."""
    device = torch.device("cuda" if work.accelerator == "gpu" else "cpu")
    network.to(device).eval()
    validate, classes = work.recipe.validate, work.bank.data.classes
    scores: list[CaseScore] = []
    samples: list[Sample] = []
    for case in work.held_out:
        if stop.wanted:
            raise KeyboardInterrupt
        prepared, label = work.bank[case], read_volume(case.label)
        image = scaled(prepared.image, grey.of(prepared))
        with torch.autocast(device.type, enabled=device.type == "cuda" and work.recipe.train.precision != "32"):
            answer = predict(network, image, work.plan.patch, validate.overlap, device)
        found = on_own_grid(answer, prepared.affine, label)
        scores.append(score(found, label, len(classes), validate.distance))
        if len(samples) < _PICTURED:
            samples.append(sample(prepared, answer, work.bank.orientation))
        if validate.predictions:
            write_classes(found, label.affine, folder / PREDICTIONS / f"{case.name}.nii.gz")
    draw(samples, classes, folder / PICTURE, f"Held-out cases, {folder.name}")
    return scores


def _stored(work: Work, network: torch.nn.Module, grey: Grey, trained_on: tuple[str, ...], taken: Taken | None,
            seed: int) -> dict[str, Any]:
    """What stands in weights.pt: the network, and what is needed to use it on another image."""
    data, pretrained = work.bank.data, work.pretrained if taken else None
    return {
        "network_weights": on_cpu(network.state_dict()), "network": work.plan.row.name,
        "features": work.plan.features, "patch": list(work.plan.patch), "head": list(work.plan.row.head),
        "task": "segmentation", "label": "classes", "tasks": {"classes": list(data.classes)},
        "channels": data.channels, "spacing": work.bank.spacing, "orientation": work.bank.orientation,
        "normalise": [[how, vars(levels)] for how, levels in zip(grey.how, grey.levels, strict=True)],
        "trained_on": list(trained_on), "pretrained": str(pretrained.path) if pretrained else None,
        "library": pretrained.library if pretrained else "", "recipe": work.recipe.to_dict(), "seed": seed,
        "step": work.recipe.train.steps, "fdif_dsl": version("fdif-dsl"),
    }
