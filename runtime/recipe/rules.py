"""What may stand in a recipe: the rule of each key of each section."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fdif_dsl.compiler.frontend.built_in import STANDARD, is_library, libraries
from fdif_dsl.compiler.ir.grid import MAX_SIDE
from fdif_dsl.grammar.diagnostics import did_you_mean
from fdif_dsl.runtime.recipe.meaning import MEANINGS
from fdif_dsl.runtime.settings import checks
from fdif_dsl.runtime.settings.checks import Rule, Wrong
from fdif_dsl.runtime.settings.form import Form
from fdif_dsl.runtime.settings.training import rules

TARGETS = ("object", "middle", "distance")
"""What the task `structure` learns of every voxel."""
OBJECTS = 10_000
"""The most objects of a volume."""
TRIES = 1000
"""The most places that are tried for an object."""
INSIDE = "inside"
"""The word for objects that lie anywhere inside the grid, wholly."""


def _objects(value: Any) -> int | tuple[int, int]:
    count = checks.whole(0, OBJECTS)
    least, most = checks.between(count, "[1, 20]")(value)
    return (least, most) if isinstance(value, list | tuple) else least


def _shapes(value: Any) -> tuple[str, ...] | None:
    if value is None or value == "all":
        return None
    return _some("shape")(value)


def _displacements(value: Any) -> tuple[str | None, ...]:
    if isinstance(value, list | tuple):
        value = ["none" if v is None else v for v in value]
    return tuple(None if v == "none" else v for v in checks.names(value))


def _some(what: str) -> Callable[[Any], tuple[str, ...]]:
    def rule(value: Any) -> tuple[str, ...]:
        found = checks.names(value)
        if not found:
            raise Wrong("the list is empty", f"each object needs a {what}", "leave it out to keep the paper's choice")
        return found

    return rule


def _translate(value: Any) -> float | str:
    if isinstance(value, str) and value != INSIDE:
        raise Wrong(f"`{value}` says nothing about places", hint=f'write a number from 0 to 10, or "{INSIDE}"')
    return INSIDE if value == INSIDE else float(checks.real(0, 10)(value))


def _libraries(value: Any) -> tuple[str, ...]:
    found = checks.names([value] if isinstance(value, str) else value)
    if not found:
        raise Wrong("the list is empty", hint=f'write the names of libraries, like ["{STANDARD}"]')
    for name in found:
        if not is_library(name):
            raise Wrong(f"no built-in library is called `{name}`",
                        f"there are {', '.join(f'`{known}`' for known in libraries())}",
                        did_you_mean(name, libraries()) or "a file of your own is named with --library")
    return found


def _groups(value: Any) -> tuple[tuple[str, ...], ...]:
    form = 'write lists of classes, like [["ventricle", "muscle"]]'
    if not isinstance(value, list | tuple):
        raise Wrong("groups are no list", hint=form)
    found = tuple(tuple(checks.names(group)) for group in value)
    if any(len(group) < 2 for group in found):
        raise Wrong("a group has fewer than two classes", "it is several that come together", form)
    every = [name for group in found for name in group]
    twice = next((name for name in every if every.count(name) > 1), None)
    if twice is not None:
        raise Wrong(f"`{twice}` is in two groups", "a class comes with one", "leave it out of one of them")
    return found


def _patch(value: Any) -> tuple[int, int, int] | None:
    return None if value is None or value == "grid" else checks.sides(value)


def _spacing(value: Any) -> str | tuple[float, float, float]:
    return "keep" if value == "keep" else checks.spacing(value, 'write [z, y, x] in mm, or "keep"')


def _targets(value: Any) -> tuple[str, ...]:
    found = tuple(checks.names(value))
    rule = checks.one_of(*TARGETS)
    if not found:
        raise Wrong("the list is empty", "there would be nothing to learn", f"write some of {', '.join(TARGETS)}")
    if len(set(found)) < len(found):
        raise Wrong("a target stands twice in the list", hint="name it once")
    return tuple(str(rule(name)) for name in found)


RULES: dict[str, dict[str, Rule]] = {
    "volume": {
        "grid": checks.sides,
        "objects": _objects,
        "label": checks.one_of(*MEANINGS),
        "images": checks.text_or_none,
        "spacing": _spacing,
    },
    "placement": {
        "translate": _translate,
        "rotation": checks.real(0, 180),
        "shear": checks.real(0, 0.5, open_end=True),
        "grid_scale": checks.real(0.01, 1),
        "overlap": checks.real(0, 1),
        "tries": checks.whole(1, TRIES),
        "order": checks.one_of("drawn", "largest"),
    },
    "classes": {"library": _libraries, "keep_out": checks.names, "shapes": _shapes, "displacements": _displacements,
                "mappers": _some("mapper"), "groups": _groups},
    "scanner": {
        "background": checks.CHANCE,
        "background_level": checks.between(checks.real(0, 128), "[0, 60]"),
        "background_texture": checks.between(checks.real(0, 128), "[0, 20]"),
        "background_size": checks.between(checks.real(2, MAX_SIDE), "[8, 32]"),
        "paint": checks.CHANCE,
        "paint_level": checks.between(checks.real(0, 128), "[0, 128]"),
        "paint_opacity": checks.between(checks.real(0, 1), "[0.5, 1]"),
        "invert": checks.CHANCE,
        "blur": checks.CHANCE,
        "blur_sigma": checks.between(checks.real(0, 16), "[0.3, 1.2]"),
        "slices": checks.CHANCE,
        "slices_thickness": checks.between(checks.whole(1, 64), "[2, 5]"),
        "slices_profile": checks.one_of("box", "gaussian", "either"),
        "bias": checks.CHANCE,
        "bias_strength": checks.between(checks.real(0, 3), "[0.1, 0.5]"),
        "gaussian": checks.CHANCE,
        "gaussian_sigma": checks.between(checks.real(0, 128), "[1, 8]"),
        "rician": checks.CHANCE,
        "rician_sigma": checks.between(checks.real(0, 128), "[1, 8]"),
        "gamma": checks.CHANCE,
        "gamma_power": checks.between(checks.real(0.1, 10), "[0.7, 1.4]"),
    },
    "train": rules(
        "task targets reach mask mask_size network features batch crops patch dice optimizer lr weight_decay schedule "
        "steps warmup accumulate clip ema precision compile recompute accelerator devices nodes volumes workers seed", {
            "task": checks.one_of("segmentation", "classification", "structure", "masked"),
            "targets": _targets,
            "reach": checks.whole(1, 64),
            "mask": checks.real(0.01, 0.99),
            "mask_size": checks.whole(1, MAX_SIDE),
            "features": checks.whole(1, 4096),
            "crops": checks.whole(1, 65536),
            "patch": _patch,
            "dice": checks.one_of("all", "present"),
            "accumulate": checks.whole(1, 65536),
            "ema": checks.real(0, 1, open_end=True),
            "compile": checks.truth,
            "recompute": checks.truth,
            "devices": checks.whole(1, 1024),
            "nodes": checks.whole(1, 65536),
            "volumes": checks.one_of("cpu", "gpu"),
            "seed": checks.whole(0, 2**64 - 1),
        }),
    "augment": {
        "normalise": checks.one_of("unit", "zscore"),
        "flip": checks.CHANCE,
        "turn": checks.CHANCE,
        "shift": checks.CHANCE,
        "shift_by": checks.real(0, 10),
    },
    "monitor": {
        "validate": checks.whole(0, 10**9),
        "volumes": checks.whole(1, 10**6),
        "checkpoint": checks.whole(1, 10**9),
        "keep": checks.whole(1, 1000),
        "wandb": checks.text_or_none,
    },
}

FORM = Form(RULES, home="fdif_dsl.runtime.recipe", first="paper")
"""The paper's recipe gives every key: what another recipe leaves out is as in the paper."""
