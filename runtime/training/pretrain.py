"""`pretrain`: a network learns on volumes that are rendered as it goes."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fdif_dsl.compiler.files import claim_directory, write_text
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError
from fdif_dsl.runtime.recipe import Recipe, resolve
from fdif_dsl.runtime.training.curve import Fall, draw_loss, fall
from fdif_dsl.runtime.training.extra import require
from fdif_dsl.runtime.training.networks import check_network

if TYPE_CHECKING:
    from fdif_dsl.compiler.library import Library

RECIPE, SUMMARY, CURVE = "recipe.json", "summary.json", "loss.png"


@dataclass(frozen=True)
class Run:
    """How a run ended: its steps, the fall of its loss, its wall time in seconds, and whether Ctrl-C ended it."""

    steps: int
    loss: Fall
    seconds: float
    parameters: int
    interrupted: bool


def pretrain(library: Library, recipe: Recipe, directory: Path, *, name: str, seed: int | None = None,
             steps: int | None = None, resume: bool = False, overwrite: bool = False,
             report: Callable[[int, int, float], None] | None = None,
             on_interrupt: Callable[[], None] | None = None) -> Run:
    """Trains the recipe's network on the recipe's volumes and leaves in `directory`:

        last.ckpt     the whole state, to resume from
        weights.pt    {"network_weights", "head", "recipe", "library", "classes", "seed", "step", ...}, plain values and
                      tensors; parameters whose names begin with "head" are the last layer's
        metrics.csv   step, loss, learning rate and seconds of each step (and a TensorBoard log, where it is installed)
        loss.png      the loss curve
        recipe.json   the recipe in full; summary.json: how it went

    `name` is what the recipe is called; `seed` and `steps` replace the recipe's. `report` is called after each
    step with (step, steps, loss), `on_interrupt` at the first Ctrl-C, which ends the run after the step in hand.

    Raises:
        FdifError: packages are missing, the recipe does not fit the library or the network, `directory` holds
            something else or an earlier run that neither `resume` nor `overwrite` is meant for, or the loss is
            no longer a number.
    """
    training = recipe.training
    training = replace(training, seed=training.seed if seed is None else seed, steps=steps or training.steps,
                       warmup=min(training.warmup, steps or training.steps))
    recipe = replace(recipe, training=training)
    patch = training.patch or recipe.grid
    network = check_network(training.network, training.features, patch, name)
    shapes = [f.name for f in resolve(recipe, library).shapes]
    require("lightning.pytorch")
    require("monai.losses")
    import torch
    from lightning.pytorch import Trainer
    from torch.utils.data import DataLoader

    from fdif_dsl.runtime.stream import VolumeStream
    from fdif_dsl.runtime.training.module import Segmenter
    from fdif_dsl.runtime.training.watch import CHECKPOINT, WEIGHTS, Watch, ignore_interrupt, stop_on_interrupt

    checkpoint = _claim(directory, CHECKPOINT, resume, overwrite)
    write_text(directory / RECIPE, json.dumps(recipe.to_dict(), indent=2) + "\n")
    facts = {"network": training.network, "features": training.features, "patch": list(patch), "head": network.head,
             "classes": ["background", *shapes], "recipe": recipe.to_dict(), "library": library.hash,
             "seed": training.seed, "fdif_dsl": version("fdif-dsl")}
    torch.manual_seed(training.seed % 2**63)
    module = Segmenter(network.build(training.features, len(shapes) + 1, patch), training, patch)
    watch = Watch(directory, facts, training.steps, report)
    done = _steps_done(checkpoint)
    stream = VolumeStream(library, recipe, seed=training.seed, start=done * training.batch)
    loader = DataLoader(
        stream, batch_size=training.batch, num_workers=training.workers,
        # Kernels run on threads of their own, and a forked process must not inherit those.
        multiprocessing_context="spawn" if training.workers else None,
        worker_init_fn=ignore_interrupt if training.workers else None)
    with _quiet(), stop_on_interrupt(watch, on_interrupt):
        trainer = Trainer(
            max_steps=training.steps, devices=1, precision=_precision(training.precision), callbacks=[watch],
            logger=_logger(directory), enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False, log_every_n_steps=10, use_distributed_sampler=False)
        trainer.fit(module, loader, ckpt_path=checkpoint)
    losses = [row[1] for row in watch.history]
    run = Run(len(losses), fall(losses), round(watch.history[-1][3], 2),
              sum(p.numel() for p in module.network.parameters()), watch.stop)
    draw_loss(losses, directory / CURVE, f"Pre-training on the recipe {name}")
    summary = {**asdict(run), "fall_percent": round(run.loss.percent, 2), "volumes": run.steps * training.batch,
               "weights": WEIGHTS, **{k: facts[k] for k in ("network", "library", "seed", "fdif_dsl")}}
    write_text(directory / SUMMARY, json.dumps(summary, indent=2) + "\n")
    return run


def _claim(directory: Path, checkpoint: str, resume: bool, overwrite: bool) -> Path | None:
    """Makes the folder ready, and gives the checkpoint to resume from."""
    path = directory / checkpoint
    if resume and not path.is_file():
        raise FdifError(Diagnostic("E0833", f"there is no run to resume in {directory}", why=f"it has no {checkpoint}",
                                   hint="leave out --resume to begin one"))
    if path.is_file() and not resume and not overwrite:
        raise FdifError(Diagnostic(
            "E0832", f"{directory} holds an earlier run",
            hint="--resume continues it, --overwrite starts anew in its place, -o names another folder"))
    claim_directory(directory, RECIPE)
    return path if resume else None


def _steps_done(checkpoint: Path | None) -> int:
    """The steps of the run that a checkpoint holds; the stream continues behind them."""
    import torch

    if checkpoint is None:
        return 0
    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        return int(state["global_step"])
    except (RuntimeError, KeyError, EOFError, ValueError) as error:
        raise FdifError(Diagnostic("E0834", f"{checkpoint} is no checkpoint of a run", why=str(error),
                                   hint="--overwrite starts anew in its place")) from error


def _precision(wanted: str) -> Any:
    """Half precision needs a GPU; a CPU computes in single precision."""
    import torch

    return wanted if wanted == "bf16-mixed" or torch.cuda.is_available() else "32-true"


def _logger(directory: Path) -> Any:
    if find_spec("tensorboard") is None:
        return False
    from lightning.pytorch.loggers import TensorBoardLogger

    return TensorBoardLogger(directory, name="", version="tensorboard")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps Lightning's notes about itself off the terminal; errors come through."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
