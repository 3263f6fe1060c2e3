"""Formulas as differentiable PyTorch functions, on any device and in any floating type.

torch is imported inside the functions, so that the compiler works, and starts quickly, without it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from fdif_dsl.compiler.backends import Placed, Rendered
from fdif_dsl.compiler.backends.array import Arrays, compose, object_stage, voxel_stage
from fdif_dsl.compiler.ir.formula import Formula
from fdif_dsl.compiler.ir.grid import Grid


class TorchBackend:
    """Backend `torch`; see `Backend` for what each method takes. All results are torch tensors.

    `device` is where a volume is rendered, and where points go that are no tensors themselves.
    """

    name = "torch"

    def __init__(self, device: Any = "cpu") -> None:
        self.device = device

    def evaluate(self, formula: Formula, inputs: Mapping[str, Any], slots: Mapping[int, Any],
                 grid: Grid | None = None, inverse: Any = None) -> Any:
        """The formula at points, differentiable in the points, the slots and `inverse`.

        The result has the device and the floating type of the points; where these are no tensors,
        of the first parameter that is one; else float64 on the backend's device.
        """
        import torch

        arrays = self._arrays((*inputs.values(), *slots.values(), inverse))
        points = {name: arrays.convert(values) for name, values in inputs.items()}
        values = object_stage(arrays, formula, slots, grid, inverse)
        result = voxel_stage(arrays, formula.result, values, points)
        return torch.broadcast_to(result, next(iter(points.values())).shape)

    def render(self, objects: Sequence[Placed], grid: Grid) -> Rendered:
        """The volume as torch tensors on the backend's device: image uint8, label uint16, counts
        int64. Rendering counts and truncates, so it records no gradient; it computes in float64."""
        import torch

        with torch.no_grad():
            volume = compose(self._arrays(()), objects, grid)
        return Rendered(*(torch.from_numpy(a).to(self.device) for a in (volume.image, volume.label, volume.counts)))

    def _arrays(self, operands: Iterable[Any]) -> Arrays:
        import torch

        leaders = [v for v in operands if isinstance(v, torch.Tensor)]
        device = leaders[0].device if leaders else self.device
        dtype = next((v.dtype for v in leaders if v.is_floating_point()), torch.float64)

        def convert(value: Any) -> Any:
            # A copy, because torch takes neither negative strides nor (without a warning) read-only memory.
            value = np.array(value) if isinstance(value, np.ndarray) else value
            return torch.as_tensor(value, dtype=dtype, device=device)

        return Arrays(torch, "torch", convert, torch.no_grad)
