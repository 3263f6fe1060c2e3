"""A run for each start and each seed, whatever is learnt, and the folder that they stand in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from fdif_dsl.compiler.support.files import check_directory
from fdif_dsl.compiler.support.locks import hold
from fdif_dsl.compiler.support.progress import Progress
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError
from fdif_dsl.runtime.finetuning.data.memory import within_memory
from fdif_dsl.runtime.finetuning.preflight import PRETRAINED, SCRATCH, Settled
from fdif_dsl.runtime.finetuning.recipe import FinetuneRecipe
from fdif_dsl.runtime.training.interrupt import Stop, stop_on_interrupt
from fdif_dsl.runtime.training.run_folder import ABOUT, write_about, write_recipe

if TYPE_CHECKING:
    from fdif_dsl.runtime.training.log import Row

RECIPE, SCORES, COMPARISON, LABELS = "finetune.toml", "scores.csv", "comparison.csv", "labels.csv"
FOLD = "fold"
"""How the folders of an ensemble's networks begin, in that of their run."""


@dataclass(frozen=True)
class Hooks:
    """What is called on the way: `examining` as cases are looked at; `on_start` with what is about to happen, once all
    is checked; `on_run` as a run begins (what it starts from, its seed); `report` after each step; `on_scores` after
    each run with what to say of it; `on_interrupt` at the first Ctrl-C; `on_warning` before the start, with what is odd
    about the data."""

    examining: Progress | None = None
    on_start: Callable[[str], None] | None = None
    on_run: Callable[[str, int], None] | None = None
    report: Callable[[Row, int], None] | None = None
    on_scores: Callable[[str], None] | None = None
    on_interrupt: Callable[[], None] | None = None
    on_warning: Callable[[Diagnostic], None] | None = None


NO_HOOKS = Hooks()


class Outcome(Protocol):
    """What a run found. `taken` says what came from the weights, and is empty where there were none."""

    @property
    def taken(self) -> str: ...

    @property
    def trained_on(self) -> tuple[str, ...]: ...

    @property
    def facts(self) -> dict[str, Any]:
        """What else run.json has of it."""
        ...

    def __str__(self) -> str: ...


Found = TypeVar("Found", bound=Outcome)
One = Callable[[int, Path, bool, Stop], Found]
"""A run of a seed in a folder, from scratch where that is true."""


def run_all(recipe: FinetuneRecipe, name: str, settled: Settled, directory: Path, *, compare: bool,
            hooks: Hooks, about: str, facts: Mapping[str, Any], one: One[Found]) -> dict[str, list[Found]]:
    """The outcomes of each start, one for each seed: with the recipe's weights, if it has any, and, to compare, from
    scratch. `about` is said first; `facts` are written down with the outcomes in run.json. Who calls holds the folder,
    see `taking`."""
    _clear(directory)
    if hooks.on_start is not None:
        hooks.on_start(about)
    write_recipe(directory / RECIPE, recipe, name)
    stop = Stop(hooks.on_interrupt)
    found: dict[str, list[Found]] = {}
    with stop_on_interrupt(stop):
        for scratch in (False, True) if compare else (False,):
            start = settled.start(scratch)
            for seed in recipe.train.seeds:
                if hooks.on_run is not None:
                    hooks.on_run(start, seed)
                with within_memory(f"seed {seed} ran", "a smaller train.patch, batch or features needs less"):
                    outcome = one(seed, _run_folder(directory, start, seed), scratch, stop)
                found.setdefault(start, []).append(outcome)
                if hooks.on_scores is not None:
                    hooks.on_scores("; ".join(filter(None, (outcome.taken, str(outcome)))))
    chosen = settled.plan
    write_about(directory, name, {
        "weights": str(settled.pretrained.path) if settled.pretrained else None,
        "network": chosen.row.name, "features": chosen.features, "patch": list(chosen.patch), **facts,
        "runs": {start: {str(seed): {"taken": outcome.taken, "trained_on": list(outcome.trained_on), **outcome.facts}
                         for seed, outcome in zip(recipe.train.seeds, outcomes, strict=True)}
                 for start, outcomes in found.items()}})
    return found


def taking(directory: Path, overwrite: bool) -> AbstractContextManager[None]:
    """Holds the folder of a fine-tuning for a block, see `hold`. Raises `FdifError` where it holds an earlier one that
    is not to be overwritten, or something else, and where another run is writing into it."""
    return hold(directory, lambda: _check(directory, overwrite))


def _check(directory: Path, overwrite: bool) -> None:
    if (directory / RECIPE).is_file() and not overwrite:
        raise FdifError(Diagnostic("E0944", f"{directory} holds an earlier fine-tuning",
                                   hint="--overwrite starts anew in its place, -o names another folder"))
    check_directory(directory, RECIPE)


def _clear(directory: Path) -> None:
    """What an earlier fine-tuning left there goes."""
    for name in (SCORES, COMPARISON, LABELS, ABOUT):
        (directory / name).unlink(missing_ok=True)
    for start in (PRETRAINED, SCRATCH):
        for old in directory.glob(f"{start}-seed-*"):
            rmtree(old)


def _run_folder(directory: Path, start: str, seed: int) -> Path:
    return directory / f"{start}-seed-{seed}"
