"""The sections of a recipe that are values of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.runtime.recipe.rules import FORM, INSIDE
from fdif_dsl.runtime.settings.checks import Wrong
from fdif_dsl.runtime.settings.places import complain
from fdif_dsl.runtime.settings.training import LEFT_OUT, Optimisation, check_warmup


@dataclass(frozen=True)
class Placement:
    """Where an object may lie. `translate`, `rotation` and `shear` are half-widths of uniform distributions around
    zero. The keys after `grid_scale` are for objects inside the grid."""

    translate: float | str = LEFT_OUT
    """Shift along each axis, as a fraction of the axis's own size; or `inside`: each object lies wholly in the grid,
    and all such places, in whole voxels, are alike."""
    rotation: float = LEFT_OUT
    """Turn about each axis, in degrees, to either side."""
    shear: float = LEFT_OUT
    """Each of the three numbers of the symmetric shear, to either side; below 1/2, so that no object is flattened."""
    grid_scale: float = LEFT_OUT
    """How much of the grid is seen: below 1, the voxels of an axis are spread evenly over that part of it, around the
    middle and with both ends, so objects look larger and `translate` moves them further."""
    overlap: float = LEFT_OUT
    """The share of an object's voxels that may belong to objects placed before it; 1 sets no limit."""
    tries: int = LEFT_OUT
    """How many places are tried for an object that would overlap more, until it is left out of the volume."""
    order: str = LEFT_OUT
    """Which objects are placed before others: those that were `drawn` before them, or the `largest`."""

    def __post_init__(self) -> None:
        FORM.complete(self, "placement")
        usual = FORM.defaults["placement"]
        for key in ("overlap", "order"):
            if not self.inside and getattr(self, key) != usual[key]:
                raise FdifError(complain((), "placement", key, Wrong(
                    f"`{key}` is for objects inside the grid", "others may lie anywhere, also partly outside of it",
                    f'write translate = "{INSIDE}" in [placement] too, or leave `{key}` out')))

    @property
    def inside(self) -> bool:
        """Whether each object lies wholly in the grid."""
        return self.translate == INSIDE

    @property
    def shift(self) -> float:
        """The half-width of the shift that is drawn along with the other numbers of an object."""
        return 0.0 if isinstance(self.translate, str) else self.translate

    def to_dict(self) -> dict[str, Any]:
        """The keys of its TOML form; those for objects inside the grid only where they are."""
        return {key: value for key, value in asdict(self).items()
                if self.inside or key not in ("overlap", "tries", "order")}


Range = tuple[float, float]
"""The least and the most of a uniform distribution; where a single number is given, it is both."""


SCANNER_STEPS = ("background", "paint", "invert", "blur", "slices", "bias", "gaussian", "rician", "gamma")
"""What a scanner does, in this order. The key with the name of a step is its chance."""


@dataclass(frozen=True)
class Scanner:
    """What becomes of an image after composition, step by step in this order; labels stay as they are. Each step has
    its chance to happen in a volume. Grey levels are from 0 to 128."""

    background: float = LEFT_OUT
    """The chance of a grey level and a smooth texture where no object is, under what mappers add there."""
    background_level: Range = LEFT_OUT
    """That grey level."""
    background_texture: Range = LEFT_OUT
    """How far the texture goes from it at most, to either side."""
    background_size: Range = LEFT_OUT
    """How far the points are apart between which the texture is interpolated, in voxels."""
    paint: float = LEFT_OUT
    """The chance that each object has a grey level of its own, which hides what its mapper draws, partly or wholly."""
    paint_level: Range = LEFT_OUT
    """The grey level of an object."""
    paint_opacity: Range = LEFT_OUT
    """How much of an object's mapper is hidden: 0 is nothing, 1 all of it."""
    invert: float = LEFT_OUT
    """The chance that light and dark are exchanged."""
    blur: float = LEFT_OUT
    """The chance of a point spread, a Gaussian."""
    blur_sigma: Range = LEFT_OUT
    """Its standard deviation, in voxels, drawn for each axis."""
    slices: float = LEFT_OUT
    """The chance of thick slices along one of the axes, resampled linearly to the voxels."""
    slices_thickness: tuple[int, int] = LEFT_OUT
    """Their thickness, which is their distance too, in whole voxels."""
    slices_profile: str = LEFT_OUT
    """What a slice sees: a `box` as wide as it is thick, a `gaussian` with that full width at half maximum, or
    `either`."""
    bias: float = LEFT_OUT
    """The chance of a smooth gain."""
    bias_strength: Range = LEFT_OUT
    """The greatest logarithm of the gain, to either side: 0.5 is from 0.61 to 1.65."""
    gaussian: float = LEFT_OUT
    """The chance of Gaussian noise."""
    gaussian_sigma: Range = LEFT_OUT
    """Its standard deviation, in grey levels."""
    rician: float = LEFT_OUT
    """The chance of Rician noise: that of the magnitude of a signal with Gaussian noise in both channels."""
    rician_sigma: Range = LEFT_OUT
    """The standard deviation in each channel, in grey levels."""
    gamma: float = LEFT_OUT
    """The chance of a power of all grey levels, taken as parts of 128."""
    gamma_power: Range = LEFT_OUT
    """That power; below 1 makes brighter."""

    def __post_init__(self) -> None:
        FORM.complete(self, "scanner")

    @property
    def used(self) -> bool:
        """Whether any step can happen."""
        return any(self.chances.values())

    @property
    def chances(self) -> dict[str, float]:
        """The chance of each step."""
        return {step: getattr(self, step) for step in SCANNER_STEPS}

    def to_dict(self) -> dict[str, Any]:
        """The keys of its TOML form."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}


@dataclass(frozen=True)
class Training(Optimisation):
    """How a network is trained: what it learns, the optimisation, and on which devices."""

    task: str = LEFT_OUT
    """`segmentation`; `classification` of volumes that hold one object; `structure`, which learns `targets` of the
    labels `instance`; or `masked`, which fills in what is hidden of an image."""
    targets: Sequence[str] = LEFT_OUT
    """What the task `structure` learns: what is in an `object`, what is in the one in the `middle`, and the `distance`
    of the nearest border."""
    reach: int = LEFT_OUT
    """The distance in voxels beyond which borders are equally far."""
    mask: float = LEFT_OUT
    """The share of an image that the task `masked` hides."""
    mask_size: int = LEFT_OUT
    """The side of a hidden block, in voxels."""
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
