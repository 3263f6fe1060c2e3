"""Backends turn closed formulas into numbers. Each one offers what `Backend` says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from fdif_dsl.compiler.ir.formula import Formula
from fdif_dsl.compiler.ir.grid import Grid

NAMES = ("cpu", "cuda", "torch", "interpret")


@dataclass(frozen=True)
class Placed:
    """One object of a scene, ready to render.

    `slots` gives the known scalars of the shape's quantities by slot number, `displacement_slots` and `mapper_slots`
    those of the other two; `inverse` is the 4 x 4 matrix from world to object coordinates; `label` the class id that
    its voxels get.
    """

    shape: Formula
    slots: Mapping[int, float]
    inverse: np.ndarray
    displacement: Formula | None
    mapper: Formula
    label: int
    displacement_slots: Mapping[int, float] = field(default_factory=dict)
    mapper_slots: Mapping[int, float] = field(default_factory=dict)

    @property
    def parts(self) -> list[tuple[Formula, Mapping[int, float]]]:
        """Its formulas, each with the slots that are given: the shape, the mapper, and the displacement if it has one.
        """
        displaced = [] if self.displacement is None else [(self.displacement, self.displacement_slots)]
        return [(self.shape, self.slots), (self.mapper, self.mapper_slots), *displaced]


@dataclass(frozen=True)
class Rendered:
    """`image` uint8 (D, H, W); `label` (D, H, W), 0 is background, uint16 or, where each object's label fits, uint8;
    `counts` int64, the voxels with distance <= 0 of each object, in the order given."""

    image: Any
    label: Any
    counts: Any


class Backend(Protocol):
    """What every backend can do."""

    name: str

    def evaluate(self, formula: Formula, inputs: Mapping[str, Any], slots: Mapping[int, Any],
                 grid: Grid | None = None, inverse: Any = None) -> Any:
        """The formula at points. `inputs` holds one (N,) array for each input leaf of its kind: `p.x`
        `p.y` `p.z` in object coordinates (shape), `w.x` `w.y` `w.z` (displacement), `d` (mapper), and for a mapper that
        sees the point all of these.
        `grid` and `inverse` (world to object; None is the identity) are what a `deepest` ranges over."""
        ...

    def render(self, objects: Sequence[Placed], grid: Grid) -> Rendered:
        """Compose the objects into a volume, as the reference says."""
        ...
