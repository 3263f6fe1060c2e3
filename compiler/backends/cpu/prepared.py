"""The kernels of a formula, and what they read: made when they are first asked for, and then kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from fdif_dsl.compiler.backends.cpu import codegen
from fdif_dsl.compiler.backends.cpu.codegen import Kernel
from fdif_dsl.compiler.backends.cpu.objects import ObjectStage
from fdif_dsl.compiler.ir.formula import Formula
from fdif_dsl.compiler.ir.graph import Node, one_evaluation
from fdif_dsl.compiler.ir.parameters import missing_quantities
from fdif_dsl.compiler.ir.priors import is_shared, sampled_slots
from fdif_dsl.compiler.passes.intervals import LIMIT
from fdif_dsl.compiler.passes.mapper_limits import empty_from
from fdif_dsl.compiler.passes.rates import Rate, infer_rates
from fdif_dsl.compiler.passes.schedule import Schedule, make_schedule


@dataclass(eq=False)
class Prepared:
    """What is known of a formula; made when it is first used."""

    formula: Formula
    fields: dict[Node, tuple[Kernel, Kernel]] = field(default_factory=dict)
    _field_roots: dict[Node, tuple[Node, ...]] = field(default_factory=dict)
    _schedules: dict[tuple[tuple[Node, ...], frozenset[int]], Schedule] = field(default_factory=dict)

    @cached_property
    def main(self) -> Kernel:
        """The kernel that computes the result at points or distances, or at both."""
        result = self.formula.result
        if self.formula.kind != "mapper":
            return codegen.points_kernel(result)
        return codegen.shader_kernel(result) if self.formula.sees else codegen.mapper_kernel(result)

    @cached_property
    def bounds(self) -> Kernel:
        """The kernel that bounds the result in boxes."""
        result = self.formula.result
        return codegen.range_kernel(result) if self.formula.kind == "mapper" else codegen.bounds_kernel(result)

    @cached_property
    def tile(self) -> Kernel:
        return codegen.tile_kernel(self.formula.result)

    @cached_property
    def axes(self) -> tuple[Kernel, ...]:
        """The kernels that work out the tables of `tile`, for those axes that have some."""
        return codegen.axis_kernels(self.tile)

    @cached_property
    def drawing(self) -> tuple[Kernel, ...]:
        """The kernels that draw an object, where their numbers are its own; bounds come last."""
        if self.formula.kind == "displacement":
            return self.tile, *self.axes, self.bounds
        return self.main, self.bounds

    @cached_property
    def roots(self) -> tuple[Node, ...]:
        """What these read of the object, one kernel after the other."""
        return tuple(node for kernel in self.drawing for node in kernel.values)

    @cached_property
    def given(self) -> frozenset[int]:
        """The slots that a sampled scene gives."""
        return frozenset(sampled_slots(self.formula))

    @cached_property
    def shared(self) -> bool:
        """Whether all objects on a grid that give no slots share its numbers, so that these are computed once."""
        return is_shared(self.formula)

    @cached_property
    def stage(self) -> ObjectStage:
        return ObjectStage(self.formula, self.roots, self.given, self.field_of)

    @property
    def kernels(self) -> list[Kernel]:
        """Every kernel that the formula may need: its own and those of each reduction."""
        if self.shared:
            return [self.main, *self.on_grid]
        own = list(dict.fromkeys([self.main, *self.drawing]))
        return own + [k for node in codegen.reductions_of(self.formula) for k in self.field_of(node)]

    @property
    def on_grid(self) -> list[Kernel]:
        """The kernels that draw with it what all objects share."""
        if self.formula.kind == "displacement":
            return [self.tile, self.bounds]
        return [self.main, self.bounds] if self.endless else [self.main]

    @cached_property
    def endless(self) -> bool:
        """Whether it is a mapper of the distance alone that shines all over any grid."""
        return self.formula.kind == "mapper" and not self.formula.sees and empty_from(self.formula) > LIMIT

    def field_of(self, reduction: Node) -> tuple[Kernel, Kernel]:
        """The kernels of what a reduction ranges over: its value at points, and its lower bounds in boxes."""
        if reduction not in self.fields:
            over = reduction.args[0]
            self.fields[reduction] = codegen.points_kernel(over), codegen.bounds_kernel(over, both=False)
        return self.fields[reduction]

    def field_roots(self, reduction: Node) -> tuple[Node, ...]:
        """What both of these read of the object."""
        if reduction not in self._field_roots:
            points, bounds = self.field_of(reduction)
            self._field_roots[reduction] = points.values + bounds.values
        return self._field_roots[reduction]

    def schedule(self, roots: tuple[Node, ...], given: frozenset[int]) -> Schedule:
        key = (roots, given)
        found = self._schedules.get(key)
        if found is None:
            found = make_schedule(self.formula, roots, given)
            if found.missing:
                raise missing_quantities(self.formula, found.missing)
            self._schedules[key] = found
        return found

    @cached_property
    def table_roots(self) -> tuple[Node, ...]:
        """What the tables of a tile kernel are made from, and what its bounds read."""
        rates = infer_rates(one_evaluation(self.formula.result))
        made = tuple(n for n, rate in rates.items() if rate in (Rate.GRID, Rate.OBJECT))
        return made + self.main.values + self.bounds.values


def pack(kernel: Kernel, values: Mapping[Node, Any]) -> np.ndarray:
    """The array `f` of a kernel; one number at least, so that it has an address."""
    return np.array([values[node] for node in kernel.values] or [0], np.float32)
