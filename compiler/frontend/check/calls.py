"""The types of names and calls: what a name stands for, and whether arguments fit."""

from __future__ import annotations

from collections.abc import Sequence

from fdif_dsl.compiler.frontend.built_in import home
from fdif_dsl.compiler.frontend.builtins import (
    BUILTINS,
    CONSTANTS,
    MATRICES,
    NUMBERS,
    PRIORS,
    RESERVED,
    VECTORS,
    common,
)
from fdif_dsl.compiler.frontend.check.expressions import WHOLE_DIVISION
from fdif_dsl.compiler.frontend.check.fields import SAMPLED, TEMPLATE, Fields
from fdif_dsl.compiler.frontend.check.types import (
    GRID_FIELDS,
    INPUTS,
    INSTANCES,
    RESULTS,
    UNKNOWN,
    WITH_GRID,
    Typed,
    fits,
    kind_of,
    operand_hint,
    param_type,
    say,
)
from fdif_dsl.grammar import ast, habits
from fdif_dsl.grammar.diagnostics import did_you_mean, quote
from fdif_dsl.grammar.source import Span


class Calls(Fields):
    """What names and calls are."""

    # -- names

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
            if decl.kind == "const":
                return Typed(self.program.value_types.get(decl, UNKNOWN))
            if decl.broken == "head":
                return Typed(UNKNOWN)
            if decl.kind == "fn":
                return self.error(expr.span, "E0231", f"`{name}` is a function", "used without arguments",
                                  hint=f"call it: `{name}(...)`")
            return self.instance(expr.span, decl, ())
        if name in BUILTINS or name in PRIORS:
            return self.error(expr.span, "E0231", f"`{name}` is a function", "used without arguments",
                              hint=f"call it: `{(BUILTINS.get(name) or PRIORS[name]).signature}`")
        return self.unknown(expr.span, name)

    def unknown(self, span: Span, name: str) -> Typed:
        kind = self.decl.kind
        later = self.defined.get(name)
        if self.start_of is not None and (name == self.start_of.binder.var or any(
                name == s.name for s in ast.named(self.start_of.body))):
            return self.error(span, "E0232", f"`{name}` is used before the first round", "a name of the round",
                              why="what stands before `then` is computed once, from what stands above the fold",
                              hint="start from a value outside of the fold, and use it behind `then`")
        if later and later.span.start <= span.start < later.span.end:
            return self.error(span, "E0232", f"`{name}` is defined through itself", "not known yet",
                              why="a name keeps one value",
                              hint=f"carry it from round to round: `{name} = start then next`" if self.indices else
                              "give the new value a name of its own, or carry it through the rounds of a `fold`")
        if later:
            return self.error(span, "E0232", f"`{name}` is used before it is defined", "not known yet",
                              why="a body is read from top to bottom", notes=[(later.name_span, "defined here")],
                              hint=f"move the line of `{name}` up")
        if name == "grid" and kind in WITH_GRID:
            return self.error(span, "E0242", "the grid is no value", "a part of it is missing",
                              hint="its parts are `grid.min`, `grid.size` and `grid.limit`")
        if name == "grid":
            return self.error(span, "E0233", f"{kind_of(self.decl)} does not see the grid", "no grid here",
                              hint="make it a parameter" if kind != "const" else
                              "name what depends on it inside of a shape")
        if name in INPUTS[kind]:
            return self.error(span, "E0255", "a default holds for the whole object", "differs from point to point",
                              hint=f"leave `{name}` out of it")
        inputs = {n: [k for k in INPUTS if n in INPUTS[k]] for i in INPUTS.values() for n in i}
        if name in inputs:
            own = ", ".join(f"`{n}`" for n in INPUTS[kind])
            *others, last = inputs[name]
            kinds = f"{', '.join(others)} or {last}" if others else last
            sees = {"fn": "a function sees only its parameters",
                    "const": "a constant is the same at every point, for every object"}
            return self.error(span, "E0233", f"`{name}` is not known here", f"the input of a {kinds}",
                              why=sees.get(kind, f"a {kind} sees {own}"),
                              hint="make it a parameter" if kind == "fn" else
                              "write a function of it, `fn name(x) = formula`" if kind == "const" else
                              "a shape gives a profile its point: `section(p.xy, t = ...)`" if name in ("q", "t") else
                              f"use {own}")
        if name in _of_rounds(self.decl.body):
            return self.error(span, "E0234", f"unknown name `{name}`", "known in the rounds of a fold only",
                              why="what is known after a fold are the names that it carries",
                              hint=f"carry it, `{name} = start then next`, or write its formula here"
                              if any(name == s.name for s in ast.statements(self.decl.body)) else
                              "it counts the rounds: carry what is needed of it")
        if not self.scope.module.complete:
            return Typed(UNKNOWN)  # it may be declared in the file that was not found
        known = {*self.names, *self.scope.names(), *RESERVED}
        comment = habits.COMMENT if habits.after_slashes(span.file, span.start) else ""
        hint = (comment or self.where_is(name) or habits.name_hint(name, kind) or did_you_mean(name, known)
                or did_you_mean(name.lower(), known))
        return self.error(span, "E0234", f"unknown name {quote(name)}", "not defined",
                          hint=hint or {"fn": "make it a parameter", "const": f"declare it: `const {name} = ...`"}.get(
                              kind, f"define it above: `{name} = ...`"))

    def of_module(self, expr: ast.Field) -> Typed | None:
        """The mistake of a name with a module before it, as in `math.sin`; None where it is something else."""
        base: ast.Expr = expr
        while isinstance(base, ast.Field):
            base = base.base
        if not isinstance(base, ast.Name) or base.name not in habits.MODULES or (
                base.name in self.names or base.name in self.defined or self.scope.find(base.name)):
            return None
        name = expr.name
        if name in CONSTANTS:
            hint = f"write `{name}`"
        elif name in BUILTINS:
            hint = f"write `{BUILTINS[name].signature}`"
        elif name in PRIORS:
            hint = f"write `name ~ {PRIORS[name].signature}`"
        else:
            hint = habits.name_hint(name) or (f"write `{name}(...)`" if name in self.scope.names() else "")
        return self.error(expr.span, "E0234", f"unknown name {quote(base.name)}", "not defined",
                          why="functions and constants stand alone, with no module before them",
                          hint=hint or did_you_mean(name, {*BUILTINS, *CONSTANTS}) or "leave the module out")

    def where_is(self, name: str) -> str:
        """A hint where a module that is not used has the name."""
        module = home(name, RESULTS)
        return f"the module `{module}` has it: add `use {module}`" if module else ""

    def clash(self, name: str, span: Span) -> Typed | None:
        found = self.scope.used.get(name, [])
        if name in self.scope.own or len(found) < 2:
            return None
        places = ", ".join(s.module.name for _, s in found)
        hint = ("drop one of the `use` lines, and move what needs it into a file of its own"
                if all(s.module.standard for _, s in found) else "drop one of the `use` lines or rename one of the two")
        return self.error(span, "E0235", f"{quote(name)} is ambiguous", f"declared in {places}",
                          notes=[(d.name_span, "one is here") for d, _ in found], hint=hint)

    def _field(self, expr: ast.Field) -> Typed:
        if isinstance(expr.base, ast.Name) and expr.base.name == "grid" and "grid" not in self.names:
            if self.decl.kind not in WITH_GRID:
                return self.unknown(expr.base.span, "grid")
            if expr.name in GRID_FIELDS:
                return Typed(GRID_FIELDS[expr.name])
            return self.error(expr.name_span, "E0242", f"the grid has no {quote(expr.name)}", "unknown",
                              hint=did_you_mean(expr.name, GRID_FIELDS) or "it has min, size and limit")
        if (mistake := self.of_module(expr)) is not None:
            return mistake
        base = self.expr(expr.base)
        if base.type == UNKNOWN:
            return base
        if base.type not in VECTORS:
            return self.error(expr.name_span, "E0243", f"`.{expr.name}` picks components of a vector",
                              f"this stands after {say(base.type)}",
                              hint=operand_hint(base.type) or "a number has none: leave it out")
        letters = "xyzw"[: int(base.type[-1])]
        if not 1 <= len(expr.name) <= 4 or any(c not in letters for c in expr.name):
            return self.error(expr.name_span, "E0243", f"a {base.type} has no component {quote(expr.name)}",
                              "unknown component",
                              hint=f"use {', '.join(letters)}, or two to four of them, as in `.{letters[:2]}`")
        return Typed("float" if len(expr.name) == 1 else f"vec{len(expr.name)}", base.varies)

    # -- calls

    def _call(self, expr: ast.Call) -> Typed:
        if not isinstance(expr.callee, ast.Name):
            called = expr.callee
            if isinstance(called, ast.Field) and (mistake := self.of_module(called)) is not None:
                for a in expr.args:
                    self.expr(a.value)
                return mistake
            if isinstance(called, ast.Field) and (called.name in BUILTINS or self.scope.find(called.name)):
                if self.expr(called.base).type == UNKNOWN:
                    return Typed(UNKNOWN)
                return self.error(called.span, "E0250", "only a name can be called", "this is a formula",
                                  hint=f"write `{called.name}(...)` with the value before the point inside")
            if self.expr(called).type == UNKNOWN:
                return Typed(UNKNOWN)
            return self.error(expr.callee.span, "E0250", "only a name can be called", "this is a formula",
                              hint="give the part a name first: `part = ...`, then `part(...)`"
                              if isinstance(expr.callee, ast.Call) else "for a product write `*`")
        name = expr.callee.name
        if name in self.names:
            return self.call_instance(expr, name, self.names[name])
        if name == "deepest":
            return self.deepest(expr)
        if name == "field":
            return self.field(expr)
        if name == SAMPLED and self.decl.name_span.file.name == TEMPLATE:
            got = [self.expr(a.value) for a in expr.args]
            return Typed("float", any(g.varies for g in got))
        if name in PRIORS:
            if not self.in_prior:
                for a in expr.args:
                    self.expr(a.value)
                where = " in a shape" if self.decl.kind == "const" else " above the fold" if self.indices else ""
                return self.error(expr.callee.span, "E0251", f"`{name}` draws a random number", "not a prior",
                                  why="random numbers belong to a quantity with a name, so that it can be given",
                                  hint=f"write it after `~`{where}: `name ~ {PRIORS[name].signature}`")
            return self.builtin(expr, name)
        if name in BUILTINS:
            return self.builtin(expr, name)
        found = None if name in self.defined else self.scope.find(name)
        if found is None:
            for a in expr.args:
                if not isinstance(a.value, ast.Text):
                    self.expr(a.value)
            return self.unknown(expr.callee.span, name)
        if (clash := self.clash(name, expr.callee.span)) is not None:
            return clash
        decl, _ = found
        if decl.kind == "const":
            for a in expr.args:
                self.expr(a.value)
            return self.error(expr.callee.span, "E0250", f"`{name}` cannot be called", "this is a constant",
                              hint="for a product write `*`", notes=[(decl.name_span, "declared here")])
        if decl.broken == "head":
            for a in expr.args:
                self.expr(a.value)
            return Typed(UNKNOWN)
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
        if any(g.type == UNKNOWN for g in got):
            return Typed(UNKNOWN, any(g.varies for g in got))
        result = row.typed([g.type for g in got])
        if result is None:
            types = ", ".join(say(g.type) for g in got) or "nothing"
            return self.error(expr.span, "E0253", f"`{name}` does not fit its arguments", f"given {types}",
                              why=f"`{row.signature}`: {row.doc}",
                              hint=_misused(name, [g.type for g in got]) or f"write it as `{row.signature}`")
        return Typed(result, any(g.varies for g in got))

    def call_fn(self, expr: ast.Call, decl: ast.Decl) -> Typed:
        got = self.arguments(expr.span, decl, expr.args)
        # Functions are checked before their callers; one that is missing has an error of its own.
        return Typed(self.program.value_types.get(decl, UNKNOWN), any(g.varies for g in got))

    def instance(self, span: Span, decl: ast.Decl, args: Sequence[ast.Arg]) -> Typed:
        before = len(self.errors)
        if self.decl.kind in ("fn", "const") and decl.kind in ("shape", "profile"):
            constant = self.decl.kind == "const"
            return self.error(span, "E0213", f"{kind_of(self.decl)} contains no {decl.kind}",
                              f"`{decl.name}` is a {decl.kind}",
                              why="a constant is the same for all objects; a part has quantities of the object"
                              if constant else
                              "a function is a formula of its arguments; a part has quantities of the object",
                              hint=f"give the {decl.kind} a name inside a shape" if constant else
                              f"evaluate the {decl.kind} outside and pass its distance to the function")
        if decl.kind in ("displacement", "mapper") and (self.decl.body is not None or self.decl.kind != decl.kind):
            return self.error(span, "E0213", f"{kind_of(self.decl)} contains no {decl.kind}",
                              f"`{decl.name}` is a {decl.kind}", why=f"a {decl.kind} stands on its own in a scene",
                              hint="for a formula that several declarations use write a `fn`")
        got = self.arguments(span, decl, args)
        misfit = len(self.errors) > before
        evaluated = bool(args) and args[0].name is None and got[0].varies and got[0].type in VECTORS
        if misfit and decl.kind in ("shape", "profile") and (
                evaluated or (not decl.params and all(a.name is None for a in args))) and UNKNOWN not in {
                g.type for g in got}:
            del self.errors[before:]
            takes = ", ".join(p.name for p in decl.params or ()) or "no arguments"
            return self.error(span, "E0254", f"`{decl.name}` is not evaluated here", f"it takes {takes}",
                              why=f"calling a declared {decl.kind} makes an instance; calling that evaluates it",
                              hint=f"name it first: `part = {decl.name}{'(...)' if decl.params else ''}`, "
                              f"then `part({', '.join(INPUTS[decl.kind])})`", notes=[(decl.name_span, "declared here")])
        if misfit:
            return Typed(UNKNOWN)
        for arg, typed in zip(args, got, strict=False):
            if typed.varies and typed.type not in INSTANCES:
                self.error(arg.value.span, "E0255", "an instance's arguments hold for the whole object",
                           "differs from point to point",
                           hint="only the call of the instance, `part(point)`, may depend on the point")
        return Typed(decl.kind)

    def call_instance(self, expr: ast.Call, name: str, target: Typed) -> Typed:
        if target.type == UNKNOWN:
            for arg in expr.args:
                self.expr(arg.value)
            return target
        if target.type not in ("shape", "profile"):
            return self.error(expr.callee.span, "E0250", f"`{name}` cannot be called", f"this is {say(target.type)}",
                              hint="take one value of it, as in `a[0]`" if target.type.endswith("[]") else
                              "for a product write `*`")
        inputs = INPUTS[target.type]
        params = tuple(ast.Param(expr.span, n, expr.span, ast.TypeRef(expr.span, t, None),
                                 ast.Number(expr.span, 0.0) if n == "t" else None) for n, t in inputs.items())
        got = self.match(expr.span, name, params, expr.args, None)
        return Typed("float", any(g.varies for g in got))

    def deepest(self, expr: ast.Call) -> Typed:
        if self.decl.kind not in ("shape", "profile"):
            return self.error(expr.callee.span, "E0256", "`deepest` stands in shapes and profiles only",
                              f"not in {kind_of(self.decl)}",
                              why="it scans the grid in which an object lies",
                              hint="use it in a shape or a profile, and pass on what it gives")
        if not self.at_point:
            return self.error(expr.callee.span, "E0256", "`deepest` stands in a body only", "there is no point here",
                              why="it scans the grid for the point at which its formula is least",
                              hint="name it in a body: `depth = deepest(...)`")
        if len(expr.args) != 1 or expr.args[0].name is not None:
            return self.error(expr.span, "E0253", "`deepest` takes one formula", f"given {len(expr.args)} arguments",
                              hint="write `deepest(section(q, t))`, or short `deepest(section)`")
        arg = expr.args[0].value
        got = self.expr(arg)
        if got.type not in (*NUMBERS, "shape", "profile", UNKNOWN):
            return self.error(arg.span, "E0253", "`deepest` takes a formula of the point", f"this is {say(got.type)}",
                              hint="as in `deepest(section(q, t))`")
        if got.type in ("shape", "profile") and got.type != self.decl.kind:
            return self.error(arg.span, "E0253", f"`deepest` of a {got.type} inside a {self.decl.kind}",
                              "at which point?", hint="say at which point, as in `deepest(part(p.xy))`")
        return Typed("float")

    def arguments(self, span: Span, decl: ast.Decl, args: Sequence[ast.Arg]) -> list[Typed]:
        return self.match(span, decl.name, decl.params or (), args, decl)

    def quantity(self, decl: ast.Decl | None, name: str) -> tuple[ast.Stmt, str] | None:
        """The random quantity of that name which a part made of a declaration has, and its type; None where it has
        none. Those of the parts inside of it are not meant."""
        return self.of_part(decl).get(name)

    def of_part(self, decl: ast.Decl | None) -> dict[str, tuple[ast.Stmt, str]]:
        """All of them by name."""
        while decl is not None and decl.kind in ("shape", "profile"):
            if decl.body is not None:
                known = self.program.names.get(decl, {})
                return {s.name: (s, known[s.name].type) for s in ast.named(decl.body) if s.random and s.name in known}
            scope = next(s for s in self.program.scopes.values() if s.own.get(decl.name) is decl)
            made = decl.value.callee if isinstance(decl.value, ast.Call) else decl.value
            plain = isinstance(made, ast.Name) and all(p.name != made.name for p in decl.params or ())
            found = scope.find(made.name) if plain and isinstance(made, ast.Name) else None
            decl = found[0] if found else None
        return {}

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
                               why=f"it takes ({signature})", hint="leave it out", notes=notes)
                    break
                param = params[i]
            elif arg.name not in by_name and (quantity := self.quantity(decl, arg.name)) is not None:
                stmt, wanted = quantity
                if arg.name in given:
                    self.error(arg.span, "E0259", f"`{arg.name}` is given twice", "again here", hint="give it once",
                               notes=notes)
                given.add(arg.name)
                if not fits(got.type, wanted):
                    self.error(arg.value.span, "E0260", f"`{name}` wants {say(wanted)} for `{arg.name}`",
                               f"this is {say(got.type)}", notes=[(stmt.name_span, "drawn here")],
                               hint=_argument_hint(got.type, wanted))
                continue
            elif arg.name not in by_name:
                drawn = self.of_part(decl)
                also = f", and of what it draws {', '.join(drawn)}" if drawn else ""
                self.error(arg.span, "E0258", f"`{name}` has no parameter {quote(arg.name)}", "unknown parameter",
                           why=f"it takes ({signature}){also}", notes=notes,
                           hint=did_you_mean(arg.name, {*by_name, *drawn}) or "leave it out")
                unknown = True
                continue
            else:
                param = by_name[arg.name]
            if param.name in given:
                self.error(arg.span, "E0259", f"`{param.name}` is given twice", "again here", hint="give it once",
                           notes=notes)
            given.add(param.name)
            wanted = param_type(param)
            if wanted == "int":
                self.counted.append(arg.value)
            if not fits(got.type, wanted):
                divided = wanted == "int" and isinstance(arg.value, ast.Binary) and arg.value.op == "/"
                self.error(arg.value.span, "E0260", f"`{name}` wants {say(wanted)} for `{param.name}`",
                           f"this is {say(got.type)}", notes=notes,
                           hint=WHOLE_DIVISION if divided else _argument_hint(got.type, wanted))
        missing = [p.name for p in params if p.default is None and p.name not in given]
        if missing and not unknown and len(args) - len(given - by_name.keys()) <= len(params):
            self.error(span, "E0261", f"`{name}` is missing {', '.join(f'`{m}`' for m in missing)}",
                       f"it takes ({signature})", notes=notes,
                       hint=f"write `{name}({', '.join([*['...'] * bool(args), *missing])})`")
        return out


