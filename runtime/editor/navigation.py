"""Where names are declared and used, and what a file declares."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from lsprotocol import types as lsp

from fdif_dsl.compiler.frontend.builtins import RESERVED
from fdif_dsl.compiler.frontend.check.types import INPUTS, RESULTS
from fdif_dsl.compiler.ir import formula
from fdif_dsl.grammar import ast
from fdif_dsl.grammar.parse import MAX_NAME, keywords
from fdif_dsl.grammar.source import Span
from fdif_dsl.runtime.editor.describe import head
from fdif_dsl.runtime.editor.names import Names, Symbol, nodes
from fdif_dsl.runtime.editor.positions import Lines
from fdif_dsl.runtime.editor.project import Analysis

SHOW = "fdif.show"
"""The command that draws a class; its arguments are a file's URI and a name."""
_KINDS = {"shape": lsp.SymbolKind.Class, "profile": lsp.SymbolKind.Interface, "displacement": lsp.SymbolKind.Event,
          "mapper": lsp.SymbolKind.Operator, "fn": lsp.SymbolKind.Function}
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_QUOTED = re.compile(r'"?([A-Za-z][A-Za-z0-9_.+-]{0,63})"?')


def uses(symbol: Symbol, analysis: Analysis, names: Names) -> Iterator[tuple[Path, Span, bool]]:
    """Every place of a symbol in the project, and whether it is defined there."""
    for path, module in analysis.modules.items():
        for one in names.of(module):
            if one.symbol is symbol:
                yield path, one.span, one.defines


def refusal(symbol: Symbol | None, analysis: Analysis) -> str:
    """Why something cannot be renamed; nothing where it can."""
    if symbol is None:
        return "there is no name here"
    if symbol.module is None or symbol.span is None:
        return f"`{symbol.name}` belongs to the language"
    if symbol.module.standard:
        return f"`{symbol.name}` belongs to the standard library"
    if symbol.kind == "quantity" and symbol.decl is not None and symbol.name == RESULTS.get(symbol.decl.kind):
        return f"the result of a {symbol.decl.kind} is called `{symbol.name}`"
    broken = [path.name for path in analysis.own if any(d.code.startswith("E01") for d in analysis.mistakes[path])]
    if broken:
        return f"{broken[0]} cannot be read as a whole, and a name in it might be missed: mend it first"
    return ""


def bad_name(symbol: Symbol, new: str, analysis: Analysis, names: Names) -> str:
    """Why a symbol cannot be called so; nothing where it can."""
    if symbol.kind == "declaration" and (quoted := _QUOTED.fullmatch(new)) and not _NAME.fullmatch(new):
        new = quoted[1]
    elif not _NAME.fullmatch(new):
        return "a name starts with a letter and holds letters, digits and underscores"
    if len(new) > MAX_NAME:
        return f"a name has at most {MAX_NAME} characters"
    if new in keywords() or new in RESERVED:
        return f"`{new}` is a word of the language"
    assert symbol.module is not None and symbol.decl is not None
    scopes = analysis.program.scopes
    if symbol.kind != "declaration":
        taken = new in names.inside(symbol.decl, scopes[symbol.module]) or new in INPUTS.get(symbol.decl.kind, {})
        return f"`{new}` has a meaning there already" if taken or scopes[symbol.module].find(new) else ""
    users = {analysis.modules[path] for path, _, _ in uses(symbol, analysis, names)} | {symbol.module}
    for module in users:
        if scopes[module].find(new) or any(new in names.inside(d, scopes[module]) for d in module.tree.decls):
            return f"`{new}` has a meaning in {module.path.name} already"
    return ""


def spelt(symbol: Symbol, new: str) -> str:
    """A new name as it is written in a file."""
    name = new.strip('"')
    return name if _NAME.fullmatch(name) and name not in keywords() else f'"{name}"'


def document_symbols(tree: ast.Module, lines: Lines) -> list[lsp.DocumentSymbol]:
    """The declarations of a file, with their parameters and quantities."""
    out = []
    for decl in tree.decls:
        inside = [_symbol(p.name, lsp.SymbolKind.Variable, p.span, p.name_span, lines) for p in decl.params or ()]
        inside += [_symbol(s.name, lsp.SymbolKind.Field if s.random else lsp.SymbolKind.Variable, s.span, s.name_span,
                           lines) for s in nodes(decl.body) if isinstance(s, ast.Stmt)]
        whole = lines.range(decl.span.start, max((s.span.end for s in decl.body or ()), default=decl.span.end))
        symbol = _symbol(decl.name, _KINDS.get(decl.kind, lsp.SymbolKind.Constant), decl.span, decl.name_span, lines)
        symbol.range, symbol.children, symbol.detail = whole, inside, head(decl)
        out.append(symbol)
    return out


def _symbol(name: str, kind: lsp.SymbolKind, span: Span, name_span: Span, lines: Lines) -> lsp.DocumentSymbol:
    place = lines.range(name_span.start, name_span.end)
    return lsp.DocumentSymbol(name, kind, lines.range(min(span.start, name_span.start), max(span.end, name_span.end)),
                              place)


def kind_of(decl: ast.Decl) -> lsp.SymbolKind:
    return _KINDS.get(decl.kind, lsp.SymbolKind.Constant)


def lenses(tree: ast.Module, lines: Lines, uri: str) -> list[lsp.CodeLens]:
    """What draws a picture, above each declaration that has one."""
    return [
        lsp.CodeLens(lines.range(decl.name_span.start, decl.name_span.end),
                     lsp.Command("show the picture", SHOW, arguments=[uri, decl.name]))
        for decl in tree.decls if decl.params is None and decl.kind in formula.RESULTS and not decl.broken]
