"""Elaboration: from checked declarations to closed formulas.

Functions, profiles, whole numbers, arrays and loops are all run here, once; what is left is a
graph of scalar ops. A quantity of the object (a name that does not vary over space) becomes a slot
with its definition, so that it can be given by name; everything else is inlined.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from fdif_dsl.compiler.frontend.builtins import BUILTINS, CONSTANTS, PRIORS, power
from fdif_dsl.compiler.frontend.check import told
from fdif_dsl.compiler.frontend.check.scope import Program, Scope
from fdif_dsl.compiler.frontend.check.types import INPUTS, RESULTS, param_type
from fdif_dsl.compiler.frontend.values import Value, apply, as_node, components, total
from fdif_dsl.compiler.ir.formula import Formula, Kind, Quantity
from fdif_dsl.compiler.ir.graph import Graph, Node
from fdif_dsl.compiler.passes import optimise
from fdif_dsl.grammar import ast
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError, error_at
from fdif_dsl.grammar.parse import SdfError
from fdif_dsl.grammar.source import Span

MAX_ITEMS = 4096  # of one array or loop
MAX_NODES = 50_000  # of one formula
MAX_STEPS = 100_000  # of one elaboration
MAX_WORK = 300_000  # operations of all formulas of a file
MAX_CALLS = 40  # nested in each other


def elaborate(program: Program, *, optimised: bool = True) -> list[Formula]:
    """Every closed declaration of the program, in order.

    A declaration without a parameter list is closed; one with parameters is a template for others.

    Raises:
        FdifError: with a diagnostic for each declaration that cannot be elaborated.
    """
    out: list[Formula] = []
    errors: list[Diagnostic] = []
    seen: dict[tuple[str, str], ast.Decl] = {}
    for module in program.modules:
        work = 0
        for decl in module.tree.decls:
            if decl.params is not None or decl.kind in ("fn", "profile"):
                continue
            if (first := seen.get((decl.kind, decl.name))) is not None:
                errors.append(error_at(decl.name_span, "E0211", f"two files declare the {decl.kind} `{decl.name}`",
                                       "again here", notes=[(first.name_span, "first here")],
                                       hint="a library needs one meaning for each name: rename one"))
                continue
            seen[decl.kind, decl.name] = decl
            elaborator = _Elaborator(program, decl)
            try:
                out.append(elaborator.formula(program.scopes[module], optimised))
            except FdifError as error:
                # A part that many declarations share has one mistake, not one for each of them.
                places = {(e.code, label.span) for e in errors for label in e.labels[:1]}
                errors += [d for d in error.diagnostics
                           if not places & {(d.code, label.span) for label in d.labels[:1]}]
            work += elaborator.steps + len(elaborator.graph)
            if work > MAX_WORK:
                errors.append(error_at(decl.name_span, "E0310", "the file grows too large",
                                       f"more than {MAX_WORK} operations so far",
                                       why="every formula is unrolled while compiling",
                                       hint="split the file, or lower the loop bounds"))
            if any(e.code in ("E0302", "E0310") for e in errors):  # more of that kind would take for ever
                raise FdifError(*told(errors))
    if errors:
        raise FdifError(*told(errors))
    return out


@dataclass(eq=False)
class Instance:
    """A shape or profile with its arguments. It owns its quantities: however often it is evaluated,
    a radius is drawn once."""

    decl: ast.Decl
    scope: Scope
    args: dict[str, Value]
    path: tuple[str, ...]
    made: Span | None  # where the arguments were given
    quantities: dict[str, tuple[Value, tuple[Node, ...]]] = field(default_factory=dict)


@dataclass
class _Named:
    """A quantity before it has its public name."""

    path: tuple[str, ...]
    name: str
    width: int
    length: int | None
    slots: range
    definition: tuple[Node, ...]
    source: str
    stmt: ast.Stmt


class _Elaborator:
    """The elaboration of one closed declaration."""

    def __init__(self, program: Program, decl: ast.Decl) -> None:
        self.program, self.decl = program, decl
        self.graph = Graph()
        self.draws = 0
        self.named: list[_Named] = []
        self.integers: list[tuple[tuple[str, ...], str, int]] = []
        self.paths: Counter[tuple[str, ...]] = Counter()
        self.slots = 0
        self.steps = 0
        self.calls: list[Span] = []  # those that led here, and where the instances among them were made
        self.depth = 0

    def formula(self, scope: Scope, optimised: bool) -> Formula:
        decl = self.decl
        try:
            target = self.instantiate(decl, scope, {}, ())
            g = self.graph
            inputs: dict[str, Value] = {}
            if decl.kind == "mapper":
                inputs["d"] = g.node("input", const="d")
            else:
                space = "p" if decl.kind == "shape" else "w"
                inputs["p"] = tuple(g.node("input", const=f"{space}.{c}") for c in "xyz")
            result = as_node(g, self.evaluate(target, inputs))
            if decl.kind != "shape" and (drawn := next((q for q in self.named if q.stmt.random), None)):
                raise self.fail(decl.name_span, "E0309", f"the {decl.kind} `{decl.name}` has a random quantity",
                                f"a part of it draws `{'.'.join((*drawn.path, drawn.name))}`",
                                why="a scene gives parameters to shapes alone",
                                hint="use a part whose quantities are defined with `=`")
        except RecursionError:
            raise self.fail(decl.name_span, "E0304", f"`{decl.name}` nests too deep") from None
        definitions = [node for q in self.named for node in q.definition]
        if optimised:
            *definitions, result = optimise(g, [*definitions, result])
        flat = iter(definitions)
        names = _public_names([(q.path, q.name) for q in self.named])
        quantities = tuple(
            Quantity(name, q.width, q.length, q.slots, tuple(next(flat) for _ in q.slots), q.stmt.random,
                     q.source, q.stmt.doc)
            for name, q in zip(names, self.named, strict=True))
        return Formula(decl.name, cast(Kind, decl.kind), decl.doc or target.decl.doc, str(decl.name_span), quantities,
                       self.integer_names(), self.draws, result)

    def integer_names(self) -> dict[str, int]:
        """Whole-number parameters by name; one value is told once however many parts share it."""
        distinct = list(dict.fromkeys(self.integers))
        merged: dict[tuple[str, int], tuple[tuple[str, ...], str, int]] = {}
        for path, name, value in distinct:
            merged.setdefault((name, value), (path, name, value))
        kept = list(merged.values())
        names = _public_names([(path, name) for path, name, _ in kept])
        return {name: value for name, (_, _, value) in zip(names, kept, strict=True)}

    def fail(self, span: Span, code: str, title: str, label: str = "", why: str = "", hint: str = "",
             calls: Sequence[Span] | None = None) -> SdfError:
        """An error inside; where calls led to it from the declaration's own file, the call is to blame."""
        here = [c for c in (self.calls if calls is None else calls) if c.file is self.decl.name_span.file]
        if here and span.file is not self.decl.name_span.file:
            return SdfError(error_at(here[-1], code, title, "through this call", why, hint, [(span, label or "here")]))
        notes = [(here[-1], "through this call")] if here and here[-1] != span else []
        return SdfError(error_at(span, code, title, label, why, hint, notes))

    # -- declarations

    def instantiate(self, decl: ast.Decl, scope: Scope, args: dict[str, Value], path: tuple[str, ...],
                    made: Span | None = None) -> Instance:
        """An instance with all its arguments, defaults filled in; an alias gives what it stands for."""
        names = self.with_defaults(decl, scope, args, path)
        self.integers += [(path, p.name, names[p.name]) for p in decl.params or () if param_type(p) == "int"]
        if decl.value is not None:
            target = self.expr(_Env(scope, names, {}, None, path), decl.value)
            assert isinstance(target, Instance)
            return target
        self.paths[path] += 1
        if self.paths[path] > 1:  # two parts made in one formula, as in `deepest(a) + deepest(a)`
            path = (*path, str(self.paths[path]))
        return Instance(decl, scope, names, path, made)

    def with_defaults(self, decl: ast.Decl, scope: Scope, args: dict[str, Value],
                      path: tuple[str, ...] = ()) -> dict[str, Value]:
        """Every parameter's value, and the lengths that array types name."""
        names = dict(args)
        for param in decl.params or ():
            if param.name not in names:
                assert param.default is not None
                default = self.expr(_Env(scope, names, {}, None, path, param.name), param.default)
                names[param.name] = self.coerce(param_type(param), default)
            if param.type is not None and param.type.length:
                names[param.type.length] = len(names[param.name])
        return names

    def coerce(self, kind: str, value: Value) -> Value:
        """A whole number given for a number becomes one."""
        return as_node(self.graph, value) if kind == "float" else value

    def evaluate(self, target: Instance, inputs: dict[str, Value]) -> Value:
        """The result of an instance at a point."""
        decl = target.decl
        assert decl.body is not None
        env = _Env(target.scope, dict(target.args), inputs, target, target.path)
        made = [target.made] if target.made else []
        self.calls += made  # a mistake in the body may be one of the arguments
        for stmt in decl.body:
            env.names[stmt.name] = self.statement(env, stmt)
        del self.calls[len(self.calls) - len(made):]
        return env.names[RESULTS[decl.kind]]

    def call_fn(self, decl: ast.Decl, scope: Scope, args: dict[str, Value]) -> Value:
        env = _Env(scope, self.with_defaults(decl, scope, args), {}, None)
        if decl.value is not None:
            return self.expr(env, decl.value)
        assert decl.body is not None
        for stmt in decl.body:
            env.names[stmt.name] = self.loop(env, stmt)
        return env.names["value"]

    # -- statements

    def statement(self, env: _Env, stmt: ast.Stmt) -> Value:
        owner = env.owner
        assert owner is not None
        if stmt in self.program.varying or stmt.name == RESULTS[owner.decl.kind]:
            return self.loop(env, stmt)
        known = owner.quantities.get(stmt.name)
        if known is not None and (stmt.random or isinstance(known[0], Instance)):
            return known[0]
        value = self.loop(env, stmt)
        if isinstance(value, int) and stmt not in self.program.whole:
            value = self.graph.number(value)
        if isinstance(value, (int, Instance)) or (isinstance(value, Node) and value.type == "b"):
            owner.quantities[stmt.name] = (value, ())
            return value
        items = value if isinstance(value, list) else [value]
        definition = tuple(as_node(self.graph, c) for item in items for c in components(item))
        if known is not None:
            if known[1] != definition:
                raise self.fail(stmt.value.span, "E0305", f"`{stmt.name}` has two values", "differs between two calls",
                                why=f"`{owner.decl.name}` is evaluated at two places, "
                                "and `deepest` sees each differently",
                                hint="give each place an instance of its own",
                                calls=[c for c in self.calls if c is not owner.made])
            return known[0]
        width = len(components(items[0])) if items else 1
        first, self.slots = self.slots, self.slots + len(definition)
        leaves = [self.graph.node("slot", const=first + i) for i in range(len(definition))]
        parts = [leaves[i : i + width] for i in range(0, len(leaves), width)]
        made = [part[0] if width == 1 else tuple(part) for part in parts]
        result: Value = made if isinstance(value, list) else made[0]
        owner.quantities[stmt.name] = (result, definition)
        self.named.append(_Named(env.path, stmt.name, width, len(items) if isinstance(value, list) else None,
                                 range(first, self.slots), definition, _source(owner, stmt), stmt))
        return result

    def loop(self, env: _Env, stmt: ast.Stmt) -> Value:
        env.naming = stmt.name
        if stmt.binder is None:
            return self.expr(env, stmt.value)
        out = []
        for _ in env.each(stmt.binder.var, self.bound(env, stmt.binder.bound)):
            value = self.expr(env, stmt.value)
            out.append(as_node(self.graph, value) if isinstance(value, int) else value)
        return out

    def bound(self, env: _Env, expr: ast.Expr) -> int:
        count = self.expr(env, expr)
        assert isinstance(count, int)
        if not 0 <= count <= MAX_ITEMS:
            raise self.fail(expr.span, "E0301", f"a loop of {count}", f"allowed are 0 to {MAX_ITEMS}",
                            why="loops are unrolled while compiling",
                            hint="count to fewer, and let the formula say the rest" if count > 0 else
                            "count to 0 or more")
        return count

    # -- expressions

    def expr(self, env: _Env, expr: ast.Expr) -> Value:
        self.steps += 1
        if self.steps > MAX_STEPS or len(self.graph) > MAX_NODES:
            raise SdfError(error_at(
                self.decl.name_span, "E0302", f"`{self.decl.name}` grows too large",
                f"more than {MAX_NODES} operations", why="everything is unrolled into one formula",
                hint="lower the loop bounds, or call functions less often inside each other"))
        return getattr(self, f"_{type(expr).__name__.lower()}")(env, expr)

    def _number(self, env: _Env, expr: ast.Number) -> Value:
        return expr.value if isinstance(expr.value, int) else self.graph.number(expr.value)

    def _truth(self, env: _Env, expr: ast.Truth) -> Value:
        return self.graph.truth(expr.value)

    def _paren(self, env: _Env, expr: ast.Paren) -> Value:
        return self.expr(env, expr.inner)

    def _name(self, env: _Env, expr: ast.Name) -> Value:
        if (value := env.get(expr.name)) is not None:
            return value
        if expr.name in CONSTANTS:
            return self.graph.number(CONSTANTS[expr.name])
        return self.instance(env, expr.span, expr.name, ())

    def _unary(self, env: _Env, expr: ast.Unary) -> Value:
        value = self.expr(env, expr.operand)
        if expr.op == "not":
            return self.graph.node("not", value)
        return -value if isinstance(value, int) else apply(self.graph, "neg", value)

    def _binary(self, env: _Env, expr: ast.Binary) -> Value:
        a, b = self.expr(env, expr.left), self.expr(env, expr.right)
        g, op = self.graph, expr.op
        if isinstance(a, int) and isinstance(b, int) and op in ("+", "-", "*", "//"):
            return self.whole(expr, a, b)
        if op in (">", ">="):
            a, b, op = b, a, "<" if op == ">" else "<="
        if op == "!=":
            return g.node("not", apply(g, "eq", a, b))
        if op == "^":
            return power(g, a, b)
        name = {"+": "add", "-": "sub", "*": "mul", "/": "div", "<": "lt", "<=": "le", "==": "eq",
                "and": "and", "or": "or"}[op]
        return g.node(name, a, b) if op in ("and", "or") else apply(g, name, a, b)

    def whole(self, expr: ast.Binary, a: int, b: int) -> int:
        """Arithmetic on whole numbers, held within 32 bits."""
        if expr.op == "//" and b == 0:
            raise self.fail(expr.op_span, "E0303", "a whole number divided by zero", "the divisor is 0 here",
                            hint="numbers with a point may be divided by zero: the result is infinite")
        value = {"+": a + b, "-": a - b, "*": a * b}[expr.op] if expr.op != "//" else a // b
        if abs(value) >= 2**31:
            raise self.fail(expr.span, "E0306", "a whole number grows too large", "beyond 2147483647",
                            hint="write one of the numbers with a point, as in `2.0`")
        return value

    def _field(self, env: _Env, expr: ast.Field) -> Value:
        if isinstance(expr.base, ast.Name) and expr.base.name == "grid" and env.get("grid") is None:
            g = self.graph
            if expr.name == "min":
                return g.node("grid", const="min")
            return tuple(g.node("grid", const=f"{expr.name}.{axis}") for axis in "xyz")
        base = self.expr(env, expr.base)
        picked = tuple(base["xyz".index(c)] for c in expr.name)
        return picked[0] if len(picked) == 1 else picked

    def _index(self, env: _Env, expr: ast.Index) -> Value:
        base, index = self.expr(env, expr.base), self.expr(env, expr.index)
        if not 0 <= index < len(base):
            raise self.fail(expr.index.span, "E0307", f"index {index} is outside an array of {len(base)}",
                            f"0 to {len(base) - 1} are there" if len(base) > 1 else
                            "only 0 is there" if base else "the array is empty",
                            hint="`mod(i, n)` wraps around" if base and index == len(base) else
                            "indices count from 0" if base else "give the loop that makes it a bound of 1 or more")
        return base[index]

    def _array(self, env: _Env, expr: ast.Array) -> Value:
        values = [self.expr(env, item) for item in expr.items]
        return [as_node(self.graph, v) if isinstance(v, int) else v for v in values]

    def _reduce(self, env: _Env, expr: ast.Reduce) -> Value:
        g = self.graph
        values = [self.expr(env, expr.body) for _ in env.each(expr.var, self.bound(env, expr.bound))]
        if not values:
            if expr.reducer in ("min", "max"):
                raise self.fail(expr.bound.span, "E0308", f"`{expr.reducer}` of nothing", "the loop runs 0 times",
                                hint="give a bound of at least 1")
            return g.truth(expr.reducer == "all") if expr.reducer in ("any", "all") else g.number(0)
        if expr.reducer == "sum":
            if isinstance(values[0], tuple):
                return tuple(total(g, [v[k] for v in values]) for k in range(len(values[0])))
            return total(g, [as_node(g, v) for v in values])
        out = values[0] if not isinstance(values[0], int) else as_node(g, values[0])
        for value in values[1:]:
            if expr.reducer in ("any", "all"):
                out = g.node("or" if expr.reducer == "any" else "and", out, value)
            else:
                out = apply(g, expr.reducer, out, value)
        return out

    # -- calls

    def _call(self, env: _Env, expr: ast.Call) -> Value:
        assert isinstance(expr.callee, ast.Name)
        name = expr.callee.name
        target = env.get(name)
        if isinstance(target, Instance):
            return self.call_instance(env, expr, target)
        if name == "deepest":
            return self.deepest(env, expr)
        if name in PRIORS:
            return PRIORS[name].build(self.graph, self.draw, *(self.expr(env, a.value) for a in expr.args))
        if name in BUILTINS:
            values = [self.expr(env, a.value) for a in expr.args]
            if name == "mod" and values[1] == 0 and isinstance(values[1], int) and isinstance(values[0], int):
                raise self.fail(expr.span, "E0303", "a whole number divided by zero", "the divisor is 0 here",
                                hint="let the divisor start at 1")
            return BUILTINS[name].build(self.graph, *values)
        found = env.scope.find(name)
        assert found is not None
        decl, scope = found
        if decl.kind != "fn":
            return self.instance(env, expr.span, name, expr.args)
        args = self.arguments(env, decl, expr.args)
        self.enter(expr.span)
        value = self.call_fn(decl, scope, args)
        self.leave()
        return value

    def draw(self) -> Node:
        self.draws += 1
        return self.graph.node("draw", const=self.draws - 1)

    def enter(self, span: Span) -> None:
        self.calls.append(span)
        self.depth += 1
        if self.depth > MAX_CALLS:
            raise self.fail(span, "E0304", f"calls nest more than {MAX_CALLS} deep", "one call too deep",
                            hint="let functions do more themselves, or repeat with a reduction")

    def leave(self) -> None:
        self.calls.pop()
        self.depth -= 1

    def arguments(self, env: _Env, decl: ast.Decl, args: Sequence[ast.Arg]) -> dict[str, Value]:
        params = decl.params or ()
        by_name = {p.name: p for p in params}
        out: dict[str, Value] = {}
        for i, arg in enumerate(args):
            param = params[i] if arg.name is None else by_name[arg.name]
            inner = env
            if param_type(param) in ("shape", "profile"):
                inner = env.named(param.name)
            out[param.name] = self.coerce(param_type(param), self.expr(inner, arg.value))
        return out

    def instance(self, env: _Env, span: Span, name: str, args: Sequence[ast.Arg]) -> Instance:
        """A declared shape, profile, displacement or mapper with arguments.

        Its place in the whole is its path: the names of the parameters and statements that lead to it.
        """
        found = env.scope.find(name)
        assert found is not None
        decl, scope = found
        inside = _Env(env.scope, env.names, env.inputs, env.owner, env.instance_path())
        given = self.arguments(inside, decl, args)
        self.enter(span)
        target = self.instantiate(decl, scope, given, inside.path, span)
        self.leave()
        return target

    def call_instance(self, env: _Env, expr: ast.Call, target: Instance) -> Value:
        inputs = dict(zip(INPUTS[target.decl.kind], (None, self.graph.number(0)), strict=False))
        for i, arg in enumerate(expr.args):
            value = self.expr(env, arg.value)
            name = arg.name if arg.name is not None else list(inputs)[i]
            inputs[name] = as_node(self.graph, value) if isinstance(value, int) else value
        self.enter(expr.span)
        value = self.evaluate(target, inputs)
        self.leave()
        return value

    def deepest(self, env: _Env, expr: ast.Call) -> Value:
        value = self.expr(env, expr.args[0].value)
        if isinstance(value, Instance):
            self.enter(expr.span)
            value = self.evaluate(value, env.inputs)
            self.leave()
        return self.graph.node("grid_min", as_node(self.graph, value))


