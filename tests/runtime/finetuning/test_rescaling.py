"""Kernels that a normalisation follows: as large as new ones, and the network computes what it did."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from fdif_dsl.runtime.finetuning.rescaling import kernels_of_new_size, normalised
from fdif_dsl.runtime.training.networks import NETWORKS

Patch = tuple[int, int, int]


def build(name: str, patch: Patch, seed: int, inputs: int = 1) -> Any:
    torch.manual_seed(seed)
    return NETWORKS[name].build(4, 3, patch, inputs)


@pytest.mark.parametrize(("name", "patch", "inputs"), [
    ("unet", (16, 24, 16), 1), ("unet", (16, 16, 16), 2), ("resunet", (32, 32, 32), 1), ("unetr", (16, 16, 16), 1)])
def test_a_grown_network_computes_the_same_with_kernels_of_new_size(name: str, patch: Patch, inputs: int) -> None:
    new, grown = (build(name, patch, seed, inputs).eval() for seed in (0, 1))
    with torch.no_grad():
        before = normalised(grown, patch, inputs)
        for module, factor in zip(before, torch.linspace(0.5, 9, len(before)), strict=True):
            for part in module.parameters():
                part.mul_(factor)
        image = torch.randn(2, inputs, *patch)
        right = grown(image)
        kernels = [module.weight.detach() for module in normalised(new, patch, inputs)]
        sizes = [float(kernel.norm()) for kernel in kernels]
        with kernels_of_new_size(new, patch, inputs):
            new.load_state_dict(grown.state_dict())
        torch.testing.assert_close(new(image), right, rtol=1e-2, atol=2e-3 * float(right.abs().max()))
    assert [float(kernel.norm()) for kernel in kernels] == pytest.approx(sizes) and len(kernels) >= 6


def test_where_the_size_matters_a_kernel_stays() -> None:
    class Two(nn.Module):
        """One convolution is normalised, one is not, and one is in one of two places."""

        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = (nn.Conv3d(1, 1, 3, padding=1) for _ in range(3))
            self.norm = nn.InstanceNorm3d(1)

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.norm(self.a(image)) + self.b(image) + self.c(self.norm(self.c(image)))
            return out

    network = Two()
    assert normalised(network, (8, 8, 8), 1) == [network.a]
    found = {name: 5 * tensor for name, tensor in network.state_dict().items()}
    with kernels_of_new_size(network, (8, 8, 8), 1):
        network.load_state_dict(found)
    made = network.state_dict()
    assert {name for name in found if not torch.equal(made[name], found[name])} == {"a.weight", "a.bias"}


def test_a_kernel_of_nothing_stays_nothing() -> None:
    network = build("unet", (16, 16, 16), 0)
    with kernels_of_new_size(network, (16, 16, 16), 1), torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    assert not any(parameter.any() for parameter in network.parameters())


def test_the_network_is_left_in_its_mode() -> None:
    network = build("unet", (16, 16, 16), 0)
    for mode in (True, False):
        network.train(mode)
        normalised(network, (16, 16, 16), 1)
        assert network.training is mode
        assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())
