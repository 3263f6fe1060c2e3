"""What only the compiler can say of a declaration: mistakes that show when it is unrolled, warnings, and of each of its
statements when it is computed and what its value is, where it has but one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from fdif_dsl.compiler.frontend.check.scope import Program, Scope, mentions
from fdif_dsl.compiler.frontend.elaborate.declaration import Elaborator
from fdif_dsl.compiler.frontend.elaborate.environment import Env
from fdif_dsl.compiler.frontend.modules import Module
from fdif_dsl.compiler.frontend.values import components
from fdif_dsl.compiler.ir.graph import Node, reachable
from fdif_dsl.compiler.library.cautions import divided, of_formula
from fdif_dsl.compiler.passes import optimise
from fdif_dsl.compiler.passes.rates import Rate, infer_rates, join
from fdif_dsl.grammar import ast
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError
from fdif_dsl.grammar.source import SourceFile

_MAX_SEEN = 64  # values of one statement that are looked at
_MAX_SHOWN = 6  # numbers of a constant that are shown


@dataclass(frozen=True)
class Note:
    """Of a statement: the earliest moment at which it can be computed, and its value where it has but one."""

    rate: Rate
    value: str = ""


@dataclass(frozen=True)
class Elaborated:
    """What came of one declaration. It holds as long as everything it was made of."""

    parts: frozenset[ast.Decl]
    told: tuple[Diagnostic, ...] = ()
    notes: dict[ast.Stmt, Note] = field(default_factory=dict)


class Elaboration:
    """What was found so far; declarations that did not change are not looked at again."""

    def __init__(self) -> None:
        self._known: dict[ast.Decl, Elaborated] = {}
        self._divided: dict[SourceFile, tuple[Diagnostic, ...]] = {}

    def keep(self, decls: set[ast.Decl], files: set[SourceFile]) -> None:
        """Forget all others."""
        self._known = {decl: found for decl, found in self._known.items() if decl in decls}
        self._divided = {file: found for file, found in self._divided.items() if file in files}

    def of(self, program: Program, module: Module, decl: ast.Decl) -> Elaborated:
        """What comes of a declaration; nothing where something that it is made of has a mistake."""
        parts = frozenset(_parts(program, program.scopes[module], decl))
        known = self._known.get(decl)
        if known is None or known.parts != parts:
            known = Elaborated(parts) if parts & program.faulty or not parts <= program.names.keys() else (
                _elaborated(program, module, decl, parts))
            self._known[decl] = known
        return known

    def divided(self, file: SourceFile) -> tuple[Diagnostic, ...]:
        """Warnings about `//` in a file that has no other mistake."""
        if file not in self._divided:
            self._divided[file] = tuple(divided(file))
        return self._divided[file]


def _parts(program: Program, scope: Scope, decl: ast.Decl) -> Iterator[ast.Decl]:
    """A declaration and all that it is made of."""
    seen: set[ast.Decl] = set()
    stack = [(decl, scope)]
    while stack:
        one, inside = stack.pop()
        if one not in seen:
            seen.add(one)
            yield one
            stack += [found for name in mentions(one) if (found := inside.find(name)) is not None]


class _Watched(Elaborator):
    """An elaboration that remembers what statements gave."""

    def __init__(self, program: Program, decl: ast.Decl) -> None:
        super().__init__(program, decl)
        self.seen: dict[ast.Stmt, list[Any]] = {}

    def loop(self, env: Env, stmt: ast.Stmt, *formula: Any) -> Any:
        value = super().loop(env, stmt, *formula)
        seen = self.seen.setdefault(stmt, [])
        if len(seen) < _MAX_SEEN:
            seen.append(value)
        return value


def _elaborated(program: Program, module: Module, decl: ast.Decl, parts: frozenset[ast.Decl]) -> Elaborated:
    elaborator = _Watched(program, decl)
    try:
        if decl.kind == "const":
            elaborator.constants_of([decl], program.scopes[module])
            return Elaborated(parts)
        formula = elaborator.formula(program.scopes[module], True)
    except FdifError as error:
        return Elaborated(parts, error.diagnostics)
    values = {stmt: [n for value in seen for n in _numbers(value)] for stmt, seen in elaborator.seen.items()}
    rates = infer_rates(reachable([n for numbers in values.values() for n in numbers if isinstance(n, Node)]))
    notes = {}
    for stmt, numbers in values.items():
        rate = join(rates[n] if isinstance(n, Node) else Rate.CONSTANT for n in numbers)
        value = _constant(elaborator, elaborator.seen[stmt]) if rate is Rate.CONSTANT and numbers else ""
        notes[stmt] = Note(rate, value)
    return Elaborated(parts, tuple(of_formula(formula, decl)), notes)


def _numbers(value: Any) -> Iterator[Any]:
    """The numbers that a value consists of; none for a part that can be evaluated."""
    if isinstance(value, list | tuple):
        for item in value:
            yield from _numbers(item)
    elif isinstance(value, Node | int):
        yield value


def _constant(elaborator: Elaborator, seen: list[Any]) -> str:
    """The value of a statement that gave the same one each time, as text."""
    texts = set()
    for value in seen:
        rows = value if isinstance(value, list) else [value]
        shown = [_text([_number(elaborator, c) for c in components(row)]) for row in rows[:_MAX_SHOWN]]
        shown += ["..."] * (len(rows) > _MAX_SHOWN)
        texts.add(f"[{', '.join(shown)}]" if isinstance(value, list) else shown[0])
    return texts.pop() if len(texts) == 1 else ""


def _number(elaborator: Elaborator, value: Any) -> str:
    if isinstance(value, Node):
        value = optimise(elaborator.graph, [value])[0]
        if value.op != "const":
            return "?"
        value = value.const
    return str(value).lower() if isinstance(value, bool) else f"{value:.9g}"


def _text(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"({', '.join(parts)})"
