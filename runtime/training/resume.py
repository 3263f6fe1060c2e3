"""Where a run goes on: its checkpoint, and whether the recipe is still the one that made it."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from fdif_dsl.compiler.support.files import check_directory
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError
from fdif_dsl.runtime.recipe import Recipe, Scanner
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
        FdifError: where the file is none, or is damaged; it names the newest one of the run that is whole.
    """
    try:
        return _steps(checkpoint)
    except _Unfit as unfit:
        hint = "--overwrite starts anew in its place"
        for other in sorted((checkpoint.parent / FOLDER).glob("step-*.ckpt"), reverse=True):
            with suppress(_Unfit, OSError):
                steps = _steps(other)
                hint = (f"{other} is whole, after step {steps}; copy it to {checkpoint}, and --resume goes on from "
                        "there")
                break
        raise FdifError(Diagnostic("E0834", f"{checkpoint} is no checkpoint of a run", why=str(unfit),
                                   hint=hint)) from unfit


class _Unfit(Exception):
    """Why a file cannot be used."""


_STATE = {"global_step": int, "state_dict": dict, "optimizer_states": list, "lr_schedulers": list, "loops": dict,
          "callbacks": dict}
"""What a checkpoint must have to go on from."""


def _steps(checkpoint: Path) -> int:
    """The steps of a checkpoint. Raises `_Unfit` where it is none."""
    state = _load(checkpoint)
    if not isinstance(state, dict) or not all(isinstance(state.get(key), kind) for key, kind in _STATE.items()):
        raise _Unfit("it was written by another program")
    return int(state["global_step"])


def _load(path: Path) -> Any:
    """The values in a file of torch. Nothing in it is executed. Raises `_Unfit` where there are none."""
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what other programs may have written
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError:
        whole = zipfile.is_zipfile(path)
        raise _Unfit("it holds other Python objects than tensors and plain values, and none of them was made" if whole
                     else _CUT) from None
    except Exception:  # a damaged file makes torch stumble anywhere
        raise _Unfit("it is empty" if not path.stat().st_size else _CUT) from None


_CUT = "it is damaged: a part of it is missing, or it never was one"


def check_same(directory: Path, facts: Mapping[str, Any], recipe: Recipe) -> None:
    """Raises `FdifError` where the run that is to be resumed had another recipe, library or number of processes."""
    path = directory / WEIGHTS
    if not path.exists():
        return  # killed before they were written; Lightning compares the network's tensors
    try:
        before = _load(path)
        if not isinstance(before, dict) or not {"recipe", "processes", "library"} <= before.keys():
            raise _Unfit("it was written by another program")
    except _Unfit as unfit:
        raise FdifError(Diagnostic(
            "E0834", f"{path} does not say what the run was", why=str(unfit),
            hint="remove it, and --resume makes it again, but cannot tell whether the recipe is the same")) from None
    # A scanner that does nothing is left out.
    old, new = ({"scanner": Scanner().to_dict()} | its for its in (before["recipe"], recipe.to_dict()))
    if _same_warmup(old["train"], new["train"]):
        new["train"]["warmup"] = old["train"]["warmup"]
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


def _same_warmup(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether two warm-ups are one, which ends with the run where that is shorter: steps may change, and with them a
    warm-up that is made to fit."""
    steps = min(old["steps"], new["steps"])
    return bool(min(old["warmup"], steps) == min(new["warmup"], steps))
