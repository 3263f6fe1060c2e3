"""Names and types, checked on the tree before anything is elaborated.

Each body is read once, whatever uses it, so that a mistake is told at its own place: a wrong
argument is the caller's, even when the callee is a library function. Along the way the checker
notes which names *vary* over space; all others are quantities of the object.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fdif_dsl.compiler.builtins import BUILTINS, CONSTANTS, NUMBERS, PRIORS, VECTORS, common
from fdif_dsl.compiler.modules import Module, load_modules
from fdif_dsl.grammar import ast
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError, did_you_mean, error_at, quote
from fdif_dsl.grammar.source import Span

RESULTS = {"shape": "distance", "profile": "distance", "displacement": "offset", "mapper": "intensity", "fn": "value"}
INPUTS = {
    "shape": {"p": "vec3"}, "profile": {"q": "vec2", "t": "float"}, "displacement": {"p": "vec3"},
    "mapper": {"d": "float"}, "fn": {},
}
_WITH_GRID = ("shape", "profile", "displacement")
GRID_FIELDS = {"min": "float", "size": "vec3", "limit": "vec3"}
PARAM_TYPES = ("int", "float", "bool", "vec2", "vec3", "profile", "shape")
ARRAY_ITEMS = ("float", "vec2", "vec3")
INSTANCES = ("shape", "profile", "displacement", "mapper")
MAX_TOLD = 20  # mistakes of one run; who made more mends these first
_UNKNOWN = "?"  # the type of what is wrong already: it fits everywhere, so one mistake is told once
_WHOLE_DIVISION = "whole numbers are divided with `//`"
_ARTICLE = {"int": "a whole number", "float": "a number", "bool": "a truth value", "vec2": "a vec2", "vec3": "a vec3",
            "shape": "a shape", "profile": "a profile", "displacement": "a displacement", "mapper": "a mapper"}


@dataclass(frozen=True)
class Typed:
    """What is known of an expression: its type and whether it differs from point to point."""

    type: str
    varies: bool = False


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
    one whose value must stay a whole number."""

    modules: list[Module]
    scopes: dict[Module, Scope]
    varying: set[ast.Stmt]
    fn_types: dict[ast.Decl, str] = field(default_factory=dict)
    whole: set[ast.Stmt] = field(default_factory=set)


def param_type(param: ast.Param) -> str:
    """The type of a parameter: as written, or a number."""
    if param.type is None:
        return "float"
    return f"{param.type.name}[]" if param.type.length else param.type.name


def check_files(paths: Sequence[Path | str]) -> list[Diagnostic]:
    """The mistakes in the files and in what they use, the first 20 of each; none: an empty list.

    Also elaborates each closed declaration, since some mistakes (an index out of range, a formula
    that grows without end) show only then.
    """
    from fdif_dsl.compiler.elaborate import elaborate

    found: list[Diagnostic] = []
    for path in paths:
        try:
            elaborate(check(load_modules([Path(path)])))
        except FdifError as error:
            found += [d for d in error.diagnostics if d not in found]
    return found


def check(modules: list[Module]) -> Program:
    """Check all modules.

    Raises:
        FdifError: with the mistakes found, the first 20 of them.
    """
    program = Program(modules, {}, set())
    errors: list[Diagnostic] = []
    for module in modules:
        program.scopes[module] = _scope(module, program.scopes, errors)
    for module in modules:
        for decl in _in_order(program.scopes[module], errors):
            if len(errors) <= MAX_TOLD:
                _Body(program, program.scopes[module], decl, errors).check()
    if errors:
        raise FdifError(*told(errors))
    return program


def told(errors: list[Diagnostic]) -> list[Diagnostic]:
    """The first mistakes, and that there are more."""
    if len(errors) <= MAX_TOLD:
        return errors
    return [*errors[:MAX_TOLD], Diagnostic("E0205", "there are more mistakes", hint="mend these first")]


def _scope(module: Module, scopes: dict[Module, Scope], errors: list[Diagnostic]) -> Scope:
    scope = Scope(module)
    for decl in module.tree.decls:
        if decl.name in BUILTINS or decl.name in PRIORS or decl.name in CONSTANTS or decl.name in ("deepest", "grid"):
            errors.append(error_at(decl.name_span, "E0210", f"`{decl.name}` is built in", "choose another name"))
        if decl.name in scope.own:
            first = scope.own[decl.name].name_span
            errors.append(error_at(decl.name_span, "E0211", f"{quote(decl.name)} is declared twice", "again here",
                                   notes=[(first, "first here")]))
        else:
            scope.own[decl.name] = decl
    for used in dict.fromkeys(module.uses):
        for name, decl in scopes[used].own.items():
            scope.used.setdefault(name, []).append((decl, scopes[used]))
    return scope


