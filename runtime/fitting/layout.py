"""What is fitted as rows of numbers: the quantities of a template and its place, mask by mask, as the text says them.

Lengths are parts of the grid's smallest side, so that the formula grows with the volumes it is drawn in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fdif_dsl.compiler.ir.formula import Quantity
from fdif_dsl.runtime.fitting.one import Fit
from fdif_dsl.runtime.fitting.pose import MIRRORED
from fdif_dsl.runtime.fitting.template import Template


@dataclass(frozen=True)
class Column:
    """One quantity among the numbers of a row: `width` numbers for each of its values, `length` of them (None: one).
    `unit` is what its numbers are parts of, "grid.min" or nothing; `steps` is whether it takes few values only,
    `normal` whether its length is 1. `of` is what the template calls it, or a word for its place, and `part` which part
    of a group it is of, if any."""

    name: str
    doc: str
    width: int
    length: int | None
    start: int
    unit: str = ""
    steps: bool = False
    normal: bool = False
    of: str = ""
    part: str = ""

    @property
    def stop(self) -> int:
        return self.start + self.width * (1 if self.length is None else self.length)


@dataclass(frozen=True)
class Rows:
    """The numbers of all masks (masks, n), their columns, and the ends that the template's priors set."""

    numbers: np.ndarray
    columns: tuple[Column, ...]
    low: np.ndarray
    high: np.ndarray

    def column(self, name: str) -> np.ndarray:
        """The numbers of one column."""
        found = next(c for c in self.columns if c.name == name)
        return self.numbers[:, found.start : found.stop]


def together(parts: Mapping[str, Rows]) -> Rows:
    """The rows of the parts of a group side by side, each quantity called after its part too."""
    columns, first = [], 0
    for part, rows in parts.items():
        columns += [replace(c, name=f"{c.name}_{part}", part=part, start=c.start + first) for c in rows.columns]
        first += rows.numbers.shape[1]
    return Rows(np.concatenate([r.numbers for r in parts.values()], axis=1), tuple(columns),
                np.concatenate([r.low for r in parts.values()]), np.concatenate([r.high for r in parts.values()]))


def _slices(template: Template) -> Iterator[tuple[Quantity, slice]]:
    """The quantities of a template, and where their numbers are."""
    first = 0
    for q in template.quantities:
        yield q, slice(first, first + len(q.slots))
        first += len(q.slots)


def rows_of(template: Template, fits: Sequence[Fit], scaled: bool, middles: np.ndarray | None = None) -> Rows:
    """The rows of a template's fits: its quantities, its tilt, its size where that was fitted, and where `middles`
    (masks, 3) are given, its place from there."""
    n = template.numbers
    part = np.ones(len(n.mean))
    for _, of in _slices(template):
        part[of] = template.side if n.length[of].all() else 1.0
    numbers = [np.stack([f.guess.values for f in fits]) / part]
    low, high = [n.low / part], [n.high / part]
    first = len(n.mean)
    columns = [Column(q.name, q.doc, q.width, q.length, of.start, "grid.min" if n.length[of].all() else "",
                      q.width == 1 and bool(n.steps[of].all()), bool((n.unit[of] >= 0).all()), q.name)
               for q, of in _slices(template)]

    def add(name: str, doc: str, values: np.ndarray, unit: str = "") -> None:
        nonlocal first
        columns.append(Column(name, doc, values.shape[1], None, first, unit, of=name))
        numbers.append(values)
        low.append(np.full(values.shape[1], -np.inf if name != "size" else 0.05))
        high.append(np.full(values.shape[1], np.inf))
        first += values.shape[1]

    flips = [MIRRORED[:3] if f.pose.mirror < 0 else 1.0 for f in fits]
    add("tilt", "How it is turned from the way most masks lie: the tangent of half the angle, times the axis.",
        np.stack([f.pose.turn * flip for f, flip in zip(fits, flips, strict=True)]))
    if scaled:
        add("size", "How large it is, as a part of the template.", np.array([[f.pose.scale] for f in fits]))
    if middles is not None:
        places = np.stack([f.pose.shift for f in fits]) + middles
        places = places * np.stack([[f.pose.mirror, 1, 1] for f in fits])
        add("place", "Where it lies, from the middle of the group.", places / template.side, "grid.min")
    return Rows(np.concatenate(numbers, axis=1), tuple(columns), np.concatenate(low), np.concatenate(high))
