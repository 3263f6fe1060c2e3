"""Expressions: from what is written to numbers, nodes, vectors and arrays."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

from fdif_dsl.compiler.frontend.builtins import VECTORS, choose, matrix_operation, power
from fdif_dsl.compiler.frontend.check.scope import Program
from fdif_dsl.compiler.frontend.elaborate.environment import Env, Named
from fdif_dsl.compiler.frontend.values import Matrix, Value, apply, as_node, as_nodes
from fdif_dsl.compiler.ir.graph import Graph, Node
from fdif_dsl.compiler.passes.simplify import make
from fdif_dsl.grammar import ast
from fdif_dsl.grammar.diagnostics import error_at
from fdif_dsl.grammar.parse import SdfError
from fdif_dsl.grammar.source import Span

MAX_ITEMS = 4096  # of one array or loop
MAX_NODES = 50_000  # of one formula
MAX_STEPS = 100_000  # of one elaboration


class Expressions:
    """What the elaboration of one closed declaration has made so far, and what each expression gives.

    `expr` calls the method that is named after the node's class; those for names and calls stand in calls.py.
    """

    def __init__(self, program: Program, decl: ast.Decl) -> None:
        self.program, self.decl = program, decl
        self.graph = Graph()
        self.draws = 0
        self.named: list[Named] = []
        self.integers: list[tuple[tuple[str, ...], str, int]] = []
        self.paths: Counter[tuple[str, ...]] = Counter()
        self.slots = 0
        self.steps = 0
        self.constants: dict[ast.Decl, Value] = {}
        self.calls: list[Span] = []  # those that led here, and where the instances among them were made
        self.depth = 0

    def fail(self, span: Span, code: str, title: str, label: str = "", why: str = "", hint: str = "",
             calls: Sequence[Span] | None = None) -> SdfError:
        """An error inside; where calls led to it from the declaration's own file, the call is to blame."""
        here = [c for c in (self.calls if calls is None else calls) if c.file is self.decl.name_span.file]
        if here and span.file is not self.decl.name_span.file:
            return SdfError(error_at(here[-1], code, title, "through this call", why, hint, [(span, label or "here")]))
        notes = [(here[-1], "through this call")] if here and here[-1] != span else []
        return SdfError(error_at(span, code, title, label, why, hint, notes))

    def expr(self, env: Env, expr: ast.Expr) -> Value:
        self.steps += 1
        if self.steps > MAX_STEPS or len(self.graph) > MAX_NODES:
            raise SdfError(error_at(
                self.decl.name_span, "E0302", f"`{self.decl.name}` grows too large",
                f"more than {MAX_NODES} operations", why="everything is unrolled into one formula",
                hint="lower the loop bounds, or call functions less often inside each other"))
        return getattr(self, f"_{type(expr).__name__.lower()}")(env, expr)

    def _number(self, env: Env, expr: ast.Number) -> Value:
        return expr.value if isinstance(expr.value, int) else self.graph.number(expr.value)

    def _truth(self, env: Env, expr: ast.Truth) -> Value:
        return self.graph.truth(expr.value)

    def _paren(self, env: Env, expr: ast.Paren) -> Value:
        return self.expr(env, expr.inner)

    def _unary(self, env: Env, expr: ast.Unary) -> Value:
        value = self.expr(env, expr.operand)
        if expr.op == "not":
            return make(self.graph, "not", [value])
        if isinstance(value, Matrix):
            return Matrix(tuple(apply(self.graph, "neg", column) for column in value.columns))
        return -value if isinstance(value, int) else apply(self.graph, "neg", value)

    def _binary(self, env: Env, expr: ast.Binary) -> Value:
        a, b = self.expr(env, expr.left), self.expr(env, expr.right)
        g, op = self.graph, expr.op
        if isinstance(a, int) and isinstance(b, int) and op in ("+", "-", "*", "//"):
            return self.whole(expr, a, b)
        if isinstance(a, Matrix) or isinstance(b, Matrix):
            return matrix_operation(g, op, a, b)
        if op in (">", ">="):
            a, b, op = b, a, "<" if op == ">" else "<="
        if isinstance(a, int) and isinstance(b, int) and op in ("<", "<=", "==", "!="):
            return g.truth({"<": a < b, "<=": a <= b, "==": a == b, "!=": a != b}[op])
        if op == "!=":
            return g.node("not", apply(g, "eq", a, b))
        if op == "^":
            return power(g, a, b)
        name = {"+": "add", "-": "sub", "*": "mul", "/": "div", "<": "lt", "<=": "le", "==": "eq",
                "and": "and", "or": "or"}[op]
        return make(g, name, [a, b]) if op in ("and", "or") else apply(g, name, a, b)

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

    def _field(self, env: Env, expr: ast.Field) -> Value:
        if isinstance(expr.base, ast.Name) and expr.base.name == "grid" and env.get("grid") is None:
            g = self.graph
            if expr.name == "min":
                return g.node("grid", const="min")
            return tuple(g.node("grid", const=f"{expr.name}.{axis}") for axis in "xyz")
        base = self.expr(env, expr.base)
        picked = tuple(base["xyzw".index(c)] for c in expr.name)
        return picked[0] if len(picked) == 1 else picked

    def _index(self, env: Env, expr: ast.Index) -> Value:
        base, index = self.expr(env, expr.base), self.expr(env, expr.index)
        what = f"an array of {len(base)}" if isinstance(base, list) else "a matrix"
        if isinstance(base, Matrix):
            base = base.columns
        if not 0 <= index < len(base):
            raise self.fail(expr.index.span, "E0307", f"index {index} is outside {what}",
                            f"0 to {len(base) - 1} are there" if len(base) > 1 else
                            "only 0 is there" if base else "the array is empty",
                            hint="`mod(i, n)` wraps around" if base and index == len(base) else
                            "indices count from 0" if base else "give the loop that makes it a bound of 1 or more")
        return base[index]

    def _array(self, env: Env, expr: ast.Array) -> Value:
        values = [self.expr(env, item) for item in expr.items]
        return [as_node(self.graph, v) if isinstance(v, int) else v for v in values]

    def _reduce(self, env: Env, expr: ast.Reduce) -> Value:
        g, reducer = self.graph, expr.reducer
        counted = list(self.counted(env, expr))
        if not counted and reducer in ("min", "max") and expr.condition is None:
            raise self.fail(expr.bound.span, "E0308", f"`{reducer}` of nothing", "the loop runs 0 times",
                            hint="give a bound of at least 1")
        if reducer in ("any", "all"):
            joined = g.truth(reducer == "all")
            for condition, value in counted:
                if condition is not None and reducer == "any":
                    value = make(g, "and", [condition, value])
                elif condition is not None:
                    value = make(g, "or", [make(g, "not", [condition]), value])
                joined = make(g, "or" if reducer == "any" else "and", [joined, value])
            return joined
        out: Value = None
        for condition, value in counted:
            new = as_nodes(g, value) if out is None else apply(g, "add" if reducer == "sum" else reducer, out, value)
            if condition is not None:
                new = choose(g, condition, new, self.of_nothing(expr) if out is None else out)
            out = new
        return self.of_nothing(expr) if out is None else out

    def counted(self, env: Env, expr: ast.Reduce) -> Iterator[tuple[Node | None, Value]]:
        """The value of each round, and the condition on which it counts where that is not known yet. What is known
        not to count is not looked at: it may even have an index beyond the end."""
        for _ in env.each(expr.var, self.bound(env, expr.bound)):
            condition = None if expr.condition is None else self.expr(env, expr.condition)
            if condition is None or condition.op != "const":
                yield condition, self.expr(env, expr.body)
            elif condition.const:
                yield None, self.expr(env, expr.body)

    def of_nothing(self, expr: ast.Reduce) -> Value:
        """What a reduction of numbers or vectors is where no round counts."""
        nothing = self.graph.number({"sum": 0, "min": math.inf, "max": -math.inf}[expr.reducer])
        kind = self.program.reduced[expr]
        return (nothing,) * int(kind[-1]) if kind in VECTORS else nothing

    def bound(self, env: Env, expr: ast.Expr) -> int:
        count = self.expr(env, expr)
        assert isinstance(count, int)
        if not 0 <= count <= MAX_ITEMS:
            raise self.fail(expr.span, "E0301", f"a loop of {count}", f"allowed are 0 to {MAX_ITEMS}",
                            why="loops are unrolled while compiling",
                            hint="count to fewer, and let the formula say the rest" if count > 0 else
                            "count to 0 or more")
        return count
