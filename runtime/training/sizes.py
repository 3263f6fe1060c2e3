"""How large a network is: its parameters, and the memory that a training step takes.

Nothing is computed for it: tensors on torch's device `meta` have a shape and no values.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fdif_dsl.runtime.recipe import Recipe


@dataclass(frozen=True)
class Size:
    """`parameters` is a count; `state` the bytes of weights, gradients and the optimiser; `activations` those of what
    the forward pass keeps for the backward pass, an estimate."""

    parameters: int
    state: int
    activations: int

    @property
    def memory(self) -> int:
        return self.state + self.activations


def size_of(network: Any, recipe: Recipe, channels: int, loss: Callable[[Any, Any], Any], tasks: int) -> Size:
    """The size of a training step of a recipe. `network` is left on the device `meta`, without its values."""
    import torch

    training = recipe.training
    patch = training.patch or recipe.grid
    network.to("meta")
    parameters = sum(p.numel() for p in network.parameters())
    copies = 2 + (2 if training.optimizer == "adamw" else 1) + (training.ema > 0)
    own = {p.untyped_storage()._cdata for p in (*network.parameters(), *network.buffers())}
    kept: dict[int, Any] = {}  # the tensors themselves, so that no address is used twice

    def keep(tensor: Any) -> Any:
        kept[tensor.untyped_storage()._cdata] = tensor
        return tensor

    batch = training.batch * training.crops
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output = network(torch.zeros(batch, 1, *patch, device="meta"))
        loss(output, torch.zeros(batch, tasks, *patch, device="meta", dtype=torch.int64))
    activations = sum(t.untyped_storage().nbytes() for address, t in kept.items() if address not in own)
    if training.precision != "32":
        activations //= 2
    return Size(parameters, 4 * parameters * copies, activations)
