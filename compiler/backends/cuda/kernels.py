"""Which kernels a library has. Text alone: neither a GPU nor a compiler is needed here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from fdif_dsl.compiler.backends.cuda import text
from fdif_dsl.compiler.backends.store.unit import Unit
from fdif_dsl.compiler.ir.formula import Formula
from fdif_dsl.compiler.ir.graph import Node
from fdif_dsl.compiler.ir.priors import is_shared, sampled_slots
from fdif_dsl.compiler.passes.schedule import make_schedule


@dataclass(frozen=True)
class Stage:
    """A kernel over objects and the one that works out what it reads: `roots`, of which `own` are the formula's own and
    the others its bounds'."""

    roots: tuple[Node, ...]
    own: int
    numbers: Unit
    unit: Unit


@dataclass(frozen=True, eq=False)
class ShapeKernels:
    """Everything that draws a class. `searches` come first, in the order in which one needs the other."""

    formula: Formula

    @cached_property
    def slots(self) -> tuple[int, ...]:
        return sampled_slots(self.formula)

    @cached_property
    def _low(self) -> Node:
        return text.lower_bound(self.formula.result)

    @cached_property
    def roots(self) -> tuple[Node, ...]:
        """What drawing reads of an object: first what the distance does, then what its bounds do."""
        return text.values_of(self.formula.result) + text.values_of(self._low)

    @cached_property
    def reductions(self) -> tuple[Node, ...]:
        return make_schedule(self.formula, self.roots, frozenset(self.slots)).reductions

    @cached_property
    def searches(self) -> tuple[Stage, ...]:
        found = []
        for node in self.reductions:
            over = node.args[0]
            low = text.lower_bound(over)
            found.append(self._stage(over, low, text.search_unit(over, low)))
        return tuple(found)

    @cached_property
    def draw(self) -> Stage:
        return self._stage(self.formula.result, self._low, text.draw_unit(self.formula.result, self._low))

    @property
    def units(self) -> list[Unit]:
        return [unit for stage in (*self.searches, self.draw) for unit in (stage.numbers, stage.unit)]

    @cached_property
    def most_numbers(self) -> int:
        return max(len(stage.roots) for stage in (*self.searches, self.draw))

    def _stage(self, result: Node, low: Node, unit: Unit) -> Stage:
        own = text.values_of(result)
        roots = own + text.values_of(low)
        numbers = text.numbers_unit(self.formula, roots, len(own), self.slots, self.reductions)
        return Stage(roots, len(own), numbers, unit)


@dataclass(frozen=True, eq=False)
class TextureKernels:
    """What works out the numbers of a displacement or a mapper that are an object's own."""

    formula: Formula

    @cached_property
    def roots(self) -> tuple[Node, ...]:
        return text.values_of(self.formula.result)

    @cached_property
    def numbers(self) -> Unit:
        return text.numbers_unit(self.formula, self.roots, len(self.roots), sampled_slots(self.formula), ())


class LibraryKernels:
    """The kernels of some formulas. Formulas are told apart by identity, as each is as good as its graph, which is not
    compared by content: the tables below are by `id`."""

    def __init__(self, formulas: Sequence[Formula]) -> None:
        self.formulas = tuple(formulas)
        self.displacements = [f for f in formulas if f.kind == "displacement"]
        self.mappers = [f for f in formulas if f.kind == "mapper"]
        self.shapes = {id(f): ShapeKernels(f) for f in formulas if f.kind == "shape"}
        self.textures = {id(f): TextureKernels(f) for f in (*self.displacements, *self.mappers)}
        self.own = {id(f) for f in formulas if f.kind != "shape" and not is_shared(f)}
        """The displacements and mappers whose numbers are each object's own."""
        self.place = {id(f): k for kind in (self.displacements, self.mappers) for k, f in enumerate(kind)}
        """Where a displacement or a mapper stands among those of the library."""

    @cached_property
    def compose(self) -> Unit:
        return text.compose_unit(self.mappers)

    @cached_property
    def fields(self) -> list[Unit]:
        """The unit of each displacement, on a grid."""
        return [text.field_unit(f.result) for f in self.displacements]

    def drawing(self, formulas: Sequence[Formula]) -> list[Unit]:
        """What volumes of these formulas need."""
        shared = [self.compose, text.lowest_unit(), *text.paint_units()]
        shapes = [unit for f in formulas if f.kind == "shape" for unit in self.shapes[id(f)].units]
        numbers = [self.textures[id(f)].numbers for f in formulas if id(f) in self.own]
        fields = [self.fields[self.place[id(f)]] for f in formulas if f.kind == "displacement"]
        return [*shared, *shapes, *numbers, *fields]

    def units(self) -> list[Unit]:
        """Everything that rendering and evaluating may need, each kernel once."""
        found = [*self.drawing(self.formulas), *map(point_unit, self.formulas)]
        return list({unit.symbol: unit for unit in found}.values())


def point_unit(formula: Formula) -> Unit:
    """The kernel that evaluates a formula at points or distances."""
    return text.grey_unit(formula) if formula.kind == "mapper" else text.points_unit(formula.result)
