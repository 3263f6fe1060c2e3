"""MONAI's networks in their published configurations, and their encoders."""

from __future__ import annotations

from typing import Any

from fdif_dsl.runtime.training.extra import require

Patch = tuple[int, int, int]


def _nets(einops: bool = False) -> Any:
    if einops:  # MONAI imports it when it first needs it
        require("einops")
    return require("monai.networks.nets")


def unet(features: int, channels: int, patch: Patch, inputs: int = 1) -> Any:
    """With a layer for the classes behind it. MONAI's own last stage has a channel for each class, and convolutions
    between all of them: with a hundred classes that is nearly all of a step, and none of it serves other classes."""
    from torch import nn

    network = _nets().UNet(
        spatial_dims=3, in_channels=inputs, out_channels=features, channels=[features * 2**i for i in range(4)],
        strides=(2, 2, 2), num_res_units=2, norm="INSTANCE")
    network.model.append(nn.Conv3d(features, channels, 1))
    return network


def encode_unet(network: Any, image: Any) -> Any:
    level = network.model
    while hasattr(level, "__len__"):  # down, the levels below, up
        image, level = level[0](image), level[1].submodule
    return level(image)


def resunet(features: int, channels: int, patch: Patch, inputs: int = 1) -> Any:
    levels = 5
    return _nets().DynUNet(
        spatial_dims=3, in_channels=inputs, out_channels=channels, kernel_size=[3] * levels,
        strides=[1] + [2] * (levels - 1), upsample_kernel_size=[2] * (levels - 1),
        filters=[features * 2**i for i in range(levels)], norm_name=("INSTANCE", {"affine": True}), res_block=True)


def encode_resunet(network: Any, image: Any) -> Any:
    for level in (network.input_block, *network.downsamples, network.bottleneck):
        image = level(image)
    return image


def swin_unetr(features: int, channels: int, patch: Patch, inputs: int = 1) -> Any:
    return _nets(einops=True).SwinUNETR(in_channels=inputs, out_channels=channels, feature_size=features)


def encode_swin_unetr(network: Any, image: Any) -> Any:
    return network.encoder10(network.swinViT(image, network.normalize)[4])


def unetr(features: int, channels: int, patch: Patch, inputs: int = 1) -> Any:
    network = _nets(einops=True).UNETR(
        in_channels=inputs, out_channels=channels, img_size=patch, feature_size=features)
    for name, parameter in network.named_parameters():
        if "norm_cross_attn" in name:  # MONAI makes these for cross-attention, of which UNETR has none
            parameter.requires_grad_(False)
    return network


def encode_unetr(network: Any, image: Any) -> Any:
    return network.vit(image)[0].transpose(1, 2)


def vnet(features: int, channels: int, patch: Patch, inputs: int = 1) -> Any:
    return _nets().VNet(spatial_dims=3, in_channels=inputs, out_channels=channels)


def encode_vnet(network: Any, image: Any) -> Any:
    for level in (network.in_tr, network.down_tr32, network.down_tr64, network.down_tr128, network.down_tr256):
        image = level(image)
    return image
