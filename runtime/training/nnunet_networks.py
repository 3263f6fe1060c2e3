"""The networks of nnU-Net's world, from `dynamic_network_architectures`, in their published configurations."""

from __future__ import annotations

from copy import deepcopy
from pydoc import locate
from typing import Any

from fdif_dsl.runtime.training.extra import require

Patch = tuple[int, int, int]
_ARCHITECTURES = "dynamic_network_architectures.architectures"


_STAGES = 6
RESENC_L: dict[str, Any] = {
    "n_stages": _STAGES, "features_per_stage": [32, 64, 128, 256, 320, 320],
    "conv_op": "torch.nn.modules.conv.Conv3d", "kernel_sizes": [[3, 3, 3]] * _STAGES,
    "strides": [[1, 1, 1]] + [[2, 2, 2]] * (_STAGES - 1), "n_blocks_per_stage": [1, 3, 4, 6, 6, 6],
    "n_conv_per_stage_decoder": [1] * (_STAGES - 1), "conv_bias": True,
    "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d", "norm_op_kwargs": {"eps": 1e-5, "affine": True},
    "dropout_op": None, "dropout_op_kwargs": None, "nonlin": "torch.nn.LeakyReLU", "nonlin_kwargs": {"inplace": True}}
"""ResEnc-L as nnU-Net plans it for patches of 128 voxels, in the form of its plans; `NAMED` are the keys whose values
are names of classes."""
NAMED = ["conv_op", "norm_op", "dropout_op", "nonlin"]
PRIMUS_M: dict[str, Any] = {"patch_embed_size": [8, 8, 8], "drop_path_rate": 0.2}
"""What Primus-M is built with beside channels and patch."""


def resenc_l(features: int, channels: int, patch: Patch, inputs: int = 1) -> Any:
    """ResEnc-L: six stages, 102 million parameters."""
    unet = require(f"{_ARCHITECTURES}.unet", "nnunet")
    settings = deepcopy(RESENC_L) | {key: name and locate(name) for key, name in RESENC_L.items() if key in NAMED}
    network = unet.ResidualEncoderUNet(
        input_channels=inputs, num_classes=channels, deep_supervision=True, **settings)
    network.apply(unet.ResidualEncoderUNet.initialize)
    return network


def encode_resenc_l(network: Any, image: Any) -> Any:
    return network.encoder(image)[-1]


def primus_m(features: int, channels: int, patch: Patch, inputs: int = 1) -> Any:
    """Primus-M: embedding 864, depth 16, 12 heads, tokens of 8 voxels a side; 147 million parameters at 96."""
    primus = require(f"{_ARCHITECTURES}.primus", "nnunet")
    return primus.PrimusM(
        input_channels=inputs, output_channels=channels, input_shape=patch,
        **PRIMUS_M | {"patch_embed_size": tuple(PRIMUS_M["patch_embed_size"])})


def encode_primus_m(network: Any, image: Any) -> Any:
    tokens, _ = network.eva(network.down_projection(image).flatten(2).transpose(1, 2))
    return tokens.transpose(1, 2)
