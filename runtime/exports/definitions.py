"""How other programs make the networks: a class by its full name, its arguments, and what is added to it."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from typing import Any, NamedTuple

from fdif_dsl.runtime.training.nnunet_networks import NAMED, PRIMUS_M, RESENC_L

Patch = tuple[int, int, int]

_MONAI = "monai.networks.nets"
_NNUNET = "dynamic_network_architectures.architectures"


class Code(str):
    """An argument that is Python, and no text."""


class Definition(NamedTuple):
    """`then` is a method of the network and its arguments, as Python, that is called once it is made."""

    name: str
    arguments: dict[str, Any]
    then: str = ""


def _unet(features: int, patch: Patch, inputs: int, outputs: Any) -> Definition:
    return Definition(f"{_MONAI}.UNet", {
        "spatial_dims": 3, "in_channels": inputs, "out_channels": features,
        "channels": [features * 2**i for i in range(4)], "strides": [2, 2, 2], "num_res_units": 2, "norm": "INSTANCE"},
        f"model.append(torch.nn.Conv3d({features}, {outputs}, 1))")


def _resunet(features: int, patch: Patch, inputs: int, outputs: Any) -> Definition:
    return Definition(f"{_MONAI}.DynUNet", {
        "spatial_dims": 3, "in_channels": inputs, "out_channels": outputs, "kernel_size": [3] * 5,
        "strides": [1, 2, 2, 2, 2], "upsample_kernel_size": [2] * 4, "filters": [features * 2**i for i in range(5)],
        "norm_name": ["INSTANCE", {"affine": True}], "res_block": True})


def _swin_unetr(features: int, patch: Patch, inputs: int, outputs: Any) -> Definition:
    return Definition(f"{_MONAI}.SwinUNETR",
                      {"in_channels": inputs, "out_channels": outputs, "feature_size": features})


def _unetr(features: int, patch: Patch, inputs: int, outputs: Any) -> Definition:
    return Definition(f"{_MONAI}.UNETR", {"in_channels": inputs, "out_channels": outputs, "img_size": list(patch),
                                          "feature_size": features})


def _vnet(features: int, patch: Patch, inputs: int, outputs: Any) -> Definition:
    return Definition(f"{_MONAI}.VNet", {"spatial_dims": 3, "in_channels": inputs, "out_channels": outputs})


def _resenc_l(features: int, patch: Patch, inputs: int, outputs: Any) -> Definition:
    its = {key: Code(value) if key in NAMED and value else value for key, value in RESENC_L.items()
           if value not in (None, {}) or key in NAMED}
    return Definition(f"{_NNUNET}.unet.ResidualEncoderUNet", {"input_channels": inputs, "num_classes": outputs, **its,
                                                              "deep_supervision": False})


def _primus_m(features: int, patch: Patch, inputs: int, outputs: Any) -> Definition:
    return Definition(f"{_NNUNET}.primus.PrimusM", {"input_channels": inputs, "output_channels": outputs,
                                                    "input_shape": list(patch), **PRIMUS_M})


DEFINITIONS: dict[str, Callable[[int, Patch, int, Any], Definition]] = {
    "unet": _unet, "resunet": _resunet, "swin_unetr": _swin_unetr, "unetr": _unetr, "vnet": _vnet,
    "resenc_l": _resenc_l, "primus_m": _primus_m}
"""For each network its definition, from features, patch, channels of the input and of the output."""


def as_python(definition: Definition) -> str:
    """Lines that make a network; they need `import torch` before."""
    module, _, name = definition.name.rpartition(".")
    call = f"network = {name}({', '.join(f'{key}={_python(value)}' for key, value in definition.arguments.items())})"
    lines = textwrap.wrap(call, 110, subsequent_indent=" " * len(f"network = {name}("), break_long_words=False,
                          break_on_hyphens=False)
    then = [f"network.{definition.then}"] if definition.then else []
    return "\n".join([f"from {module} import {name}", "", *lines, *then])


def as_config(definition: Definition) -> dict[str, Any]:
    """The same for a configuration of MONAI, which needs `import torch` among its imports: `network_def` is it."""
    made = {"_target_": definition.name, **{
        key: f"${value}" if isinstance(value, Code) else value for key, value in definition.arguments.items()}}
    if not definition.then:
        return {"network_def": made}
    return {"body": made, "network_def": f"$(@body.{definition.then}, @body)[1]"}


def _python(value: Any) -> str:
    if isinstance(value, Code):
        return str(value)
    if isinstance(value, list):  # classes want tuples in some places, and take them in all
        return f"({', '.join(map(_python, value))}{',' if len(value) == 1 else ''})"
    return f'"{value}"' if isinstance(value, str) else repr(value)
