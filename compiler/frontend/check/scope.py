"""Scopes: which declarations a module sees, and in which order they are to be read."""

from __future__ import annotations

from dataclasses import dataclass, field

from fdif_dsl.compiler.frontend.builtins import RESERVED
from fdif_dsl.compiler.frontend.check.types import INPUTS, Typed
from fdif_dsl.compiler.frontend.modules import Module
from fdif_dsl.grammar import ast
from fdif_dsl.grammar.diagnostics import Diagnostic, error_at, quote
from fdif_dsl.grammar.source import Span


@dataclass
class Scope:
    """The declarations that a module sees: its own, and those of the modules it uses."""

    module: Module
    own: dict[str, ast.Decl] = field(default_factory=dict)
    used: dict[str, list[tuple[ast.Decl, Scope]]] = field(default_factory=dict)

    def find(self, name: str) -> tuple[ast.Decl, Scope] | None:
        """The declaration and the scope in which its body is to be read."""
        if name in self.own:
            return self.own[name], self
        found = self.used.get(name)
        return found[0] if found else None

    def names(self) -> set[str]:
        return {*self.own, *self.used}


@dataclass
class Program:
    """Checked modules. `varying` holds every statement whose value differs from point to point, `whole` every
    one whose value must stay a whole number, `reduced` the type of what each reduction gives, `names` what is known
    of each name inside a declaration, `faulty` every declaration with a mistake, or that may have one."""

    modules: list[Module]
    scopes: dict[Module, Scope]
    varying: set[ast.Stmt]
    value_types: dict[ast.Decl, str] = field(default_factory=dict)  # of functions and constants
    whole: set[ast.Stmt] = field(default_factory=set)
    reduced: dict[ast.Reduce, str] = field(default_factory=dict)
    names: dict[ast.Decl, dict[str, Typed]] = field(default_factory=dict)
    faulty: set[ast.Decl] = field(default_factory=set)


def make_scope(module: Module, scopes: dict[Module, Scope], errors: list[Diagnostic]) -> Scope:
    """What the module sees; those that it uses must have their scopes already."""
    scope = Scope(module)
    for decl in module.tree.decls:
        if decl.name in RESERVED:
            errors.append(error_at(decl.name_span, "E0210", f"`{decl.name}` is built in", "taken",
                                   hint="choose another name"))
        kinds = [k for k in INPUTS if decl.kind == "const" and decl.name in INPUTS[k]]
        if kinds:
            errors.append(error_at(decl.name_span, "E0210", f"`{decl.name}` is the input of a {kinds[0]}",
                                   "taken", hint="choose another name"))
        if decl.name in scope.own:
            first = scope.own[decl.name].name_span
            errors.append(error_at(decl.name_span, "E0211", f"{quote(decl.name)} is declared twice", "again here",
                                   hint="give one of the two another name", notes=[(first, "first here")]))
        else:
            scope.own[decl.name] = decl
    for used in dict.fromkeys(module.uses):
        for name, decl in scopes[used].own.items():
            scope.used.setdefault(name, []).append((decl, scopes[used]))
    return scope


def in_order(scope: Scope, errors: list[Diagnostic]) -> list[ast.Decl]:
    """The module's declarations, each after those that it mentions; one that needs itself is an error."""
    uses = {d: {scope.own[n]: span for n, span in mentions(d).items() if n in scope.own} for d in scope.own.values()}
    order: dict[ast.Decl, None] = {}
    path: dict[ast.Decl, None] = {}
    for start in uses:
        stack: list[tuple[ast.Decl, bool]] = [(start, False)]
        while stack:
            decl, leaving = stack.pop()
            if leaving:
                path.pop(decl)
                order[decl] = None
            elif decl not in order and decl not in path:
                path[decl] = None
                stack.append((decl, True))
                for used, span in uses[decl].items():
                    if used in path:
                        ring = [d.name for d in path]
                        ring = [*ring[ring.index(used.name):], used.name]
                        errors.append(error_at(
                            span, "E0236", f"`{used.name}` is defined through itself", _ring_text(ring),
                            why="formulas are unrolled, so none may contain itself",
                            hint="let one of them be a number" if used.kind == "const" else
                            "repeat with a reduction such as `sum[i < n](...)`, or with a `fold`"))
                        return []
                    stack.append((used, False))
    return list(order)


def mentions(decl: ast.Decl) -> dict[str, Span]:
    """Names in a declaration that it does not define itself, each with a place."""
    roots: list[ast.Expr] = [p.default for p in decl.params or () if p.default is not None]
    roots += [decl.value] if decl.value is not None else []
    out: dict[str, Span] = {}
    bodies: list[tuple[ast.Body, set[str]]] = [(decl.body or (), {p.name for p in decl.params or ()})]
    for body, outside in bodies:  # grows while it is read: the names of a round are its own
        local = outside | {s.name for s in ast.named(body)}
        for item in body:
            if isinstance(item, ast.Fold):
                roots.append(item.binder.bound)
                bodies.append((item.body, local))
            else:
                roots += item.formulas()
        for expr in ast.walk(*roots):
            if isinstance(expr, ast.Name) and expr.name not in local:
                out.setdefault(expr.name, expr.span)
        roots = []
    return out


def _ring_text(ring: list[str]) -> str:
    shown = ring if len(ring) <= 8 else [*ring[:4], "...", *ring[-3:]]
    return " -> ".join(name if len(name) <= 40 else f"{name[:37]}..." for name in shown)
