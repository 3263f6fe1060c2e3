"""What stands in `editors/`: colours that know every word, and an extension that can be packaged."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from fdif_dsl.compiler.frontend.builtins import BUILTINS, CONSTANTS, PRIORS
from fdif_dsl.grammar.parse import keywords

EDITORS = Path(__file__).parents[2] / "editors"
MADE = runpy.run_path(str(EDITORS / "words.py"))["FILES"]


@pytest.mark.parametrize("path", MADE, ids=lambda path: path.name)
def test_the_colours_are_up_to_date(path: Path) -> None:
    assert path.read_text("utf-8") == MADE[path](), "run: python editors/words.py"


@pytest.mark.parametrize("path", MADE, ids=lambda path: path.name)
def test_every_word_has_a_colour(path: Path) -> None:
    words = set(re.findall(r"\w+", path.read_text("utf-8")))
    assert {*keywords(), *BUILTINS, *PRIORS, *CONSTANTS, "grid", "deepest", "distance"} <= words


def test_the_patterns_of_the_grammar_are_patterns() -> None:
    grammar = json.loads((EDITORS / "vscode" / "syntaxes" / "sdf.tmLanguage.json").read_text("utf-8"))
    for pattern in grammar["patterns"]:
        re.compile(pattern["match"])


def test_the_extension_names_files_that_are_there() -> None:
    folder = EDITORS / "vscode"
    about: dict[str, Any] = json.loads((folder / "package.json").read_text("utf-8"))
    named = [one["path"] for one in about["contributes"]["grammars"]]
    named += [one["configuration"] for one in about["contributes"]["languages"]]
    assert all((folder / name).is_file() for name in named)
    locked = json.loads((folder / "package-lock.json").read_text("utf-8"))["packages"]
    pins = {**about["dependencies"], **about["devDependencies"]}
    assert {name: locked[f"node_modules/{name}"]["version"] for name in pins} == pins
    shipped = {line[1:] for line in (folder / ".vscodeignore").read_text().splitlines() if line.startswith("!")}
    assert about["main"].removeprefix("./") in shipped and {n.removeprefix("./") for n in named} <= {
        *shipped, *(f"syntaxes/{p.name}" for p in (folder / "syntaxes").iterdir())}
