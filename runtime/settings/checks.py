"""Rules for the values of recipes and scenes: each takes a value as read and returns it in its proper form."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fdif_dsl.compiler.ir.affine import fault
from fdif_dsl.compiler.ir.grid import MAX_SIDE
from fdif_dsl.compiler.ir.parameters import kind_of
from fdif_dsl.grammar.diagnostics import did_you_mean

Rule = Callable[[Any], Any]

VOXELS = 2**31
"""The most voxels of a volume."""


class Wrong(Exception):
    """A value that breaks a rule: what it is, why that does not work, and what to write instead."""

    def __init__(self, title: str, why: str = "", hint: str = "") -> None:
        self.title, self.why, self.hint = title, why, hint
        super().__init__(title)


def text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise Wrong(f"{_shown(value)} where a name is expected", hint='write a name in quotes, like "a"')
    return value


def one_of(*allowed: str) -> Rule:
    """A rule for one of a few words."""

    def rule(value: Any) -> str:
        if value not in allowed:
            hint = did_you_mean(value, allowed) if isinstance(value, str) else ""
            raise Wrong(f"{_shown(value)} is not supported", f"there are {', '.join(f'`{a}`' for a in allowed)}",
                        hint or "write one of these")
        return str(value)

    return rule


def truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Wrong(f"{_shown(value)} where true or false is expected", hint="write true or false")
    return value


def whole(least: int, most: int) -> Rule:
    """A rule for a whole number from `least` to `most`."""

    def rule(value: Any) -> int:
        hint = f"write a whole number from {least} to {most}"
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            raise Wrong(f"{_shown(value)} where a whole number is expected", hint=hint)
        if not least <= value <= most:
            raise Wrong(f"{_shown(value)} is out of range", hint=hint)
        return int(value)

    return rule


def real(least: float, most: float, *, open_end: bool = False) -> Rule:
    """A rule for a number from `least` to `most`, which an open end leaves out."""

    def rule(value: Any) -> float:
        hint = f"write a number from {least:g} to {'below ' if open_end else ''}{most:g}"
        if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
            raise Wrong(f"{_shown(value)} where a number is expected", hint=hint)
        if not least <= value <= most or (open_end and value == most):
            raise Wrong(f"{_shown(value)} is out of range", hint=hint)
        return float(value)

    return rule


CHANCE: Rule = real(0, 1)


def between(rule: Rule, example: str) -> Rule:
    """A rule for two numbers of a kind, the smaller first; one number is both."""

    def pair(value: Any) -> tuple[Any, Any]:
        if not isinstance(value, list | tuple):
            number = rule(value)
            return number, number
        if len(value) != 2:
            raise Wrong(f"a list of {len(value)} where a number or [least, most] is expected",
                        hint=f"write one number, or two like {example}")
        least, most = (rule(v) for v in value)
        if least > most:
            raise Wrong(f"[{least}, {most}] is no range", hint=f"write the smaller number first: [{most}, {least}]")
        return least, most

    return pair


def sides(value: Any) -> tuple[int, int, int]:
    """The shape (D, H, W) of a volume."""
    hint = "write the voxels along z, y and x, for example [96, 96, 96]"
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise Wrong(f"{_shown(value)} where three whole numbers are expected", hint=hint)
    if len(value) != 3 or any(isinstance(v, bool) or not isinstance(v, int | np.integer) for v in value):
        raise Wrong(f"{_shown(list(value))} where three whole numbers are expected", hint=hint)
    if not all(1 <= v <= MAX_SIDE for v in value):
        raise Wrong(f"{_shown(list(value))} is no possible volume", f"each side has 1 to {MAX_SIDE} voxels", hint)
    if math.prod(value) > VOXELS:
        raise Wrong(f"{_shown(list(value))} is too large", f"a volume has at most {VOXELS} voxels", hint)
    d, h, w = (int(v) for v in value)
    return d, h, w


def names(value: Any) -> tuple[str, ...]:
    """A list of different names."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise Wrong(f"{_shown(value)} where a list of names is expected", hint='write it like ["a", "b"]')
    for name in value:
        text(name)
        if list(value).count(name) > 1:
            raise Wrong(f"`{name}` stands twice in the list", "all entries have the same chance", "name it once")
    return tuple(value)


def affine(value: Any) -> np.ndarray:
    """A 4 x 4 matrix from object to world coordinates that can be inverted, float64."""
    hint = "write four rows of four numbers, the last row 0, 0, 0, 1"
    rows = value.tolist() if hasattr(value, "tolist") else value
    if not (_is_list(rows, 4) and all(_is_list(r, 4) for r in rows) and all(_is_number(v) for r in rows for v in r)):
        raise Wrong(f"{_shown(rows)} where a 4 x 4 matrix is expected", hint=hint)
    matrix = np.array(rows, np.float64)
    wrong = fault(matrix)
    if wrong == "unknown":
        raise Wrong("the matrix holds an infinity or NaN", hint=hint)
    if wrong == "perspective":
        raise Wrong("the last row of the matrix is not 0, 0, 0, 1", "it maps points, without perspective", hint)
    if wrong == "singular":
        raise Wrong("the matrix cannot be inverted", "it flattens space, and a distance is measured in the object's own"
                    " coordinates", "make its first three columns independent")
    return matrix


def _is_list(value: Any, length: int) -> bool:
    return isinstance(value, list | tuple) and len(value) == length


def _is_number(value: Any) -> bool:
    return isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63)


def _shown(value: Any, depth: int = 2) -> str:
    """A value in a message: itself where it is short, else what it is."""
    if isinstance(value, str):
        return f"`{value}`" if 0 < len(value) <= 40 else "a long text" if value else "an empty text"
    if isinstance(value, bool) or value is None or isinstance(value, dict):
        return kind_of(value)
    if isinstance(value, int) and abs(value) >= 10**18:
        return "a huge number"
    if isinstance(value, list | tuple):
        inner = "[" + ", ".join(_shown(v, depth - 1) if depth else "..." for v in value[:6]) + "]"
        return inner if len(value) <= 6 and len(inner) <= 60 else f"a list of {len(value)}"
    return str(value) if isinstance(value, int | float) else kind_of(value)


def spacing(value: Any, hint: str) -> tuple[float, float, float]:
    """Sizes of voxels (z, y, x), in mm."""
    if isinstance(value, str) or not isinstance(value, Sequence) or len(value) != 3:
        raise Wrong("the spacing is three numbers", hint=hint)
    z, y, x = (float(real(1e-6, 1e6)(v)) for v in value)
    return z, y, x


def text_or_none(value: Any) -> str | None:
    """A text; "none", and None, are none."""
    return None if value is None or value == "none" else str(text(value))
