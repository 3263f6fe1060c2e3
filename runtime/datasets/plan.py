"""What a data set is to hold: which volumes of which recipe and library, in which format. A value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Protocol

from fdif_dsl.runtime.datasets.record import ENDINGS, FIRST, Case, Record
from fdif_dsl.runtime.recipe import Choices, Recipe, resolve
from fdif_dsl.runtime.recipe.meaning import Meaning
from fdif_dsl.runtime.scenes.render import Volume
from fdif_dsl.runtime.scenes.scene import Scene

if TYPE_CHECKING:
    from fdif_dsl.compiler.library import Library


class Format(Protocol):
    """A layout of files. It says how they are called, what is in them, and which lists name them all."""

    @property
    def name(self) -> str: ...

    @property
    def options(self) -> Mapping[str, Any]:
        """What else decides about the bytes of its files."""

    def about(self, plan: Plan) -> str:
        """The layout in a few lines of Markdown, for the card."""

    def check(self, plan: Plan) -> None:
        """Raises `FdifError` where volumes of this plan do not fit the format."""

    def folders(self, endings: Sequence[str]) -> list[str]:
        """The folders of cases, for splits with these endings."""

    def files(self, plan: Plan, case: Case, scene: Scene, volume: Volume) -> dict[str, bytes]:
        """The files of a case, by their paths in the data set, which begin with a folder."""

    def lists(self, plan: Plan, records: Sequence[Record]) -> dict[str, str]:
        """The files that say what is there, written when all of it is."""


@dataclass(frozen=True)
class Plan:
    """A data set. `name` is what the recipe is called, `title` what the data set is; `counts` has the volumes of each
    split; `sources` are files of text that belong to it, such as the shapes that were made for it."""

    library: Library
    recipe: Recipe
    name: str
    title: str
    seed: int
    counts: Mapping[str, int]
    form: Format
    scenes: bool = False
    unions: int = 0
    sources: Mapping[str, str] = field(default_factory=dict)

    def __getstate__(self) -> dict[str, Any]:
        # Without the choices, whose formulas are deeper than pickle can walk; a library packs its own.
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @cached_property
    def choices(self) -> Choices:
        """What its objects are made of. Raises `FdifError` where the recipe does not fit the library."""
        return resolve(self.recipe, self.library)

    @property
    def meaning(self) -> Meaning:
        """What its labels mean."""
        return self.choices.meaning

    @property
    def about(self) -> str:
        """The data set in a line."""
        return f"Formula-driven volumes: recipe {self.name}, seed {self.seed}"

    @property
    def count(self) -> int:
        return sum(self.counts.values())

    def cases(self) -> Iterator[Case]:
        """All of them, always in the same order."""
        for split, count in self.counts.items():
            for i in range(count):
                yield Case(split, _name(i), FIRST[split] + i)

    def place(self, case: Case) -> int | None:
        """Where a case stands among them, counted from 0; None where it is none of them."""
        before = 0
        for split, count in self.counts.items():
            number = case.index - FIRST[split]
            if split == case.split and 0 <= number < count and case.name == _name(number):
                return before + number
            before += count
        return None

    def folders(self) -> list[str]:
        """The folders of its cases."""
        endings = [ENDINGS[split] for split, count in self.counts.items() if count]
        return [*self.form.folders(endings), *(f"scenes{ending}" for ending in endings if self.scenes)]

    def note(self, case: Case) -> str:
        """What stands in the header of a file, for whoever finds it alone."""
        return f"fdif seed={self.seed} index={case.index} library={self.library.hash[:8]} recipe={self.name}"

    def identity(self) -> dict[str, Any]:
        """All that decides about the bytes of a case. Two runs may work on one data set where this is the same."""
        recipe = self.recipe.to_dict()
        return {
            "fdif_dsl": version("fdif-dsl"), "title": self.title, "recipe": self.name, "seed": self.seed,
            "unions": self.unions, "library": self.library.hash, "scenes": self.scenes,
            "format": {"name": self.form.name, **self.form.options},
            **{section: recipe[section] for section in ("volume", "placement", "classes", "scanner")
               if section in recipe},
        }


def _name(number: int) -> str:
    return f"case_{number:05d}"
