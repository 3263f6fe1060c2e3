"""A transformer of the size of the small U-Net, which recipes name as `scanning.network:small_primus`."""

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
