"""The built-in functions: how each is typed and what it becomes.

A row says both, so the checker, the elaborator and the reference speak of the same function.
Everything that can be said in the language itself stands in `shapes/std.sdf` instead.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fdif_dsl.compiler.frontend.values import Matrix, Value, apply, as_node, components, lift, total
from fdif_dsl.compiler.ir.graph import Graph, Node

CONSTANTS = {"pi": math.pi, "tau": math.tau}
NUMBERS = ("int", "float")
VECTORS = ("vec2", "vec3", "vec4")
MATRICES = ("mat2", "mat3")

TypeRule = Callable[[Sequence[str]], str | None]  # argument types -> result type; None: does not fit


@dataclass(frozen=True)
class Builtin:
    """One built-in function. `build` gets values that `typed` has accepted."""

    name: str
    signature: str
    doc: str
    typed: TypeRule
    build: Callable[..., Value]


BUILTINS: dict[str, Builtin] = {}


def common(types: Sequence[str]) -> str | None:
    """The type that numbers and vectors of one width meet in; None where they do not."""
    vectors = {t for t in types if t in VECTORS}
    if len(vectors) > 1 or any(t not in NUMBERS and t not in VECTORS for t in types):
        return None
    if vectors:
        return vectors.pop()
    return "int" if all(t == "int" for t in types) else "float"


def _real(types: Sequence[str]) -> str | None:
    """Like `common`, with whole numbers taken as real ones."""
    kind = common(types)
    return "float" if kind == "int" else kind


def _count(least: int, most: int | None, rule: TypeRule) -> TypeRule:
    def typed(types: Sequence[str]) -> str | None:
        return rule(types) if least <= len(types) <= (len(types) if most is None else most) else None

    return typed


def _row(name: str, signature: str, doc: str, typed: TypeRule, build: Callable[..., Value]) -> None:
    BUILTINS[name] = Builtin(name, signature, doc, typed, build)


def _map(name: str, doc: str) -> None:
    _row(name, f"{name}(x)", doc, _count(1, 1, _real), lambda g, x: apply(g, name, x))


for _name, _doc in {
    "abs": "absolute value", "sign": "1, 0 or -1", "sqrt": "square root",
    "cbrt": "cube root, of negative numbers too", "exp": "e^x", "log": "natural logarithm", "sin": "sine (radians)",
    "cos": "cosine (radians)", "tan": "tangent (radians)", "asin": "arc sine", "acos": "arc cosine",
    "tanh": "hyperbolic tangent", "floor": "round down", "ceil": "round up",
    "round": "round to nearest, halves to even",
}.items():
    _map(_name, _doc)


def _composed(name: str, doc: str, build: Callable[[Graph, Value], Value]) -> None:
    _row(name, f"{name}(x)", doc, _count(1, 1, _real), build)


def _trunc(g: Graph, x: Value) -> Value:
    zero = g.number(0)
    return lift(g, lambda v: g.node("where", g.node("lt", v, zero), g.node("ceil", v), g.node("floor", v)), x)


def _cosh(g: Graph, x: Value) -> Value:
    # From e^(|x|/2), whose square overflows no earlier than the result does.
    root = apply(g, "exp", apply(g, "mul", apply(g, "abs", x), 0.5))
    half = apply(g, "mul", root, 0.5)
    return apply(g, "add", apply(g, "mul", half, root), apply(g, "div", apply(g, "div", 0.5, root), root))


_composed("exp2", "2^x", lambda g, x: apply(g, "pow", 2, x))
_composed("log2", "logarithm to the base 2", lambda g, x: apply(g, "mul", apply(g, "log", x), 1 / math.log(2)))
_composed("atan", "arc tangent; of a vector's angle, `atan2`", lambda g, x: apply(g, "atan2", x, 1))
_composed("sinh", "hyperbolic sine", lambda g, x: apply(g, "mul", apply(g, "tanh", x), _cosh(g, x)))
_composed("cosh", "hyperbolic cosine", _cosh)
_composed("trunc", "round towards 0", _trunc)
_composed("fract", "x - floor(x)", lambda g, x: apply(g, "sub", x, apply(g, "floor", x)))
_composed("radians", "radians of an angle in degrees", lambda g, x: apply(g, "mul", x, math.pi / 180))
_composed("degrees", "degrees of an angle in radians", lambda g, x: apply(g, "mul", x, 180 / math.pi))


def _int_or(op: str, whole: Callable[..., int]) -> Callable[..., Value]:
    def build(g: Graph, *args: Value) -> Value:
        if all(isinstance(a, int) for a in args):
            return whole(*args)
        out = args[0]
        for a in args[1:]:
            out = apply(g, op, out, a)
        return out

    return build


def _clamp(g: Graph, x: Value, lo: Value, hi: Value) -> Value:
    return apply(g, "min", apply(g, "max", x, lo), hi)


def _mix(g: Graph, a: Value, b: Value, s: Value) -> Value:
    return apply(g, "add", a, apply(g, "mul", apply(g, "sub", b, a), s))


def _step(g: Graph, edge: Value, x: Value) -> Value:
    zero, one = g.number(0), g.number(1)
    return lift(g, lambda e, v: g.node("where", g.node("lt", v, e), zero, one), edge, x)


def _smoothstep(g: Graph, lo: Value, hi: Value, x: Value) -> Value:
    s = _clamp(g, apply(g, "div", apply(g, "sub", x, lo), apply(g, "sub", hi, lo)), 0, 1)
    return apply(g, "mul", apply(g, "mul", s, s), apply(g, "sub", 3, apply(g, "mul", 2, s)))


def power(g: Graph, base: Value, exponent: Value) -> Value:
    """a ^ b. Small whole exponents are products, and a power of a constant is an exponential, as these are quicker;
    said here and not in a pass, since they round differently."""
    return lift(g, lambda a, b: _power(g, a, b), base, exponent)


def _power(g: Graph, a: Node, b: Node) -> Node:
    if b.op == "const" and b.const in (1.0, 2.0, 3.0, 4.0):
        square = g.node("mul", a, a)
        return {1.0: lambda: a, 2.0: lambda: square, 3.0: lambda: g.node("mul", square, a),
                4.0: lambda: g.node("mul", square, square)}[b.const]()
    if a.op == "const" and b.op != "const" and 0 < a.const < math.inf and a.const != 1:
        return g.node("exp", g.node("mul", b, g.number(math.log(a.const))))
    return g.node("pow", a, b)


def dot(g: Graph, a: Value, b: Value) -> Node:
    return total(g, [g.node("mul", x, y) for x, y in zip(a, b, strict=True)])


def length(g: Graph, v: Value) -> Node:
    return g.node("sqrt", dot(g, v, v))


def _normalize(g: Graph, v: Value) -> Value:
    return apply(g, "div", v, length(g, v))


def _cross(g: Graph, a: Value, b: Value) -> Value:
    def minor(i: int, j: int) -> Node:
        return g.node("sub", g.node("mul", a[i], b[j]), g.node("mul", a[j], b[i]))

    return minor(0, 1) if len(a) == 2 else (minor(1, 2), minor(2, 0), minor(0, 1))


def _numbers(g: Graph, parts: Sequence[Value]) -> tuple[Node, ...]:
    return tuple(as_node(g, c) for part in parts for c in (part if isinstance(part, tuple) else (part,)))


def _vector(width: int) -> Callable[..., Value]:
    def build(g: Graph, *parts: Value) -> Value:
        numbers = _numbers(g, parts)
        return numbers if len(numbers) == width else numbers * width

    return build


def _matrix(width: int) -> Callable[..., Value]:
    def build(g: Graph, *parts: Value) -> Value:
        numbers = _numbers(g, parts)
        if len(numbers) == 1:
            zero = g.number(0)
            numbers = tuple(numbers[0] if i == j else zero for j in range(width) for i in range(width))
        return Matrix(tuple(numbers[i : i + width] for i in range(0, len(numbers), width)))

    return build


def matrix_type(op: str, left: str, right: str) -> str | None:
    """The type of a sum, product or quotient with a matrix in it; None where the two do not fit."""
    if op in ("+", "-"):
        return left if left == right else None
    if op == "/":
        return left if right in NUMBERS else None
    if op != "*":
        return None
    if left in NUMBERS or right in NUMBERS:
        return right if left in NUMBERS else left
    if left[-1] != right[-1]:
        return None
    return right if left in MATRICES else left  # m * m is a matrix, m * v and v * m are vectors


def matrix_operation(g: Graph, op: str, a: Value, b: Value) -> Value:
    """A sum, product or quotient with a matrix in it."""
    if op == "*" and isinstance(a, Matrix) and isinstance(b, Matrix):
        return Matrix(tuple(_transformed(g, a, column) for column in b.columns))
    if op == "*" and isinstance(a, Matrix) and isinstance(b, tuple):
        return _transformed(g, a, b)
    if op == "*" and isinstance(b, Matrix) and isinstance(a, tuple):
        return tuple(dot(g, a, column) for column in b.columns)
    name = {"+": "add", "-": "sub", "*": "mul", "/": "div"}[op]
    width = len((a if isinstance(a, Matrix) else b).columns)
    pairs = zip(*(x.columns if isinstance(x, Matrix) else [x] * width for x in (a, b)), strict=True)
    return Matrix(tuple(apply(g, name, x, y) for x, y in pairs))


def _transformed(g: Graph, m: Matrix, v: Value) -> Value:
    return tuple(total(g, [g.node("mul", column[i], x) for column, x in zip(m.columns, v, strict=True)])
                 for i in range(len(m.columns)))


def choose(g: Graph, condition: Value, a: Value, b: Value) -> Value:
    return lift(g, lambda x, y: g.node("where", condition, x, y), a, b)


def _same_vectors(types: Sequence[str]) -> str | None:
    return "float" if len(types) == 2 and types[0] == types[1] and types[0] in VECTORS else None


def _cross_type(types: Sequence[str]) -> str | None:
    return {"vec2 vec2": "float", "vec3 vec3": "vec3"}.get(" ".join(types))


def _vector_type(width: int) -> TypeRule:
    def typed(types: Sequence[str]) -> str | None:
        return f"vec{width}" if _numbers_in(types) in (1, width) else None

    return typed


def _matrix_type(width: int) -> TypeRule:
    def typed(types: Sequence[str]) -> str | None:
        columns = all(t == f"vec{width}" for t in types) or all(t in NUMBERS for t in types)
        return f"mat{width}" if columns and _numbers_in(types) in (1, width * width) else None

    return typed


def _numbers_in(types: Sequence[str]) -> int:
    """How many numbers these hold together; 0 where one of them is neither a number nor a vector."""
    widths = {**dict.fromkeys(NUMBERS, 1), **{v: int(v[-1]) for v in VECTORS}}
    return sum(widths[t] for t in types) if all(t in widths for t in types) else 0


_row("min", "min(a, b, ...)", "least of the values; a NaN after the first is passed over", _count(2, None, common),
     _int_or("min", min))
_row("max", "max(a, b, ...)", "greatest of the values; a NaN after the first is passed over", _count(2, None, common),
     _int_or("max", max))
_row("mod", "mod(a, b)", "floored remainder, with the sign of b", _count(2, 2, common),
     _int_or("mod", lambda a, b: a % b))
_row("pow", "pow(a, b)", "power, also written a ^ b", _count(2, 2, _real), power)
_row("atan2", "atan2(y, x)", "angle of the vector (x, y) in radians", _count(2, 2, _real),
     lambda g, a, b: apply(g, "atan2", a, b))
_row("hypot", "hypot(x, y)", "length of the vector (x, y)", _count(2, 2, _real),
     lambda g, a, b: apply(g, "sqrt", apply(g, "add", apply(g, "mul", a, a), apply(g, "mul", b, b))))
_row("clamp", "clamp(x, lo, hi)", "x held between lo and hi", _count(3, 3, _real), _clamp)
_row("mix", "mix(a, b, s)", "a + (b - a) * s", _count(3, 3, _real), _mix)
_row("step", "step(edge, x)", "0 where x < edge, else 1", _count(2, 2, _real), _step)
_row("smoothstep", "smoothstep(lo, hi, x)", "smooth ramp from 0 at lo to 1 at hi", _count(3, 3, _real), _smoothstep)
_row("length", "length(v)", "length of a vector",
     lambda t: "float" if len(t) == 1 and t[0] in VECTORS else None, length)
_row("dot", "dot(v, w)", "product of two vectors", _same_vectors, dot)
_row("cross", "cross(v, w)", "cross product: a number for vec2, a vector for vec3", _cross_type, _cross)
_row("normalize", "normalize(v)", "v divided by its length; NaN for the zero vector",
     lambda t: t[0] if len(t) == 1 and t[0] in VECTORS else None, _normalize)
_row("vec2", "vec2(x, y)", "a vector of two numbers; one number fills it", _vector_type(2), _vector(2))
_row("vec3", "vec3(x, y, z)", "a vector of three numbers, also out of vectors; one number fills it", _vector_type(3),
     _vector(3))
_row("vec4", "vec4(x, y, z, w)", "a vector of four numbers, also out of vectors; one number fills it", _vector_type(4),
     _vector(4))
_row("mat2", "mat2(v, w)", "a matrix of two columns, or of four numbers, column by column; one number stands on the "
     "diagonal", _matrix_type(2), _matrix(2))
_row("mat3", "mat3(u, v, w)", "a matrix of three columns, or of nine numbers, column by column; one number stands on "
     "the diagonal", _matrix_type(3), _matrix(3))
_row("transpose", "transpose(m)", "a matrix with its columns as rows",
     lambda t: t[0] if len(t) == 1 and t[0] in MATRICES else None,
     lambda g, m: Matrix(tuple(zip(*m.columns, strict=True))))
_row("where", "where(condition, a, b)", "a where the condition holds, else b",
     lambda t: _real(t[1:]) if len(t) == 3 and t[0] == "bool" else None, choose)
_row("signed", "signed(inside, magnitude)", "-magnitude inside, else magnitude, which is 0 where inside changes",
     lambda t: "float" if len(t) == 2 and t[0] == "bool" and t[1] in NUMBERS else None,
     lambda g, inside, magnitude: g.node("signed", inside, as_node(g, magnitude)))
_row("len", "len(array)", "number of values in an array",
     lambda t: "int" if len(t) == 1 and t[0].endswith("[]") else None, lambda g, a: len(a))



def _at(p: Value) -> tuple[Value, ...]:
    """A point of space; what is missing of it is 0."""
    return (*components(p), 0, 0)[:3]


def _hash(g: Graph, p: Value, k: Value = None) -> Node:
    first: Node = apply(g, "hash", *_at(p))
    # Its 24 bits are a whole number, and so another lattice point.
    return first if k is None else apply(g, "hash", apply(g, "mul", first, 2.0**24), k, 0)


def _hash_type(types: Sequence[str]) -> str | None:
    fits = len(types) in (1, 2) and types[0] in (*NUMBERS, *VECTORS) and all(t in NUMBERS for t in types[1:])
    return "float" if fits else None


_row("hash", "hash(p), hash(p, k)", "an even number in 0..1 of the lattice point below p; the k-th of several",
     _hash_type, _hash)
_row("noise", "noise(p)", "smooth noise in -1..1 with cells of size 1, 0 at whole points",
     lambda t: "float" if len(t) == 1 and t[0] in (*NUMBERS, *VECTORS) else None,
     lambda g, p: apply(g, "noise", *_at(p)))
_row("cells", "cells(p)", "distances to the nearest and second nearest of points scattered one a unit cell",
     lambda t: "vec2" if list(t) == ["vec3"] else None,
     lambda g, p: (g.node("cell_nearest", *p), g.node("cell_second", *p)))

# Random draws, inside the right-hand side of `~` only: `build` gets a function that makes the next
# uniform number in (0, 1). Each is a closed formula of a fixed count of those, so that draws can be counted and a
# value follows its bounds; this is why there is no beta or gamma distribution.
PRIORS: dict[str, Builtin] = {}


def _uniform(g: Graph, draw: Callable[[], Node], lo: Value, hi: Value) -> Value:
    return lift(g, lambda a, b: g.node("add", a, g.node("mul", g.node("sub", b, a), draw())), lo, hi)


def _normal(g: Graph, draw: Callable[[], Node], mean: Value, deviation: Value) -> Value:
    def one(m: Node, s: Node) -> Node:  # Box and Muller's transform of two uniform numbers
        radius = g.node("sqrt", g.node("mul", g.number(-2), g.node("log", draw())))
        angle = g.node("cos", g.node("mul", g.number(math.tau), draw()))
        return g.node("add", m, g.node("mul", s, g.node("mul", radius, angle)))

    return lift(g, one, mean, deviation)


def _log_uniform(g: Graph, draw: Callable[[], Node], lo: Value, hi: Value) -> Value:
    return apply(g, "exp", _uniform(g, draw, apply(g, "log", lo), apply(g, "log", hi)))


def _triangular(g: Graph, draw: Callable[[], Node], lo: Value, mode: Value, hi: Value) -> Value:
    def one(a: Node, m: Node, b: Node) -> Node:  # the inverse of the distribution, a parabola on each side
        u = draw()
        width, below, above = g.node("sub", b, a), g.node("sub", m, a), g.node("sub", b, m)
        from_lo = g.node("sqrt", g.node("mul", g.node("mul", u, width), below))
        from_hi = g.node("sqrt", g.node("mul", g.node("mul", g.node("sub", g.number(1), u), width), above))
        drawn = g.node("where", g.node("lt", g.node("mul", u, width), below), g.node("add", a, from_lo),
                       g.node("sub", b, from_hi))
        in_order = g.node("and", g.node("le", a, m), g.node("le", m, b))
        return g.node("where", in_order, drawn, g.number(math.nan))

    return lift(g, one, lo, mode, hi)


def _integer(g: Graph, draw: Callable[[], Node], lo: Value, hi: Value) -> Value:
    def one(a: Node, b: Node) -> Node:
        least, most = g.node("ceil", a), g.node("floor", b)
        count = g.node("add", g.node("sub", most, least), g.number(1))
        drawn = g.node("add", least, g.node("floor", g.node("mul", draw(), count)))
        return g.node("where", g.node("le", least, most), drawn, g.number(math.nan))

    return lift(g, one, lo, hi)


def _choice(g: Graph, draw: Callable[[], Node], *options: Value) -> Value:
    place, out = g.node("mul", draw(), g.number(len(options))), options[-1]
    for k in reversed(range(1, len(options))):
        out = choose(g, g.node("lt", place, g.number(k)), options[k - 1], out)
    return out


def _unit_vec2(g: Graph, draw: Callable[[], Node]) -> Value:
    angle = g.node("mul", g.number(math.tau), draw())
    return g.node("cos", angle), g.node("sin", angle)


def _unit_vec3(g: Graph, draw: Callable[[], Node]) -> Value:
    u = draw()  # Archimedes: on a sphere the height is even
    radius = g.node("mul", g.number(2), g.node("sqrt", g.node("mul", u, g.node("sub", g.number(1), u))))
    x, y = _unit_vec2(g, draw)
    height = g.node("sub", g.node("mul", g.number(2), u), g.number(1))
    return g.node("mul", radius, x), g.node("mul", radius, y), height


for _prior in (
    Builtin("uniform", "uniform(lo, hi)", "a number drawn evenly between lo and hi", _count(2, 2, _real), _uniform),
    Builtin("log_uniform", "log_uniform(lo, hi)",
            "a number whose logarithm is drawn evenly, so that 1 to 10 is as likely as 10 to 100; lo and hi above 0",
            _count(2, 2, _real), _log_uniform),
    Builtin("normal", "normal(mean, deviation)", "a number drawn from a normal distribution", _count(2, 2, _real),
            _normal),
    Builtin("triangular", "triangular(lo, mode, hi)",
            "a number between lo and hi, the more likely the nearer to mode; NaN unless lo <= mode <= hi",
            _count(3, 3, _real), _triangular),
    Builtin("integer", "integer(lo, hi)",
            "a whole number from lo to hi, both included, each equally likely; NaN where none lies between",
            _count(2, 2, _real), _integer),
    Builtin("choice", "choice(a, b, ...)", "one of the values, each equally likely: numbers, or vectors of one width",
            _count(2, None, _real), _choice),
    Builtin("unit_vec2", "unit_vec2()", "a vec2 of length 1, each direction equally likely",
            lambda t: None if t else "vec2", _unit_vec2),
    Builtin("unit_vec3", "unit_vec3()", "a vec3 of length 1, each direction equally likely",
            lambda t: None if t else "vec3", _unit_vec3),
):
    PRIORS[_prior.name] = _prior

# No declaration, quantity or loop variable may be called like these.
RESERVED = frozenset({"grid", "deepest", "field", *CONSTANTS, *PRIORS, *BUILTINS})
