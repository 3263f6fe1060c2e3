"""Where in its text a value of a recipe stands, and a diagnostic at that place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError, Label
from fdif_dsl.grammar.source import SourceFile, Span
from fdif_dsl.runtime.settings.checks import Wrong

Sources = tuple[SourceFile, ...]
"""The texts that a recipe was read from, the one that overrides the others first."""


def complain(sources: Sources, section: str, key: str, wrong: Wrong, quoted: str = "",
             code: str = "E0504") -> Diagnostic:
    """A diagnostic at a key of a recipe, in the first of its texts that has it; `quoted` is a name in its value."""
    span = next((found for found in (_find(source, section, key, quoted) for source in sources) if found), None)
    place = f"{section}.{key}" if section else key
    labels = (Label(span),) if span else ()
    where = "" if span else f"{sources[-1].name if sources else 'recipe'}: {place}"
    return Diagnostic(code, wrong.title, labels, where, wrong.why, wrong.hint)


@contextmanager
def placed(sources: Sources) -> Iterator[None]:
    """Gives what is wrong with records that are made in the block its place in the texts that they were read from."""
    try:
        yield
    except FdifError as error:
        raise FdifError(*(_in_file(sources, d) for d in error.diagnostics)) from None


def _in_file(sources: Sources, diagnostic: Diagnostic) -> Diagnostic:
    """A diagnostic of a record that does not know its file, at its place in the file."""
    match = re.fullmatch(r"recipe: (\w+)\.(\w+)", diagnostic.where)
    if match is None:
        return diagnostic
    return complain(sources, match[1], match[2], Wrong(diagnostic.title, diagnostic.why, diagnostic.hint),
                    code=diagnostic.code)


def _find(source: SourceFile, section: str, key: str, quoted: str) -> Span | None:
    """Where a key stands, or a quoted name after it. TOML has spellings that this plain search misses."""
    here, start = "", 0
    for line in source.text.splitlines(keepends=True):
        header = re.match(r"\s*\[\s*([\w-]+)\s*\]", line)
        entry = re.match(r"\s*(?:([\w-]+)\s*\.\s*)?([\w-]+)\s*=", line)  # `key =`, or `section.key =`
        at = None
        if header and not section and header[1] == key:
            at = header.span(1)
        elif entry and (entry[1] or here) == section and entry[2] == key:
            at = entry.span(2)
        elif entry and not section and entry[1] == key:
            at = entry.span(1)
        if at:
            value = source.text.find(f'"{quoted}"', start) if quoted else -1
            if value >= 0:
                return Span(source, value, value + len(quoted) + 2)
            return Span(source, start + at[0], start + at[1])
        here = header[1] if header else here
        start += len(line)
    return None
