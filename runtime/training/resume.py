"""Where a run goes on: its checkpoint, and whether the recipe is still the one that made it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fdif_dsl.compiler.support.files import check_directory
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError
from fdif_dsl.runtime.recipe import Recipe
from fdif_dsl.runtime.training.run_folder import BEST, BEST_WEIGHTS, FOLDER, LAST, RECIPE, WEIGHTS

_MAY_CHANGE = {"steps", "accelerator", "workers", "compile", "recompute", "devices", "nodes"}


def check_folder(directory: Path, resume: bool, overwrite: bool) -> None:
    """Changes nothing.

    Raises:
        FdifError: there is nothing to resume, an earlier run that neither `resume` nor `overwrite` is meant for, or a
            folder of something else.
    """
    path = directory / LAST
    if resume and not path.is_file():
        raise FdifError(Diagnostic("E0833", f"there is no run to resume in {directory}", why=f"it has no {LAST}",
                                   hint="leave out --resume to begin one"))
    if path.is_file() and not resume and not overwrite:
        raise FdifError(Diagnostic(
            "E0832", f"{directory} holds an earlier run",
            hint="--resume continues it, --overwrite starts anew in its place, -o names another folder"))
    check_directory(directory, RECIPE)


def clear(directory: Path) -> None:
    """Removes the states and weights of an earlier run."""
    for old in (LAST, BEST, WEIGHTS, BEST_WEIGHTS):
        (directory / old).unlink(missing_ok=True)
    for state in (directory / FOLDER).glob("step-*.ckpt"):
        state.unlink()


def read(checkpoint: Path) -> int:
    """The steps that a checkpoint has behind it.

    Raises:
        FdifError: where the file is none.
    """
    import torch

    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)
        return int(state["global_step"])
    except (RuntimeError, KeyError, EOFError, ValueError, TypeError) as error:
        raise FdifError(Diagnostic("E0834", f"{checkpoint} is no checkpoint of a run", why=str(error).splitlines()[0],
                                   hint="--overwrite starts anew in its place")) from error


def check_same(directory: Path, facts: Mapping[str, Any], recipe: Recipe) -> None:
    """Raises `FdifError` where the run that is to be resumed had another recipe, library or number of processes."""
    import torch

    try:
        before = torch.load(directory / WEIGHTS, map_location="cpu", weights_only=True, mmap=True)
    except (OSError, RuntimeError):
        return  # killed before they were written; Lightning compares the network's tensors
    old, new = before["recipe"], recipe.to_dict()
    changed = [f"{section}.{key} was {old[section].get(key)!r} and is {value!r}"
               for section, table in new.items() if section != "monitor"
               for key, value in table.items()
               if old.get(section, {}).get(key) != value and not (section == "train" and key in _MAY_CHANGE)]
    if before["processes"] != facts["processes"]:
        changed.append(f"it ran in {before['processes']} processes, and now in {facts['processes']}")
    if before["library"] != facts["library"]:
        changed.append("the library has changed since")
    if changed:
        raise FdifError(Diagnostic(
            "E0835", f"the run in {directory} was made differently, so it cannot go on", why="; ".join(changed),
            hint=f"its own recipe is {directory / RECIPE}; another run goes into another folder"))
