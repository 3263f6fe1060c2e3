"""A pre-trained network, read from what `fdifc pretrain` leaves or `fdifc export` made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fdif_dsl.runtime.training.networks import NETWORKS
from fdif_dsl.runtime.training.weights_file import find, foreign, load

if TYPE_CHECKING:
    import torch

MEASURES = {"segmentation": "Dice", "classification": "share named right", "structure": "Dice",
            "masked": "share explained"}
"""What a validation scores by, for each task."""


@dataclass(frozen=True)
class Pretrained:
    """The weights of a run, and what they were made from.

    `weights` are CPU tensors by their names in the network alone; names that share a tensor still do. `network`,
    `features` and `patch` (D, H, W) say which network it is, `head` how the names of its last layers' parameters begin,
    empty where that is unknown. `tasks` has the classes of each label that it learnt, the first of which is background.
    `task` and `label` stand in the recipe too; `recipe` is that as sections of keys, `library` the formulas' hash.
    `step` is the step after which these weights were taken, `version` that of fdif-dsl. `inputs` are the channels of
    the images that the weights are for. `tuned` says that they are fine-tuned, and so know classes of a user's.
    `origins` are the files that shapes were sampled from.
    """

    path: Path
    weights: Mapping[str, torch.Tensor] = field(repr=False)
    network: str
    features: int
    patch: tuple[int, int, int]
    head: tuple[str, ...]
    task: str
    label: str
    tasks: Mapping[str, tuple[str, ...]]
    recipe: Mapping[str, Mapping[str, Any]] = field(repr=False)
    library: str
    seed: int
    step: int
    version: str
    inputs: int = 1
    tuned: bool = False
    origins: tuple[Mapping[str, str], ...] = ()

    @property
    def steps(self) -> int:
        """The steps that the run was to have."""
        return int(self.recipe["train"]["steps"])

    @property
    def normalise(self) -> str:
        """How grey levels were normalised: `unit`, from 0 to 1, or `zscore`, mean 0 and standard deviation 1; of
        fine-tuned weights what the recipe says of its data."""
        return str(self.recipe["data" if self.tuned else "augment"]["normalise"])

    @property
    def channels(self) -> int:
        """The channels of the network's output. One that learnt to classify has a single one, which it never used."""
        return 1 if self.task == "classification" else sum(len(classes) for classes in self.tasks.values())

    @classmethod
    def read(cls, path: str | Path) -> Pretrained:
        """Reads weights.pt or best.pt, or the run's folder: its best.pt, or its weights.pt where it was not validated.
        An export, or its folder, is read too.

        Raises:
            FdifError: nothing is there, or it is something else.
        """
        file = find(Path(path))
        stored = load(file)
        try:
            return cls(
                file, _bare(stored["network_weights"], ":" in stored["network"]), str(stored["network"]),
                int(stored["features"]), _three(stored["patch"]), _head(stored), str(stored["task"]),
                str(stored["label"]),
                {task: tuple(classes) for task, classes in stored["tasks"].items()}, stored["recipe"],
                str(stored["library"]), int(stored["seed"]), int(stored["step"]), str(stored["fdif_dsl"]),
                int(stored.get("channels", 1)), "trained_on" in stored,
                tuple({word: str(origin[word]) for word in ("file", "dataset", "licence", "sha256")}
                      for origin in stored.get("origins", ())))
        except (KeyError, AttributeError, TypeError, ValueError) as error:
            raise foreign(file, stored) from error


def over_channels(kernel: torch.Tensor, channels: int) -> torch.Tensor:
    """A kernel (out, n, ...) over the channels of images as one over another number of them: its sum is repeated, and
    divided by that number, so that the same image in all of them gives what it gave."""
    return kernel.sum(1, keepdim=True).repeat_interleave(channels, 1) / channels


def _head(stored: Mapping[str, Any]) -> tuple[str, ...]:
    row = NETWORKS.get(stored["network"])
    return tuple(stored.get("head", row.head if row else ()))  # exports of 0.1 did not say it


def _three(patch: Any) -> tuple[int, int, int]:
    d, h, w = (int(side) for side in patch)
    return d, h, w


def _bare(weights: Mapping[str, torch.Tensor], own: bool) -> dict[str, torch.Tensor]:
    """Weights by their names without what a wrapper put before all of them; a network of the user's `own` may well have
    one part that is called `module`."""
    for wrapper in ("_orig_mod.",) if own else ("_orig_mod.", "module."):  # torch.compile, DistributedDataParallel
        if weights and all(name.startswith(wrapper) for name in weights):
            return _bare({name.removeprefix(wrapper): tensor for name, tensor in weights.items()}, own)
    return dict(weights)
