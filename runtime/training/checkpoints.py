"""Checkpoints: whole or not there, the last ones and the best, and weights that other programs read."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.plugins.io import TorchCheckpointIO

from fdif_dsl.compiler.support.files import remove_leftovers, replacing
from fdif_dsl.runtime.training.run_folder import BEST, BEST_WEIGHTS, FOLDER, LAST, WEIGHTS, on_cpu, save_whole


class Checkpoints:
    """The checkpoints of a run:

        checkpoints/step-00001000.ckpt    the whole state after a step, the last `keep` of them
        last.ckpt, best.ckpt              the newest, and that of the best validation
        weights.pt, best.pt               the network weights of these, for other programs

    `facts` is what stands in `weights.pt` beside the weights. Files are replaced as a whole, so a run that is killed at
    any moment leaves `last.ckpt` as of some step, and what it lacks is made again by `--resume`.
    """

    def __init__(self, directory: Path, facts: Mapping[str, Any], keep: int) -> None:
        self.directory, self.facts, self.keep = directory, facts, keep

    def save(self, trainer: Trainer, module: LightningModule, best: bool) -> None:
        """The state after the step in hand. Every process of a run calls this."""
        step = trainer.global_step
        folder = self.directory / FOLDER
        folder.mkdir(exist_ok=True)
        path = folder / f"step-{step:08d}.ckpt"
        trainer.save_checkpoint(path)  # by `WholeFiles`
        if not trainer.is_global_zero:
            return
        self.save_weights(module, step)
        _link(path, self.directory / LAST)
        if best:
            self.name_best()
        for old in sorted(folder.glob("step-*.ckpt"))[: -self.keep]:
            old.unlink(missing_ok=True)
        remove_leftovers(folder)

    def save_weights(self, module: LightningModule, step: int) -> None:
        """The network's weights after a step, with the facts."""
        stored = {"network_weights": on_cpu(weights_of(module)), **self.facts, "step": step}
        save_whole(stored, self.directory / WEIGHTS)

    def name_best(self) -> None:
        """The newest checkpoint is the best so far."""
        _link(self.directory / WEIGHTS, self.directory / BEST_WEIGHTS)
        _link(self.directory / LAST, self.directory / BEST)


class WholeFiles(TorchCheckpointIO):
    """How Lightning writes a checkpoint: beside its place, and then into it."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        save_whole(checkpoint, Path(path))


def weights_of(module: LightningModule) -> Mapping[str, torch.Tensor]:
    """The weights to export: of the network alone, without a classifier that stands on it."""
    network: Any = module.trained
    its: Mapping[str, torch.Tensor] = getattr(network, "network", network).state_dict()
    return its


def _link(path: Path, name: Path) -> None:
    """A second name for a file that stays when the first goes; a copy where the file system has no links."""
    temporary = name.with_name(f".{secrets.token_hex(4)}-{name.name}")
    try:
        os.link(path, temporary)
        temporary.replace(name)
    except OSError:
        temporary.unlink(missing_ok=True)
        with replacing(name) as copy:
            copy.write_bytes(path.read_bytes())
