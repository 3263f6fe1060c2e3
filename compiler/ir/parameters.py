"""From the values that a user gives by name to the slots of a formula."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np

from fdif_dsl.compiler.ir.formula import Formula, Quantity
from fdif_dsl.compiler.ir.graph import REDUCTION, reachable
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError, did_you_mean


def bind(formula: Formula, params: Mapping[str, Any], where: str = "params") -> dict[int, Any]:
    """The slots that `params` gives, by number.

    `params` may name any quantity of the class, random or derived; a value is a number, or a nested
    list, NumPy array or torch tensor with one row for each element. Numbers come back as `float`,
    elements of a tensor as tensors without dimensions, so that gradients flow to it. NaN and infinities
    are numbers. The integers that define the class may be given, and must be what they are.

    Raises `FdifError` with one diagnostic for each mistake; `where` is the place of `params` in the
    user's terms, such as `scene.json: objects[3].params`.
    """
    if type(params) is not dict and not isinstance(params, Mapping):
        raise FdifError(Diagnostic("E0401", f"parameters are {kind_of(params)}, not a table of names and values",
                                   where=where, hint='write them as {"radius": 10.0}'))
    quantities = formula.named
    mistakes: list[Diagnostic] = []
    slots: dict[int, Any] = {}
    for name, value in params.items():
        quantity = quantities.get(name)
        if quantity is not None:
            if type(value) is float and quantity.width == 1 and quantity.length is None:
                slots[quantity.slots.start] = value
                continue
            numbers = _plain_numbers(quantity, value)
            if numbers is None:
                numbers = _Reader(quantity, mistakes).quantity(value, f"{where}.{name}")
            slots.update(zip(quantity.slots, numbers, strict=False))
        elif name in formula.integers:
            if type(value) is not int or value != formula.integers[name]:
                mistakes += _other_integer(formula, name, value, f"{where}.{name}")
        else:
            mistakes.append(_unknown(formula, name, f"{where}.{name}"))
    if mistakes:
        raise FdifError(*mistakes)
    return slots


def missing_quantities(formula: Formula, missing: Iterable[Quantity], where: str = "", *,
                       named: bool = False) -> FdifError:
    """The error for random quantities that a formula needs and nobody gave; `named` is where a scene gives parameters
    together with the formula's name."""
    lacking = list(missing)
    what = "parameter" if len(lacking) == 1 else "parameters"
    given = f'"{lacking[0].name}": {_example(lacking[0])}'
    form = f'{{"name": "{formula.name}", "params": {{{given}}}}}' if named else f"params={{{given}}}"
    return FdifError(Diagnostic(
        "E0402", f"{what} of `{formula.name}` missing: {', '.join(f'`{q.name}` ({q.type})' for q in lacking)}",
        where=where, why="a random parameter has no value until somebody gives or draws one",
        hint=f"give a value, for example {form}"))


def missing_grid(formula: Formula) -> FdifError:
    """The error for a formula that reads the sampling grid when there is none."""
    scanned = [q.name for q in formula.quantities if any(n.op == REDUCTION for n in reachable(q.definition))]
    instead = f", or a value for {' and '.join(f'`{name}`' for name in scanned)}" if scanned else ""
    return FdifError(Diagnostic(
        "E0403", f"`{formula.name}` needs the sampling grid",
        why="its formula reads the size of the grid, or the deepest value on it",
        hint=f"give the grid, for example grid=(96, 96, 96){instead}"))


