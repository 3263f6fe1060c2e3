"""The sections of a recipe that are values of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fdif_dsl.runtime.recipe.rules import FORM
from fdif_dsl.runtime.settings.warmup import check_warmup

PAPER: Any = None
"""What a field holds until the paper's value is put in its place."""


@dataclass(frozen=True)
class Placement:
    """Where an object may lie; but for `grid_scale`, each number is the half-width of a uniform distribution around
    zero."""

    translate: float = PAPER
    """Shift along each axis, as a fraction of the axis's own size."""
    rotation: float = PAPER
    """Turn about each axis, in degrees."""
    shear: float = PAPER
    """Each of the three numbers of the symmetric shear; below 1/2, so that no object is flattened."""
    grid_scale: float = PAPER
    """How much of the grid is seen: below 1, the voxels of an axis are spread evenly over that part of it, around the
    middle and with both ends, so objects look larger and `translate` moves them further."""

    def __post_init__(self) -> None:
        FORM.complete(self, "placement")


@dataclass(frozen=True)
class Training:
    """How a network is trained: what it learns, the optimisation, and on which devices."""

    task: str = PAPER
    """`segmentation`, or `classification` of volumes that hold one object."""
    network: str = PAPER
    """A name of `fdifc list networks`, or a function of one's own as `package.module:function`."""
    features: int = PAPER
    """The width of networks that can be had in several."""
    batch: int = PAPER
    """Volumes a step, on each device, and each time where gradients are accumulated."""
    crops: int = PAPER
    """Crops of each volume."""
    patch: tuple[int, int, int] | None = PAPER
    """The size (D, H, W) of a crop; None is the whole volume."""
    dice: str = PAPER
    """Which classes the Dice loss is a mean of: `all`, or those `present` in the crop."""
    optimizer: str = PAPER
    """`adamw`, or `sgd` with a Nesterov momentum of 0.99."""
    lr: float = PAPER
    weight_decay: float = PAPER
    schedule: str = PAPER
    """How the learning rate falls to 0: `cosine`, `poly` (power 0.9), or `constant`, which does not fall."""
    steps: int = PAPER
    """Steps of the optimiser."""
    warmup: int = PAPER
    """Steps until the learning rate is `lr`; from there it falls."""
    accumulate: int = PAPER
    """Batches whose gradients make one step."""
    clip: float = PAPER
    """The greatest norm of a gradient; 0 does not clip."""
    ema: float = PAPER
    """The decay of the mean of the weights that is validated and exported; 0 takes the weights themselves."""
    precision: str = PAPER
    compile: bool = PAPER
    """Whether `torch.compile` compiles the network."""
    recompute: bool = PAPER
    """Whether activations are computed again in the backward pass, which saves memory and costs time."""
    accelerator: str = PAPER
    """`gpu`, `cpu`, or `auto`, a GPU where there is one."""
    devices: int = PAPER
    """Processes on each machine, each on a device of its own; torchrun and Slurm say it themselves."""
    nodes: int = PAPER
    """Machines."""
    volumes: str = PAPER
    """Where volumes are drawn: `cpu`, or `gpu`, the one that trains on them."""
    workers: int = PAPER
    """Processes that render, for each device; 0 renders in threads of the training process."""
    seed: int = PAPER

    def __post_init__(self) -> None:
        check_warmup(FORM.complete(self, "train"))


@dataclass(frozen=True)
class Augmentation:
    """What happens to a crop before the network sees it, on the device."""

    normalise: str = PAPER
    """`unit`, grey levels from 0 to 1; or `zscore`, mean 0 and standard deviation 1 in each volume."""
    flip: float = PAPER
    """The chance of a flip along each axis."""
    turn: float = PAPER
    """The chance of one to three quarter turns about an axis."""
    shift: float = PAPER
    """The chance of a constant that is added to all grey levels."""
    shift_by: float = PAPER
    """The greatest such constant, to either side, after normalisation."""

    def __post_init__(self) -> None:
        FORM.complete(self, "augment")


@dataclass(frozen=True)
class Monitor:
    """How a run is watched: validation on volumes that are never trained on, checkpoints, loggers."""

    validate: int = PAPER
    """Steps from one validation to the next; 0 does not validate."""
    volumes: int = PAPER
    """Volumes of the validation set."""
    checkpoint: int = PAPER
    """Steps from one checkpoint to the next."""
    keep: int = PAPER
    """How many of the last checkpoints are kept, beside the best."""
    wandb: str | None = PAPER
    """The project to log to with Weights & Biases; None does not."""

    def __post_init__(self) -> None:
        FORM.complete(self, "monitor")
