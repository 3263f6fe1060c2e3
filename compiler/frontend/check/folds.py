"""The check of folds: what starts a carried value, what each round makes of it, and what is known after the last."""

from __future__ import annotations

from collections.abc import Iterator

from fdif_dsl.compiler.frontend.builtins import NUMBERS, RESERVED, VECTORS
from fdif_dsl.compiler.frontend.check.calls import Calls
from fdif_dsl.compiler.frontend.check.types import (
    ARRAY_ITEMS,
    INPUTS,
    INSTANCES,
    RESULTS,
    UNKNOWN,
    Typed,
    fits,
    operand_hint,
    say,
)
from fdif_dsl.grammar import ast
from fdif_dsl.grammar.diagnostics import quote
from fdif_dsl.grammar.source import Span


class Folds(Calls):
    """Names of bodies, and the rounds that carry them."""

    def define(self, name: str, span: Span, typed: Typed, twice: str = "give one of the two another name") -> None:
        """Bring a name in; `twice` is the hint where it is there already."""
        if name in RESERVED:
            self.names[name] = self.error(span, "E0210", f"`{name}` is built in", "taken",
                                          hint="choose another name")
        elif name in INPUTS[self.decl.kind]:
            self.names[name] = self.error(span, "E0210", f"`{name}` is the input of a {self.decl.kind}",
                                          "taken", hint="choose another name")
        elif name in self.indices:
            self.error(span, "E0210", f"`{name}` is the index of a fold", "taken", hint="choose another name")
        elif name in self.spans:
            self.error(span, "E0211", f"{quote(name)} is defined twice", "again here",
                       why="a name keeps one value", hint=twice, notes=[(self.spans[name], "first here")])
        else:
            self.spans[name] = span
            self.names[name] = typed

    def settle(self, stmt: ast.Stmt, typed: Typed) -> None:
        """Give a name of the body its type."""
        raise NotImplementedError

    def each(self, stmt: ast.Stmt, formula: ast.Expr) -> Typed:
        """What one of a statement's formulas gives, for each index where it has one."""
        if stmt.binder is None:
            return self.expr(formula)
        hidden = self.bind(stmt.binder.var, stmt.binder.var_span, stmt.binder.bound)
        got = self.expr(formula)
        self.unbind(stmt.binder.var, hidden)
        return got

    def gathered(self, stmt: ast.Stmt, formula: ast.Expr, got: Typed) -> Typed:
        """The array of what the formula gives for each index, or just what it gives."""
        if stmt.binder is None or got.type == UNKNOWN:
            return got
        if got.type not in (*ARRAY_ITEMS, "int"):
            self.error(formula.span, "E0224", f"an array cannot hold {say(got.type)}", "in an array",
                       why="an array holds numbers or vectors", hint=operand_hint(got.type))
            return Typed(UNKNOWN)
        return Typed(f"{'float' if got.type == 'int' else got.type}[]", got.varies)

    def fold(self, fold: ast.Fold) -> None:
        """Read a fold. Its names are defined as `settle` does, or, in a round of another fold, as names of that."""
        if not fold.carried:
            self.error(Span(fold.span.file, fold.span.start, fold.binder.span.end), "E0228", "the fold carries nothing",
                       "no `then` in its statements", why="what is known after it are the names that it carries",
                       hint="write `name = start then next`")
            for stmt in fold.body:
                if isinstance(stmt, ast.Stmt):
                    self.define(stmt.name, stmt.name_span, Typed(UNKNOWN))
            return
        outer, self.start_of = self.start_of, fold
        starts = {stmt: self.start(stmt) for stmt in fold.carried}
        self.start_of = outer
        outside = self.defined
        self.defined = {**outside, **{s.name: s for s in reversed(ast.named(fold.body))}}
        hidden = self.bind(fold.binder.var, fold.binder.var_span, fold.binder.bound, "fold")
        varying = self.varying(fold, {s.name for s, got in starts.items() if got.varies})
        self.indices.append(fold.binder.var)
        before = set(self.spans)
        for stmt, got in starts.items():
            typed = Typed(got.type, stmt.name in varying)
            if len(self.indices) == 1:
                twice = f"start from another name, or drop the line above and write `{stmt.name} = start then next`"
                if stmt.name in self.spans:
                    self.define(stmt.name, stmt.name_span, typed, twice)
                else:
                    self.settle(stmt, typed)
            else:
                self.local(stmt, typed)
        carried = set(self.spans) - before
        for item in fold.body:
            if isinstance(item, ast.Fold):
                self.fold(item)
            elif item.next is not None:
                self.next(item, item.next, starts[item])
            elif not self.drawn(item):
                self.abbreviation(item)
        self.indices.pop()
        for name in set(self.spans) - before - carried:
            del self.spans[name], self.names[name]
        self.unbind(fold.binder.var, hidden)
        self.defined = outside

    def start(self, stmt: ast.Stmt) -> Typed:
        """What a carried value is before the first round."""
        if self.drawn(stmt):
            return Typed(UNKNOWN)
        return self.value(stmt, stmt.value, self.each(stmt, stmt.value))

    def next(self, stmt: ast.Stmt, formula: ast.Expr, start: Typed) -> None:
        """What a round makes of a carried value must be of the type with which it starts."""
        got = self.value(stmt, formula, self.each(stmt, formula))
        if not fits(got.type, start.type):
            self.error(formula.span, "E0229", f"`{stmt.name}` changes its type from round to round",
                       f"this is {say(got.type)}", notes=[(stmt.value.span, f"it starts as {say(start.type)}")],
                       why="each round gives what the next one takes", hint=_start_hint(stmt, start.type, got.type))
            self.names[stmt.name] = Typed(UNKNOWN, start.varies)

    def abbreviation(self, stmt: ast.Stmt) -> None:
        self.local(stmt, self.value(stmt, stmt.value, self.each(stmt, stmt.value)))

    def value(self, stmt: ast.Stmt, formula: ast.Expr, got: Typed) -> Typed:
        """What a formula of a round gives, as it may be a value of a fold."""
        if got.type in INSTANCES:
            self.error(formula.span, "E0237", f"a fold holds no {got.type}", f"this is {say(got.type)}",
                       why="rounds compute values; a part is made once, and may be evaluated in every round",
                       hint="name it above the fold: `part = ...`, and evaluate it in here: `part(...)`")
            return Typed(UNKNOWN)
        return self.gathered(stmt, formula, got)

    def drawn(self, stmt: ast.Stmt) -> bool:
        """Whether a statement of a round is a random quantity, which none may be."""
        if stmt.random:
            self.error(stmt.span, "E0220", "a fold has no random quantities", "`~` inside of a fold",
                       why="a random quantity is drawn once for an object, and has a name that all rounds know",
                       hint="make it a parameter" if self.decl.kind == "fn" else
                       f"draw above the fold: `{stmt.name} ~ ...`, or for each round: `{stmt.name}[i < n] ~ ...`")
            if stmt.next is None:
                self.define(stmt.name, stmt.name_span, Typed(UNKNOWN))
        return stmt.random

    def local(self, stmt: ast.Stmt, typed: Typed) -> None:
        """Bring in a name that holds for a round."""
        if stmt.name == RESULTS[self.decl.kind]:
            self.error(stmt.name_span, "E0225", f"`{stmt.name}` is the result of a {self.decl.kind}",
                       "known in a round only",
                       hint=f"write it behind the fold, or carry it: `{stmt.name} = start then next`"
                       if len(self.indices) == 1 else "write it behind the outermost fold")
            typed = Typed(UNKNOWN)
        self.define(stmt.name, stmt.name_span, typed)

    def varying(self, fold: ast.Fold, names: set[str]) -> set[str]:
        """Which names of a fold differ from point to point, from those that start so: all that is made of these, in
        whatever round."""
        made_of: dict[str, set[str]] = {}
        for stmt in ast.statements(fold.body):
            made_of.setdefault(stmt.name, set()).update(
                *(_mentions(e) for e in ((stmt.value, stmt.next) if stmt.next else (stmt.value,))))
        for stmt in fold.carried:  # the start is known already, and sees nothing of the round
            if stmt.next is not None:
                made_of[stmt.name] = set(_mentions(stmt.next))
        users: dict[str, list[str]] = {}
        for name, parts in made_of.items():
            for part in parts:
                users.setdefault(part, []).append(name)
        found = {*names, *(n for n in users if n not in made_of and n in self.names and self.names[n].varies)}
        stack = [*found]
        while stack:
            for name in users.get(stack.pop(), ()):
                if name not in found:
                    found.add(name)
                    stack.append(name)
        return found


def _mentions(formula: ast.Expr) -> Iterator[str]:
    """The names that a formula's value depends on; `deepest` gives one number for all points."""
    stack = [formula]
    while stack:
        expr = stack.pop()
        if isinstance(expr, ast.Name):
            yield expr.name
        elif isinstance(expr, ast.Reduce):
            stack += [expr.body, *([] if expr.condition is None else [expr.condition])]
        elif not (isinstance(expr, ast.Call) and isinstance(expr.callee, ast.Name) and expr.callee.name == "deepest"):
            stack.extend(expr.children())


def _start_hint(stmt: ast.Stmt, start: str, got: str) -> str:
    """How the start comes to be of the type that the rounds give."""
    written = stmt.value.span.text
    if (start, got) == ("int", "float"):
        return f"start with `{written}.0`" if written.isdecimal() else "start with a number with a point, as in `1.0`"
    if start in NUMBERS and got in VECTORS:
        return f"start with a vector, as in `{got}(0)`"
    return operand_hint(start, got) or f"let both be {say(start)}"
