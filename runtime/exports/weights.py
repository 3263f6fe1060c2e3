"""A network's weights as other tools want them: without the head, or for images of several channels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError
from fdif_dsl.runtime.training.networks import NETWORKS
from fdif_dsl.runtime.training.pretrained import Pretrained, over_channels

if TYPE_CHECKING:
    import torch

Weights = Mapping[str, "torch.Tensor"]


def without(weights: Weights, prefixes: tuple[str, ...]) -> dict[str, torch.Tensor]:
    """The weights whose names do not begin so."""
    return {name: tensor for name, tensor in weights.items() if not name.startswith(prefixes)}


def untrained(pretrained: Pretrained) -> tuple[str, ...]:
    """How the names of weights begin that are as they were made, since the task had no use for them: the decoder of a
    network that learnt to classify."""
    return NETWORKS[pretrained.network].decoder if pretrained.task == "classification" else ()


def widened(pretrained: Pretrained, channels: int) -> dict[str, torch.Tensor]:
    """The weights for images of so many channels: the layers that read the image are repeated, and divided by the
    number, so that channels that are all alike give what the one gave. Names that share a tensor still do.

    Raises:
        FdifError: it is not known which layers these are, or the network cannot have so many channels.
    """
    weights = dict(pretrained.weights)
    if channels == pretrained.inputs:
        return weights
    name = pretrained.network

    def cannot(why: str, hint: str) -> FdifError:
        return FdifError(Diagnostic("E0867", f"`{name}` cannot be given {channels} input channels", where="--channels",
                                    why=why, hint=hint))

    if name not in NETWORKS:
        raise cannot("it is a network of your own, of which only you know the layers that read the image",
                     "leave out --channels, and change these layers when you load the weights")
    row = NETWORKS[name]
    if not row.takes(channels):
        raise cannot(f"MONAI's VNet takes {row.inputs} channels", "add an empty channel to the images")
    places = {weights[stem].data_ptr() for stem in row.stem if stem in weights}
    wide = {place: over_channels(next(t for t in weights.values() if t.data_ptr() == place), channels)
            for place in places}
    return {name: wide.get(tensor.data_ptr(), tensor) for name, tensor in weights.items()}


def check_finite(pretrained: Pretrained) -> None:
    """Raises `FdifError` where a weight is no number: the training went astray before it was saved."""
    bad = [name for name, tensor in pretrained.weights.items() if not tensor.isfinite().all()]
    if bad:
        raise FdifError(Diagnostic(
            "E0868", f"{pretrained.path} holds weights that are not finite", why=f"the first is {bad[0]}",
            hint="the training diverged; an earlier checkpoint, a smaller train.lr or train.clip may help"))
