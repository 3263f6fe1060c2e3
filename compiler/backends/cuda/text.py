"""Formula to kernel source for the GPU: the functions that the kernels of scene_kernels.py are made with.

A unit is a module text with one kernel in it, named by its kind and its text, so that equal texts are one kernel and
no name of a user's file reaches generated code.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from fdif_dsl.compiler.backends.field_constants import field_constants
from fdif_dsl.compiler.backends.scalar_statements import close, imported, statements
from fdif_dsl.compiler.backends.statements import NAMES, ROWS, SEEN, Statements, called, constants
from fdif_dsl.compiler.backends.store.unit import Unit
from fdif_dsl.compiler.ir.formula import Formula
from fdif_dsl.compiler.ir.graph import Graph, Node
from fdif_dsl.compiler.ir.grid import NUMBERS as GRID
from fdif_dsl.compiler.ir.priors import is_shared
from fdif_dsl.compiler.passes.intervals import bounds
from fdif_dsl.compiler.passes.rates import split

# A letter a parameter of the kernels in scene_kernels.py; build.py knows the letters.
SIGNATURES = {
    "numbers": "inniddd" + "nf", "search": "inidnnn" + "fdnn", "draw": "inidnnn" + "fffnnf" + "nniifq",
    "compose": "iinnnnn" + "ifffdnub", "paint8": "iinnn" + "nuqb", "paint16": "iinnn" + "nuqh", "field": "fnnnnnnf",
    "lowest": "fnnnnnnf",
    "points": "fffnff", "grey": "fnff", "shade": "fffffff" + "nff"}
_PACKAGE = "fdif_dsl.compiler.backends.cuda"
_POINT = "x, y, z"
_SEEN = ", ".join(SEEN[name] for name in ROWS)
_BOX = "x_low, x_high, y_low, y_high, z_low, z_high"


def lower_bound(result: Node) -> Node:
    """The lower bound of `result` in a box."""
    # In the formula's own graph, what belongs to the object is the same node for both.
    return bounds(Graph.of([result]), result)[0]


def values_of(result: Node) -> tuple[Node, ...]:
    """What the function of `result` reads of the object, in order."""
    return split(result, world_is_axis=False).values


def draw_unit(result: Node, low: Node) -> Unit:
    """A class: its distances in the tiles that its lower bound leaves."""
    module = _Module()
    module.function("value", _POINT, result)
    module.function("bounds", _BOX, low)
    return module.unit("draw", "draw_kernel(value, bounds)")


def search_unit(result: Node, low: Node) -> Unit:
    """The least value of a field with that lower bound over the grid."""
    module = _Module()
    module.function("field", _POINT, result)
    module.function("bounds", _BOX, low)
    return module.unit("search", "search_kernel(field, bounds)")


def points_unit(result: Node) -> Unit:
    """A shape or a displacement at points."""
    module = _Module()
    module.function("value", _POINT, result)
    return module.unit("points", "points_kernel(value)")


def field_unit(result: Node) -> Unit:
    """A displacement at the voxels of a grid."""
    module = _Module()
    module.function("value", _POINT, result)
    return module.unit("field", "field_kernel(value)")


def grey_unit(mapper: Formula) -> Unit:
    """A mapper at distances, and at points if it sees them."""
    module = _Module()
    if mapper.sees:
        module.function("value", _SEEN, mapper.result, SEEN)
        return module.unit("shade", "shade_kernel(value)")
    module.function("value", NAMES["d"], mapper.result)
    return module.unit("grey", "grey_kernel(value)")


def compose_unit(mappers: Sequence[Formula]) -> Unit:
    """The composition for a library's mappers, each found by its position. The numbers of those that objects share
    follow one another; an object may give others."""
    module = _Module()
    at = 0
    switch = []
    for k, mapper in enumerate(mappers):
        switch += [f"    if mapper == {k}:"]
        if mapper.sees:
            module.function(f"grey_{k}", _SEEN, mapper.result, SEEN)
            place = ", ".join(f"f32(start(inverses, row + {row}, x, y, z))" for row in (0, 4, 8))
            switch += [f"        return grey_{k}({place}, f32(x), f32(y), f32(z), d, own, at)"]
            module.kernels.add("start")
            module.words.add("f32")
            continue
        module.function(f"grey_{k}", NAMES["d"], mapper.result)
        if not is_shared(mapper):
            switch += [f"        return grey_{k}(d, own, at)"]
            continue
        if mapper.quantities:
            switch += ["        if at >= 0:", f"            return grey_{k}(d, own, at)"]
        switch += [f"        return grey_{k}(d, f, {at})"]
        at += len(values_of(mapper.result))
    head = "def grey(mapper, d, f, own, at, inverses, row, x, y, z):"
    module.text += ["", "", "@inline", head, *switch, "    return ZERO"]
    module.words |= {"ZERO", "inline"}
    return module.unit("compose", "compose_kernel(grey)")


def numbers_unit(formula: Formula, roots: Sequence[Node], own: int, slots: Sequence[int],
                 reductions: Sequence[Node]) -> Unit:
    """What a kernel reads of an object: the values of `roots`, from its slots and what was searched for. The first
    `own` belong to the formula itself, the others to its bounds."""
    closed, inputs, missing = close(formula, roots, frozenset(slots))
    assert not missing, "sampled slots leave nothing open"
    places = {}
    for node, (kind, which) in inputs.items():
        if kind == "slot":
            places[node] = f"s[at_s + {slots.index(which)}]"  # type: ignore[arg-type]
        else:
            places[node] = f"g[{GRID.index(str(which))}]" if kind == "grid" else f"r[at_r + {reductions.index(which)}]"  # type: ignore[arg-type]
    lines = statements(closed, places, lambda k, value: f"out[at + {k}] = f32({value})")
    head = ["# Generated by fdif_dsl.compiler.backends.cuda.text.",
            f"from {_PACKAGE}.scene_kernels import numbers_kernel",
            f"from {_PACKAGE}.words import f32, inline"]
    defined = field_constants(*lines)
    if words := [word for word in imported([*lines, *defined]) if word != "f32"]:
        head.append(f"from {_PACKAGE}.words64 import {', '.join(words)}")
    body = [*defined, "", "", "@inline", "def compute(s, at_s, g, r, at_r, out, at):"]
    body += [f"    {line}" for line in lines or ["pass"]]
    tail = ["", "", f"kernel = numbers_kernel(compute, {own})"]
    return _unit("numbers", "\n".join([*head, *body, *tail]) + "\n")


def paint_units() -> tuple[Unit, Unit]:
    """Labels of one byte, and of two."""
    return _Module().unit("paint8", "paint_kernel(False)"), _Module().unit("paint16", "paint_kernel(True)")


def lowest_unit() -> Unit:
    return _Module().unit("lowest", "lowest_kernel()")


class _Module:
    """Functions of one module, which share its constants."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self.words: set[str] = set()
        self.kernels: set[str] = set()  # what else is needed of scene_kernels.py
        self.literals: dict[str, str] = {}

    def function(self, name: str, parameters: str, result: Node, names: Mapping[str, str] = NAMES) -> None:
        """A function of `parameters` and of the numbers of an object, f[at], f[at + 1], ...; `names` says what inputs
        are called."""
        stages = split(result, world_is_axis=False)
        body = Statements(self.literals, names)
        body.load_values(stages, "fixed(f, at + {})")
        body.compute(stages)
        last = f"return {body.operand(result)}"
        lines = [*body.values, *body.lines, last]
        self.words |= {*called(*lines), "inline"}
        self.text += ["", "", "@inline", f"def {name}({parameters}, f, at):", *(f"    {line}" for line in lines)]

    def unit(self, kind: str, kernel: str) -> Unit:
        defined = constants(self.literals, *self.text)
        words = sorted({*self.words, *called(*defined)})
        lines = ["# Generated by fdif_dsl.compiler.backends.cuda.text.",
                 f"from {_PACKAGE}.scene_kernels import {', '.join([kernel.partition('(')[0], *sorted(self.kernels)])}"]
        if words:
            lines.append(f"from {_PACKAGE}.words import {', '.join(words)}")
        lines += ["", *defined] if defined else []
        return _unit(kind, "\n".join([*lines, *self.text, "", "", f"kernel = {kernel}"]) + "\n")


def _unit(kind: str, source: str) -> Unit:
    return Unit(f"{kind}_{hashlib.sha256(source.encode()).hexdigest()[:24]}", source, "kernel", SIGNATURES[kind])
