"""Weights on their way to nnU-Net: a file, and what of it matters to a data set's plans."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError
from fdif_dsl.runtime.exports import nnunet
from fdif_dsl.runtime.exports.form import facts
from fdif_dsl.runtime.training.networks import Patch
from fdif_dsl.runtime.training.pretrained import ABOUT, Pretrained


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
    path = inside[0] if len(inside) == 1 else path
    stored = _about(path)
    if stored is None:
        pretrained = Pretrained.read(path)
        path, stored = pretrained.path, facts(pretrained, 1)
    if stored["network"] not in nnunet.NETWORKS:
        raise FdifError(Diagnostic("E0866", f"nnU-Net has no network `{stored['network']}`", where=str(path),
                                   why=f"it takes {' and '.join(nnunet.NETWORKS)}", hint="pre-train one of these"))
    d, h, w = stored["patch"]
    return Weights(path, stored["network"], (d, h, w), stored["normalise"], stored["channels"])


def _about(path: Path) -> Any:
    """What an export says about itself; None where the file is none."""
    import torch

    try:
        stored = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, UnpicklingError):
        return None  # `Pretrained` says what is wrong with it
    return stored.get(ABOUT) if isinstance(stored, dict) else None