def _of_rounds(body: ast.Body | None) -> set[str]:
    """The names of a body's folds that are known in their rounds only."""
    folds = [item for item in body or () if isinstance(item, ast.Fold)]
    return {name for fold in folds for name in (fold.binder.var, *(s.name for s in ast.statements(fold.body)))}


def _argument_hint(got: str, wanted: str) -> str:
    """How something of the type wanted is written."""
    if wanted == "int":
        return "write a whole number without a point, or a parameter of type int"
    if wanted in INSTANCES:
        return f"name a {wanted}, or make one, as in `{'sector_polygon(5)' if wanted == 'profile' else 'prism(disc)'}`"
    return operand_hint(got, wanted) or f"give {say(wanted)}"


def _misused(name: str, types: Sequence[str]) -> str:
    """What to do where a function is given what it does not take, or nothing."""
    if name == "len" and types and types[0] in VECTORS:
        return "the length of a vector is `length(v)`; `len(array)` counts the values of an array"
    if name in ("min", "max") and len(types) == 1 and types[0] in VECTORS:
        parts = ", ".join(f"v.{axis}" for axis in "xyzw"[: int(types[0][-1])])
        return f"the {'least' if name == 'min' else 'greatest'} component is `{name}({parts})`"
    if name == "where":
        if len(types) == 2:
            return "give the value for where it does not hold too: `where(condition, a, b)`"
        return "choose the vectors that the matrix is made of" if any(t in MATRICES for t in types) else ""
    if name == "choice" and len(types) < 2 and not any(t.endswith("[]") for t in types):
        return "give two values or more to choose from"
    if name == "choice" and (mistaken := next((t for t in types if common([t]) is None), None)):
        return _choosing(mistaken)
    if name == "atan" and len(types) == 2:
        return "of two numbers, write `atan2(y, x)`"
    if name in MATRICES:
        return f"write its columns, `{BUILTINS[name].signature}`, or {int(name[-1]) ** 2} numbers, column by column"
    return operand_hint(name, *types)


def _choosing(kind: str) -> str:
    """How to choose at random between things that are no numbers and no vectors."""
    if kind.endswith("[]"):
        return ("choose between its values, as in `choice(a[0], a[1])`, or draw an index: "
                "`k ~ integer(0, len(a) - 1)`, then `sum[i < len(a) when i == k](a[i])`")
    if kind == "bool":
        return "choose a number and compare it: `k ~ choice(0, 1)`, then `k == 1`"
    return "choose a number, and with it between the distances: `k ~ choice(0, 1)`, then `where(k == 0, a(p), b(p))`"
