"""One run: a network learns on a few cases, and is scored on those held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer

from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError
from fdif_dsl.runtime.finetuning.cases import Case
from fdif_dsl.runtime.finetuning.evaluate import CaseScore, on_own_grid, predict, score, stored_label
from fdif_dsl.runtime.finetuning.normalise import Foreground, foreground, normalised, schemes
from fdif_dsl.runtime.finetuning.patches import Patches, loader, source
from fdif_dsl.runtime.finetuning.split import few
from fdif_dsl.runtime.finetuning.tuner import EndOnStop, Tuner
from fdif_dsl.runtime.finetuning.weights import Taken, take_over
from fdif_dsl.runtime.finetuning.work import Work
from fdif_dsl.runtime.training.checkpoints import on_cpu, save_whole
from fdif_dsl.runtime.training.interrupt import Stop
from fdif_dsl.runtime.training.log import Log, Report
from fdif_dsl.runtime.training.losses import DeepSupervision
from fdif_dsl.runtime.training.quiet import quiet
from fdif_dsl.runtime.training.record import WEIGHTS


@dataclass(frozen=True)
class Run:
    """A run of one seed: the cases that it was trained on, what came from the weights, and the score of each held-out
    case."""

    trained_on: tuple[str, ...]
    taken: Taken | None
    scores: list[CaseScore]


@dataclass(frozen=True)
class Levels:
    """How grey levels become what the network sees: each channel in its way, by numbers of the training cases."""

    how: tuple[str, ...]
    foreground: tuple[Foreground, ...]

    def apply(self, image: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = normalised(image, self.how, self.foreground)
        return out


def run(work: Work, seed: int, folder: Path, *, scratch: bool, stop: Stop, report: Report | None) -> Run:
    """Trains and scores; leaves metrics.csv and weights.pt in the folder. Raises KeyboardInterrupt where `stop` is
    wanted, and `FdifError` where the GPU has not enough memory or the loss is no longer a number."""
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
    levels = Levels(schemes(recipe.data.normalise, data.list.channels, data.channels), foreground(prepared))
    sources = [source(levels.apply(p.image), p.label, p.places, chosen.patch) for p in prepared]
    tuner = Tuner(network, DeepSupervision([classes], present=True), recipe.train,
                  taken.body if taken else frozenset(), seed)
    patches = Patches(sources, chosen.patch, recipe.train.batch, recipe.augment, seed)
    _fit(tuner, loader(patches, recipe.train.workers), work, folder, stop, report)
    save_whole(_stored(work, network, levels, cases, taken, seed), folder / WEIGHTS)
    scores = _score(work, network, levels, stop)
    return Run(tuple(case.name for case in cases), taken, scores)


def _fit(tuner: Tuner, batches: Any, work: Work, folder: Path, stop: Stop, report: Report | None) -> None:
    train = work.recipe.train
    with quiet():
        trainer = Trainer(
            max_steps=train.steps, accelerator=work.accelerator, devices=1, precision=work.precision,
            gradient_clip_val=train.clip or None, logger=False, enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False, use_distributed_sampler=False,
            callbacks=[Log(folder, train.steps, report), EndOnStop(stop)])
        try:
            trainer.fit(tuner, batches)
        except torch.OutOfMemoryError as error:
            raise FdifError(Diagnostic(
                "E0853", "the GPU has not enough memory for a training step", why=str(error).partition(". ")[0],
                hint="a smaller train.batch or train.patch needs less")) from error
        except SystemExit:  # what Lightning makes of the second Ctrl-C
            if not stop.wanted:
                raise
    if stop.wanted:
        raise KeyboardInterrupt


def _score(work: Work, network: torch.nn.Module, levels: Levels, stop: Stop) -> list[CaseScore]:
    device = torch.device("cuda" if work.accelerator == "gpu" else "cpu")
    network.to(device).eval()
    validate, classes = work.recipe.validate, len(work.bank.data.classes)
    out = []
    for case in work.held_out:
        if stop.wanted:
            raise KeyboardInterrupt
        prepared, label = work.bank[case], stored_label(case)
        with torch.autocast(device.type, enabled=device.type == "cuda" and work.recipe.train.precision != "32"):
            answer = predict(network, levels.apply(prepared.image), work.plan.patch, validate.overlap, device)
        out.append(score(on_own_grid(answer, prepared.affine, label), label, classes, validate.distance))
    return out


def _stored(work: Work, network: torch.nn.Module, levels: Levels, cases: Sequence[Case], taken: Taken | None,
            seed: int) -> dict[str, Any]:
    """What stands in weights.pt: the network, and what is needed to use it on another image."""
    data, pretrained = work.bank.data, work.pretrained if taken else None
    return {
        "network_weights": on_cpu(network.state_dict()), "network": work.plan.row.name,
        "features": work.plan.features, "patch": list(work.plan.patch), "head": list(work.plan.row.head),
        "task": "segmentation", "label": "classes", "tasks": {"classes": list(data.classes)},
        "channels": data.channels, "spacing": work.bank.spacing, "orientation": work.bank.orientation,
        "normalise": [[how, vars(level)] for how, level in zip(levels.how, levels.foreground, strict=True)],
        "trained_on": [case.name for case in cases], "pretrained": str(pretrained.path) if pretrained else None,
        "library": pretrained.library if pretrained else "", "recipe": work.recipe.to_dict(), "seed": seed,
        "step": work.recipe.train.steps, "fdif_dsl": version("fdif-dsl"),
    }
