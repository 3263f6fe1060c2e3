"""The recipe itself: a value, and TOML on disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from fdif_dsl.compiler.frontend.built_in import STANDARD
from fdif_dsl.compiler.ir.parameters import kind_of
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError
from fdif_dsl.grammar.source import SourceFile
from fdif_dsl.runtime.recipe.rules import FORM
from fdif_dsl.runtime.recipe.sections import Augmentation, Monitor, Placement, Scanner, Training
from fdif_dsl.runtime.settings.checks import Wrong
from fdif_dsl.runtime.settings.places import Sources, complain, placed
from fdif_dsl.runtime.settings.reading import to_toml
from fdif_dsl.runtime.settings.training import LEFT_OUT


@dataclass(frozen=True)
class Recipe:
    """What the volumes of a data set are drawn from.

    A field that is left out has the paper's value. Lists come out as tuples, each entry with the same
    chance. Raises `FdifError` with one diagnostic for each impossible value.
    """

    grid: tuple[int, int, int] = LEFT_OUT
    """Voxels (D, H, W)."""
    objects: int | tuple[int, int] = LEFT_OUT
    """How many objects a volume has: a number, or (least, most)."""
    shapes: Sequence[str] | None = None
    """Classes to choose from; None is all of the library."""
    displacements: Sequence[str | None] = LEFT_OUT
    """Displacements to choose from; the entry None (in TOML "none") is no displacement, and so is an empty list."""
    mappers: Sequence[str] = LEFT_OUT
    label: str = LEFT_OUT
    """What a label means: `shape`, the object's class; `shape_mapper` and `shape_displacement_mapper`, a class for each
    combination; `multi_task`, three labels, for shape, displacement and mapper; `object`, one class for any object;
    `instance`, the number of the object in its scene. See `meaning.py`."""
    images: str | None = LEFT_OUT
    """A folder of NIfTI files, or a MONAI data list, whose images are trained on in place of volumes; None for none."""
    spacing: str | tuple[float, float, float] = LEFT_OUT
    """The voxels of these images as the network sees them, (z, y, x) in mm, or `keep`."""
    placement: Placement = field(default_factory=Placement)
    scanner: Scanner = field(default_factory=Scanner)
    training: Training = field(default_factory=Training)
    augment: Augmentation = field(default_factory=Augmentation)
    monitor: Monitor = field(default_factory=Monitor)
    library: Sequence[str] = LEFT_OUT
    """The built-in libraries that it draws from, where nobody gives another: `fdifc` loads them in this order, and
    `fd.load_library(recipe.library)` does."""
    keep_out: Sequence[str] = LEFT_OUT
    """Data sets of which no organ is drawn, because networks are tested on them: a shape that was sampled from a file
    of one, or from a folder or file named like it, is left out."""
    groups: Sequence[Sequence[str]] = LEFT_OUT
    """Classes that come together: where the first of a group is drawn the others come with it, with the same place and
    the same quantities. See `runtime/scenes/groups.py`."""
    source: Sources = field(default=(), repr=False, compare=False)
    """The texts it was read from, the one that overrides the others first; for messages."""

    def __post_init__(self) -> None:
        values = FORM.complete(self, "volume", "classes")
        patch = self.training.patch
        if patch is not None and any(p > n for p, n in zip(patch, values["grid"], strict=True)):
            raise FdifError(complain(self.source, "train", "patch", Wrong(
                f"a crop of {list(patch)} does not fit into a volume of {list(values['grid'])}",
                hint="make the patch smaller, the grid larger, or leave the patch out to take the whole volume")))

    @property
    def object_range(self) -> tuple[int, int]:
        """The least and the most objects of a volume."""
        return (self.objects, self.objects) if isinstance(self.objects, int) else self.objects

    @classmethod
    def load(cls, name_or_path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
        """A built-in recipe by its name, or the recipe in a TOML file.

        `overrides` are texts like `train.steps=1000` that replace its values; a warm-up that is not among them
        ends with the run at the latest. Raises `FdifError` with one diagnostic for each mistake, at its line of the
        file.
        """
        if isinstance(name_or_path, str) and name_or_path in FORM.names and not overrides:
            return _built_in(name_or_path)
        return _read(FORM.open(name_or_path), overrides)

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """The recipe as the sections and keys of its TOML form; for a record beside a data set. A scanner that is as in
        the paper, which has none, is left out, and so is the standard library."""
        return {
            "volume": {"grid": list(self.grid), "objects": self.objects if isinstance(self.objects, int)
                       else list(self.objects), "label": self.label, **self._images()},
            "placement": self.placement.to_dict(),
            "classes": {**({} if self.library == (STANDARD,) else {"library": list(self.library)}),
                        **({"keep_out": list(self.keep_out)} if self.keep_out else {}),
                        "shapes": "all" if self.shapes is None else list(self.shapes),
                        "displacements": ["none" if d is None else d for d in self.displacements],
                        "mappers": list(self.mappers),
                        **({"groups": [list(group) for group in self.groups]} if self.groups else {})},
            **({} if self.scanner == Scanner() else {"scanner": self.scanner.to_dict()}),
            "train": {key: getattr(self.training, key) for key in FORM.rules["train"]} | {
                "patch": list(self.training.patch) if self.training.patch else "grid",
                "targets": list(self.training.targets)},
            "augment": asdict(self.augment),
            "monitor": asdict(self.monitor) | {"wandb": self.monitor.wandb or "none"},
        }

    def _images(self) -> dict[str, Any]:
        """What a recipe without images leaves out."""
        if self.images is None:
            return {}
        return {"images": self.images, "spacing": self.spacing if isinstance(self.spacing, str) else list(self.spacing)}

    def to_toml(self, about: str) -> str:
        """The recipe in full as a TOML text, which `load` reads again."""
        return to_toml(about, self.to_dict())


def recipes() -> dict[str, str]:
    """The built-in recipes: name to description."""
    return FORM.about()


def as_recipe(recipe: str | Path | Recipe) -> Recipe:
    """A recipe, from itself, its name or its path."""
    if not isinstance(recipe, str | Path | Recipe):
        raise FdifError(Diagnostic("E0501", f"{kind_of(recipe)} where a recipe is expected",
                                   hint="give a name, the path of a TOML file, or a `Recipe`"))
    return recipe if isinstance(recipe, Recipe) else Recipe.load(recipe)


@cache
def _built_in(name: str) -> Recipe:
    return _read(FORM.sources[name])


def _read(source: SourceFile, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe that a TOML text holds, with some values replaced."""
    given = FORM.read(source, overrides)
    values = given.values
    with placed(given.sources):  # values that are wrong together; a nested record does not know its file
        return Recipe(**values["volume"], **values["classes"], placement=Placement(**values["placement"]),
                      scanner=Scanner(**values["scanner"]), training=Training(**values["train"]),
                      augment=Augmentation(**values["augment"]), monitor=Monitor(**values["monitor"]),
                      source=given.sources)
