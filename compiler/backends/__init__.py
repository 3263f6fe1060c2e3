"""Backends turn closed formulas into numbers. Each one offers what `Backend` says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from fdif_dsl.compiler.ir.formula import Formula
from fdif_dsl.compiler.ir.grid import Grid

NAMES = ("cpu", "cuda", "torch", "interpret")


@dataclass(frozen=True)
class Placed:
    """One object of a scene, ready to render.

    `slots` gives the known scalars of the shape's quantities by slot number; `inverse` is the 4 x 4
    matrix from world to object coordinates; `label` the class id that its voxels get.
    """

    shape: Formula
    slots: Mapping[int, float]
    inverse: np.ndarray
    displacement: Formula | None
    mapper: Formula
    label: int


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
        `p.y` `p.z` in object coordinates (shape), `w.x` `w.y` `w.z` (displacement), `d` (mapper).
        `grid` and `inverse` (world to object; None is the identity) are what a `deepest` ranges over."""
        ...

    def render(self, objects: Sequence[Placed], grid: Grid) -> Rendered:
        """Compose the objects into a volume, as the reference says."""
        ...
