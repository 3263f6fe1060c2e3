"""Names and calls: what they stand for, and how instances come to be and are evaluated."""

from __future__ import annotations

from collections.abc import Sequence

from fdif_dsl.compiler.frontend.builtins import BUILTINS, CONSTANTS, PRIORS
from fdif_dsl.compiler.frontend.check.fields import SAMPLED
from fdif_dsl.compiler.frontend.check.scope import Scope
from fdif_dsl.compiler.frontend.check.types import INPUTS, param_type
from fdif_dsl.compiler.frontend.elaborate.environment import Env, Instance
from fdif_dsl.compiler.frontend.elaborate.fields import Fields
from fdif_dsl.compiler.frontend.values import Value, as_node
from fdif_dsl.compiler.ir.graph import Node
from fdif_dsl.grammar import ast
from fdif_dsl.grammar.source import Span

MAX_CALLS = 40  # nested in each other


class Calls(Fields):
    """What names and calls give."""

    def _name(self, env: Env, expr: ast.Name) -> Value:
        if (value := env.get(expr.name)) is not None:
            return value
        if expr.name in CONSTANTS:
            return self.graph.number(CONSTANTS[expr.name])
        found = env.scope.find(expr.name)
        if found is not None and found[0].kind == "const":
            return self.constant(*found, expr.span)
        return self.instance(env, expr.span, expr.name, ())

    def _call(self, env: Env, expr: ast.Call) -> Value:
        assert isinstance(expr.callee, ast.Name)
        name = expr.callee.name
        target = env.get(name)
        if isinstance(target, Instance):
            return self.call_instance(env, expr, target)
        if name == "deepest":
            return self.deepest(env, expr)
        if name == "field":
            shape, given, path = self.field(env, expr)
            self.enter(expr.span)
            made = self.instantiate(shape, env.scope, given, path, expr.span)
            self.leave()
            return made
        if name == SAMPLED and env.owner is not None and "samples" in env.owner.args:
            return self.sampled(env, expr.args)
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

    def constant(self, decl: ast.Decl, scope: Scope, span: Span | None) -> Value:
        """The value of a constant, computed once, after those that it is made of. `span` is where it is used."""
        if span is not None:
            self.enter(span)
        stack = [(decl, scope)]
        while stack:
            one, its = stack[-1]
            assert one.value is not None
            names = (e.name for e in ast.walk(one.value) if isinstance(e, ast.Name))
            found = [f for f in map(its.find, names) if f and f[0].kind == "const" and f[0] not in self.constants]
            if found and one not in self.constants:
                stack += found
                continue
            stack.pop()
            if one not in self.constants:
                self.constants[one] = self.expr(Env(its, {}, {}, None), one.value)
        if span is not None:
            self.leave()
        return self.constants[decl]

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

    def arguments(self, env: Env, decl: ast.Decl, args: Sequence[ast.Arg]) -> dict[str, Value]:
        params = decl.params or ()
        by_name = {p.name: p for p in params}
        out: dict[str, Value] = {}
        for i, arg in enumerate(args):
            if arg.name is not None and arg.name not in by_name:
                continue  # a quantity, see `quantities`
            param = params[i] if arg.name is None else by_name[arg.name]
            inner = env
            if param_type(param) in ("shape", "profile"):
                inner = env.named(param.name)
            out[param.name] = self.coerce(param_type(param), self.expr(inner, arg.value))
        return out

    def quantities(self, env: Env, decl: ast.Decl, args: Sequence[ast.Arg]) -> dict[str, tuple[Value, ast.Arg]]:
        """The values of random quantities that are given where a part is made."""
        own = {p.name for p in decl.params or ()}
        return {arg.name: (self.expr(env, arg.value), arg) for arg in args
                if arg.name is not None and arg.name not in own}

    def instance(self, env: Env, span: Span, name: str, args: Sequence[ast.Arg]) -> Instance:
        """A declared shape, profile, displacement or mapper with arguments.

        Its place in the whole is its path: the names of the parameters and statements that lead to it.
        """
        found = env.scope.find(name)
        assert found is not None
        decl, scope = found
        inside = Env(env.scope, env.names, env.inputs, env.owner, env.instance_path())
        given = self.arguments(inside, decl, args)
        quantities = self.quantities(inside, decl, args)
        self.enter(span)
        target = self.instantiate(decl, scope, given, inside.path, span)
        target.given.update(quantities)
        self.leave()
        return target

    def call_instance(self, env: Env, expr: ast.Call, target: Instance) -> Value:
        inputs = dict(zip(INPUTS[target.decl.kind], (None, self.graph.number(0)), strict=False))
        for i, arg in enumerate(expr.args):
            value = self.expr(env, arg.value)
            name = arg.name if arg.name is not None else list(inputs)[i]
            inputs[name] = as_node(self.graph, value) if isinstance(value, int) else value
        self.enter(expr.span)
        value = self.evaluate(target, inputs)
        self.leave()
        return value

    def deepest(self, env: Env, expr: ast.Call) -> Value:
        value = self.expr(env, expr.args[0].value)
        if isinstance(value, Instance):
            self.enter(expr.span)
            value = self.evaluate(value, env.inputs)
            self.leave()
        return self.graph.node("grid_min", as_node(self.graph, value))
