"""The recipe of a fine-tuning: which cases, which network from which weights, how it is trained and scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.runtime.finetuning.rules import FORM
from fdif_dsl.runtime.settings.checks import Wrong
from fdif_dsl.runtime.settings.places import Sources, complain, in_file
from fdif_dsl.runtime.settings.reading import read, to_toml
from fdif_dsl.runtime.settings.warmup import check_warmup, shorten_warmup

SMALL: Any = None
"""What a field holds until the value of the recipe `small` is put in its place."""


@dataclass(frozen=True)
class Data:
    """Which cases are trained on and which are held out, and the grid that the network sees them on."""

    path: str = SMALL
    """A MONAI data list, the folder of a raw data set of nnU-Net, or MedMNIST's .npz; `none` where it is missing."""
    validation: str = SMALL
    """Which cases are held out: the `list`'s own, or a `fold` of the training cases; `auto`: its own if it has any."""
    folds: int = SMALL
    fold: int = SMALL
    cases: int = SMALL
    """How many of the training cases are trained on, drawn by the seed; 0 is all. Four cases hold the two of before."""
    spacing: str | tuple[float, float, float] = SMALL
    """The voxels that the network sees, (z, y, x) in mm; `median` is that of the data set, `keep` each case's own."""
    orientation: str = SMALL
    """Where x, y and z point; arrays are (z, y, x)."""
    normalise: str = SMALL
    """`zscore`, `ct` (cut to the foreground's 0.5th to 99.5th percentile, then by its mean and deviation), `unit` (from
    0 to 1), `keep`; `auto` goes by the names of the channels."""
    memory: float = SMALL
    """GB of prepared cases that are kept in memory; the others wait in temporary files."""

    def __post_init__(self) -> None:
        values = FORM.complete(self, "data")
        if values["fold"] >= values["folds"]:
            raise FdifError(complain((), "data", "fold", Wrong(
                f"there is no fold {values['fold']} among {values['folds']}", "they are counted from 0",
                f"write a number from 0 to {values['folds'] - 1}")))


@dataclass(frozen=True)
class Train:
    """The network, where its weights come from, and the optimisation."""

    weights: str = SMALL
    """What `fdifc pretrain` left: its folder or a weights.pt; `none` trains from scratch."""
    network: str = SMALL
    """A name of `fdifc list networks` or package.module:function; `auto` is that of the weights, else `unet`."""
    features: int | str = SMALL
    """`auto`: those of the weights, else of the network's own recipe; the same for `patch`."""
    patch: tuple[int, int, int] | str = SMALL
    batch: int = SMALL
    steps: int = SMALL
    optimizer: str = SMALL
    lr: float = SMALL
    weight_decay: float = SMALL
    schedule: str = SMALL
    warmup: int = SMALL
    body_lr: float = SMALL
    """The learning rate of what was taken from the weights, as a share of `lr`."""
    freeze: int = SMALL
    """Steps in which what was taken from the weights is not trained."""
    clip: float = SMALL
    precision: str = SMALL
    accelerator: str = SMALL
    workers: int = SMALL
    """Threads that make batches ahead; 0 makes each when it is needed."""
    seeds: Sequence[int] = SMALL
    """A run for each. The seed decides which cases are drawn, the new tensors, the batches."""

    def __post_init__(self) -> None:
        check_warmup(FORM.complete(self, "train"))


@dataclass(frozen=True)
class Augment:
    """What happens to a patch before the network sees it: the chance of each change, and its greatest amount."""

    flip: float = SMALL
    rotate: float = SMALL
    degrees: float = SMALL
    zoom: float = SMALL
    zoom_by: float = SMALL
    noise: float = SMALL
    noise_by: float = SMALL
    contrast: float = SMALL
    contrast_by: float = SMALL
    shift: float = SMALL
    shift_by: float = SMALL

    def __post_init__(self) -> None:
        FORM.complete(self, "augment")


@dataclass(frozen=True)
class Validate:
    """How held-out cases are scored."""

    overlap: float = SMALL
    distance: bool = SMALL
    """Whether HD95 is computed beside Dice."""
    predictions: bool = SMALL
    """Whether the classes found in held-out cases are kept, as NIfTI files."""

    def __post_init__(self) -> None:
        FORM.complete(self, "validate")


@dataclass(frozen=True)
class FinetuneRecipe:
    """A recipe of fine-tuning; what is left out is as in `small`. Raises `FdifError` for impossible values."""

    data: Data = field(default_factory=Data)
    train: Train = field(default_factory=Train)
    augment: Augment = field(default_factory=Augment)
    validate: Validate = field(default_factory=Validate)
    source: Sources = field(default=(), repr=False, compare=False)
    """The texts it was read from, for messages."""

    @classmethod
    def load(cls, name_or_path: str | Path, overrides: Sequence[str] = ()) -> FinetuneRecipe:
        """A built-in recipe by its name, or the recipe in a TOML file; `overrides` are texts like `train.steps=1000`.

        Raises:
            FdifError: one diagnostic for each mistake, at its line of the file.
        """
        given = read(FORM.rules, FORM.open(name_or_path), overrides)
        shorten_warmup(given, FORM.defaults["train"]["warmup"])
        values = given.values
        try:
            return cls(Data(**values["data"]), Train(**values["train"]), Augment(**values["augment"]),
                       Validate(**values["validate"]), given.sources)
        except FdifError as error:
            raise FdifError(*(in_file(given.sources, d) for d in error.diagnostics)) from None

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """The recipe as the sections and keys of its TOML form."""
        return {name: {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(part).items()}
                for name, part in self._parts.items()}

    def to_toml(self, about: str) -> str:
        """The recipe in full as a TOML text, which `load` reads again."""
        return to_toml(about, self.to_dict())

    @property
    def _parts(self) -> Mapping[str, Any]:
        return {"data": self.data, "train": self.train, "augment": self.augment, "validate": self.validate}


def finetune_recipes() -> dict[str, str]:
    """The built-in recipes of fine-tuning: name to description."""
    return FORM.about()
