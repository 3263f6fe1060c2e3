"""The size of kernels that a normalisation follows.

What a normalisation follows does not depend on the size of the kernel before it, but the size says how fast the kernel
learns: a step of the optimiser turns a kernel of four times the norm a quarter as far. Pre-training lets norms grow, so
weights as they were left learn several times as slowly as new ones at the same rate.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

_KERNELS = (nn.Conv3d, nn.ConvTranspose3d)
_NORMALISATIONS = (nn.InstanceNorm3d, nn.GroupNorm)


def as_new(network: nn.Module, found: Mapping[str, Any], patch: tuple[int, int, int], inputs: int) -> dict[str, Any]:
    """The tensors `found`, for a network as it was made, each kernel that only normalisations follow as large as the
    network's own, and its bias with it: the network with them computes the same."""
    own, out = network.state_dict(), dict(found)
    for module in normalised(network, patch, inputs):
        kernel, *bias = module.parameters()
        names = _names_of(kernel, own)  # several, where a network has the same module at two places
        if names and names[0] in found and (size := float(found[names[0]].norm())) > 0:
            share = float(kernel.norm()) / size
            out |= {name: found[name] * share for part in (kernel, *bias) for name in _names_of(part, own)
                    if name in found}
    return out


def _names_of(parameter: nn.Parameter, own: Mapping[str, Any]) -> list[str]:
    return [name for name, tensor in own.items() if tensor.data_ptr() == parameter.data_ptr()]


@torch.no_grad()
def normalised(network: nn.Module, patch: tuple[int, int, int], inputs: int) -> list[nn.Module]:
    """The convolutions whose outputs go into normalisations, each time that they are used."""
    made: dict[int, nn.Module] = {}
    followed: dict[nn.Module, list[bool]] = {}
    kept = []  # so that no other tensor gets the same id

    def after(module: nn.Module, given: Any, output: Any) -> None:
        made[id(output)] = module
        kept.append(output)
        followed.setdefault(module, []).append(False)

    def before(module: nn.Module, given: Any) -> None:
        if (its := made.get(id(given[0]))) is not None:
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
