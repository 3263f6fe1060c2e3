"""The formula that was fitted, as a file of the language that a person reads."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from fdif_dsl.grammar.format import format_source
from fdif_dsl.runtime.fitting.distribution import Distribution
from fdif_dsl.runtime.fitting.layout import Column, Rows

WIDTH = 116
_PLACES = ("tilt", "size", "place")  # these are of the pose, and not of the template


def formula_text(name: str, template: str, module: str, about: Sequence[str], rows: Rows, spread: Distribution,
                 base: np.ndarray, mirrored: float) -> str:
    """The text. `module` has the template, `about` are lines on where it comes from, `base` is how most masks lie and
    `mirrored` which share of them is mirrored."""
    count = len(spread.modes)
    prefix = re.sub(r"[^A-Za-z0-9]", "_", name)
    tables, lines = [], []
    if count:
        lines += ["  ## How much of each mode of variation.", f"  mode[i < {count}] ~ clamp(normal(0, 1), -2.5, 2.5)"]
    for column in rows.columns:
        if column.doc:
            lines.append(f"  ## {column.doc.splitlines()[0]}")
        of = slice(column.start, column.stop)
        if column.steps:
            lines.append(_choice(column, rows.numbers[:, of]))
        elif column.length is None:
            lines.append(_single(column, spread, of))
        else:
            table = f"{column.name}_of_{prefix}"
            tables.append(_table(table, column, spread, of))
            lines.append(_array(column, table, spread, of))
    if mirrored:
        times = round(1 / min(mirrored, 1 - mirrored))
        few, many = ("-1", "1") if mirrored <= 0.5 else ("1", "-1")
        lines += ["  ## -1 where it is mirrored, as the organ of the other side is.",
                  f"  side ~ choice({', '.join([few, *[many] * min(times - 1, 9)])})"]
    point = "p"
    if mirrored:
        lines.append("  own = vec3(side, 1, 1) * p")
        point = "own"
    if any(c.name == "place" for c in rows.columns):
        point += " - place"
    turn = "quat_mul(normalize(vec4(tilt, 1)), " + f"vec4({', '.join(_number(v) for v in base)}))"
    sized = any(c.name == "size" for c in rows.columns)
    given = ", ".join(f"{c.name} = {c.name}" for c in rows.columns if c.name not in _PLACES)
    lines += [f"  body = {template}({given})", f"  facing = {turn}"]
    placed = f"quat_rotate({point}, facing)"
    lines.append(f"  distance = size * body({placed} / size)" if sized else f"  distance = body({placed})")
    head = "".join(f"## {line}\n" for line in about)
    modules = dict.fromkeys([module, "std"])
    text = "".join(f"use {m}\n" for m in modules) + "\n" + "".join(f"{t}\n\n" for t in tables)
    text += f"{head}shape {name} {{\n" + "\n".join(lines) + "\n}\n"
    return format_source(text)


def _table(table: str, column: Column, spread: Distribution, of: slice) -> str:
    """A constant with the mean, the rest and the modes of an array, one after the other."""
    rows = [spread.mean[of], spread.rest[of], *spread.modes[:, of]]
    told = [", ".join(_values(row, column)) for row in rows]
    modes = ", and what it does in each mode" if len(spread.modes) else ""
    return (f"# The mean of `{column.name}`, what each value varies alone{modes}.\n"
            f"const {table} = [" + ",\n".join(told) + "]")


def _array(column: Column, table: str, spread: Distribution, of: slice) -> str:
    n = column.length
    low, high = _ends(spread, of)
    middle = f"{table}[i]"
    if len(spread.modes):
        middle += f" + sum[k < {len(spread.modes)}](mode[k] * {table}[{n} * (k + 2) + i])"
    return f"  {column.name}[i < {n}] ~ " + _wrapped(column, f"{middle}, {table}[i + {n}]", low, high)


def _single(column: Column, spread: Distribution, of: slice) -> str:
    low, high = _ends(spread, of)
    (mean,), (rest,) = _values(spread.mean[of], column), _values(spread.rest[of], column)
    parts = [mean, *(f"mode[{k}] * {_values(mode[of], column)[0]}" for k, mode in enumerate(spread.modes))]
    text = f"  {column.name} ~ " + _wrapped(column, f"{' + '.join(parts)}, {rest}", low, high)
    if len(text) > WIDTH:
        cut = text.rfind(" + mode", 0, WIDTH) if " + mode" in text[:WIDTH] else text.rfind(", ", 0, WIDTH) + 1
        text = f"{text[:cut]}\n  {text[cut:].lstrip()}"
    return text


def _wrapped(column: Column, inner: str, low: str, high: str) -> str:
    drawn = f"normal({inner})"
    if column.normal:
        return f"normalize({drawn})"
    return (f"{column.unit} * " if column.unit else "") + f"clamp({drawn}, {low}, {high})"


def _choice(column: Column, numbers: np.ndarray) -> str:
    """What takes few values only: those that were seen."""
    seen = ", ".join(_number(v) for v in np.sort(numbers[:, 0])) if numbers.shape[1] == 1 else ", ".join(
        _number(v) for v in np.unique(numbers))
    binder = "" if column.length is None else f"[i < {column.length}]"
    unit = f"{column.unit} * " if column.unit else ""
    if seen.count(",") == 0:
        seen = f"{seen}, {seen}"
    return f"  {column.name}{binder} ~ {unit}choice({seen})"


def _ends(spread: Distribution, of: slice) -> tuple[str, str]:
    """The ends of a quantity: one number for all of its numbers, the widest."""
    return _number(spread.low[of].min()), _number(spread.high[of].max())


def _values(numbers: np.ndarray, column: Column) -> list[str]:
    """Numbers as values of the language."""
    if column.width == 1:
        return [_number(v) for v in numbers]
    return [f"vec{column.width}({', '.join(map(_number, value))})" for value in numbers.reshape(-1, column.width)]


def _number(value: float) -> str:
    """A number with three digits."""
    text = f"{value:.3g}"
    text = f"{float(text):.6f}".rstrip("0").rstrip(".") if abs(value) < 1e5 else text
    return "0" if text == "-0" else text
