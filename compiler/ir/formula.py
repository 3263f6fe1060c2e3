"""A closed formula: what elaboration makes of one class, displacement or mapper."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from fdif_dsl.compiler.ir.graph import Node, fields_of, reachable

Kind = Literal["shape", "displacement", "mapper"]
RESULTS = {"shape": "distance", "displacement": "offset", "mapper": "intensity"}
"""What the result of a formula of each kind is called."""


@dataclass(frozen=True, repr=False)
class Quantity:
    """A named value that holds for a whole object, such as a radius or a list of vertices.

    It is `length` values (None: a single one) of `width` numbers each (1 float, 2 vec2, 3 vec3, 4 vec4),
    kept in the consecutive slots `slots`, value by value. `definition` has one node a slot: what the
    value is when nobody gives one. For a random quantity that is its prior as a function of `draw`
    leaves; otherwise the derived value. It may use earlier slots only.
    """

    name: str
    width: int
    length: int | None
    slots: range
    definition: tuple[Node, ...]
    random: bool
    source: str  # the right-hand side as written, with the declaration's arguments filled in
    doc: str

    def __repr__(self) -> str:
        return f"<{self.name}: {self.type} {'~' if self.random else '='} {self.source}>"

    @property
    def type(self) -> str:
        base = "float" if self.width == 1 else f"vec{self.width}"
        return base if self.length is None else f"{base}[{self.length}]"

    @property
    def prior(self) -> str | None:
        """The prior as text; None for a derived quantity."""
        return self.source if self.random else None


@dataclass(frozen=True)
class Formula:
    """A closed formula with its named quantities in the order in which they are computed.

    `result` is the distance of a shape, the offset of a displacement or the intensity of a mapper.
    `draws` counts the uniform random numbers that the priors use. `integers` are the whole
    numbers that define the class, such as a polygon's `n`.
    """

    name: str
    kind: Kind
    doc: str
    place: str  # file:line:column of the declaration
    quantities: tuple[Quantity, ...]
    integers: dict[str, int]
    draws: int
    result: Node

    @cached_property
    def sees(self) -> bool:
        """Whether the result depends on the point, and not on the distance alone."""
        return any(node.op == "input" and node.const != "d" for node in reachable([self.result]))

    @cached_property
    def fields(self) -> list[str]:
        """The keys of the fields that it reads."""
        return fields_of([self.result, *(node for q in self.quantities for node in q.definition)])

    @cached_property
    def named(self) -> dict[str, Quantity]:
        """The quantities by name."""
        return {q.name: q for q in self.quantities}

    @cached_property
    def definitions(self) -> dict[int, tuple[Quantity, Node]]:
        """For each slot, the quantity that it is part of and its own definition."""
        return {s: (q, node) for q in self.quantities for s, node in zip(q.slots, q.definition, strict=True)}
