"""The network of the CPU size, which recipes name as `transferring.network:small_unet`."""

from __future__ import annotations

from typing import Any


def small_unet(in_channels: int, out_channels: int, features: int) -> Any:
    """MONAI's residual U-Net with a layer of 1x1x1 kernels at its end: it alone is left behind when the classes change,
    and 109 of them cost little. (The head of the built-in `unet` has 3x3x3 kernels between all classes.)"""
    from monai.networks.nets import UNet
    from torch import nn

    body = UNet(spatial_dims=3, in_channels=in_channels, out_channels=2 * features,
                channels=[features * 2**i for i in range(4)], strides=(2, 2, 2), num_res_units=2, norm="INSTANCE")
    return nn.Sequential(body, nn.Conv3d(2 * features, out_channels, 1))
