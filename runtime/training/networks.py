"""The networks that can be pre-trained, by the names that recipes give them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError, did_you_mean
from fdif_dsl.runtime.training.extra import monai_networks

Patch = tuple[int, int, int]


@dataclass(frozen=True)
class Network:
    """A row of the registry.

    Sides of a patch must be multiples of `divisor` and not below `least`; `features` must be a multiple
    of `feature_step`, or None where the width is fixed. `build` takes features, classes and patch.
    `head` is how the names of the last layer's parameters begin: users of the weights replace it.
    """

    name: str
    about: str
    divisor: int
    least: int
    feature_step: int | None
    head: str
    build: Callable[[int, int, Patch], Any]


def _unet(features: int, classes: int, patch: Patch) -> Any:
    return monai_networks().UNet(
        spatial_dims=3, in_channels=1, out_channels=classes, channels=[features * 2**i for i in range(4)],
        strides=(2, 2, 2), num_res_units=2, norm="INSTANCE")


def _swin_unetr(features: int, classes: int, patch: Patch) -> Any:
    return monai_networks(einops=True).SwinUNETR(in_channels=1, out_channels=classes, feature_size=features)


def _unetr(features: int, classes: int, patch: Patch) -> Any:
    return monai_networks(einops=True).UNETR(
        in_channels=1, out_channels=classes, img_size=patch, feature_size=features)


def _vnet(features: int, classes: int, patch: Patch) -> Any:
    return monai_networks().VNet(spatial_dims=3, in_channels=1, out_channels=classes)


NETWORKS = {n.name: n for n in (
    Network("unet", "MONAI's residual U-Net of four levels; small and quick", 8, 16, 1, "model.2.", _unet),
    Network("swin_unetr", "Swin transformer encoder, convolutional decoder; the paper's (48 features)", 32, 64, 12,
            "out.", _swin_unetr),
    Network("unetr", "vision transformer encoder, convolutional decoder; fixed patch size (16 features)", 16, 16, 1,
            "out.", _unetr),
    Network("vnet", "fully convolutional, batch norm; its width is fixed", 16, 32, None, "out_tr.", _vnet),
)}


def check_network(name: str, features: int, patch: Patch, where: str) -> Network:
    """The registry's row, once it is sure that the network can take patches of this size.

    Raises:
        FdifError: unknown name, or a patch or width that the network cannot have. `where` names the recipe.
    """
    if name not in NETWORKS:
        raise FdifError(Diagnostic(
            "E0811", f"unknown network `{name}`", where=f"{where}: train.network",
            why=f"there are {', '.join(NETWORKS)}", hint=did_you_mean(name, NETWORKS)))
    network = NETWORKS[name]
    bad = [side for side in patch if side % network.divisor or side < network.least]
    if bad:
        d, h, w = (max(network.least, round(side / network.divisor) * network.divisor) for side in patch)
        raise FdifError(Diagnostic(
            "E0812", f"`{name}` cannot take patches of {shown(patch)} voxels", where=f"{where}: train.patch",
            why=f"each side must be a multiple of {network.divisor} and at least {network.least}",
            hint=f"the nearest patch that it takes is {shown((d, h, w))}"))
    step = network.feature_step
    if step is not None and features % step:
        raise FdifError(Diagnostic(
            "E0813", f"`{name}` cannot have {features} features", where=f"{where}: train.features",
            why=f"their number must be a multiple of {step}",
            hint=f"write {max(step, round(features / step) * step)}"))
    return network


def shown(patch: Patch) -> str:
    return " x ".join(map(str, patch))
