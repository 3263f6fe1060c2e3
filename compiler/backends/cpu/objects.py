"""The object stage: from the slots of the objects of a scene to the numbers that their kernels read.

What a class computes once an object is a scalar kernel, see scalars.py. Where that needs the least value of a field
over the grid, another one comes first, with what the field's kernels read; so it goes in rounds, each of them for
all objects of a scene at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from fdif_dsl.compiler.backends.cpu.codegen import Kernel
from fdif_dsl.compiler.backends.cpu.scalars import ScalarKernel, scalar_kernel
from fdif_dsl.compiler.ir.formula import Formula
from fdif_dsl.compiler.ir.graph import Node
from fdif_dsl.compiler.passes.schedule import make_schedule

Pool = dict[Any, float]
"""Numbers by what they are: those of slots, of the grid by name, and of reductions."""


@dataclass(frozen=True)
class Field:
    """What a reduction ranges over: its value at points, its lower bounds in boxes, and what both read."""

    reduction: Node
    points: Kernel
    bounds: Kernel
    numbers: ScalarKernel


@dataclass(frozen=True, eq=False)
class ObjectStage:
    """How the numbers of an object of a class are worked out when the slots `given` are known: its displacement's and
    its mapper's too, where these are the object's own.

    `fields` are in the order in which they are needed; `numbers` gives `roots`, what the kernels read.
    `kernels_of_field` gives the kernels of what a reduction ranges over.
    """

    formula: Formula
    roots: tuple[Node, ...]
    given: frozenset[int]
    kernels_of_field: Callable[[Node], tuple[Kernel, Kernel]]

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        schedule = make_schedule(self.formula, self.roots, self.given)
        return tuple(self._field(node) for node in schedule.reductions)

    @cached_property
    def numbers(self) -> ScalarKernel:
        return scalar_kernel(self.formula, self.roots, self.given)

    def _field(self, reduction: Node) -> Field:
        points, bounds = self.kernels_of_field(reduction)
        return Field(reduction, points, bounds, scalar_kernel(self.formula, points.values + bounds.values, self.given))

    @property
    def scalars(self) -> list[ScalarKernel]:
        return [self.numbers, *(field.numbers for field in self.fields)]


def inputs_of(kernel: ScalarKernel, pool: Pool) -> list[float]:
    """What a kernel is given, in order."""
    return [pool[key] for _, key in kernel.inputs]
