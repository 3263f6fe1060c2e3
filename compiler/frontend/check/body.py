"""The check of a declaration: its parameters, its statements and its result."""

from __future__ import annotations

from fdif_dsl.compiler.frontend.builtins import NUMBERS, PRIORS, VECTORS
from fdif_dsl.compiler.frontend.check.folds import Folds
from fdif_dsl.compiler.frontend.check.types import (
    ARRAY_ITEMS,
    INPUTS,
    INSTANCES,
    PARAM_TYPES,
    RESULTS,
    UNKNOWN,
    Typed,
    fits,
    kind_of,
    operand_hint,
    param_type,
    say,
)
from fdif_dsl.grammar import ast
from fdif_dsl.grammar.diagnostics import did_you_mean, quote

MAX_TOLD = 20  # mistakes of one run; who made more mends these first


class Body(Folds):
    """One declaration."""

    def check(self) -> None:
        decl = self.decl
        for param in decl.params or ():
            self.param(param)
        if decl.body is not None:
            self.at_point = True
            for item in decl.body:
                if len(self.errors) > MAX_TOLD:
                    return
                if isinstance(item, ast.Fold):
                    self.fold(item)
                else:
                    self.statement(item)
            self.result()
            self.find_whole()
            if decl.kind == "fn":
                self.program.value_types[decl] = self.names.get(RESULTS["fn"], Typed(UNKNOWN)).type
            return
        assert decl.value is not None
        got = self.expr(decl.value)
        if decl.kind in ("fn", "const"):
            self.program.value_types[decl] = got.type
            if got.type in INSTANCES:
                self.error(decl.value.span, "E0222", f"{kind_of(decl)} gives a value", f"this is {say(got.type)}",
                           hint="declare it with the kind's own word, such as `profile`")
        elif got.type not in (decl.kind, UNKNOWN):
            self.error(decl.value.span, "E0222", f"`{decl.name}` must be a {decl.kind}", f"this is {say(got.type)}",
                       hint="make it solid, for example with `prism` of the module `solids`"
                       if (decl.kind, got.type) == ("shape", "profile") else
                       f"write a body: `{decl.kind} {decl.name} {{ {RESULTS[decl.kind]} = ... }}`")

    def find_whole(self) -> None:
        """Note the statements whose value must stay a whole number, as a loop or an index counts with it.

        `radius = 3` is not among them: it is a quantity like any other.
        """
        made_of: dict[str, set[str]] = {}
        for stmt in ast.statements(self.decl.body):
            made_of.setdefault(stmt.name, set()).update(*map(_names, stmt.formulas()))
        wanted: set[str] = set()
        found = {name for expr in self.counted for name in _names(expr)}
        while found:
            wanted |= found
            found = set().union(*(made_of.get(name, set()) for name in found)) - wanted
        self.program.whole.update(s for s in ast.named(self.decl.body) if s.name in wanted)

    def param(self, param: ast.Param) -> None:
        decl, written = self.decl, param.type
        kind = param_type(param)
        if written is not None:
            allowed = ARRAY_ITEMS if written.length else PARAM_TYPES
            if written.name not in allowed:
                title = f"there is no type {quote(written.name)}"
                if written.length and written.name in PARAM_TYPES:
                    title = f"there are no arrays of {written.name}"
                what = "an array holds" if written.length else "a parameter is"
                self.error(written.span, "E0212", title, "as the type of a parameter",
                           why=f"{what} one of {', '.join(allowed)}", hint=did_you_mean(written.name, allowed)
                           or f"for a number write `{param.name}: float`, or nothing")
                kind = UNKNOWN
            elif kind in ("shape", "profile") and decl.kind not in ("shape", "profile"):
                self.error(written.span, "E0213", f"{kind_of(decl)} takes no {kind}", f"not in {kind_of(decl)}",
                           why="only shapes and profiles are built from other shapes and profiles",
                           hint="evaluate the part outside and pass its distance" if decl.kind == "fn" else
                           "take numbers and vectors, and write the formula out")
            if written.length:
                self.define(written.length, written.span, Typed("int"))
        if param.default is not None:
            inputs = {name: self.names.pop(name) for name in INPUTS[decl.kind]}
            got = self.expr(param.default)
            self.names.update(inputs)
            if not fits(got.type, kind):
                self.error(param.default.span, "E0214", f"the default of `{param.name}` has the wrong type",
                           f"this is {say(got.type)}, not {say(kind)}", hint=f"write {say(kind)}, or change the type")
        self.define(param.name, param.name_span, Typed(kind, decl.kind == "fn" and kind not in ("int", "bool")))

    def statement(self, stmt: ast.Stmt) -> None:
        kind, before = self.decl.kind, len(self.errors)
        if stmt.random and kind == "fn":
            self.error(stmt.span, "E0220", "a function has no random quantities",
                       "`~` stands in shapes, profiles, displacements and mappers",
                       why="a function's value depends on its arguments only: no scene could keep what it draws",
                       hint="draw it where the function is called, and make it a parameter")
        self.in_prior = stmt.random
        got = self.each(stmt, stmt.value)
        self.in_prior = False
        if stmt.random and len(self.errors) == before:
            if not _has_draw(stmt.value):
                self.error(stmt.value.span, "E0221", f"`{stmt.name} ~` draws nothing", "no random number in here",
                           hint=f"write `{stmt.name} = ...`, or draw with `uniform(lo, hi)`")
                got = Typed(UNKNOWN)
            elif got.varies:
                self.error(stmt.value.span, "E0223", f"the prior of `{stmt.name}` differs from point to point",
                           "depends on the point", why="a random quantity is drawn once for an object",
                           hint="leave the point out of it")
        typed = self.gathered(stmt, stmt.value, got)
        if stmt.random and got.type not in (*ARRAY_ITEMS, UNKNOWN):
            self.error(stmt.value.span, "E0224", f"a random quantity cannot be {say(got.type)}", "after `~`",
                       why="a random quantity is a number, a vector or an array of those (`[i < n]`)",
                       hint="draw a number under a name of its own, and compute this from it")
            typed = Typed(UNKNOWN, got.varies)
        self.settle(stmt, typed)

    def settle(self, stmt: ast.Stmt, typed: Typed) -> None:
        """Give a name of the body its type, the result the one that it must have."""
        kind = self.decl.kind
        if typed.varies:
            self.program.varying.add(stmt)
        if stmt.name == RESULTS[kind]:
            if stmt.random or stmt.binder:
                self.error(stmt.name_span, "E0225", f"`{stmt.name}` is the result of a {kind}", "takes a plain `=`",
                           hint=f"write `{stmt.name} = ...`, with the rest under other names")
                typed = Typed(UNKNOWN)
            elif kind != "fn" and typed.type not in (*NUMBERS, UNKNOWN):
                self.error(stmt.value.span, "E0226", f"`{stmt.name}` must be a number", f"this is {say(typed.type)}",
                           hint="`length(v)` is the length of a vector" if typed.type in VECTORS
                           else operand_hint(typed.type))
                typed = Typed(UNKNOWN)
        if stmt.name in _names(stmt.value):
            self.define(stmt.name, stmt.name_span, typed, "give the new value a name of its own, or carry it through "
                        "the rounds of a `fold`")
        else:
            self.define(stmt.name, stmt.name_span, typed)

    def result(self) -> None:
        decl, wanted = self.decl, RESULTS[self.decl.kind]
        assert decl.body is not None
        names = [s.name for s in ast.named(decl.body)]
        if not decl.broken and all(s.name != wanted for s in ast.statements(decl.body)):  # in a round it has been told
            hint = did_you_mean(wanted, names)
            self.error(decl.name_span, "E0227", f"`{decl.name}` has no `{wanted}`", f"{kind_of(decl)} must give one",
                       hint=f"is it `{hint.split('`')[1]}`? the result is called `{wanted}`" if hint else
                       f"add a line `{wanted} = ...`")


def _has_draw(expr: ast.Expr) -> bool:
    return any(isinstance(e, ast.Call) and isinstance(e.callee, ast.Name) and e.callee.name in PRIORS
               for e in ast.walk(expr))


def _names(expr: ast.Expr) -> set[str]:
    """Every name in an expression."""
    return {e.name for e in ast.walk(expr) if isinstance(e, ast.Name)}
