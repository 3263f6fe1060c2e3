"""The sections of a recipe that are values of their own."""

from __future__ import annotations

from dataclasses import dataclass

from fdif_dsl.runtime.recipe.rules import FORM
from fdif_dsl.runtime.settings.training import LEFT_OUT, Optimisation, check_warmup


@dataclass(frozen=True)
class Placement:
    """Where an object may lie; but for `grid_scale`, each number is the half-width of a uniform distribution around
    zero."""

    translate: float = LEFT_OUT
    """Shift along each axis, as a fraction of the axis's own size."""
    rotation: float = LEFT_OUT
    """Turn about each axis, in degrees."""
    shear: float = LEFT_OUT
    """Each of the three numbers of the symmetric shear; below 1/2, so that no object is flattened."""
    grid_scale: float = LEFT_OUT
    """How much of the grid is seen: below 1, the voxels of an axis are spread evenly over that part of it, around the
    middle and with both ends, so objects look larger and `translate` moves them further."""

    def __post_init__(self) -> None:
        FORM.complete(self, "placement")


@dataclass(frozen=True)
class Training(Optimisation):
    """How a network is trained: what it learns, the optimisation, and on which devices."""

    task: str = LEFT_OUT
    """`segmentation`, or `classification` of volumes that hold one object."""
    network: str = LEFT_OUT
    """A name of `fdifc list networks`, or a function of one's own as `package.module:function`."""
    features: int = LEFT_OUT
    """The width of networks that can be had in several."""
    batch: int = LEFT_OUT
    """Volumes a step, on each device, and each time where gradients are accumulated."""
    crops: int = LEFT_OUT
    """Crops of each volume."""
    patch: tuple[int, int, int] | None = LEFT_OUT
    """The size (D, H, W) of a crop; None is the whole volume."""
    dice: str = LEFT_OUT
    """Which classes the Dice loss is a mean of: `all`, or those `present` in the crop."""
    accumulate: int = LEFT_OUT
    """Batches whose gradients make one step."""
    ema: float = LEFT_OUT
    """The decay of the mean of the weights that is validated and exported; 0 takes the weights themselves."""
    compile: bool = LEFT_OUT
    """Whether `torch.compile` compiles the network."""
    recompute: bool = LEFT_OUT
    """Whether activations are computed again in the backward pass, which saves memory and costs time."""
    devices: int = LEFT_OUT
    """Processes on each machine, each on a device of its own; torchrun and Slurm say it themselves."""
    nodes: int = LEFT_OUT
    """Machines."""
    volumes: str = LEFT_OUT
    """Where volumes are drawn: `cpu`, or `gpu`, the one that trains on them."""
    workers: int = LEFT_OUT
    """Processes that render, for each device; 0 renders in threads of the training process."""
    seed: int = LEFT_OUT

    def __post_init__(self) -> None:
        check_warmup(FORM.complete(self, "train"))


@dataclass(frozen=True)
class Augmentation:
    """What happens to a crop before the network sees it, on the device."""

    normalise: str = LEFT_OUT
    """`unit`, grey levels from 0 to 1; or `zscore`, mean 0 and standard deviation 1 in each volume."""
    flip: float = LEFT_OUT
    """The chance of a flip along each axis."""
    turn: float = LEFT_OUT
    """The chance of one to three quarter turns about an axis."""
    shift: float = LEFT_OUT
    """The chance of a constant that is added to all grey levels."""
    shift_by: float = LEFT_OUT
    """The greatest such constant, to either side, after normalisation."""

    def __post_init__(self) -> None:
        FORM.complete(self, "augment")


@dataclass(frozen=True)
class Monitor:
    """How a run is watched: validation on volumes that are never trained on, checkpoints, loggers."""

    validate: int = LEFT_OUT
    """Steps from one validation to the next; 0 does not validate."""
    volumes: int = LEFT_OUT
    """Volumes of the validation set."""
    checkpoint: int = LEFT_OUT
    """Steps from one checkpoint to the next."""
    keep: int = LEFT_OUT
    """How many of the last checkpoints are kept, beside the best."""
    wandb: str | None = LEFT_OUT
    """The project to log to with Weights & Biases; None does not."""

    def __post_init__(self) -> None:
        FORM.complete(self, "monitor")
