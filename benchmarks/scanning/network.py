"""Small networks that the package does not have, which recipes name as `scanning.network:small_primus`."""

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


def small_resenc(in_channels: int, out_channels: int, features: int) -> Any:
    """nnU-Net's residual encoder U-Net with deep supervision, as ResEnc-L is, with four stages of one block each. All
    but its last layers, 1x1x1 convolutions, is handed over when the classes change."""
    from torch import nn

    from fdif_dsl.runtime.training.extra import require

    unet = require("dynamic_network_architectures.architectures.unet", "nnunet")
    network = unet.ResidualEncoderUNet(
        input_channels=in_channels, n_stages=4, features_per_stage=[features * 2**i for i in range(4)],
        conv_op=nn.Conv3d, kernel_sizes=3, strides=[1, 2, 2, 2], n_blocks_per_stage=[1, 1, 1, 1],
        num_classes=out_channels, n_conv_per_stage_decoder=1, conv_bias=True, norm_op=nn.InstanceNorm3d,
        norm_op_kwargs={"eps": 1e-5, "affine": True}, nonlin=nn.LeakyReLU, nonlin_kwargs={"inplace": True},
        deep_supervision=True)
    network.apply(unet.ResidualEncoderUNet.initialize)
    return network
