"""What may be written at a place, and what the call around it takes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from lsprotocol import types as lsp

from fdif_dsl.compiler.frontend.builtins import BUILTINS, CONSTANTS, PRIORS, VECTORS
from fdif_dsl.compiler.frontend.check.types import GRID_FIELDS, PARAM_TYPES, RESULTS
from fdif_dsl.compiler.frontend.modules import Module
from fdif_dsl.grammar import ast
from fdif_dsl.grammar.edits import add_use
from fdif_dsl.grammar.parse import starters
from fdif_dsl.runtime.editor import describe
from fdif_dsl.runtime.editor.names import Names, Symbol
from fdif_dsl.runtime.editor.positions import Lines
from fdif_dsl.runtime.editor.project import Analysis

_KIND = {"parameter": lsp.CompletionItemKind.Variable, "quantity": lsp.CompletionItemKind.Field,
         "length": lsp.CompletionItemKind.Variable, "input": lsp.CompletionItemKind.Variable,
         "grid": lsp.CompletionItemKind.Module, "constant": lsp.CompletionItemKind.Constant,
         "builtin": lsp.CompletionItemKind.Function, "prior": lsp.CompletionItemKind.Function,
         "declaration": lsp.CompletionItemKind.Class, "module": lsp.CompletionItemKind.Module}
_CALLED = re.compile(r"([A-Za-z]\w*)\s*$")
_MAX_BACK = 2000  # characters before the place that are looked at
_BODIES = {"shape": "shape ${1:name} {\n  distance = $0\n}", "fn": "fn ${1:name}(${2:x}) = $0"}


class Completion:
    """One place in one file."""

    def __init__(self, analysis: Analysis, names: Names, path: Path, offset: int, snippets: bool,
                 known: Mapping[str, Module]) -> None:
        """`known` are the modules that a `use` line may name."""
        self.analysis, self.names, self.known = analysis, names, known
        self.module = analysis.modules[path]
        self.scope = analysis.program.scopes[self.module]
        self.file = self.module.tree.file
        self.offset, self.snippets = offset, snippets
        self.lines: Lines = analysis.lines(path)
        line = self.file.text[self.file.text.rfind("\n", 0, offset) + 1 : offset]
        self.line = line[: -len(word[0])] if (word := re.search(r"\w+$", line)) else line
        self.decl = self._around(path)

    def _around(self, path: Path) -> ast.Decl | None:
        """The declaration in which the place is; None between declarations."""
        decl = self.analysis.decl_at(path, self.offset)
        if decl is None or decl.body is None:
            return decl
        inside = self.file.text[decl.span.start : self.offset]
        code = re.sub(r"#[^\n]*", "", inside)
        return decl if code.count("{") > code.count("}") or "{" not in code else None

    def items(self) -> list[lsp.CompletionItem]:
        """What may come here."""
        if "#" in self.line:
            return []
        before = self.line.rstrip()
        if re.fullmatch(r"\s*use", before) and self.line != before:
            return [lsp.CompletionItem(name, kind=lsp.CompletionItemKind.Module, detail=_first(module))
                    for name, module in self.known.items() if module is not self.module]
        if before.endswith("."):
            return list(self._components(before[:-1]))
        if self.decl is None or (not before and not self.line and self._between()):
            return list(self._declarations())
        if before.endswith(":"):
            return [lsp.CompletionItem(kind, kind=lsp.CompletionItemKind.TypeParameter) for kind in PARAM_TYPES]
        return list(self._values(before))

    def _between(self) -> bool:
        return self.decl is not None and self.decl.body is None

    def _declarations(self) -> Iterator[lsp.CompletionItem]:
        for word in sorted(starters()):
            item = lsp.CompletionItem(word, kind=lsp.CompletionItemKind.Keyword)
            if self.snippets and word in _BODIES:
                item.insert_text, item.insert_text_format = _BODIES[word], lsp.InsertTextFormat.Snippet
            yield item

    def _components(self, before: str) -> Iterator[lsp.CompletionItem]:
        found = _CALLED.search(before)
        name = found[1] if found else ""
        if name == "grid":
            for part in GRID_FIELDS:
                yield self._item(self.names.of_language("grid", part), lsp.CompletionItemKind.Property)
            return
        symbol = self.names.resolve(name, self.decl, self.scope) if self.decl and name else None
        kind = describe.type_of(symbol, self.analysis.program) if symbol else ""
        if before.endswith((")", "]")) or kind not in ("int", "float", "bool"):
            width = int(kind[-1]) if kind in VECTORS else 3
            letters = "xyzw"[:width]
            for part in [*letters, *(letters[:n] for n in range(2, width + 1))]:
                yield lsp.CompletionItem(part, kind=lsp.CompletionItemKind.Property)

    def _values(self, before: str) -> Iterator[lsp.CompletionItem]:
        decl = self.decl
        assert decl is not None
        drawn = "~" in before
        if not before and decl.body is not None:
            result = RESULTS.get(decl.kind, "")
            if result and not any(isinstance(s, ast.Stmt) and s.name == result for s in decl.body):
                yield lsp.CompletionItem(result, kind=lsp.CompletionItemKind.Keyword, sort_text=f"0{result}",
                                         detail=f"the result of a {decl.kind}", insert_text=f"{result} = ")
        yield from self._parameters()
        local = {**self.names.inside(decl, self.scope), **self.names.given(decl)}
        for symbol in local.values():
            if symbol.span is None or symbol.kind != "quantity" or symbol.span.start < self.offset:
                yield self._item(symbol, sort="1")
        for name in CONSTANTS:
            yield self._item(self.names.of_language("constant", name), sort="3")
        for name, row in {**(PRIORS if drawn else {}), **BUILTINS}.items():
            kind = "prior" if name in PRIORS else "builtin"
            yield self._item(self.names.of_language(kind, name, "", row), sort="0" if kind == "prior" else "3")
        for name in sorted(self.scope.names()):
            found = self.scope.find(name)
            if found is not None and found[0] is not decl:
                yield self._item(self.names.declared(*found), sort="2")
        yield from self._elsewhere()
        for word in sorted(starters("fn f() = ") | starters("fn f() = 0 ") - starters()):
            yield lsp.CompletionItem(word, kind=lsp.CompletionItemKind.Keyword, sort_text=f"5{word}")

    def _parameters(self) -> Iterator[lsp.CompletionItem]:
        """Names of arguments of the call around the place."""
        call = self.call()
        if call is None or call[0].kind != "declaration" or not self.line.rstrip().endswith(("(", ",")):
            return
        for param in call[0].node.params or ():
            yield lsp.CompletionItem(f"{param.name} =", kind=lsp.CompletionItemKind.Property, detail=param.span.text,
                                     insert_text=f"{param.name} = ", sort_text=f"0{param.name}")

    def _elsewhere(self) -> Iterator[lsp.CompletionItem]:
        """What modules have that the file does not use yet; choosing it adds the line."""
        seen = self.scope.names()
        for name, module in self.known.items():
            if module is self.module or module in self.module.uses:
                continue
            for decl in module.tree.decls:
                if decl.params is not None and decl.name not in seen and decl.broken != "head":
                    edit = add_use(self.file, name)
                    item = self._item(self.names.declared(decl, self.analysis.program.scopes[module]), sort="4")
                    item.additional_text_edits = [
                        lsp.TextEdit(self.lines.range(edit.span.start, edit.span.end), edit.text)]
                    item.label_details = lsp.CompletionItemLabelDetails(description=f"use {name}")
                    yield item

    def _item(self, symbol: Symbol, kind: lsp.CompletionItemKind | None = None, sort: str = "") -> lsp.CompletionItem:
        item = lsp.CompletionItem(
            symbol.name, kind=kind or _KIND.get(symbol.kind), detail=describe.signature(symbol),
            sort_text=f"{sort}{symbol.name}" if sort else None)
        if text := describe.doc(symbol):
            item.documentation = lsp.MarkupContent(lsp.MarkupKind.Markdown, text)
        if symbol.kind == "declaration" and symbol.node.kind == "fn":
            item.kind = lsp.CompletionItemKind.Function
        takes = symbol.kind in ("builtin", "prior") or (symbol.kind == "declaration" and symbol.node.params)
        if takes and self.snippets:
            item.insert_text, item.insert_text_format = f"{symbol.name}($0)", lsp.InsertTextFormat.Snippet
            item.command = lsp.Command("what it takes", "editor.action.triggerParameterHints")
        return item

    def call(self) -> tuple[Symbol, int] | None:
        """What is called around the place, and which of its arguments is being written."""
        text = self.file.text
        depth = commas = 0
        for at in range(self.offset - 1, max(-1, self.offset - _MAX_BACK), -1):
            char = text[at]
            if char in ")]":
                depth += 1
            elif char in "([" and depth:
                depth -= 1
            elif char == "(":
                found = _CALLED.search(text, max(0, at - 100), at)
                decl = self.decl
                symbol = self.names.resolve(found[1], decl, self.scope) if found and decl else None
                return (symbol, commas) if symbol else None
            elif char == "[" or char in "{}":
                return None
            elif char == "," and not depth:
                commas += 1
        return None

    def signatures(self) -> lsp.SignatureHelp | None:
        """What the call around the place takes, and which of it is being written."""
        call = self.call()
        if call is None or call[0].kind not in ("declaration", "builtin", "prior"):
            return None
        symbol, at = call
        label = describe.signature(symbol)
        if symbol.kind == "declaration":
            parts = [param.span.text for param in symbol.node.params or ()]
        else:
            parts = label[label.index("(") + 1 : -1].split(", ")
        given = re.search(r"([A-Za-z]\w*)\s*=[^=,(]*$", self.line)
        by_name = [i for i, part in enumerate(parts) if given and re.match(rf"{given[1]}\b", part)]
        text = describe.doc(symbol)
        return lsp.SignatureHelp([lsp.SignatureInformation(
            label, lsp.MarkupContent(lsp.MarkupKind.Markdown, text) if text else None,
            [lsp.ParameterInformation(part) for part in parts])], 0, by_name[0] if by_name else
            min(at, max(0, len(parts) - 1)))


def _first(module: Module) -> str:
    kinds = [f"{d.kind} {d.name}" for d in module.tree.decls[:3]]
    return ", ".join(kinds) + (", ..." if len(module.tree.decls) > 3 else "")
