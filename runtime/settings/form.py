"""What a kind of recipe may hold: its sections, the rule of each key, and the built-in recipes of that kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError, did_you_mean
from fdif_dsl.grammar.source import SourceFile
from fdif_dsl.runtime.settings.checks import Rule, Wrong
from fdif_dsl.runtime.settings.places import complain
from fdif_dsl.runtime.settings.reading import Given, parse, read
from fdif_dsl.runtime.settings.training import shorten_warmup


@dataclass(frozen=True, eq=False)
class Form:
    """`rules` has the sections in order, with the rule of each key. `home` is the package whose TOML files are the
    built-in recipes; `first` is the one that gives every key, and what another recipe leaves out is taken from it."""

    rules: Mapping[str, Mapping[str, Rule]]
    home: str
    first: str

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The built-in recipes."""
        found = [f.name.removesuffix(".toml") for f in files(self.home).iterdir() if f.name.endswith(".toml")]
        return tuple(sorted(found, key=lambda name: (name != self.first, name)))

    @cached_property
    def sources(self) -> dict[str, SourceFile]:
        """Their texts."""
        return {name: SourceFile(f"{name}.toml", (files(self.home) / f"{name}.toml").read_text(encoding="utf-8"))
                for name in self.names}

    @cached_property
    def defaults(self) -> dict[str, dict[str, Any]]:
        """The values of the first recipe."""
        tables = parse(self.sources[self.first])
        return {section: {key: rule(tables[section][key]) for key, rule in its.items()}
                for section, its in self.rules.items()}

    def about(self) -> dict[str, str]:
        """The built-in recipes: name to description."""
        return {name: str(parse(source).get("about", "")) for name, source in self.sources.items()}

    def open(self, name_or_path: str | Path) -> SourceFile:
        """The text of a built-in recipe, by its name, or of a TOML file.

        Raises:
            FdifError: there is no such recipe or file, or it is no text.
        """
        if isinstance(name_or_path, str) and name_or_path in self.names:
            return self.sources[name_or_path]
        path = Path(name_or_path)
        if path.suffix != ".toml" and not path.exists():
            raise FdifError(Diagnostic(
                "E0501", f"no recipe is called `{name_or_path}`",
                why=f"the built-in recipes are {', '.join(f'`{r}`' for r in self.names)}",
                hint=did_you_mean(str(name_or_path), self.names)
                or "a recipe of your own is a file that ends in .toml"))
        try:
            return SourceFile(str(path), path.read_text(encoding="utf-8-sig"))
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise FdifError(Diagnostic("E0502", "cannot read the recipe", where=str(path), why=str(reason),
                                       hint="check the path; `fdifc list recipes` shows the built-in ones")) from None

    def read(self, source: SourceFile, overrides: Sequence[str] = ()) -> Given:
        """The values in a text, with those of `overrides`, texts like `train.steps=1000`, in their place.

        Raises:
            FdifError: one diagnostic for each mistake, at its place in the text.
        """
        given = read(self.rules, source, overrides)
        shorten_warmup(given, self.defaults["train"]["warmup"])
        return given

    def complete(self, record: Any, *sections: str) -> dict[str, Any]:
        """Fills a frozen record's empty fields from the first recipe and checks the others, by the rules of the
        sections. Gives all of them.

        Raises:
            FdifError: one diagnostic for each impossible value.
        """
        mistakes: list[Diagnostic] = []
        values: dict[str, Any] = {}
        source = getattr(record, "source", ())
        for section in sections:
            for key, rule in self.rules[section].items():
                value = getattr(record, key)
                try:
                    # None stands for the first recipe's value, also where a word like "all" is read as None.
                    values[key] = self.defaults[section][key] if value is None else rule(value)
                except Wrong as wrong:
                    mistakes.append(complain(source, section, key, wrong))
                else:
                    object.__setattr__(record, key, values[key])
        if mistakes:
            raise FdifError(*mistakes)
        return values