class _Body:
    """The check of one declaration."""

    def __init__(self, program: Program, scope: Scope, decl: ast.Decl, errors: list[Diagnostic]) -> None:
        self.program, self.scope, self.decl, self.errors = program, scope, decl, errors
        self.names: dict[str, Typed] = {n: Typed(t, True) for n, t in INPUTS[decl.kind].items()}
        self.spans: dict[str, Span] = {}
        self.in_prior = False
        self.at_point = False  # whether what is being read is evaluated at a point
        self.defined = {s.name: s for s in reversed(decl.body or ())}
        self.counted: list[ast.Expr] = []  # expressions that must be whole numbers

    def error(self, span: Span, code: str, title: str, label: str = "", why: str = "", hint: str = "",
              notes: Sequence[tuple[Span, str]] = ()) -> Typed:
        self.errors.append(error_at(span, code, title, label, why, hint, notes))
        return Typed(_UNKNOWN)

    def check(self) -> None:
        decl = self.decl
        for param in decl.params or ():
            self.param(param)
        if decl.body is not None:
            self.at_point = True
            for stmt in decl.body:
                if len(self.errors) > MAX_TOLD:
                    return
                self.statement(stmt)
            self.result()
            self.find_whole()
            if decl.kind == "fn":
                self.program.fn_types[decl] = self.names.get(RESULTS["fn"], Typed(_UNKNOWN)).type
            return
        assert decl.value is not None
        got = self.expr(decl.value)
        if decl.kind == "fn":
            self.program.fn_types[decl] = got.type
            if got.type in INSTANCES:
                self.error(decl.value.span, "E0222", "a function gives a value", f"this is {_say(got.type)}",
                           hint="declare it with the kind's own word, such as `profile`")
        elif got.type not in (decl.kind, _UNKNOWN):
            self.error(decl.value.span, "E0222", f"`{decl.name}` must be a {decl.kind}", f"this is {_say(got.type)}",
                       hint="make it solid, for example with `prism` of the module `solids`"
                       if (decl.kind, got.type) == ("shape", "profile") else
                       f"write a body: `{decl.kind} {decl.name} {{ {RESULTS[decl.kind]} = ... }}`")

    def find_whole(self) -> None:
        """Note the statements whose value must stay a whole number, as a loop or an index counts with it.

        `radius = 3` is not among them: it is a quantity like any other.
        """
        wanted = {name for expr in self.counted for name in _names(expr)}
        for stmt in reversed(self.decl.body or ()):
            if stmt.name in wanted:
                self.program.whole.add(stmt)
                wanted |= _names(stmt.value)

    # -- parameters and statements

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
                           why=f"{what} one of {', '.join(allowed)}", hint=did_you_mean(written.name, allowed))
                kind = _UNKNOWN
            elif kind in ("shape", "profile") and decl.kind not in ("shape", "profile"):
                self.error(written.span, "E0213", f"{_kind(decl)} takes no {kind}", f"not in {_kind(decl)}",
                           why="only shapes and profiles are built from other shapes and profiles")
            if written.length:
                self.define(written.length, written.span, Typed("int"))
        if param.default is not None:
            inputs = {name: self.names.pop(name) for name in INPUTS[decl.kind]}
            got = self.expr(param.default)
            self.names.update(inputs)
            if not _fits(got.type, kind):
                self.error(param.default.span, "E0214", f"the default of `{param.name}` has the wrong type",
                           f"this is {_say(got.type)}, not {_say(kind)}")
        self.define(param.name, param.name_span, Typed(kind, decl.kind == "fn" and kind not in ("int", "bool")))

    def define(self, name: str, span: Span, typed: Typed) -> None:
        if name in BUILTINS or name in PRIORS or name in CONSTANTS or name in ("grid", "deepest"):
            self.names[name] = self.error(span, "E0210", f"`{name}` is built in", "choose another name")
        elif name in INPUTS[self.decl.kind]:
            self.names[name] = self.error(span, "E0210", f"`{name}` is the input of a {self.decl.kind}",
                                          "choose another name")
        elif name in self.spans:
            self.error(span, "E0211", f"{quote(name)} is defined twice", "again here",
                       why="a name keeps one value", notes=[(self.spans[name], "first here")])
        else:
            self.spans[name] = span
            self.names[name] = typed

    def statement(self, stmt: ast.Stmt) -> None:
        kind, before = self.decl.kind, len(self.errors)
        if stmt.random and kind not in ("shape", "profile"):
            self.error(stmt.span, "E0220", f"{_kind(self.decl)} has no random quantities",
                       "`~` stands in shapes and profiles only",
                       why="a scene names displacements and mappers and gives parameters to shapes alone"
                       if kind != "fn" else "a function's value depends on its arguments only",
                       hint="use `=`, or make it a parameter")
        shadow = None
        if stmt.binder:
            shadow = self.bind(stmt.binder.var, stmt.binder.var_span, stmt.binder.bound)
        self.in_prior = stmt.random
        got = self.expr(stmt.value)
        self.in_prior = False
        if stmt.binder:
            self.unbind(stmt.binder.var, shadow)
        if stmt.random and len(self.errors) == before:
            if not _has_draw(stmt.value):
                self.error(stmt.value.span, "E0221", f"`{stmt.name} ~` draws nothing", "no random number in here",
                           hint=f"write `{stmt.name} = ...`, or draw with `uniform(lo, hi)`")
                got = Typed(_UNKNOWN)
            elif got.varies:
                self.error(stmt.value.span, "E0223", f"the prior of `{stmt.name}` differs from point to point",
                           "depends on the point", why="a random quantity is drawn once for an object",
                           hint="leave the point out of it")
        if stmt.binder and got.type not in (*ARRAY_ITEMS, "int", _UNKNOWN):
            self.error(stmt.value.span, "E0224", f"an array cannot hold {_say(got.type)}", "in an array",
                       why="an array holds numbers or vectors")
            got = Typed(_UNKNOWN)
        if stmt.random and got.type not in (*ARRAY_ITEMS, _UNKNOWN):
            self.error(stmt.value.span, "E0224", f"a random quantity cannot be {_say(got.type)}", "after `~`",
                       why="a random quantity is a number, a vector or an array of those (`[i < n]`)")
            got = Typed(_UNKNOWN)
        item = "float" if got.type == "int" else got.type
        typed = Typed(f"{item}[]" if stmt.binder and got.type != _UNKNOWN else got.type, got.varies)
        if got.varies:
            self.program.varying.add(stmt)
        if stmt.name == RESULTS[kind]:
            if stmt.random or stmt.binder:
                self.error(stmt.name_span, "E0225", f"`{stmt.name}` is the result of a {kind}", "one formula after `=`")
                typed = Typed(_UNKNOWN)
            elif kind != "fn" and typed.type not in (*NUMBERS, _UNKNOWN):
                self.error(stmt.value.span, "E0226", f"`{stmt.name}` must be a number", f"this is {_say(typed.type)}",
                           hint="`length(v)` is the length of a vector" if typed.type in VECTORS else "")
                typed = Typed(_UNKNOWN)
        self.define(stmt.name, stmt.name_span, typed)

    def result(self) -> None:
        decl, wanted = self.decl, RESULTS[self.decl.kind]
        assert decl.body is not None
        if not any(s.name == wanted for s in decl.body):
            names = [s.name for s in decl.body]
            hint = did_you_mean(wanted, names)
            self.error(decl.name_span, "E0227", f"`{decl.name}` has no `{wanted}`", f"{_kind(decl)} must give one",
                       hint=f"is it `{hint.split('`')[1]}`? the result is called `{wanted}`" if hint else
                       f"add a line `{wanted} = ...`")

    def bind(self, var: str, span: Span, bound: ast.Expr) -> Typed | None:
        """Bring a loop variable in; gives what it hides."""
        got = self.expr(bound)
        self.counted.append(bound)
        if got.type not in ("int", _UNKNOWN):
            params = {p.name for p in self.decl.params or () if p.type is None}
            hint = "give a number, or a parameter of type int"
            if isinstance(bound, ast.Name) and bound.name in params:
                hint = f"write the parameter as `{bound.name}: int`"
            elif isinstance(bound, ast.Binary) and bound.op == "/":
                hint = _WHOLE_DIVISION
            self.error(bound.span, "E0230", "a loop counts to a whole number", f"this is {_say(got.type)}",
                       why="arrays and reductions are unrolled while compiling", hint=hint)
        if var in BUILTINS or var in CONSTANTS or var in INPUTS[self.decl.kind] or var == "grid":
            self.error(span, "E0210", f"`{var}` has a meaning already", "choose another name")
        hidden = self.names.get(var)
        self.names[var] = Typed("int")
        return hidden

    def unbind(self, var: str, hidden: Typed | None) -> None:
        if hidden is None:
            self.names.pop(var, None)
        else:
            self.names[var] = hidden

    # -- expressions

    def expr(self, expr: ast.Expr) -> Typed:
        return getattr(self, f"_{type(expr).__name__.lower()}")(expr)  # type: ignore[no-any-return]

    def _number(self, expr: ast.Number) -> Typed:
        return Typed("int" if isinstance(expr.value, int) else "float")

    def _truth(self, expr: ast.Truth) -> Typed:
        return Typed("bool")

    def _paren(self, expr: ast.Paren) -> Typed:
        return self.expr(expr.inner)

    def _name(self, expr: ast.Name) -> Typed:
        name = expr.name
        if name in self.names:
            return self.names[name]
        if name in CONSTANTS:
            return Typed("float")
        if name in self.defined:
            return self.unknown(expr.span, name)
        found = self.scope.find(name)
        if found:
            if (clash := self.clash(name, expr.span)) is not None:
                return clash
            decl, _ = found
            if decl.kind == "fn":
                return self.error(expr.span, "E0231", f"`{name}` is a function", "used without arguments",
                                  hint=f"call it: `{name}(...)`")
            return self.instance(expr.span, decl, ())
        if name in BUILTINS or name in PRIORS:
            return self.error(expr.span, "E0231", f"`{name}` is a function", "used without arguments",
                              hint=f"call it: `{ {**BUILTINS, **PRIORS}[name].signature }`".replace("` ", "`"))
        return self.unknown(expr.span, name)

    def unknown(self, span: Span, name: str) -> Typed:
        kind = self.decl.kind
        later = self.defined.get(name)
        if later and later.span.start <= span.start < later.span.end:
            return self.error(span, "E0232", f"`{name}` is defined through itself", "not known yet",
                              why="a name keeps one value", hint="give the new value a name of its own")
        if later:
            return self.error(span, "E0232", f"`{name}` is used before it is defined", "not known yet",
                              why="a body is read from top to bottom", notes=[(later.name_span, "defined here")],
                              hint=f"move the line of `{name}` up")
        if name == "grid" and kind in _WITH_GRID:
            return self.error(span, "E0242", "the grid is no value", "a part of it is missing",
                              hint="its parts are `grid.min`, `grid.size` and `grid.limit`")
        if name == "grid":
            return self.error(span, "E0233", f"{_kind(self.decl)} does not see the grid", "no grid here",
                              hint="make it a parameter")
        if name in INPUTS[kind]:
            return self.error(span, "E0255", "a default holds for the whole object", "differs from point to point",
                              hint=f"leave `{name}` out of it")
        inputs = {n: " or ".join(k for k in INPUTS if n in INPUTS[k]) for i in INPUTS.values() for n in i}
        if name in inputs:
            own = ", ".join(f"`{n}`" for n in INPUTS[kind]) or "only its parameters"
            return self.error(span, "E0233", f"`{name}` is not known here", f"the input of a {inputs[name]}",
                              why=f"a {kind} sees {own}" if kind != "fn" else "a function sees only its parameters",
                              hint="make it a parameter" if kind == "fn" else "")
        known = {*self.names, *self.scope.names(), *CONSTANTS, *BUILTINS, *PRIORS, "grid", "deepest"}
        return self.error(span, "E0234", f"unknown name {quote(name)}", "not defined",
                          hint=self.where_is(name) or did_you_mean(name, known))

    def where_is(self, name: str) -> str:
        """A hint where a module that is not used has the name."""
        from fdif_dsl.compiler.modules import standard_files

        for path in standard_files():
            if f" {name}" in path.read_text("utf-8") and any(
                    line.split("(")[0].split("=")[0].split("{")[0].split()[-1:] == [name]
                    for line in path.read_text("utf-8").splitlines() if line.split(" ")[0] in RESULTS):
                return f"the module `{path.stem}` has it: add `use {path.stem}`"
        return ""

    def clash(self, name: str, span: Span) -> Typed | None:
        found = self.scope.used.get(name, [])
        if name in self.scope.own or len(found) < 2:
            return None
        places = ", ".join(s.module.name for _, s in found)
        return self.error(span, "E0235", f"{quote(name)} is ambiguous", f"declared in {places}",
                          notes=[(d.name_span, "one is here") for d, _ in found],
                          hint="drop one of the `use` lines or rename one of the two")

    def _unary(self, expr: ast.Unary) -> Typed:
        got = self.expr(expr.operand)
        fits = got.type == "bool" if expr.op == "not" else common([got.type]) is not None
        if got.type != _UNKNOWN and not fits:
            wants = "a truth value" if expr.op == "not" else "a number or a vector"
            return self.error(expr.operand.span, "E0240", f"`{expr.op}` wants {wants}", f"this is {_say(got.type)}")
        return got

    def _binary(self, expr: ast.Binary) -> Typed:
        left, right = self.expr(expr.left), self.expr(expr.right)
        varies = left.varies or right.varies
        types = (left.type, right.type)
        if _UNKNOWN in types:
            return Typed(_UNKNOWN, varies)
        op = expr.op
        if op in ("and", "or"):
            for side, operand in ((left, expr.left), (right, expr.right)):
                if side.type != "bool":
                    return self.error(operand.span, "E0240", f"`{op}` wants truth values",
                                      f"this is {_say(side.type)}")
            return Typed("bool", varies)
        if op in ("<", "<=", ">", ">=", "==", "!="):
            for side, operand in ((left, expr.left), (right, expr.right)):
                if side.type not in NUMBERS:
                    return self.error(operand.span, "E0240", f"`{op}` compares numbers", f"this is {_say(side.type)}",
                                      hint="compare one component, or `length(v)`" if side.type in VECTORS else "")
            return Typed("bool", varies)
        if op == "//":
            self.counted.append(expr)
            if types != ("int", "int"):
                odd, got = (expr.left, left) if left.type != "int" else (expr.right, right)
                return self.error(odd.span, "E0240", "`//` divides whole numbers", f"this is {_say(got.type)}",
                                  hint="for numbers write `floor(a / b)`")
            return Typed("int", varies)
        kind = common(types)
        if kind is None:
            return self.error(expr.op_span, "E0241", f"`{op}` does not fit {_say(left.type)} and {_say(right.type)}",
                              "these two", notes=[(expr.left.span, f"this is {_say(left.type)}"),
                                                  (expr.right.span, f"this is {_say(right.type)}")],
                              hint=_vector_hint(*types))
        return Typed("float" if kind == "int" and op in ("/", "^") else kind, varies)

    def _field(self, expr: ast.Field) -> Typed:
        if isinstance(expr.base, ast.Name) and expr.base.name == "grid" and "grid" not in self.names:
            if self.decl.kind not in _WITH_GRID:
                return self.unknown(expr.base.span, "grid")
            if expr.name in GRID_FIELDS:
                return Typed(GRID_FIELDS[expr.name])
            return self.error(expr.name_span, "E0242", f"the grid has no {quote(expr.name)}", "unknown",
                              hint=did_you_mean(expr.name, GRID_FIELDS) or "it has min, size and limit")
        base = self.expr(expr.base)
        if base.type == _UNKNOWN:
            return base
        if base.type not in VECTORS:
            return self.error(expr.name_span, "E0243", f"`.{expr.name}` picks components of a vector",
                              f"this stands after {_say(base.type)}")
        letters = "xyz"[: int(base.type[-1])]
        if not 1 <= len(expr.name) <= 3 or any(c not in letters for c in expr.name):
            return self.error(expr.name_span, "E0243", f"a {base.type} has no component {quote(expr.name)}",
                              f"use {', '.join(letters)}, or two or three of them, as in `.{letters[:2]}`")
        return Typed("float" if len(expr.name) == 1 else f"vec{len(expr.name)}", base.varies)

    def _index(self, expr: ast.Index) -> Typed:
        base, index = self.expr(expr.base), self.expr(expr.index)
        self.counted.append(expr.index)
        if index.type not in ("int", _UNKNOWN):
            self.error(expr.index.span, "E0244", "an index is a whole number", f"this is {_say(index.type)}",
                       why="which value is meant must be known while compiling")
        if base.type == _UNKNOWN:
            return base
        if not base.type.endswith("[]"):
            return self.error(expr.base.span, "E0245", "only an array has an index", f"this is {_say(base.type)}",
                              hint="components of a vector are `.x`, `.y`, `.z`" if base.type in VECTORS else "")
        return Typed(base.type[:-2], base.varies)

    def _array(self, expr: ast.Array) -> Typed:
        got = [self.expr(i) for i in expr.items]
        if any(g.type == _UNKNOWN for g in got):
            return Typed(_UNKNOWN)
        kinds = ["float" if g.type == "int" else g.type for g in got]
        for item, kind in zip(expr.items, kinds, strict=True):
            if kind != kinds[0] or kind not in ARRAY_ITEMS:
                return self.error(item.span, "E0246", "an array holds numbers, or vectors of one width",
                                  f"this is {_say(kind)}" + (f", not {_say(kinds[0])}" if kind != kinds[0] else ""))
        return Typed(f"{kinds[0]}[]", any(g.varies for g in got))

    def _reduce(self, expr: ast.Reduce) -> Typed:
        hidden = self.bind(expr.var, expr.var_span, expr.bound)
        got = self.expr(expr.body)
        self.unbind(expr.var, hidden)
        if got.type == _UNKNOWN:
            return got
        if expr.reducer in ("any", "all"):
            if got.type != "bool":
                return self.error(expr.body.span, "E0247", f"`{expr.reducer}` wants truth values",
                                  f"this is {_say(got.type)}", hint="compare it with something")
            return got
        kind = common([got.type])
        if kind is None:
            return self.error(expr.body.span, "E0247", f"`{expr.reducer}` wants numbers or vectors",
                              f"this is {_say(got.type)}")
        return Typed("float" if kind == "int" else kind, got.varies)

    # -- calls

    def _call(self, expr: ast.Call) -> Typed:
        if not isinstance(expr.callee, ast.Name):
            called = expr.callee
            if isinstance(called, ast.Field) and (called.name in BUILTINS or self.scope.find(called.name)):
                if self.expr(called.base).type == _UNKNOWN:
                    return Typed(_UNKNOWN)
                return self.error(called.span, "E0250", "only a name can be called", "this is a formula",
                                  hint=f"write `{called.name}(...)` with the value before the point inside")
            if self.expr(called).type == _UNKNOWN:
                return Typed(_UNKNOWN)
            return self.error(expr.callee.span, "E0250", "only a name can be called", "this is a formula",
                              hint="give the part a name first: `part = ...`, then `part(...)`"
                              if isinstance(expr.callee, ast.Call) else "for a product write `*`")
        name = expr.callee.name
        if name in self.names:
            return self.call_instance(expr, name, self.names[name])
        if name == "deepest":
            return self.deepest(expr)
        if name in PRIORS:
            if not self.in_prior:
                for a in expr.args:
                    self.expr(a.value)
                return self.error(expr.callee.span, "E0251", f"`{name}` draws a random number", "not a prior",
                                  why="random numbers belong to a quantity with a name, so that it can be given",
                                  hint=f"write it after `~`: `name ~ {PRIORS[name].signature}`")
            return self.builtin(expr, name)
        if name in BUILTINS:
            return self.builtin(expr, name)
        found = None if name in self.defined else self.scope.find(name)
        if found is None:
            for a in expr.args:
                self.expr(a.value)
            return self.unknown(expr.callee.span, name)
        if (clash := self.clash(name, expr.callee.span)) is not None:
            return clash
        decl, _ = found
        if decl.kind == "fn":
            return self.call_fn(expr, decl)
        return self.instance(expr.span, decl, expr.args)

    def builtin(self, expr: ast.Call, name: str) -> Typed:
        row = BUILTINS.get(name) or PRIORS[name]
        got = [self.expr(arg.value) for arg in expr.args]
        named = [a for a in expr.args if a.name is not None]
        if named:
            return self.error(named[0].span, "E0252", f"`{name}` takes its arguments in order", "no names here",
                              hint=f"write `{row.signature}`")
        if any(g.type == _UNKNOWN for g in got):
            return Typed(_UNKNOWN, any(g.varies for g in got))
        result = row.typed([g.type for g in got])
        if result is None:
            types = ", ".join(_say(g.type) for g in got) or "nothing"
            return self.error(expr.span, "E0253", f"`{name}` does not fit its arguments", f"given {types}",
                              why=f"`{row.signature}`: {row.doc}", hint=_vector_hint(name, *(g.type for g in got)))
        return Typed(result, any(g.varies for g in got))

    def call_fn(self, expr: ast.Call, decl: ast.Decl) -> Typed:
        got = self.arguments(expr.span, decl, expr.args)
        # Functions are checked before their callers; one that is missing has an error of its own.
        return Typed(self.program.fn_types.get(decl, _UNKNOWN), any(g.varies for g in got))

    def instance(self, span: Span, decl: ast.Decl, args: Sequence[ast.Arg]) -> Typed:
        before = len(self.errors)
        if self.decl.kind == "fn" and decl.kind in ("shape", "profile"):
            return self.error(span, "E0213", f"a function contains no {decl.kind}", f"`{decl.name}` is a {decl.kind}",
                              why="a function is a formula of its arguments; a part has quantities of the object",
                              hint=f"evaluate the {decl.kind} outside and pass its distance to the function")
        if decl.kind in ("displacement", "mapper") and (self.decl.body is not None or self.decl.kind != decl.kind):
            return self.error(span, "E0213", f"{_kind(self.decl)} contains no {decl.kind}",
                              f"`{decl.name}` is a {decl.kind}", why=f"a {decl.kind} stands on its own in a scene",
                              hint="for a formula that several declarations use write a `fn`")
        got = self.arguments(span, decl, args)
        misfit = len(self.errors) > before
        evaluated = bool(args) and args[0].name is None and got[0].varies and got[0].type in VECTORS
        if misfit and decl.kind in ("shape", "profile") and (evaluated or not decl.params) and _UNKNOWN not in {
                g.type for g in got}:
            del self.errors[before:]
            takes = ", ".join(p.name for p in decl.params or ()) or "no arguments"
            return self.error(span, "E0254", f"`{decl.name}` is not evaluated here", f"it takes {takes}",
                              why=f"calling a declared {decl.kind} makes an instance; calling that evaluates it",
                              hint=f"name it first: `part = {decl.name}{'(...)' if decl.params else ''}`, "
                              f"then `part({', '.join(INPUTS[decl.kind])})`", notes=[(decl.name_span, "declared here")])
        if misfit:
            return Typed(_UNKNOWN)
        for arg, typed in zip(args, got, strict=False):
            if typed.varies and typed.type not in INSTANCES:
                self.error(arg.value.span, "E0255", "an instance's arguments hold for the whole object",
                           "differs from point to point",
                           hint="only the call of the instance, `part(point)`, may depend on the point")
        return Typed(decl.kind)

    def call_instance(self, expr: ast.Call, name: str, target: Typed) -> Typed:
        if target.type == _UNKNOWN:
            for arg in expr.args:
                self.expr(arg.value)
            return target
        if target.type not in ("shape", "profile"):
            return self.error(expr.callee.span, "E0250", f"`{name}` cannot be called", f"this is {_say(target.type)}",
                              hint="for a product write `*`" if target.type in NUMBERS else "")
        inputs = INPUTS[target.type]
        params = tuple(ast.Param(expr.span, n, expr.span, ast.TypeRef(expr.span, t, None),
                                 ast.Number(expr.span, 0.0) if n == "t" else None) for n, t in inputs.items())
        got = self.match(expr.span, name, params, expr.args, None)
        return Typed("float", any(g.varies for g in got))

    def deepest(self, expr: ast.Call) -> Typed:
        if self.decl.kind not in ("shape", "profile"):
            return self.error(expr.callee.span, "E0256", "`deepest` stands in shapes and profiles only",
                              f"not in {_kind(self.decl)}",
                              why="it scans the grid in which an object lies")
        if not self.at_point:
            return self.error(expr.callee.span, "E0256", "`deepest` stands in a body only", "there is no point here",
                              why="it scans the grid for the point at which its formula is least",
                              hint="name it in a body: `depth = deepest(...)`")
        if len(expr.args) != 1 or expr.args[0].name is not None:
            return self.error(expr.span, "E0253", "`deepest` takes one formula", f"given {len(expr.args)} arguments",
                              hint="write `deepest(section(q, t))`, or short `deepest(section)`")
        arg = expr.args[0].value
        got = self.expr(arg)
        if got.type not in (*NUMBERS, "shape", "profile", _UNKNOWN):
            return self.error(arg.span, "E0253", "`deepest` takes a formula of the point", f"this is {_say(got.type)}")
        if got.type in ("shape", "profile") and got.type != self.decl.kind:
            return self.error(arg.span, "E0253", f"`deepest` of a {got.type} inside a {self.decl.kind}",
                              "at which point?", hint="say at which point, as in `deepest(part(p.xy))`")
        return Typed("float")

    def arguments(self, span: Span, decl: ast.Decl, args: Sequence[ast.Arg]) -> list[Typed]:
        return self.match(span, decl.name, decl.params or (), args, decl)

    def match(self, span: Span, name: str, params: Sequence[ast.Param], args: Sequence[ast.Arg],
              decl: ast.Decl | None) -> list[Typed]:
        """Fit arguments to parameters; every misfit blames the caller and notes the definition."""
        notes = [(decl.name_span, "declared here")] if decl else []
        signature = ", ".join(p.name for p in params)
        by_name = {p.name: p for p in params}
        given: set[str] = set()
        unknown = False
        out = []
        for i, arg in enumerate(args):
            got = self.expr(arg.value)
            out.append(got)
            if arg.name is None:
                if i >= len(params):
                    self.error(arg.span, "E0257", f"too many arguments for `{name}`", "one too many",
                               why=f"it takes ({signature})", notes=notes)
                    break
                param = params[i]
            elif arg.name not in by_name:
                self.error(arg.span, "E0258", f"`{name}` has no parameter {quote(arg.name)}", "unknown parameter",
                           why=f"it takes ({signature})", hint=did_you_mean(arg.name, by_name), notes=notes)
                unknown = True
                continue
            else:
                param = by_name[arg.name]
            if param.name in given:
                self.error(arg.span, "E0259", f"`{param.name}` is given twice", "again here", notes=notes)
            given.add(param.name)
            wanted = param_type(param)
            if wanted == "int":
                self.counted.append(arg.value)
            if not _fits(got.type, wanted):
                divided = wanted == "int" and isinstance(arg.value, ast.Binary) and arg.value.op == "/"
                self.error(arg.value.span, "E0260", f"`{name}` wants {_say(wanted)} for `{param.name}`",
                           f"this is {_say(got.type)}", notes=notes,
                           hint=_WHOLE_DIVISION if divided else _vector_hint(got.type, wanted))
        missing = [p.name for p in params if p.default is None and p.name not in given]
        if missing and not unknown and len(args) <= len(params):
            self.error(span, "E0261", f"`{name}` is missing {', '.join(f'`{m}`' for m in missing)}",
                       f"it takes ({signature})", notes=notes)
        return out


