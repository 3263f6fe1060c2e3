"""The recipe of a fine-tuning: which cases, which network from which weights, how it is trained and scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.runtime.finetuning.rules import FORM
from fdif_dsl.runtime.settings.checks import Wrong
from fdif_dsl.runtime.settings.places import Sources, complain, placed
from fdif_dsl.runtime.settings.reading import to_toml
from fdif_dsl.runtime.settings.training import LEFT_OUT, Optimisation, check_warmup


@dataclass(frozen=True)
class Data:
    """Which cases are trained on and which are held out, and the grid that the network sees them on."""

    path: str = LEFT_OUT
    """A MONAI data list, the folder of a raw data set of nnU-Net, or MedMNIST's .npz; `none` where it is missing."""
    validation: str = LEFT_OUT
    """Which cases are held out: the `list`'s own, or a `fold` of the training cases; `auto`: its own if it has any."""
    folds: int = LEFT_OUT
    """How many there are: the data set's own, or, where it has none, into how many the cases are dealt."""
    fold: int = LEFT_OUT
    ensemble: bool = LEFT_OUT
    """Whether a network is trained for each fold, instead of for `fold` alone. Each case is scored by the network that
    it is held out from; a validation list of the data set is left alone."""
    cases: int = LEFT_OUT
    """How many of the training cases are trained on, drawn by the seed; 0 is all. Four cases hold the two of before."""
    spacing: str | tuple[float, float, float] = LEFT_OUT
    """The voxels that the network sees, (z, y, x) in mm; `median` is that of the data set, `keep` each case's own."""
    renumber: bool = LEFT_OUT
    """Whether labels may have gaps: then classes are numbered in the order of the labels, and files stay as they are.
    """
    orientation: str = LEFT_OUT
    """Where x, y and z point; arrays are (z, y, x)."""
    normalise: str = LEFT_OUT
    """`zscore`, `clipped` (the same, once cut to the image's own 0.5th to 99.5th percentile), `ct` (cut to those of the
    foreground, then by its mean and deviation), `unit` (from 0 to 1), `keep`; `auto` goes by the names of the channels.
    """
    memory: float = LEFT_OUT
    """GB of prepared cases that are kept in memory; the others wait in temporary files."""

    def __post_init__(self) -> None:
        values = FORM.complete(self, "data")
        if values["fold"] >= values["folds"]:
            raise FdifError(complain((), "data", "fold", Wrong(
                f"there is no fold {values['fold']} among {values['folds']}", "they are counted from 0",
                f"write a number from 0 to {values['folds'] - 1}")))


@dataclass(frozen=True)
class Train(Optimisation):
    """The network, where its weights come from, and the optimisation."""

    weights: str = LEFT_OUT
    """What `fdifc pretrain` left: its folder or a weights.pt; `none` trains from scratch."""
    network: str = LEFT_OUT
    """A name of `fdifc list networks` or package.module:function; `auto` is that of the weights, else `unet`."""
    features: int | str = LEFT_OUT
    """`auto`: those of the weights, else of the network's own recipe; the same for `patch`."""
    patch: tuple[int, int, int] | str = LEFT_OUT
    batch: int = LEFT_OUT
    body_lr: float = LEFT_OUT
    """The learning rate of what was taken from the weights, as a share of `lr`."""
    freeze: int = LEFT_OUT
    """Steps in which what was taken from the weights is not trained."""
    workers: int = LEFT_OUT
    """Threads that make batches ahead; 0 makes each when it is needed."""
    seeds: Sequence[int] = LEFT_OUT
    """A run for each. The seed decides which cases are drawn, the new tensors, the batches."""

    def __post_init__(self) -> None:
        check_warmup(FORM.complete(self, "train"))


@dataclass(frozen=True)
class Augment:
    """What happens to a patch before the network sees it: the chance of each change, and its greatest amount."""

    flip: float = LEFT_OUT
    axes: str = LEFT_OUT
    """Along which patches are mirrored, letters of x, y and z; `auto`: along those that `axes_to_mirror` finds."""
    rotate: float = LEFT_OUT
    degrees: float = LEFT_OUT
    zoom: float = LEFT_OUT
    zoom_by: float = LEFT_OUT
    noise: float = LEFT_OUT
    noise_by: float = LEFT_OUT
    contrast: float = LEFT_OUT
    contrast_by: float = LEFT_OUT
    shift: float = LEFT_OUT
    shift_by: float = LEFT_OUT

    def __post_init__(self) -> None:
        FORM.complete(self, "augment")


@dataclass(frozen=True)
class Validate:
    """How held-out cases are scored."""

    overlap: float = LEFT_OUT
    at: Sequence[int] = LEFT_OUT
    """Steps after which held-out cases are scored too, for a learning curve; no run ends by what it shows."""
    distance: bool = LEFT_OUT
    """Whether HD95 is computed beside Dice."""
    predictions: bool = LEFT_OUT
    """Whether the classes found in held-out cases are kept, in the format of the images."""

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
        given = FORM.read(FORM.open(name_or_path), overrides)
        values = given.values
        with placed(given.sources):
            return cls(Data(**values["data"]), Train(**values["train"]), Augment(**values["augment"]),
                       Validate(**values["validate"]), given.sources)

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """The recipe as the sections and keys of its TOML form."""
        parts = {"data": self.data, "train": self.train, "augment": self.augment, "validate": self.validate}
        values = {name: {key: getattr(part, key) for key in FORM.rules[name]} for name, part in parts.items()}
        return {name: {key: list(value) if isinstance(value, tuple) else value for key, value in its.items()}
                for name, its in values.items()}

    def to_toml(self, about: str) -> str:
        """The recipe in full as a TOML text, which `load` reads again."""
        return to_toml(about, self.to_dict())


def finetune_recipes() -> dict[str, str]:
    """The built-in recipes of fine-tuning: name to description."""
    return FORM.about()
