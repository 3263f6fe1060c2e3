"""Warm-up steps, which recipes of every kind of training have in their section [train]."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.runtime.settings.checks import Wrong
from fdif_dsl.runtime.settings.places import complain
from fdif_dsl.runtime.settings.reading import Given


def shorten_warmup(given: Given, usual: int) -> None:
    """Lets the warm-up end with the run where the command line made that shorter and does not name the warm-up: the
    recipe was made for long runs. `usual` is the warm-up of a recipe that does not say."""
    if ("train", "steps") in given.replaced and ("train", "warmup") not in given.replaced:
        train = given.values["train"]
        train["warmup"] = min(train.get("warmup", usual), train["steps"])


def check_warmup(train: Mapping[str, Any]) -> None:
    """Raises `FdifError` where the warm-up is longer than the run."""
    if train["warmup"] > train["steps"]:
        raise FdifError(complain((), "train", "warmup", Wrong(
            f"{train['warmup']} steps of warm-up in a run of {train['steps']} steps",
            hint="make `warmup` smaller or `steps` larger")))
