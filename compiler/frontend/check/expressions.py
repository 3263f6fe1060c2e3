"""The types of operators, arrays and reductions."""

from __future__ import annotations

from collections.abc import Sequence

from fdif_dsl.compiler.frontend.builtins import MATRICES, NUMBERS, RESERVED, VECTORS, common, matrix_type
from fdif_dsl.compiler.frontend.check.scope import Program, Scope
from fdif_dsl.compiler.frontend.check.types import ARRAY_ITEMS, INPUTS, UNKNOWN, Typed, operand_hint, say
from fdif_dsl.grammar import ast
from fdif_dsl.grammar.diagnostics import Diagnostic, error_at
from fdif_dsl.grammar.source import Span

WHOLE_DIVISION = "whole numbers are divided with `//`"


class Expressions:
    """The reading of one declaration: what its names are so far, and what each expression is.

    `expr` calls the method that is named after the node's class; those for names and calls stand in calls.py.
    """

    def __init__(self, program: Program, scope: Scope, decl: ast.Decl, errors: list[Diagnostic]) -> None:
        self.program, self.scope, self.decl, self.errors = program, scope, decl, errors
        self.names: dict[str, Typed] = {n: Typed(t, True) for n, t in INPUTS[decl.kind].items()}
        self.spans: dict[str, Span] = {}
        self.in_prior = False
        self.at_point = False  # whether what is being read is evaluated at a point
        self.defined = {s.name: s for s in reversed(ast.named(decl.body))}
        self.indices: list[str] = []  # of the folds around what is being read
        self.start_of: ast.Fold | None = None  # the fold whose start is being read
        self.counted: list[ast.Expr] = []  # expressions that must be whole numbers

    def error(self, span: Span, code: str, title: str, label: str = "", why: str = "", hint: str = "",
              notes: Sequence[tuple[Span, str]] = ()) -> Typed:
        self.errors.append(error_at(span, code, title, label, why, hint, notes))
        return Typed(UNKNOWN)

    def expr(self, expr: ast.Expr) -> Typed:
        return getattr(self, f"_{type(expr).__name__.lower()}")(expr)  # type: ignore[no-any-return]

    def _hole(self, expr: ast.Hole) -> Typed:
        return Typed(UNKNOWN)

    def _number(self, expr: ast.Number) -> Typed:
        return Typed("int" if isinstance(expr.value, int) else "float")

    def _text(self, expr: ast.Text) -> Typed:
        return self.error(expr.span, "E0262", "a text is no value", "only `field` takes one",
                          why="the language computes with numbers",
                          hint="a sampled shape is `part = field(\"file.nii.gz\")`")

    def _truth(self, expr: ast.Truth) -> Typed:
        return Typed("bool")

    def _paren(self, expr: ast.Paren) -> Typed:
        return self.expr(expr.inner)

    def _unary(self, expr: ast.Unary) -> Typed:
        got = self.expr(expr.operand)
        fits = got.type == "bool" if expr.op == "not" else got.type in (*NUMBERS, *VECTORS, *MATRICES)
        if got.type != UNKNOWN and not fits:
            wants = "a truth value" if expr.op == "not" else "a number or a vector"
            return self.error(expr.operand.span, "E0240", f"`{expr.op}` wants {wants}", f"this is {say(got.type)}",
                              hint="compare it with something, as in `x > 0`" if expr.op == "not" else
                              operand_hint(got.type))
        return got

    def _binary(self, expr: ast.Binary) -> Typed:
        left, right = self.expr(expr.left), self.expr(expr.right)
        varies = left.varies or right.varies
        types = (left.type, right.type)
        if UNKNOWN in types:
            return Typed(UNKNOWN, varies)
        op = expr.op
        if op in ("and", "or"):
            for side, operand in ((left, expr.left), (right, expr.right)):
                if side.type != "bool":
                    return self.error(operand.span, "E0240", f"`{op}` wants truth values",
                                      f"this is {say(side.type)}", hint="compare it with something, as in `x > 0`")
            return Typed("bool", varies)
        if op in ("<", "<=", ">", ">=", "==", "!="):
            for side, operand in ((left, expr.left), (right, expr.right)):
                if side.type not in NUMBERS:
                    return self.error(operand.span, "E0240", f"`{op}` compares numbers", f"this is {say(side.type)}",
                                      hint="compare one component, or `length(v)`" if side.type in VECTORS
                                      else operand_hint(side.type))
            return Typed("bool", varies)
        if op == "//":
            self.counted.append(expr)
            if types != ("int", "int"):
                odd, got = (expr.left, left) if left.type != "int" else (expr.right, right)
                return self.error(odd.span, "E0240", "`//` divides whole numbers", f"this is {say(got.type)}",
                                  hint="for numbers write `floor(a / b)`")
            return Typed("int", varies)
        matrices = left.type in MATRICES or right.type in MATRICES
        kind = matrix_type(op, *types) if matrices else common(types)
        if kind is None:
            return self.error(expr.op_span, "E0241", f"`{op}` does not fit {say(left.type)} and {say(right.type)}",
                              "these two", notes=[(expr.left.span, f"this is {say(left.type)}"),
                                                  (expr.right.span, f"this is {say(right.type)}")],
                              hint=_matrix_hint(op, *types) if matrices else operand_hint(*types))
        return Typed("float" if kind == "int" and op in ("/", "^") else kind, varies)

    def _index(self, expr: ast.Index) -> Typed:
        base, index = self.expr(expr.base), self.expr(expr.index)
        self.counted.append(expr.index)
        if index.type not in ("int", UNKNOWN):
            drawn = index.type in NUMBERS and not isinstance(expr.index, ast.Number)
            self.error(expr.index.span, "E0244", "an index is a whole number", f"this is {say(index.type)}",
                       why="which value is meant must be known while compiling",
                       hint="to pick by a number k write `sum[i < len(a) when i == k](a[i])`" if drawn else
                       "count with `[i < n]`, or write a whole number")
        if base.type == UNKNOWN:
            return base
        if base.type in MATRICES:
            return Typed(f"vec{base.type[-1]}", base.varies)
        if not base.type.endswith("[]"):
            return self.error(expr.base.span, "E0245", "only an array has an index", f"this is {say(base.type)}",
                              hint="components of a vector are `.x`, `.y`, `.z`" if base.type in VECTORS else
                              "an array is made by `name[i < n] = ...`, or as `[1, 2, 3]`")
        return Typed(base.type[:-2], base.varies)

    def _array(self, expr: ast.Array) -> Typed:
        got = [self.expr(i) for i in expr.items]
        if any(g.type == UNKNOWN for g in got):
            return Typed(UNKNOWN)
        kinds = ["float" if g.type == "int" else g.type for g in got]
        for item, kind in zip(expr.items, kinds, strict=True):
            if kind != kinds[0] or kind not in ARRAY_ITEMS:
                return self.error(item.span, "E0246", "an array holds numbers, or vectors of one width",
                                  f"this is {say(kind)}" + (f", not {say(kinds[0])}" if kind != kinds[0] else ""),
                                  hint=operand_hint(*kinds) or "give every value the type of the first")
        return Typed(f"{kinds[0]}[]", any(g.varies for g in got))

    def _reduce(self, expr: ast.Reduce) -> Typed:
        hidden = self.bind(expr.var, expr.var_span, expr.bound, expr.reducer)
        chosen = Typed("bool") if expr.condition is None else self.condition(expr.condition, expr.var)
        got = self.expr(expr.body)
        self.unbind(expr.var, hidden)
        if UNKNOWN in (got.type, chosen.type):
            return Typed(UNKNOWN)
        varies = got.varies or chosen.varies
        if expr.reducer in ("any", "all"):
            if got.type != "bool":
                return self.error(expr.body.span, "E0247", f"`{expr.reducer}` wants truth values",
                                  f"this is {say(got.type)}", hint="compare it with something")
            return Typed("bool", varies)
        kind = common([got.type])
        if kind is None:
            return self.error(expr.body.span, "E0247", f"`{expr.reducer}` wants numbers or vectors",
                              f"this is {say(got.type)}", hint=operand_hint(got.type))
        kind = self.program.reduced[expr] = "float" if kind == "int" else kind
        return Typed(kind, varies)

    def condition(self, expr: ast.Expr, var: str) -> Typed:
        """What follows `when`: which rounds of a reduction count."""
        got = self.expr(expr)
        if got.type in ("bool", UNKNOWN):
            return got
        return self.error(expr.span, "E0240", "`when` wants a truth value", f"this is {say(got.type)}",
                          hint=f"compare with it, as in `when {var} < n`" if got.type in NUMBERS else
                          operand_hint(got.type) or "compare a component, or `length(v)`")

    def bind(self, var: str, span: Span, bound: ast.Expr, loop: str = "") -> Typed | None:
        """Bring the variable of a loop in; gives what it hides. `loop` is a reduction's name or `fold`, empty for an
        array."""
        got = self.expr(bound)
        self.counted.append(bound)
        if got.type not in ("int", UNKNOWN):
            params = {p.name for p in self.decl.params or () if p.type is None}
            some = "count to the most there can be, and say which count"
            written = " ".join(bound.span.text.split())
            count = written if len(written) < 20 else "n"
            hint = f"{some}: `{loop}[{var} < 9 when {var} < {count}](...)`"
            if loop == "fold":
                hint = ("count to the most there can be, and keep the value where a round does not count: "
                        f"`x = start then where({var} < {count}, next, x)`")
            elif not loop:
                hint = f"{some} where the array is reduced, as in `sum[{var} < 9 when {var} < {count}](a[{var}])`"
            if isinstance(bound, ast.Number) or got.type not in NUMBERS:
                hint = "give a whole number, or a parameter of type int"
            elif isinstance(bound, ast.Name) and bound.name in params:
                hint = f"write the parameter as `{bound.name}: int`"
            elif isinstance(bound, ast.Binary) and bound.op == "/":
                hint = WHOLE_DIVISION
            self.error(bound.span, "E0230", "a loop counts to a whole number that is known while compiling",
                       f"this is {say(got.type)}", hint=hint,
                       why="arrays, reductions and folds are unrolled while compiling")
        if var in RESERVED or var in INPUTS[self.decl.kind]:
            self.error(span, "E0210", f"`{var}` has a meaning already", "taken", hint="choose another name")
        hidden = self.names.get(var)
        self.names[var] = Typed("int")
        return hidden

    def unbind(self, var: str, hidden: Typed | None) -> None:
        if hidden is None:
            self.names.pop(var, None)
        else:
            self.names[var] = hidden


def _matrix_hint(op: str, left: str, right: str) -> str:
    """What to write where an operator does not fit a matrix and what stands beside it."""
    others = {left, right} - {*MATRICES, *NUMBERS, *VECTORS}
    if others:
        return operand_hint(*others)
    if op in ("+", "-"):
        size = next(t for t in (left, right) if t in MATRICES)
        return f"matrices of one size are added; a number on the diagonal is `{size}(x)`"
    if op == "^":
        return "a power of a matrix is a product: `m * m`"
    if op == "/":
        return "a matrix is divided by a number; the inverse of a rotation is `transpose(m)`"
    return "a mat2 takes a vec2, a mat3 a vec3, and each a matrix of its own size"
