"""The networks of nnU-Net's world, from `dynamic_network_architectures`, in their published configurations."""

from __future__ import annotations

from typing import Any

from fdif_dsl.runtime.training.extra import require

Patch = tuple[int, int, int]
_ARCHITECTURES = "dynamic_network_architectures.architectures"


def resenc_l(features: int, channels: int, patch: Patch, inputs: int = 1) -> Any:
    """ResEnc-L as nnU-Net plans it for patches of 128 voxels: six stages, 102 million parameters."""
    unet = require(f"{_ARCHITECTURES}.unet", "nnunet")
    from torch import nn

    network = unet.ResidualEncoderUNet(
        input_channels=inputs, n_stages=6, features_per_stage=[32, 64, 128, 256, 320, 320], conv_op=nn.Conv3d,
        kernel_sizes=3, strides=[1, 2, 2, 2, 2, 2], n_blocks_per_stage=[1, 3, 4, 6, 6, 6], num_classes=channels,
        n_conv_per_stage_decoder=1, conv_bias=True, norm_op=nn.InstanceNorm3d,
        norm_op_kwargs={"eps": 1e-5, "affine": True}, nonlin=nn.LeakyReLU, nonlin_kwargs={"inplace": True},
        deep_supervision=True)
    network.apply(unet.ResidualEncoderUNet.initialize)
    return network


def encode_resenc_l(network: Any, image: Any) -> Any:
    return network.encoder(image)[-1]


def primus_m(features: int, channels: int, patch: Patch, inputs: int = 1) -> Any:
    """Primus-M: embedding 864, depth 16, 12 heads, tokens of 8 voxels a side; 147 million parameters at 96."""
    primus = require(f"{_ARCHITECTURES}.primus", "nnunet")
    return primus.PrimusM(input_channels=inputs, output_channels=channels, patch_embed_size=(8, 8, 8),
                          input_shape=patch, drop_path_rate=0.2)


def encode_primus_m(network: Any, image: Any) -> Any:
    tokens, _ = network.eva(network.down_projection(image).flatten(2).transpose(1, 2))
    return tokens.transpose(1, 2)
