"""What may stand in a recipe of fine-tuning: the rule of each key of each section."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fdif_dsl.runtime.settings import checks
from fdif_dsl.runtime.settings.checks import Rule, Wrong
from fdif_dsl.runtime.settings.form import Form
from fdif_dsl.runtime.settings.training import rules

AUTO = "auto"
AXES = "xyz"
ENDS = ("RL", "AP", "SI")


def _path(value: Any) -> str:
    return checks.text(str(value) if isinstance(value, Path) else value)


def _spacing(value: Any) -> str | tuple[float, float, float]:
    if isinstance(value, str):
        return str(checks.one_of("median", "keep")(value))
    return checks.spacing(value, 'write [z, y, x] in mm, or "median", or "keep"')


def _orientation(value: Any) -> str:
    letters = checks.text(value).upper()
    if len(letters) != 3 or any(letter not in ends for letter, ends in zip(letters, ENDS, strict=True)):
        raise Wrong(f"`{value}` is no orientation", "it says where x, y and z point: x to the right or left, y to the "
                    "front (A) or back (P), z to the head (S) or feet (I)", 'write three letters, like "RAS" or "LPS"')
    return letters


def _features(value: Any) -> str | int:
    return AUTO if value == AUTO else int(checks.whole(1, 4096)(value))


def _patch(value: Any) -> str | tuple[int, int, int]:
    return AUTO if value == AUTO else checks.sides(value)


def _axes(value: Any) -> str:
    if value == AUTO:
        return AUTO
    if not isinstance(value, str) or set(value) - set(AXES) or len(set(value)) < len(value):
        raise Wrong(f"`{value}` names no axes", "patches are mirrored along x, y and z, or some of them",
                    f'write "{AUTO}", or letters, like "xz"; "" for none')
    return "".join(sorted(value))


def _steps(value: Any) -> tuple[int, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise Wrong("the steps are a list of whole numbers", hint="write them like [50, 100, 200]; [] for none")
    return tuple(sorted({int(checks.whole(1, 10**9)(v)) for v in value}))


def _seeds(value: Any) -> tuple[int, ...]:
    rule = checks.whole(0, 2**63 - 1)
    if isinstance(value, int) and not isinstance(value, bool):
        return (int(rule(value)),)
    if isinstance(value, str) or not isinstance(value, Sequence) or not value:
        raise Wrong("the seeds are a list of whole numbers", hint="write them like [1, 2, 3]")
    seeds = tuple(int(rule(v)) for v in value)
    if len(set(seeds)) < len(seeds):
        raise Wrong("a seed stands twice in the list", "its two runs would be the same", "name it once")
    return seeds


RULES: dict[str, dict[str, Rule]] = {
    "data": {
        "path": _path,
        "validation": checks.one_of(AUTO, "list", "fold"),
        "folds": checks.whole(1, 1000),
        "fold": checks.whole(0, 999),
        "ensemble": checks.truth,
        "cases": checks.whole(0, 10**6),
        "spacing": _spacing,
        "renumber": checks.truth,
        "orientation": _orientation,
        "normalise": checks.one_of(AUTO, "clipped", "zscore", "ct", "unit", "keep"),
        "memory": checks.real(0, 10**6),
    },
    "train": rules(
        "weights network features patch batch steps optimizer lr weight_decay schedule warmup body_lr freeze clip "
        "precision accelerator workers seeds", {
            "weights": _path,
            "features": _features,
            "patch": _patch,
            "body_lr": checks.CHANCE,
            "freeze": checks.whole(0, 10**9),
            "seeds": _seeds,
        }),
    "augment": {
        "flip": checks.CHANCE,
        "axes": _axes,
        "rotate": checks.CHANCE,
        "degrees": checks.real(0, 180),
        "zoom": checks.CHANCE,
        "zoom_by": checks.real(0, 0.9),
        "noise": checks.CHANCE,
        "noise_by": checks.real(0, 10),
        "contrast": checks.CHANCE,
        "contrast_by": checks.real(0, 0.9),
        "shift": checks.CHANCE,
        "shift_by": checks.real(0, 10),
    },
    "validate": {
        "overlap": checks.real(0, 0.9),
        "at": _steps,
        "distance": checks.truth,
        "predictions": checks.truth,
    },
}

FORM = Form(RULES, home="fdif_dsl.runtime.finetuning", first="small")
"""`small` gives every key: what another recipe leaves out is as there."""
