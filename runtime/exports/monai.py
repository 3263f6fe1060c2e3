"""MONAI, and PyTorch without any framework: a state dict without the head."""

from __future__ import annotations

import json

from fdif_dsl.runtime.exports.form import Form, file_stem
from fdif_dsl.runtime.exports.weights import untrained, widened, without
from fdif_dsl.runtime.training.networks import NETWORKS
from fdif_dsl.runtime.training.nnunet_networks import RESENC_L
from fdif_dsl.runtime.training.pretrained import Pretrained

CODE = {
    "unet": """\
from monai.networks.nets import UNet

network = UNet(spatial_dims=3, in_channels={channels}, out_channels=CLASSES, channels={widths}, strides=(2, 2, 2),
               num_res_units=2, norm="INSTANCE")""",
    "resunet": """\
from monai.networks.nets import DynUNet

network = DynUNet(spatial_dims=3, in_channels={channels}, out_channels=CLASSES, kernel_size=[3] * 5,
                  strides=[1, 2, 2, 2, 2], upsample_kernel_size=[2] * 4, filters={five_widths},
                  norm_name=("INSTANCE", {{"affine": True}}), res_block=True)""",
    "swin_unetr": """\
from monai.networks.nets import SwinUNETR

network = SwinUNETR(in_channels={channels}, out_channels=CLASSES, feature_size={features})""",
    "unetr": """\
from monai.networks.nets import UNETR

network = UNETR(in_channels={channels}, out_channels=CLASSES, img_size={patch}, feature_size={features})""",
    "vnet": """\
from monai.networks.nets import VNet

network = VNet(spatial_dims=3, in_channels={channels}, out_channels=CLASSES)""",
    "resenc_l": """\
from dynamic_network_architectures.architectures.unet import ResidualEncoderUNet

network = ResidualEncoderUNet(
    input_channels={channels}, n_stages={n_stages}, features_per_stage={features_per_stage}, conv_op=torch.nn.Conv3d,
    kernel_sizes=3, strides={strides}, n_blocks_per_stage={n_blocks_per_stage}, num_classes=CLASSES,
    n_conv_per_stage_decoder=1, conv_bias=True, norm_op=torch.nn.InstanceNorm3d,
    norm_op_kwargs={{"eps": 1e-5, "affine": True}}, nonlin=torch.nn.LeakyReLU, nonlin_kwargs={{"inplace": True}},
    deep_supervision=False)""",
    "primus_m": """\
from dynamic_network_architectures.architectures.primus import PrimusM

network = PrimusM(input_channels={channels}, output_channels=CLASSES, patch_embed_size=(8, 8, 8), input_shape={patch},
                  drop_path_rate=0.2)""",
}
_INPUT = {"unit": "grey levels scaled to between 0 and 1 (`ScaleIntensityd`)",
          "zscore": "grey levels of mean 0 and standard deviation 1 (`NormalizeIntensityd`)"}


def form(pretrained: Pretrained, channels: int) -> Form:
    """The weights by their names, and nothing else, so that `load_state_dict(strict=False)` takes them as they are."""
    weights = widened(pretrained, channels)
    notes: list[str] = []
    known = pretrained.network in NETWORKS
    if not known:
        notes.append("which layers of a network of your own are its head is not known, so they are among the weights; "
                     "with another number of classes, remove them before you load the others")
    elif pretrained.task == "classification":
        notes.append("the network learnt to classify, so its decoder is left out")
        weights = without(weights, untrained(pretrained))
    else:
        weights = without(weights, pretrained.head)
    name = f"{file_stem(pretrained)}.pt"
    return Form(name, weights, _usage(pretrained, name, channels) if known else _usage_of_own(pretrained, name),
                lambda path: f"network.load_state_dict(torch.load({json.dumps(str(path))}, weights_only=True)"
                             + (", strict=False)" if known else ")"),
                "monai" if pretrained.network not in ("resenc_l", "primus_m") else "pytorch", tuple(notes))


def _usage(pretrained: Pretrained, name: str, channels: int) -> str:
    code = CODE[pretrained.network].format(
        channels=channels, features=pretrained.features, patch=pretrained.patch,
        widths=tuple(pretrained.features * 2**i for i in range(4)),
        five_widths=tuple(pretrained.features * 2**i for i in range(5)),
        **RESENC_L | {"strides": [stride[0] for stride in RESENC_L["strides"]]})
    fixed = "" if pretrained.network not in ("unetr", "primus_m") else (
        f" This network takes patches of {' x '.join(map(str, pretrained.patch))} voxels, and of no other size.")
    rest = "the decoder" if pretrained.task == "classification" else "the last layers"
    return f"""\
`CLASSES` is the number of yours, background among them.

```python
import torch
{code}
missing, unexpected = network.load_state_dict(torch.load("{name}", weights_only=True), strict=False)
```

`unexpected` is empty, and `missing` names {rest}, which you train anew.

Give the network {_INPUT[pretrained.normalise]}: it was pre-trained with such.{fixed}
"""


def _usage_of_own(pretrained: Pretrained, name: str) -> str:
    return f"""\
The weights are those of your function `{pretrained.network}`, by the names that they have in the network that it makes:

    network.load_state_dict(torch.load("{name}", weights_only=True))

That fits a network with as many classes. For another number remove the weights of its last layers from what is loaded,
and pass `strict=False`.

Give the network {_INPUT[pretrained.normalise]}: it was pre-trained with such.
"""
