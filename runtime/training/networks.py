"""The networks that can be pre-trained, by the names that recipes give them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError, did_you_mean
from fdif_dsl.runtime.training import monai_networks, nnunet_networks, own_network

Patch = tuple[int, int, int]


@dataclass(frozen=True)
class Network:
    """A row of the registry.

    Sides of a patch must be multiples of `divisor` and not below `least`; `features` must be a multiple of
    `feature_step`, or None where the width is fixed. `build` takes features, channels of the output, patch, and
    channels of the input where they are not 1, and gives a network from (b, inputs, *patch) to (b, channels, *patch),
    or to a list of such outputs, from fine to coarse, where it is supervised at several depths. `head` is how the names
    of the last layers' parameters begin: users of the weights replace them. `encode` takes the network and an image,
    and gives its deepest features (b, width, ...); `decoder` is how the names of parameters begin that it does not use.
    `blocks` are the modules that gradient checkpointing computes again, as attribute paths; empty where that would
    change what the network computes. `recipe` is the built-in recipe that trains it as published. `stem` names the
    weights (out, 1, ...) that read the image, which has one channel; empty where they are unknown. `repeats` is the
    number of channels to which it repeats its input, or None where it has a layer for it.
    """

    name: str
    about: str
    divisor: int
    least: int
    feature_step: int | None
    head: tuple[str, ...]
    build: Callable[..., Any]
    encode: Callable[[Any, Any], Any] | None
    decoder: tuple[str, ...]
    blocks: tuple[str, ...]
    recipe: str
    stem: tuple[str, ...] = ()
    repeats: int | None = None

    def takes(self, inputs: int) -> bool:
        """Whether it can be built for images of so many channels."""
        return self.repeats is None or self.repeats % inputs == 0

    @property
    def inputs(self) -> str:
        """The numbers of channels that it can be built for, where not any number will do, in words."""
        *some, last = (str(n) for n in range(1, (self.repeats or 1) + 1) if self.takes(n))
        return f"{', '.join(some)} or {last}"


NETWORKS = {n.name: n for n in (
    Network("unet", "MONAI's residual U-Net of four levels; small and quick", 8, 16, 1, ("model.3.",),
            monai_networks.unet, monai_networks.encode_unet,
            ("model.3.", "model.2.", "model.1.submodule.2.", "model.1.submodule.1.submodule.2."), ("model",), "demo",
            ("model.0.conv.unit0.conv.weight", "model.0.residual.weight")),
    Network("resunet", "MONAI's DynUNet with residual blocks, five levels, the first at full resolution", 16, 32, 1,
            ("output_block.",), monai_networks.resunet, monai_networks.encode_resunet,
            ("output_block.", "upsamples.", *(f"skip_layers.{'next_layer.' * i}upsample." for i in range(4))),
            ("input_block", *(f"downsamples.{i}" for i in range(3)), "bottleneck",
             *(f"upsamples.{i}" for i in range(4))), "laptop",
            tuple(f"{where}.{part}.conv.weight" for where in ("input_block", "skip_layers.downsample")
                  for part in ("conv1", "conv3"))),
    Network("swin_unetr", "Swin transformer encoder, convolutional decoder; the paper's (48 features)", 32, 64, 12,
            ("out.",), monai_networks.swin_unetr, monai_networks.encode_swin_unetr,
            ("out.", "decoder", "encoder1.", "encoder2.", "encoder3.", "encoder4."),
            ("swinViT.layers1.0", "swinViT.layers2.0", "swinViT.layers3.0", "swinViT.layers4.0", "encoder1", "encoder2",
             "decoder1", "decoder2", "decoder3"), "paper-swin-unetr",
            ("swinViT.patch_embed.proj.weight", "encoder1.layer.conv1.conv.weight",
             "encoder1.layer.conv3.conv.weight")),
    Network("unetr", "vision transformer encoder, convolutional decoder; fixed patch size (16 features)", 16, 16, 1,
            ("out.",), monai_networks.unetr, monai_networks.encode_unetr, ("out.", "decoder", "encoder"),
            (*(f"vit.blocks.{i}" for i in range(12)), "encoder1", "decoder2"), "paper-unetr",
            ("vit.patch_embedding.patch_embeddings.weight", "encoder1.layer.conv1.conv.weight",
             "encoder1.layer.conv3.conv.weight")),
    Network("vnet", "fully convolutional, batch norm; its width is fixed", 16, 32, None, ("out_tr.",),
            monai_networks.vnet, monai_networks.encode_vnet, ("out_tr.", "up_tr"), (), "paper-vnet",
            ("in_tr.conv_block.conv.weight",), 16),
    Network("resenc_l", "nnU-Net's residual encoder U-Net, size L, deep supervision; its width is fixed", 32, 64, None,
            ("decoder.seg_layers.",), nnunet_networks.resenc_l, nnunet_networks.encode_resenc_l,
            ("decoder.stages.", "decoder.transpconvs.", "decoder.seg_layers."),
            ("encoder.stem", *(f"encoder.stages.{i}" for i in range(6)), *(f"decoder.stages.{i}" for i in range(5))),
            "paper-resenc-l", ("encoder.stem.convs.0.conv.weight",)),
    Network("primus_m", "nnU-Net's Primus transformer, size M; fixed width and patch size", 8, 8, None,
            ("up_projection.",), nnunet_networks.primus_m, nnunet_networks.encode_primus_m, ("up_projection.",),
            tuple(f"eva.blocks.{i}" for i in range(16)), "paper-primus-m", ("down_projection.proj.weight",)),
)}


def find_network(name: str, where: str) -> Network:
    """The registry's row, or one for a function of the user's.

    Raises:
        FdifError: unknown name, or a function that cannot be loaded. `where` names the recipe.
    """
    if name in NETWORKS:
        return NETWORKS[name]
    if ":" in name:
        return Network(name, "a network of one's own", 1, 1, 1, (), own_network.load(name, where), None, (), (), "")
    raise FdifError(Diagnostic(
        "E0811", f"unknown network `{name}`", where=f"{where}: train.network", why=f"there are {', '.join(NETWORKS)}",
        hint=did_you_mean(name, NETWORKS) or "one of your own is a function, written package.module:function"))


def check_size(network: Network, features: int, patch: Patch, where: str) -> None:
    """Raises `FdifError` for a patch or a width that the network cannot have. `where` names the recipe."""
    bad = [side for side in patch if side % network.divisor or side < network.least]
    if bad:
        d, h, w = (max(network.least, round(side / network.divisor) * network.divisor) for side in patch)
        raise FdifError(Diagnostic(
            "E0812", f"`{network.name}` cannot take patches of {shown(patch)} voxels", where=f"{where}: train.patch",
            why=f"each side must be a multiple of {network.divisor} and at least {network.least}",
            hint=f"the nearest patch that it takes is {shown((d, h, w))}"))
    step = network.feature_step
    if step is not None and features % step:
        raise FdifError(Diagnostic(
            "E0813", f"`{network.name}` cannot have {features} features", where=f"{where}: train.features",
            why=f"their number must be a multiple of {step}",
            hint=f"write {max(step, round(features / step) * step)}"))


def shown(patch: Patch) -> str:
    return " x ".join(map(str, patch))