def _fits(got: str, wanted: str) -> bool:
    return got == wanted or _UNKNOWN in (got, wanted) or (got == "int" and wanted == "float")


def _say(kind: str) -> str:
    if kind.endswith("[]"):
        return f"an array of {kind[:-2]}"
    return _ARTICLE.get(kind, kind)


def _kind(decl: ast.Decl) -> str:
    return "a function" if decl.kind == "fn" else f"a {decl.kind}"


def _vector_hint(*types: str) -> str:
    if "vec2" in types and "vec3" in types:
        return "`.xy` makes a vec2 of a vec3; `vec3(v, 0)` makes a vec3 of a vec2"
    return ""


def _has_draw(expr: ast.Expr) -> bool:
    stack = [expr]
    while stack:
        e = stack.pop()
        if isinstance(e, ast.Call) and isinstance(e.callee, ast.Name) and e.callee.name in PRIORS:
            return True
        stack.extend(e.children())
    return False


def _mentions(decl: ast.Decl) -> dict[str, Span]:
    """Names in a declaration that it does not define itself, each with a place."""
    local = {p.name for p in decl.params or ()} | {s.name for s in decl.body or ()}
    roots: list[ast.Expr] = [p.default for p in decl.params or () if p.default is not None]
    roots += [decl.value] if decl.value is not None else []
    for stmt in decl.body or ():
        roots += [stmt.value, *([stmt.binder.bound] if stmt.binder else [])]
    out: dict[str, Span] = {}
    while roots:
        expr = roots.pop()
        if isinstance(expr, ast.Name) and expr.name not in local:
            out.setdefault(expr.name, expr.span)
        roots.extend(expr.children())
    return out


def _ring_text(ring: list[str]) -> str:
    shown = ring if len(ring) <= 8 else [*ring[:4], "...", *ring[-3:]]
    return " -> ".join(name if len(name) <= 40 else f"{name[:37]}..." for name in shown)


def _in_order(scope: Scope, errors: list[Diagnostic]) -> list[ast.Decl]:
    """The module's declarations, each after those that it mentions; one that needs itself is an error."""
    uses = {d: {scope.own[n]: span for n, span in _mentions(d).items() if n in scope.own} for d in scope.own.values()}
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
                            hint="repeat with a reduction such as `sum[i < n](...)`"))
                        return []
                    stack.append((used, False))
    return list(order)


def _names(expr: ast.Expr) -> set[str]:
    """Every name in an expression."""
    out: set[str] = set()
    stack = [expr]
    while stack:
        e = stack.pop()
        if isinstance(e, ast.Name):
            out.add(e.name)
        stack.extend(e.children())
    return out
