"""Statements and bodies: what runs them, and which of their values become quantities of the object."""

from __future__ import annotations

from fdif_dsl.compiler.frontend.check.scope import Scope
from fdif_dsl.compiler.frontend.check.types import RESULTS, param_type
from fdif_dsl.compiler.frontend.elaborate.environment import Env, Instance, Named
from fdif_dsl.compiler.frontend.elaborate.expressions import Expressions
from fdif_dsl.compiler.frontend.values import Matrix, Value, as_node, components
from fdif_dsl.compiler.ir.graph import Node
from fdif_dsl.grammar import ast
from fdif_dsl.grammar.source import Span


class Statements(Expressions):
    """Bodies are run here, once for each place at which they are evaluated."""

    def instantiate(self, decl: ast.Decl, scope: Scope, args: dict[str, Value], path: tuple[str, ...],
                    made: Span | None = None) -> Instance:
        """An instance with all its arguments, defaults filled in; an alias gives what it stands for."""
        names = self.with_defaults(decl, scope, args, path)
        self.integers += [(path, p.name, names[p.name]) for p in decl.params or () if param_type(p) == "int"]
        if decl.value is not None:
            target = self.expr(Env(scope, names, {}, None, path), decl.value)
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
                default = self.expr(Env(scope, names, {}, None, path, param.name), param.default)
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
        env = Env(target.scope, dict(target.args), inputs, target, target.path)
        made = [target.made] if target.made else []
        self.calls += made  # a mistake in the body may be one of the arguments
        for item in decl.body:
            if isinstance(item, ast.Fold):
                for stmt, value in self.fold(env, item).items():
                    env.names[stmt.name] = self.kept(env, stmt, value)
            else:
                env.names[item.name] = self.statement(env, item)
        del self.calls[len(self.calls) - len(made):]
        return env.names[RESULTS[decl.kind]]

    def call_fn(self, decl: ast.Decl, scope: Scope, args: dict[str, Value]) -> Value:
        env = Env(scope, self.with_defaults(decl, scope, args), {}, None)
        if decl.value is not None:
            return self.expr(env, decl.value)
        assert decl.body is not None
        for item in decl.body:
            if isinstance(item, ast.Fold):
                env.names.update((stmt.name, value) for stmt, value in self.fold(env, item).items())
            else:
                env.names[item.name] = self.loop(env, item, item.value)
        return env.names["value"]

    def fold(self, env: Env, fold: ast.Fold) -> dict[ast.Stmt, Value]:
        """What a fold carries, after its last round."""
        count = self.bound(env, fold.binder.bound)
        carried = {stmt: self.loop(env, stmt, stmt.value) for stmt in fold.carried}
        real = {stmt for stmt, value in carried.items() if not isinstance(value, int)}
        inside: set[str] = set()
        for _ in env.each(fold.binder.var, count):
            last, carried = carried, {}
            env.names.update((stmt.name, value) for stmt, value in last.items())
            inside.update(stmt.name for stmt in last)
            for item in fold.body:
                if isinstance(item, ast.Fold):
                    found = {stmt.name: value for stmt, value in self.fold(env, item).items()}
                elif item.next is None:
                    found = {item.name: self.loop(env, item, item.value)}
                else:
                    value = self.loop(env, item, item.next)
                    if isinstance(value, list) and len(value) != len(last[item]):
                        raise self.fail(item.next.span, "E0318",
                                        f"`{item.name}` changes its length from round to round",
                                        f"{len(value)} values, after {len(last[item])}",
                                        why="each round gives what the next one takes",
                                        hint="start with as many values as the rounds give")
                    carried[item] = as_node(self.graph, value) if isinstance(value, int) and item in real else value
                    continue
                env.names.update(found)
                inside.update(found)
        for name in inside:
            del env.names[name]  # what holds for a round is not known after it
        return carried

    def statement(self, env: Env, stmt: ast.Stmt) -> Value:
        owner = env.owner
        assert owner is not None
        known = owner.quantities.get(stmt.name)
        if known is not None and (stmt.random or isinstance(known[0], Instance)):
            return known[0]
        if stmt.random and stmt.name in owner.given:
            return self.kept(env, stmt, self.given(env, stmt, *owner.given[stmt.name]))
        return self.kept(env, stmt, self.loop(env, stmt, stmt.value))

    def given(self, env: Env, stmt: ast.Stmt, value: Value, arg: ast.Arg) -> Value:
        """What stands for a random quantity where the part was made."""
        if not isinstance(value, list):
            return self.coerce("float", value) if isinstance(value, int) else value
        assert stmt.binder is not None
        wanted = self.bound(env, stmt.binder.bound)
        if len(value) != wanted:
            raise self.fail(arg.value.span, "E0319", f"`{stmt.name}` has {wanted} values", f"here are {len(value)}",
                            why="what is given for an array stands for all of it",
                            hint=f"give as many as `{stmt.name}[{stmt.binder.var} < {wanted}]` draws")
        return [as_node(self.graph, item) if isinstance(item, int) else item for item in value]

    def kept(self, env: Env, stmt: ast.Stmt, value: Value) -> Value:
        """A statement's value; where it holds for the whole object, it becomes one of its quantities."""
        owner = env.owner
        assert owner is not None
        if stmt in self.program.varying or stmt.name == RESULTS[owner.decl.kind]:
            return value
        known = owner.quantities.get(stmt.name)
        if isinstance(value, int) and stmt not in self.program.whole:
            value = self.graph.number(value)
        if isinstance(value, (int, Instance, Matrix)) or (isinstance(value, Node) and value.type == "b"):
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
        self.named.append(Named(env.path, stmt.name, width, len(items) if isinstance(value, list) else None,
                                 range(first, self.slots), definition, stmt.random and stmt.name not in owner.given,
                                 _source(owner, stmt), stmt))
        return result

    def loop(self, env: Env, stmt: ast.Stmt, formula: ast.Expr) -> Value:
        """What one of a statement's formulas gives, for each index where it has one."""
        env.naming = stmt.name
        if stmt.binder is None:
            return self.expr(env, formula)
        out = []
        for _ in env.each(stmt.binder.var, self.bound(env, stmt.binder.bound)):
            value = self.expr(env, formula)
            out.append(as_node(self.graph, value) if isinstance(value, int) else value)
        return out


def _source(owner: Instance, stmt: ast.Stmt) -> str:
    """The right-hand side as written, with the values of the declaration's number arguments filled in."""
    if stmt.random and stmt.name in owner.given:
        return " ".join(owner.given[stmt.name][1].value.span.text.split())
    written = (stmt.value, stmt.next) if stmt.next else (stmt.value,)
    span = Span(stmt.span.file, stmt.value.span.start, written[-1].span.end)
    found: list[tuple[int, int, str]] = []
    for expr in ast.walk(*written):
        value = owner.args.get(expr.name) if isinstance(expr, ast.Name) else None
        if isinstance(value, Node) and value.op == "const":
            value = value.const
        if isinstance(value, int | float) and not isinstance(value, bool):
            found.append((expr.span.start - span.start, expr.span.end - span.start, f"{value:g}"))
    text = span.text
    for start, end, number in sorted(found, reverse=True):
        text = text[:start] + number + text[end:]
    return " ".join(text.split())
