"""What each word of a file stands for.

The tree is walked by its fields, not class by class: what has a `var_span` counts something, and whatever else a node
may be, its parts are looked at. So a new kind of statement or formula is walked too.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from fdif_dsl.compiler.frontend.builtins import BUILTINS, CONSTANTS, PRIORS, Builtin
from fdif_dsl.compiler.frontend.check.scope import Scope
from fdif_dsl.compiler.frontend.check.types import GRID_FIELDS, INPUTS, WITH_GRID
from fdif_dsl.compiler.frontend.modules import Module
from fdif_dsl.grammar import ast
from fdif_dsl.grammar.source import SourceFile, Span


@dataclass(frozen=True, eq=False)
class Symbol:
    """Something with a name. `span` is where it is declared; None for what the language brings along."""

    kind: str  # declaration parameter quantity index length input builtin prior constant grid component module
    name: str
    span: Span | None = None
    node: Any = None  # the declaration, statement, parameter, built-in function, module, or (kind, input)
    decl: ast.Decl | None = None  # in which it has its meaning
    module: Module | None = None


@dataclass(frozen=True, eq=False)
class Occurrence:
    span: Span
    symbol: Symbol
    defines: bool = False


@dataclass(eq=False)
class Names:
    """The symbols of all modules of an analysis, made when they are first asked for."""

    scopes: dict[Module, Scope]
    _of_module: dict[Module, list[Occurrence]] = field(default_factory=dict)
    _declared: dict[ast.Decl, Symbol] = field(default_factory=dict)
    _inside: dict[ast.Decl, dict[str, Symbol]] = field(default_factory=dict)
    _built_in: dict[str, Symbol] = field(default_factory=dict)

    def of(self, module: Module) -> list[Occurrence]:
        """Every word of a file that stands for something, in the order of the text."""
        if module not in self._of_module:
            found = [Occurrence(use.name_span, Symbol("module", use.name, None, used))
                     for use in module.tree.uses for used in module.uses if used.name == use.name]
            for decl in module.tree.decls:
                found += _Walk(self, self.scopes[module], decl).occurrences()
            self._of_module[module] = sorted(found, key=lambda one: one.span.start)
        return self._of_module[module]

    def at(self, module: Module, offset: int) -> Occurrence | None:
        """The word at a place, or just before it."""
        touching = [one for one in self.of(module) if one.span.start <= offset <= one.span.end]
        return touching[-1] if touching else None

    def declared(self, decl: ast.Decl, scope: Scope) -> Symbol:
        if decl not in self._declared:
            self._declared[decl] = Symbol("declaration", decl.name, decl.name_span, decl, decl, scope.module)
        return self._declared[decl]

    def inside(self, decl: ast.Decl, scope: Scope) -> dict[str, Symbol]:
        """The names that a declaration defines: its parameters, with the lengths of arrays, and its quantities."""
        if decl not in self._inside:
            names: dict[str, Symbol] = {}
            module = scope.module
            for param in decl.params or ():
                names.setdefault(param.name, Symbol("parameter", param.name, param.name_span, param, decl, module))
                if param.type is not None and param.type.length:
                    end = param.type.span.end - 1
                    text = param.type.span.file.text
                    start = text.rfind(param.type.length, param.type.span.start, end)
                    span = param.type.span.file.span(start, start + len(param.type.length))
                    names.setdefault(param.type.length, Symbol("length", param.type.length, span, param, decl, module))
            for node in nodes(decl.body):
                if isinstance(node, ast.Stmt):
                    names.setdefault(node.name, Symbol("quantity", node.name, node.name_span, node, decl, module))
            self._inside[decl] = names
        return self._inside[decl]

    def given(self, decl: ast.Decl) -> dict[str, Symbol]:
        """The names that the language gives to a declaration of a kind: its point and the grid."""
        inputs = {name: self.input(decl.kind, name) for name in INPUTS.get(decl.kind, {})}
        return {**inputs, **({"grid": self.of_language("grid", "grid")} if decl.kind in WITH_GRID else {})}

    def input(self, kind: str, name: str) -> Symbol:
        return self.of_language("input", name, f"{kind}.{name}", (kind, name))

    def of_language(self, kind: str, name: str, key: str = "", node: Any = None) -> Symbol:
        return self._built_in.setdefault(f"{kind} {key or name}", Symbol(kind, name, None, node))

    def resolve(self, name: str, decl: ast.Decl, scope: Scope) -> Symbol | None:
        """What a name means in a declaration, by the rules of the checker."""
        inside = self.inside(decl, scope).get(name) or self.given(decl).get(name)
        if inside is not None:
            return inside
        if name in CONSTANTS:
            return self.of_language("constant", name)
        found = scope.find(name)
        if found is not None:
            return self.declared(*found)
        row: Builtin | None = BUILTINS.get(name) or PRIORS.get(name)
        return self.of_language("prior" if name in PRIORS else "builtin", name, "", row) if row else None


class _Walk:
    """The words of one declaration."""

    def __init__(self, names: Names, scope: Scope, decl: ast.Decl) -> None:
        self.names, self.scope, self.decl = names, scope, decl
        self.counted: dict[str, Symbol] = {}  # loop variables
        self.found: list[Occurrence] = []

    def occurrences(self) -> list[Occurrence]:
        self.found.append(Occurrence(self.decl.name_span, self.names.declared(self.decl, self.scope), True))
        for symbol in self.names.inside(self.decl, self.scope).values():
            assert symbol.span is not None
            if symbol.kind in ("parameter", "length"):
                self.found.append(Occurrence(symbol.span, symbol, True))
        for param in self.decl.params or ():
            self.visit(param.default)
        self.visit(self.decl.value)
        self.visit(self.decl.body)
        return self.found

    def visit(self, node: Any) -> None:
        if isinstance(node, tuple):
            for one in node:
                self.visit(one)
        elif isinstance(node, ast.Name):
            self.word(node.span, self.meaning(node.name))
        elif isinstance(node, ast.Field):
            self.component(node)
        elif isinstance(node, ast.Call):
            self.visit(node.callee)
            for arg in node.args:
                self.argument(node, arg)
        elif dataclasses.is_dataclass(node) and not isinstance(node, Span | SourceFile):
            if isinstance(node, ast.Stmt):
                self.word(node.name_span, self.names.inside(self.decl, self.scope).get(node.name), True)
            self.counting(node)

    def counting(self, node: Any) -> None:
        """A node with what it counts: its bound is outside of the loop, all else inside."""
        binder = getattr(node, "binder", None) or (node if hasattr(node, "var_span") else None)
        if binder is None:
            self.parts(node)
            return
        self.visit(binder.bound)
        symbol = Symbol("index", binder.var, binder.var_span, binder, self.decl, self.scope.module)
        self.word(binder.var_span, symbol, True)
        hidden = self.counted.get(binder.var)
        self.counted[binder.var] = symbol
        self.parts(node, "bound", "binder")
        self.counted.pop(binder.var)
        if hidden is not None:
            self.counted[binder.var] = hidden

    def parts(self, node: Any, *leave: str) -> None:
        for part in dataclasses.fields(node):
            if part.name not in leave:
                self.visit(getattr(node, part.name))

    def meaning(self, name: str) -> Symbol | None:
        return self.counted.get(name) or self.names.resolve(name, self.decl, self.scope)

    def word(self, span: Span, symbol: Symbol | None, defines: bool = False) -> None:
        if symbol is not None:
            self.found.append(Occurrence(span, symbol, defines))

    def component(self, node: ast.Field) -> None:
        self.visit(node.base)
        grid = isinstance(node.base, ast.Name) and node.base.name == "grid" and node.name in GRID_FIELDS
        self.word(node.name_span, self.names.of_language("grid" if grid else "component", node.name))

    def argument(self, call: ast.Call, arg: ast.Arg) -> None:
        if arg.name is not None and isinstance(call.callee, ast.Name):
            span = arg.span.file.span(arg.span.start, arg.span.start + len(arg.name))
            self.word(span, self.parameter(call.callee.name, arg.name))
        self.visit(arg.value)

    def parameter(self, callee: str, name: str) -> Symbol | None:
        """The parameter of what is called; of a part that is evaluated, its input."""
        symbol = self.meaning(callee)
        if symbol is None:
            return None
        if symbol.kind == "declaration" and symbol.module is not None:
            return self.names.inside(symbol.node, self.names.scopes[symbol.module]).get(name)
        evaluated = symbol.kind in ("parameter", "quantity") and name in INPUTS["profile"]
        return self.names.input("profile", name) if evaluated else None


def nodes(node: Any) -> Iterator[Any]:
    """A node and all nodes in it."""
    stack = [node]
    while stack:
        one = stack.pop()
        if isinstance(one, tuple):
            stack += reversed(one)
        elif dataclasses.is_dataclass(one) and not isinstance(one, Span | SourceFile):
            yield one
            stack += [getattr(one, part.name) for part in reversed(dataclasses.fields(one))]
