"""The living definition: NumPy in float64, slow, short and readable. Other backends are tested against it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fdif_dsl.compiler.backends import Placed, Rendered
from fdif_dsl.compiler.backends.array import POINTS, Arrays, compose, object_stage, voxel_stage
from fdif_dsl.compiler.ir.formula import Formula
from fdif_dsl.compiler.ir.grid import Grid
from fdif_dsl.compiler.passes.schedule import ARRAY


def _float64(value: Any) -> Any:
    # item() also reads a torch tensor that records gradients.
    return np.asarray(value, np.float64) if isinstance(value, np.ndarray) else np.float64(
        value.item() if hasattr(value, "item") else value)


NUMPY = Arrays(np, ARRAY, _float64)


class InterpretBackend:
    """Backend `interpret`; see `Backend` for what each method takes. All results are NumPy arrays."""

    name = "interpret"

    def evaluate(self, formula: Formula, inputs: Mapping[str, Any], slots: Mapping[int, Any],
                 grid: Grid | None = None, inverse: Any = None) -> np.ndarray:
        """The formula at points, float64 of the shape of the inputs."""
        points = {name: np.asarray(values, np.float64) for name, values in inputs.items()}
        shape = next(iter(points.values())).shape
        points = {name: values.ravel() for name, values in points.items()}
        out = np.empty(int(np.prod(shape)))
        with np.errstate(all="ignore"):
            values = object_stage(NUMPY, formula, slots, grid, inverse)
            for start in range(0, len(out), POINTS):
                part = slice(start, start + POINTS)
                here = {name: p[part] for name, p in points.items()}
                out[part] = voxel_stage(NUMPY, formula.result, values, here)
        return out.reshape(shape)

    def render(self, objects: Sequence[Placed], grid: Grid) -> Rendered:
        """The volume as NumPy arrays: image uint8, label uint16, counts int64."""
        with np.errstate(all="ignore"):
            return compose(NUMPY, objects, grid)
