"""Networks that recipes name as `scanning.network:NAME`."""

from __future__ import annotations

from typing import Any

_HEAD = 48  # features of an attention head


def small_primus(in_channels: int, out_channels: int, patch: tuple[int, int, int], features: int) -> Any:
    """nnU-Net's Primus with eight layers and tokens of 8 voxels a side; 3.8 million parameters with 192 features, which
    are a multiple of 48."""
    from fdif_dsl.runtime.training.extra import require

    primus = require("dynamic_network_architectures.architectures.primus", "nnunet")
    return primus.Primus(
        input_channels=in_channels, num_classes=out_channels, input_shape=patch, embed_dim=features, eva_depth=8,
        eva_numheads=features // _HEAD, patch_embed_size=(8, 8, 8), init_values=0.1, scale_attn_inner=True)


def unet_of_many_classes(in_channels: int, out_channels: int, patch: tuple[int, int, int], features: int) -> Any:
    """The network `unet`, whose last stage has as many channels as it has features, and a convolution of 1 x 1 x 1 to
    the classes behind it. The one of MONAI has as many channels as classes there, and a step with 110 of them takes 22
    times as long. Its other tensors have the same names and shapes, and the last stage is a user's own in any case."""
    from torch import nn

    from fdif_dsl.runtime.training.networks import NETWORKS

    network = NETWORKS["unet"].build(features, features, patch, in_channels)
    network.model.add_module("classes", nn.Conv3d(features, out_channels, 1))
    return network
