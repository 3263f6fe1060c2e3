"""What recipes of every kind of training have in their section [train]: the optimisation, with the rule of each key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.runtime.settings import checks
from fdif_dsl.runtime.settings.checks import Rule, Wrong
from fdif_dsl.runtime.settings.places import complain
from fdif_dsl.runtime.settings.reading import Given

LEFT_OUT: Any = None
"""What a field holds until the value of the first recipe of its kind is put in its place."""

_RULES: dict[str, Rule] = {
    "network": checks.text,
    "batch": checks.whole(1, 65536),
    "steps": checks.whole(1, 10**9),
    "optimizer": checks.one_of("adamw", "sgd"),
    "lr": checks.real(0, 1000),
    "weight_decay": checks.real(0, 1000),
    "schedule": checks.one_of("cosine", "poly", "constant"),
    "warmup": checks.whole(0, 10**9),
    "clip": checks.real(0, 10**9),
    "precision": checks.one_of("16-mixed", "bf16-mixed", "32"),
    "accelerator": checks.one_of("auto", "cpu", "gpu"),
    "workers": checks.whole(0, 1024),
}


def rules(keys: str, own: Mapping[str, Rule]) -> dict[str, Rule]:
    """The rules of a section [train] with these keys, in their order: those of every kind of training, and its own."""
    its = {**_RULES, **own}
    return {key: its[key] for key in keys.split()}


@dataclass(frozen=True, kw_only=True)
class Optimisation:
    """How weights move from step to step, and on what."""

    steps: int = LEFT_OUT
    """Steps of the optimiser."""
    optimizer: str = LEFT_OUT
    """`adamw`, or `sgd` with a Nesterov momentum of 0.99."""
    lr: float = LEFT_OUT
    weight_decay: float = LEFT_OUT
    schedule: str = LEFT_OUT
    """How the learning rate falls to 0: `cosine`, `poly` (power 0.9), or `constant`, which does not fall."""
    warmup: int = LEFT_OUT
    """Steps until the learning rate is `lr`; from there it falls."""
    clip: float = LEFT_OUT
    """The greatest norm of a gradient; 0 does not clip."""
    precision: str = LEFT_OUT
    accelerator: str = LEFT_OUT
    """`gpu`, `cpu`, or `auto`, a GPU where there is one."""


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
