"""Reading a recipe: TOML to the values of each section, with some replaced from the command line."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError, Label, did_you_mean
from fdif_dsl.grammar.source import SourceFile, Span
from fdif_dsl.runtime.settings.checks import Rule, Wrong
from fdif_dsl.runtime.settings.overrides import parse_override
from fdif_dsl.runtime.settings.places import Sources, complain

Rules = Mapping[str, Mapping[str, Rule]]
_TOML = "a recipe has sections like [train] and lines like steps = 1000"


@dataclass(frozen=True)
class Given:
    """What a text says: the values of each section, the (section, key) that the command line replaced, the texts."""

    values: dict[str, dict[str, Any]]
    replaced: frozenset[tuple[str, str]]
    sources: Sources


def read(rules: Rules, source: SourceFile, overrides: Sequence[str] = ()) -> Given:
    """The values in a TOML text, by the rules, with those of texts like `train.steps=1000` in their place.

    Raises:
        FdifError: one diagnostic for each mistake, at its place in the text.
    """
    mistakes: list[Diagnostic] = []
    values: dict[str, dict[str, Any]] = {section: {} for section in rules}
    sources: Sources = (source,)
    _take(rules, parse(source), source, values, mistakes)
    replaced: set[tuple[str, str]] = set()
    for text in overrides:
        table, its = parse_override(text)
        _take(rules, table, its, values, mistakes)
        sources = (its, *sources)
        replaced |= {(section, key) for section in table for key in table[section]}
    if mistakes:
        raise FdifError(*mistakes)
    return Given(values, frozenset(replaced), sources)


def parse(source: SourceFile) -> dict[str, Any]:
    """The tables of a TOML text. Raises `FdifError` where it is none."""
    try:
        return tomllib.loads(source.text)
    except tomllib.TOMLDecodeError as error:
        message = re.fullmatch(r"(.*) \(at line (\d+), column (\d+)\)", str(error))
        if message is None:  # the end of the file
            raise FdifError(Diagnostic("E0503", "the recipe is not TOML", where=source.name, why=str(error),
                                       hint=_TOML)) from None
        why, line, column = message.groups()
        start = sum(len(text) for text in source.text.splitlines(keepends=True)[: int(line) - 1]) + int(column) - 1
        label = Label(Span(source, start, start + 1))
        raise FdifError(Diagnostic("E0503", "the recipe is not TOML", (label,), why=why, hint=_TOML)) from None
    except RecursionError:
        raise FdifError(Diagnostic("E0503", "the recipe is nested too deeply", where=source.name, hint=_TOML)) from None


def to_toml(about: str, tables: Mapping[str, Mapping[str, Any]]) -> str:
    """Sections and their values as a TOML text, which `read` takes again."""
    return f"about = {_toml(about)}\n\n" + sections_toml(tables)


def sections_toml(tables: Mapping[str, Mapping[str, Any]]) -> str:
    """The sections of such a text alone."""
    return "\n".join(f"[{name}]\n" + "".join(f"{key} = {_toml(value)}\n" for key, value in table.items())
                     for name, table in tables.items())


def _toml(value: Any) -> str:
    """A value as TOML; JSON writes texts, numbers, truth values and lists of them alike."""
    return json.dumps(value, ensure_ascii=False)


def _take(rules: Rules, tables: Mapping[str, Any], source: SourceFile, values: dict[str, dict[str, Any]],
          mistakes: list[Diagnostic]) -> None:
    """Puts the values of a parsed text into `values`, by the rules, and notes what is wrong with them."""
    for section, table in tables.items():
        if section == "about" and isinstance(table, str):
            continue
        if section not in rules:
            what = "section" if isinstance(table, dict) else "key"
            mistakes.append(complain((source,), "", section, Wrong(
                f"a recipe has no {what} `{section}`", f"its sections are {_listed(rules)}",
                _home(rules, section) or did_you_mean(section, rules) or "leave it out")))
        elif not isinstance(table, dict):
            mistakes.append(complain((source,), "", section, Wrong(
                f"`{section}` is a section, not a key", hint=f"write [{section}] on a line of its own")))
        else:
            for key, value in table.items():
                try:
                    values[section][key] = _rule(rules, section, key)(value)
                except Wrong as wrong:
                    mistakes.append(complain((source,), section, key, wrong))


def _rule(rules: Rules, section: str, key: str) -> Rule:
    if key in rules[section]:
        return rules[section][key]
    raise Wrong(f"[{section}] has no key `{key}`", f"its keys are {_listed(rules[section])}",
                _home(rules, key) or did_you_mean(key, rules[section]) or "leave it out")


def _home(rules: Rules, key: str) -> str:
    """A hint to the section that a key belongs to, or an empty string."""
    return next((f"`{key}` belongs to [{section}]" for section, keys in rules.items() if key in keys), "")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{n}`" for n in names)
