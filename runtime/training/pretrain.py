"""`pretrain`: a network learns on volumes that are rendered as it goes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fdif_dsl.compiler.support.locks import hold
from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.runtime.recipe import Recipe, resolve
from fdif_dsl.runtime.recipe.meaning import Meaning
from fdif_dsl.runtime.training.curve import Fall, draw_loss, draw_scores, fall
from fdif_dsl.runtime.training.devices import Place, find_place, is_first
from fdif_dsl.runtime.training.extra import require
from fdif_dsl.runtime.training.networks import Network, find_network
from fdif_dsl.runtime.training.preflight import check_disk, check_settings
from fdif_dsl.runtime.training.pretrained import MEASURES
from fdif_dsl.runtime.training.quiet import quiet
from fdif_dsl.runtime.training.resume import check_folder, check_same, clear, read
from fdif_dsl.runtime.training.run_folder import LAST, RECIPE, SUMMARY, facts_of, write_about, write_json, write_recipe

if TYPE_CHECKING:
    from fdif_dsl.compiler.library import Library
    from fdif_dsl.runtime.training.log import Report, Speed
    from fdif_dsl.runtime.training.metrics import Score
    from fdif_dsl.runtime.training.monitoring import Announce

LOSS_CURVE, SCORE_CURVE = "loss.png", "scores.png"


@dataclass(frozen=True)
class Run:
    """How a run ended: its steps, the fall of its loss, the seconds of all steps, the network's parameters, how fast it
    went, the scores of the last validation, the step and mean score of the best, and whether a signal ended it."""

    steps: int
    loss: Fall
    seconds: float
    parameters: int
    speed: Speed
    scores: list[Score]
    best: tuple[int, float]
    interrupted: bool


def pretrain(library: Library, recipe: Recipe, directory: Path, *, name: str, resume: bool = False,
             overwrite: bool = False, on_start: Callable[[], None] | None = None, report: Report | None = None,
             announce: Announce | None = None, on_interrupt: Callable[[], None] | None = None) -> Run | None:
    """Trains the recipe's network on the recipe's volumes and leaves in `directory`:

        last.ckpt, best.ckpt, checkpoints/   whole states, see `checkpoints.py`
        weights.pt, best.pt   {"network_weights", "head", "recipe", "library", "tasks", "seed", "step", ...}, plain
                              values and tensors; parameters whose names begin with one of "head" are the last layers'
        metrics.csv           loss, learning rate, seconds, and seconds waited for data, of each step
        validation.csv        the score of each class on the held-out volumes
        loss.png, scores.png, predictions.png
        recipe.toml           the recipe in full; run.json: library, versions; summary.json: how it went
        tensorboard/          the same for TensorBoard, where it is installed

    `name` is what the recipe is called. `on_start` is called when all that can be checked has been, `report` after each
    step, `announce` after each validation, `on_interrupt` at the first Ctrl-C, which ends the run after the step in
    hand; the second ends it at once. In a run of several processes only the first writes and reports, and the others
    return None.

    Raises:
        FdifError: packages are missing, the recipe does not fit the library, the network or the machine, `directory`
            holds something else, a run that goes on, or one that neither `resume` nor `overwrite` is meant for, there
            is no room for the checkpoints, a step needs more memory than a GPU has, or the loss is no longer a number.
    """
    training = recipe.training
    patch = training.patch or recipe.grid
    network = find_network(training.network, name)
    mistakes = check_settings(recipe, network, patch, name)
    meaning = resolve(recipe, library).meaning
    require("lightning.pytorch")
    require("monai.losses")
    place, unfit = find_place(recipe)
    if mistakes or unfit:
        raise FdifError(*mistakes, *unfit)

    module = make_learner(recipe, network, meaning)
    facts = facts_of(recipe, network, module.objective.tasks, library, place.world)

    def check() -> None:
        check_folder(directory, resume, overwrite)
        if resume:
            check_same(directory, facts, recipe)
            read(directory / LAST)
        check_disk(directory, module, recipe.monitor.keep)

    with hold(directory, check) if is_first() else nullcontext():
        if is_first():
            if not resume:
                clear(directory)
            write_recipe(directory / RECIPE, recipe, name)
            write_about(directory, name, {"library": library.hash, "processes": place.world})
            if on_start is not None:
                on_start()
        return _train(library, recipe, directory, name, module, place, facts, directory / LAST if resume else None,
                      report, announce, on_interrupt)


def _train(library: Library, recipe: Recipe, directory: Path, name: str, module: Any, place: Place,
           facts: dict[str, Any], checkpoint: Path | None, report: Report | None, announce: Announce | None,
           on_interrupt: Callable[[], None] | None) -> Run | None:
    """The run itself, in a folder that is ready for it; from `checkpoint` on, where there is one."""
    from fdif_dsl.runtime.streams import open_stream
    from fdif_dsl.runtime.training.checkpoints import Checkpoints, WholeFiles
    from fdif_dsl.runtime.training.interrupt import Stop, stop_on_interrupt
    from fdif_dsl.runtime.training.loader import Batches, loader
    from fdif_dsl.runtime.training.log import Log, speed
    from fdif_dsl.runtime.training.monitoring import Watch
    from fdif_dsl.runtime.training.trainer import fit, make_trainer

    training = recipe.training
    done = read(checkpoint) if checkpoint is not None else 0
    stop = Stop(on_interrupt)
    log = Log(directory, training.steps, report)
    watch = Watch(directory, library, recipe, log, Checkpoints(directory, facts, recipe.monitor.keep), stop, announce)
    with quiet(), stop_on_interrupt(stop):
        trainer = make_trainer(
            training, place, [log, watch], accumulate_grad_batches=training.accumulate, plugins=[WholeFiles()],
            logger=_loggers(directory, recipe, name, done))
        on_gpu = training.volumes == "gpu"
        stream = open_stream(library, recipe, training.seed, f"cuda:{trainer.local_rank}" if on_gpu else None)
        batches = Batches(stream, training.batch, done * training.accumulate, trainer.global_rank, trainer.world_size)
        fit(trainer, module, loader(batches, 0 if on_gpu else training.workers), stop,
            "a smaller train.batch, train.crops or train.patch needs less, and so does train.recompute=true; "
            "`fdifc list networks` estimates it", ckpt_path=checkpoint, weights_only=True)
    if not is_first():
        return None
    scores = watch.history[-1][1] if watch.history else []
    losses = [row.loss for row in log.rows]
    run = Run(len(log.rows), fall(losses), round(sum(row.seconds for row in log.rows), 2),
              sum(p.numel() for p in module.network.parameters()), speed(log.rows), scores, watch.best, stop.wanted)
    draw_loss(losses, directory / LOSS_CURVE, f"Pre-training on the recipe {name}")
    if watch.history:
        draw_scores(watch.history, directory / SCORE_CURVE, f"Held-out volumes of the recipe {name}",
                    MEASURES[training.task])
    write_json(directory / SUMMARY, _summary(run, facts))
    return run


def make_learner(recipe: Recipe, row: Network, meaning: Meaning) -> Any:
    """The network of a recipe with its objective; the same seed makes the same weights."""
    import torch

    from fdif_dsl.runtime.training.heads import Classifier
    from fdif_dsl.runtime.training.learner import Learner
    from fdif_dsl.runtime.training.objectives import objective_of

    training = recipe.training
    patch = training.patch or recipe.grid
    torch.manual_seed(training.seed % 2**63)
    blocks = row.blocks if training.recompute else ()
    objective = objective_of(recipe, meaning)
    if training.task == "classification":
        network = Classifier(row.build(training.features, 1, patch), row, objective.channels, patch)
        return Learner(network, objective, recipe, [f"network.{block}" for block in blocks])
    return Learner(row.build(training.features, objective.channels, patch), objective, recipe, blocks)


def _summary(run: Run, facts: dict[str, Any]) -> dict[str, Any]:
    """A run as JSON, which has no NaN."""
    return {
        "steps": run.steps, "interrupted": run.interrupted, "seconds": run.seconds, "parameters": run.parameters,
        "loss": asdict(run.loss) | {"fall_percent": round(run.loss.percent, 2)},
        "volumes_per_second": round(run.speed.volumes_per_second, 3), "waited_for_data": round(run.speed.waited, 4),
        "best": {"step": run.best[0], "mean": run.best[1]} if run.best[0] else None,
        "validation": {score.task: {"mean": None if score.mean != score.mean else score.mean,
                                    "above_half": score.above_half,
                                    "classes": {name: None if value != value else value for name, value in
                                                zip(score.classes, score.values, strict=True)}}
                       for score in run.scores},
        **{key: facts[key] for key in ("network", "library", "seed", "processes", "fdif_dsl")},
    }


def _loggers(directory: Path, recipe: Recipe, name: str, done: int) -> Any:
    """TensorBoard where it is installed, and Weights & Biases where the recipe asks for it."""
    loggers: list[Any] = []
    if find_spec("tensorboard") is not None:
        from lightning.pytorch.loggers import TensorBoardLogger

        # What an interrupted run logged behind its checkpoint is logged anew.
        loggers.append(TensorBoardLogger(directory, name="", version="tensorboard",
                                         purge_step=done + 1 if done else None))
    if recipe.monitor.wandb is not None:
        from lightning.pytorch.loggers import WandbLogger

        loggers.append(WandbLogger(project=recipe.monitor.wandb, name=name, save_dir=directory,
                                   config=recipe.to_dict()))
    return loggers or False
