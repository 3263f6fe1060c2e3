"""What each word of a file is, for its colour."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lsprotocol import types as lsp

from fdif_dsl.grammar.parse import keywords
from fdif_dsl.grammar.recover import WORDS
from fdif_dsl.runtime.editor.names import Occurrence, Symbol
from fdif_dsl.runtime.editor.positions import Lines

TYPES = ["keyword", "comment", "number", "string", "operator", "function", "class", "type", "parameter", "variable",
         "property", "namespace"]
MODIFIERS = ["declaration", "readonly", "defaultLibrary", "documentation"]
LEGEND = lsp.SemanticTokensLegend(TYPES, MODIFIERS)

_OF_SYMBOL = {"parameter": "parameter", "quantity": "variable", "index": "variable", "length": "parameter",
              "input": "parameter", "builtin": "function", "prior": "function", "constant": "variable",
              "grid": "property", "component": "property", "module": "namespace"}
_OF_DECLARATION = {"fn": "function", "shape": "class", "profile": "type"}
_PARTS = re.compile(rf"(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|{WORDS.pattern}")


def tokens(text: str, lines: Lines, found: list[Occurrence]) -> lsp.SemanticTokens:
    """The words of a text in the form of the protocol: each relative to the one before."""
    data: list[int] = []
    line = column = 0
    for start, end, kind, modifiers in _coloured(text, found):
        at = lines.range(start, end)
        if at.start.line != at.end.line or at.start.character == at.end.character:
            continue
        if at.start.line != line:
            column = 0
        data += [at.start.line - line, at.start.character - column, at.end.character - at.start.character,
                 TYPES.index(kind), sum(1 << MODIFIERS.index(m) for m in modifiers)]
        line, column = at.start.line, at.start.character
    return lsp.SemanticTokens(data)


def _coloured(text: str, found: list[Occurrence]) -> Iterator[tuple[int, int, str, tuple[str, ...]]]:
    named = {one.span.start: one for one in found}
    reserved = keywords()
    for match in _PARTS.finditer(text):
        word, start, end = match.group(), match.start(), match.end()
        if word[0] == "#":
            yield start, end, "comment", ("documentation",) * word.startswith("##")
        elif start in named and named[start].span.end == end:
            yield start, end, _type(named[start].symbol), _modifiers(named[start])
        elif word in reserved:
            yield start, end, "keyword", ()
        elif word[0] == '"':
            yield start, end, "string", ()
        elif match["number"]:
            yield start, end, "number", ()


def _type(symbol: Symbol) -> str:
    if symbol.kind == "declaration":
        return _OF_DECLARATION.get(symbol.node.kind, "class")
    return _OF_SYMBOL[symbol.kind]


def _modifiers(one: Occurrence) -> tuple[str, ...]:
    symbol = one.symbol
    built_in = symbol.module is None or symbol.module.standard
    fixed = symbol.kind in ("constant", "index", "length")
    return ("declaration",) * one.defines + ("readonly",) * fixed + ("defaultLibrary",) * built_in
