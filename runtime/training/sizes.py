"""How large a network is: its parameters, and the memory that a training step takes.

Nothing is computed for it: tensors on torch's device `meta` have a shape and no values.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from fdif_dsl.runtime.recipe import Recipe
from fdif_dsl.runtime.recipe.meaning import Meaning
from fdif_dsl.runtime.training.networks import Network, Patch


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


def size_of(row: Network, recipe: Recipe, meaning: Meaning) -> Size:
    """The size of a step that trains a network as a recipe says, were it not to classify."""
    import torch

    from fdif_dsl.runtime.training.objectives import objective_of

    training = recipe.training
    patch = training.patch or recipe.grid
    objective = objective_of(recipe, meaning)
    network = _without_values(row, training.features, objective.channels, patch)
    parameters = sum(p.numel() for p in network.parameters())
    copies = 2 + (2 if training.optimizer == "adamw" else 1) + (training.ema > 0)
    own = {p.untyped_storage()._cdata for p in (*network.parameters(), *network.buffers())}
    samples = training.batch * training.crops
    with _kept() as of_network:
        output = network(torch.zeros(samples, 1, *patch, device="meta"))
    with _kept() as of_loss:
        label = torch.zeros(samples, len(meaning.tasks), *patch, device="meta", dtype=torch.int64)
        objective.loss(output, label)
    activations = sum(t.untyped_storage().nbytes() for place, t in of_network.items() if place not in own)
    if training.precision != "32":
        activations //= 2  # the loss is computed in single precision
    activations += sum(t.untyped_storage().nbytes() for place, t in of_loss.items() if place not in of_network)
    return Size(parameters, 4 * parameters * copies, activations)


def _without_values(row: Network, features: int, channels: int, patch: Patch) -> Any:
    """The network on torch's device `meta`."""
    import torch

    try:
        with torch.device("meta"):
            return row.build(features, channels, patch)
    except RuntimeError:  # it looks at values while it is built
        return row.build(features, channels, patch).to("meta")


@contextmanager
def _kept() -> Iterator[dict[int, Any]]:
    """Collects what the block's operations keep for the backward pass, by the address of its memory."""
    import torch

    found: dict[int, Any] = {}  # the tensors themselves, so that no address is used twice

    def keep(tensor: Any) -> Any:
        found[tensor.untyped_storage()._cdata] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        yield found
