"""Values of a recipe that a command line replaces: `train.steps=1000`."""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any

from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError
from fdif_dsl.grammar.source import SourceFile


def parse_override(text: str) -> tuple[dict[str, dict[str, Any]], SourceFile]:
    """The section with its one key, and the text as a source for messages.

    The value is TOML, and a plain word needs no quotes. Raises `FdifError` for what is not of that form.
    """
    found = re.fullmatch(r"\s*([\w-]+)\s*\.\s*([\w-]+)\s*=(.*)", text, re.DOTALL)
    if found is None:
        raise FdifError(Diagnostic("E0507", f"`{text}` replaces no value of a recipe", where="command line",
                                   hint="write section.key=value, for example train.steps=1000"))
    section, key, value = found[1], found[2], found[3].strip()
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        if not re.fullmatch(r"[\w.:/+-]+", value):
            raise FdifError(Diagnostic(
                "E0507", f"`{value}` is no value", where=f"command line: {section}.{key}",
                hint='write a number, a word, true or false, or a list like [48, 48, 48] or ["a", "b"]; '
                     "quotes keep the shell from reading it")) from None
        parsed = value
    return {section: {key: parsed}}, SourceFile("command line", f"{section}.{key}={json.dumps(parsed)}")