@dataclass
class _Env:
    """What names mean while a body is elaborated. `naming` is the statement being elaborated."""

    scope: Scope
    names: dict[str, Any]
    inputs: dict[str, Any]
    owner: Instance | None
    path: tuple[str, ...] = ()
    naming: str | None = None

    def get(self, name: str) -> Any:
        value = self.names.get(name)
        return self.inputs.get(name) if value is None else value

    def each(self, var: str, count: int) -> Iterator[int]:
        """Give the loop variable one value after the other, then bring back what it hid."""
        hidden = self.names.get(var)
        for i in range(count):
            self.names[var] = i
            yield i
        if hidden is None:
            self.names.pop(var, None)
        else:
            self.names[var] = hidden

    def named(self, name: str) -> _Env:
        return _Env(self.scope, self.names, self.inputs, self.owner, self.path, name)

    def instance_path(self) -> tuple[str, ...]:
        return self.path if self.naming is None else (*self.path, self.naming)


def _source(owner: Instance, stmt: ast.Stmt) -> str:
    """The right-hand side as written, with the values of the declaration's number arguments filled in."""
    span = stmt.value.span
    found: list[tuple[int, int, str]] = []
    for expr in ast.walk(stmt.value):
        value = owner.args.get(expr.name) if isinstance(expr, ast.Name) else None
        if isinstance(value, Node) and value.op == "const":
            value = value.const
        if isinstance(value, int | float) and not isinstance(value, bool):
            found.append((expr.span.start - span.start, expr.span.end - span.start, f"{value:g}"))
    text = span.text
    for start, end, number in sorted(found, reverse=True):
        text = text[:start] + number + text[end:]
    return " ".join(text.split())


def _public_names(names: list[tuple[tuple[str, ...], str]]) -> list[str]:
    """The plain name where only one part has it; else with its path, as in `section.radius`."""
    counts = Counter(name for _, name in names)
    return [name if counts[name] == 1 or not path else ".".join((*path, name)) for path, name in names]
