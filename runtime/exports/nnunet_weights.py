"""Weights on their way to nnU-Net: a file, and what of it matters to a data set's plans."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError
from fdif_dsl.runtime.exports import nnunet
from fdif_dsl.runtime.training.networks import Patch
from fdif_dsl.runtime.training.pretrained import Pretrained


@dataclass(frozen=True)
class Weights:
    """A file of weights for nnU-Net, and what stands in it about them; `channels` are those of its images."""

    path: Path
    network: str
    patch: Patch
    normalise: str
    channels: int


def read_weights(path: Path) -> Weights:
    """Reads an export for nnU-Net, its folder, or what a run left.

    Raises:
        FdifError: it is none of them, or nnU-Net has no such network.
    """
    inside = sorted(path.glob("fdif_*.pth")) if path.is_dir() else []
    its = Pretrained.read(inside[0] if len(inside) == 1 else path)
    if its.network not in nnunet.NETWORKS:
        raise FdifError(Diagnostic("E0866", f"nnU-Net has no network `{its.network}`", where=str(its.path),
                                   why=f"it takes {' and '.join(nnunet.NETWORKS)}", hint="pre-train one of these"))
    if not _read_by_nnunet(its.path):
        raise FdifError(Diagnostic("E0863", f"nnU-Net cannot read {its.path}", why="it is an export for another tool",
                                   hint=f"fdifc export {its.path} --to nnunet"))
    return Weights(its.path, its.network, its.patch, its.normalise, its.inputs)


def _read_by_nnunet(path: Path) -> bool:
    """Whether a file of weights has them where nnU-Net looks for them."""
    import torch

    return path.suffix != ".safetensors" and "network_weights" in torch.load(path, map_location="cpu",
                                                                             weights_only=True, mmap=True)
