"""What stands at the end of a network: channels for each task, or a classifier on its encoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from fdif_dsl.runtime.training.networks import Network


def split(output: torch.Tensor, classes: Sequence[int]) -> tuple[torch.Tensor, ...]:
    """The channels of each task, from (b, sum of classes, ...).

    The last layer is a convolution, so each task has filters of its own: a head each.
    """
    return torch.split(output, list(classes), dim=1)


class Classifier(nn.Module):
    """A network's encoder, the mean of its deepest features, and a linear layer: (b, 1, D, H, W) -> (b, outputs).

    The network is kept whole under `network`, so that its weights have the names that they have elsewhere; what only
    its decoder uses stays as it was made. `head` is the linear layer.
    """

    def __init__(self, network: nn.Module, row: Network, outputs: int, patch: tuple[int, int, int],
                 inputs: int = 1) -> None:
        super().__init__()
        assert row.encode is not None
        self.network = network
        self.encode = row.encode
        for name, parameter in network.named_parameters():
            if name.startswith(row.decoder):
                parameter.requires_grad_(False)
        training = network.training
        with torch.no_grad():
            width = self.encode(network.eval(), torch.zeros(1, inputs, *patch)).shape[1]
        network.train(training)
        self.head = nn.Linear(width, outputs)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        features: Any = self.encode(self.network, image)
        out: torch.Tensor = self.head(features.flatten(2).mean(2))
        return out
