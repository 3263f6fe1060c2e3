"""The size of kernels that a normalisation follows.

What a normalisation follows does not depend on the size of the kernel before it, but the size says how fast the kernel
learns: a step of the optimiser turns a kernel of four times the norm a quarter as far. Pre-training lets norms grow, so
weights as they were left learn several times as slowly as new ones at the same rate.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

_KERNELS = (nn.Conv3d, nn.ConvTranspose3d)
_NORMALISATIONS = (nn.InstanceNorm3d, nn.GroupNorm)


@contextmanager
def kernels_of_new_size(network: nn.Module, patch: tuple[int, int, int], inputs: int) -> Iterator[None]:
    """A block that fills a new network, for `inputs` channels, with weights. Each kernel that normalisations follow is
    as large after it as before, and its bias with it: the network computes what the weights say."""
    modules = normalised(network, patch, inputs)
    sizes = [float(next(module.parameters()).detach().norm()) for module in modules]
    yield
    with torch.no_grad():
        for module, size in zip(modules, sizes, strict=True):
            if (now := float(next(module.parameters()).norm())) > 0:
                for part in module.parameters():
                    part.mul_(size / now)


@torch.no_grad()
def normalised(network: nn.Module, patch: tuple[int, int, int], inputs: int) -> list[nn.Module]:
    """The convolutions whose outputs go into normalisations, each time that they are used."""
    followed: dict[nn.Module, list[bool]] = {}

    def after(module: nn.Module, given: Any, output: Any) -> None:
        output.made_by = module  # on the tensor itself, so that none is kept longer than the network needs it
        followed.setdefault(module, []).append(False)

    def before(module: nn.Module, given: Any) -> None:
        if (its := getattr(given[0], "made_by", None)) is not None:
            followed[its][-1] = True

    hooks = [module.register_forward_hook(after) for module in network.modules() if isinstance(module, _KERNELS)]
    hooks += [module.register_forward_pre_hook(before) for module in network.modules()
              if isinstance(module, _NORMALISATIONS)]
    training = network.training
    try:
        network.eval()(torch.zeros(1, inputs, *patch))
    finally:
        network.train(training)
        for hook in hooks:
            hook.remove()
    return [module for module, each in followed.items() if all(each)]