def kind_of(value: Any) -> str:
    """What to call a value in a message."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool | np.bool_):
        return "a truth value"
    if isinstance(value, str | bytes):
        return "text"
    if isinstance(value, int | float | np.integer | np.floating):
        return "a number"
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, Sequence):
        return "a list"
    return f"a value of the type {type(value).__name__}"


def _plain_numbers(quantity: Quantity, value: Any) -> Sequence[float] | None:
    """A quantity's numbers, slot by slot, where they are floats in lists, as in a scene; None for everything
    else, which takes a closer look."""
    if type(value) is not list or len(quantity.slots) == 1:
        return None
    numbers = value
    if quantity.length is not None and quantity.width > 1:
        if {*map(type, value)} != {list} or {*map(len, value)} != {quantity.width}:
            return None
        numbers = list(chain.from_iterable(value))
    return numbers if len(numbers) == len(quantity.slots) and {*map(type, numbers)} == {float} else None


class _Reader:
    """Reads one quantity's value, and notes the first mistake in it."""

    def __init__(self, quantity: Quantity, mistakes: list[Diagnostic]) -> None:
        self.wanted = quantity
        self.mistakes = mistakes

    def quantity(self, value: Any, where: str) -> list[Any]:
        """Its numbers, slot by slot; empty or short after a mistake."""
        try:
            if self.wanted.length is None:
                return self.element(value, where)
            return [v for i, part in enumerate(self.parts(value, self.wanted.length, "value", where))
                    for v in self.element(part, f"{where}[{i}]")]
        except _Wrong as wrong:
            self.mistakes.append(wrong.diagnostic)
            return []

    def element(self, value: Any, where: str) -> list[Any]:
        if self.wanted.width == 1:
            return [self.number(value, where)]
        parts = self.parts(value, self.wanted.width, "number", where)
        return [self.number(v, f"{where}[{i}]") for i, v in enumerate(parts)]

    def parts(self, value: Any, count: int, what: str, where: str) -> list[Any]:
        if _is_array(value):
            if value.ndim == 0:
                raise self.wrong("a number", where, f"a list of {count}")
        elif isinstance(value, str | bytes) or not isinstance(value, Sequence):
            raise self.wrong(kind_of(value), where, f"a list of {count}")
        if len(value) != count:
            many = what if len(value) == 1 else f"{what}s"
            raise self.wrong(f"a list of {len(value)} {many}", where, f"a list of {count}")
        return [value[i] for i in range(count)]

    def number(self, value: Any, where: str) -> Any:
        if _is_array(value):
            if value.ndim:
                raise self.wrong(f"a list of {len(value)}", where, "a number")
            if is_tensor(value):
                if value.dtype.is_complex or str(value.dtype) == "torch.bool":
                    raise self.wrong(f"a tensor of {value.dtype}", where, "a number")
                return value
            value = value[()]
        if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
            raise self.wrong(kind_of(value), where, "a number")
        try:
            return float(value)
        except OverflowError:
            raise self.wrong("a number beyond the range of float64", where, "a smaller one") from None

    def wrong(self, found: str, where: str, expected: str) -> _Wrong:
        q = self.wanted
        return _Wrong(Diagnostic(
            "E0404", f"{found} where {expected} is expected", where=where,
            why=f"`{q.name}` is of the type {q.type}", hint=f"write it like {_example(q)}"))


class _Wrong(Exception):
    def __init__(self, diagnostic: Diagnostic) -> None:
        self.diagnostic = diagnostic


def is_tensor(value: Any) -> bool:
    """Whether a value is a torch tensor; torch is not imported to find out."""
    torch = sys.modules.get("torch")  # where torch was never imported, nothing is a tensor
    return torch is not None and isinstance(value, torch.Tensor)


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray) or is_tensor(value)


def _other_integer(formula: Formula, name: str, value: Any, where: str) -> list[Diagnostic]:
    fixed = formula.integers[name]
    if _is_array(value) and value.ndim == 0:
        value = value.item()
    if not isinstance(value, bool) and isinstance(value, int | float | np.integer | np.floating) and value == fixed:
        return []
    return [Diagnostic(
        "E0405", f"`{name}` is {fixed} in `{formula.name}` and cannot be changed", where=where,
        why="an integer parameter is part of the class, as its formula is unrolled for it",
        hint=f"leave it out, write {fixed}, or use another class")]


def _unknown(formula: Formula, name: Any, where: str) -> Diagnostic:
    names = [q.name for q in formula.quantities] + list(formula.integers)
    hint = did_you_mean(name, names) if isinstance(name, str) else "names are text"
    why = f"it has {', '.join(f'`{n}`' for n in names)}" if names else "it has no parameters"
    return Diagnostic("E0406", f"`{formula.name}` has no parameter `{name}`", where=where, why=why, hint=hint)


def _example(quantity: Quantity) -> str:
    """A value of the quantity's type, as one would write it."""
    element = "10.0" if quantity.width == 1 else f"[{', '.join(['10.0'] * quantity.width)}]"
    if quantity.length is None:
        return element
    shown = [element] * min(quantity.length, 2) + (["..."] if quantity.length > 2 else [])
    return f"[{', '.join(shown)}]" + (f" ({quantity.length} of them)" if quantity.length > 2 else "")
