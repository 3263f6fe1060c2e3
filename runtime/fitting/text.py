"""The formula that was fitted, as a file of the language that a person reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from fdif_dsl.grammar.format import format_source
from fdif_dsl.runtime.fitting.distribution import Distribution
from fdif_dsl.runtime.fitting.layout import Column, Rows

WIDTH = 116
_PLACES = ("tilt", "size", "place")  # these are of the pose, and not of the template


def formula_text(name: str, template: str, module: str, about: Sequence[str], rows: Rows, spread: Distribution,
                 bases: Mapping[str, np.ndarray], mirrored: float = 0.0) -> str:
    """The text. `module` has the template, `about` are lines on where it comes from, `bases` is how most masks lie, for
    each part of a group or, where there is none, for the part that has no name; `mirrored` is which share of the masks
    is mirrored."""
    count = len(spread.modes)
    tables, lines = [], []
    if count:
        lines += ["  ## How much of each mode of variation.", f"  mode[i < {count}] ~ clamp(normal(0, 1), -2.5, 2.5)"]
    for column in rows.columns:
        if column.doc:
            told = column.doc.splitlines()[0]
            lines.append(f"  ## {told}" if not column.part else f"  ## Part {column.part}: {told[0].lower()}{told[1:]}")
        of = slice(column.start, column.stop)
        if column.steps:
            lines.append(_choice(column, rows.numbers[:, of]))
        elif column.length is None:
            lines.append(_single(column, spread, of))
        else:
            table = f"{column.name}_of_{name}"
            tables.append(_table(table, column, spread, of))
            lines.append(_array(column, table, spread, of))
    if mirrored:
        lines += _side(mirrored)
    for part, base in bases.items():
        lines += _part(template, part, [c for c in rows.columns if c.part == part], base, bool(mirrored))
    head = "".join(f"## {line}".rstrip() + "\n" for line in about)
    modules = dict.fromkeys([module, "std"])
    modes = ", and what it does in each mode" if count else ""
    above = f"# Of arrays of quantities: the means, what each value varies alone{modes}.\n" if tables else ""
    text = "".join(f"use {m}\n" for m in modules) + "\n" + above + "".join(f"{t}\n" for t in tables) + "\n"
    if set(bases) == {""}:
        return format_source(f"{text}{head}shape {name} {{\n" + "\n".join(lines) + "\n}\n")
    lines.append(f"  distance = [{', '.join(f'inside_{part}' for part in bases)}][part]")
    text += f"{head}shape {name}(part: int) {{\n" + "\n".join(lines) + "\n}\n"
    return format_source(text + "".join(f"\n## Part {part} of it.\nshape {name}_{part} = {name}({k})\n"
                                        for k, part in enumerate(bases)))


def _side(mirrored: float) -> list[str]:
    """The lines that mirror it as often as masks were."""
    times = round(1 / min(mirrored, 1 - mirrored)) if mirrored < 1 else 0
    few, many = ("-1", "1") if mirrored <= 0.5 else ("1", "-1")
    chances = [few, *[many] * min(times - 1, 9)] if times else ["-1", "-1"]
    return ["  ## -1 where it is mirrored, as the organ of the other side is.",
            f"  side ~ choice({', '.join(chances)})", "  own = vec3(side, 1, 1) * p"]


def _part(template: str, part: str, columns: Sequence[Column], base: np.ndarray, mirrored: bool) -> list[str]:
    """The lines that make a template of its quantities and put it in its place."""
    end = f"_{part}" if part else ""
    names = {c.of: c.name for c in columns}
    given = ", ".join(f"{of} = {name}" for of, name in names.items() if of not in _PLACES)
    point = ("own" if mirrored else "p") + (f" - {names['place']}" if "place" in names else "")
    turn = f"quat_mul(normalize(vec4({names['tilt']}, 1)), vec4({', '.join(_number(v) for v in base)}))"
    placed = f"quat_rotate({point}, facing{end})"
    result = f"body{end}({placed})"
    if "size" in names:
        result = f"{names['size']} * body{end}({placed} / {names['size']})"
    return [f"  body{end} = {template}({given})", f"  facing{end} = {turn}",
            f"  {'inside' + end if part else 'distance'} = {result}"]


def _table(table: str, column: Column, spread: Distribution, of: slice) -> str:
    """A constant with the mean, the rest and the modes of an array, one after the other."""
    rows = [spread.mean[of], spread.rest[of], *spread.modes[:, of]]
    told = [", ".join(_values(row, column)) for row in rows]
    return f"const {table} = [" + ",\n".join(told) + "]"


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
