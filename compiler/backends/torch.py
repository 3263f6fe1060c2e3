"""Formulas as differentiable PyTorch functions, on any device and in any floating type.

torch is imported inside the functions, so that the compiler works, and starts quickly, without it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fdif_dsl.compiler.backends import Placed, Rendered
from fdif_dsl.compiler.backends.array import Arrays, compose, object_stage, voxel_stage
from fdif_dsl.compiler.backends.gradients import PLAIN, Rule, differentiable
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

        operands = [*inputs.values(), *slots.values(), inverse]
        arrays = self._arrays(operands)
        places = [i for i, value in enumerate(operands) if isinstance(value, torch.Tensor)]

        def value(rule: Rule, tensors: Sequence[Any]) -> Any:
            of = [*operands]
            for i, tensor in zip(places, tensors, strict=True):
                of[i] = tensor
            mine = replace(arrays, rule=rule)
            points = {name: arrays.convert(v) for name, v in zip(inputs, of, strict=False)}
            given = dict(zip(slots, of[len(inputs) :], strict=False))
            found = voxel_stage(mine, formula.result, object_stage(mine, formula, given, grid, of[-1]), points)
            return torch.broadcast_to(found, next(iter(points.values())).shape)

        return differentiable(value, [operands[i] for i in places])

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

        return Arrays(torch, PLAIN, convert, torch.no_grad)
