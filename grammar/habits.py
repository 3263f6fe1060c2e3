"""What people write from habit, in the words of other languages, and what it is called here. Messages and the reference
read these tables; a row whose name the language comes to know has to go, as a test says."""

from __future__ import annotations

import re

from fdif_dsl.grammar.source import SourceFile

COMMENT = "a comment starts with `#`; `//` divides and rounds down"
CHOICE = "a choice is written `where(condition, a, b)`"
LOOP = "a loop is written `sum[i < n](...)`, or `name[i < n] = ...`"
QUANTITY = "a quantity is written `name = formula`, without a word or a type"
CONSTANT = "a file holds no values: name it inside the declaration, or write a function such as `fn size() = 3`"

_DRAW = "a random number is a quantity of the object: `name ~ uniform(a, b)`; one of a place is `hash(p)`"
_NO_MATRIX = "there are no matrices: write the sums out, or turn a point with `rotate` of `use std`"
FOUR = "vectors have two or three components: `vec2`, `vec3`"
_TRUTH = "truth values are `true` and `false`"
_NOTHING = "every name has a value: leave out what is not there"
_NOISE = "write `noise(p)`: in -1..1, with cells of size 1"
_HASH = "write `hash(p)`, a number in 0..1 of a lattice point; several of one are `hash(p, 0)`, `hash(p, 1)`, ..."
_CELLS = "write `cells(p)`: the distances to the nearest and the second nearest of scattered points"
_NO_INFINITY = "take a number that is large enough, such as `1e6`"

NAMES: dict[str, str] = {
    # Small functions
    **dict.fromkeys(("fract", "frac"), "write `x - floor(x)`; for `fract(sin(...) * 43758.5)` write `hash(p)`"),
    **dict.fromkeys(("trunc", "fix", "truncate"), "write `sign(x) * floor(abs(x))`"),
    "cbrt": "write `sign(x) * abs(x) ^ (1 / 3)`",
    **dict.fromkeys(("lerp", "linear_interpolate"), "write `mix(a, b, s)`"),
    "log2": "write `log(x) / log(2)`",
    "log10": "write `log(x) / log(10)`",
    "ln": "write `log(x)`",
    "log1p": "write `log(1 + x)`",
    "expm1": "write `exp(x) - 1`",
    "exp2": "write `2 ^ x`",
    "exp10": "write `10 ^ x`",
    "sinh": "write `(exp(x) - exp(-x)) / 2`",
    "cosh": "write `(exp(x) + exp(-x)) / 2`",
    "tanh": "write `1 - 2 / (exp(2 * x) + 1)`",
    **dict.fromkeys(("atan", "arctan", "atanf"), "write `atan2(x, 1)`; of two numbers, `atan2(y, x)`"),
    **dict.fromkeys(("arctan2", "atan2f"), "write `atan2(y, x)`"),
    **dict.fromkeys(("arcsin", "asinf"), "write `asin(x)`"),
    **dict.fromkeys(("arccos", "acosf"), "write `acos(x)`"),
    **dict.fromkeys(("degrees", "rad2deg", "degree"), "write `x * 180 / pi`"),
    **dict.fromkeys(("radians", "deg2rad", "radian"), "write `x * pi / 180`"),
    **dict.fromkeys(("fabs", "absolute", "fabsf", "Abs"), "write `abs(x)`"),
    **dict.fromkeys(("fmod", "rem", "remainder", "modf", "modulo"), "write `mod(a, b)`, which has the sign of `b`"),
    **dict.fromkeys(("saturate", "clamp01"), "write `clamp(x, 0, 1)`"),
    **dict.fromkeys(("clip", "constrain", "limit"), "write `clamp(x, lo, hi)`"),
    **dict.fromkeys(("mad", "fma"), "write `a * b + c`"),
    **dict.fromkeys(("rsqrt", "inversesqrt", "invsqrt"), "write `1 / sqrt(x)`"),
    **dict.fromkeys(("rcp", "reciprocal"), "write `1 / x`"),
    **dict.fromkeys(("sqr", "square", "sq"), "write `x ^ 2`"),
    **dict.fromkeys(("power", "powf", "powi"), "write `x ^ y`"),
    **dict.fromkeys(("sgn", "signum"), "write `sign(x)`"),
    **dict.fromkeys(("hypot", "hypotenuse"), "write `length(vec2(x, y))`"),
    **dict.fromkeys(("rint", "nearbyint", "around", "roundEven"), "write `round(x)`"),
    "ceiling": "write `ceil(x)`",
    **dict.fromkeys(("sqrtf", "squareroot"), "write `sqrt(x)`"),
    **dict.fromkeys(("maximum", "fmax", "fmaxf", "amax"), "write `max(a, b)`"),
    **dict.fromkeys(("minimum", "fmin", "fminf", "amin"), "write `min(a, b)`"),
    **dict.fromkeys(("smin", "smoothmin", "opSmoothUnion"), "write `smooth_union(a, b, k)`, of `use std`"),
    **dict.fromkeys(("smax", "smoothmax"), "write `smooth_intersection(a, b, k)`, of `use std`"),
    # Vectors
    **dict.fromkeys(("norm", "magnitude", "mag", "vlength"), "write `length(v)`"),
    **dict.fromkeys(("dist", "distance2"), "write `length(a - b)`"),
    **dict.fromkeys(("dot2", "length2", "lengthSqr"), "write `dot(v, v)`"),
    **dict.fromkeys(("normalized", "normalise", "unit"), "write `normalize(v)`"),
    "reflect": "write `v - 2 * dot(v, n) * n`",
    **dict.fromkeys(("float2", "Vector2", "ivec2"), "write `vec2(x, y)`"),
    **dict.fromkeys(("float3", "Vector3", "ivec3", "array", "point", "vector"), "write `vec3(x, y, z)`"),
    **dict.fromkeys(("vec4", "float4", "Vector4"), FOUR),
    **dict.fromkeys(("mat2", "mat3", "mat4", "matrix", "float3x3", "transpose", "inverse"), _NO_MATRIX),
    # Values
    **dict.fromkeys(("PI", "M_PI", "Pi"), "write `pi`"),
    **dict.fromkeys(("TAU", "TWO_PI", "M_2PI", "two_pi"), "write `tau`"),
    **dict.fromkeys(("e", "E", "M_E"), "write `exp(1)`"),
    **dict.fromkeys(("inf", "infinity", "Infinity", "INFINITY", "FLT_MAX"), _NO_INFINITY),
    **dict.fromkeys(("nan", "NaN", "NAN"), "a formula needs none where `max` or `clamp` keeps it defined"),
    **dict.fromkeys(("isnan", "isinf", "isfinite"), "`x == x` holds for every number but NaN"),
    **dict.fromkeys(("True", "False", "TRUE", "FALSE"), _TRUTH),
    **dict.fromkeys(("None", "null", "nil", "undefined", "undef"), _NOTHING),
    **dict.fromkeys(("self", "this"), "a name of the declaration stands alone: `radius`"),
    # Choices, loops, chance
    **dict.fromkeys(("ifelse", "iif", "select", "cond", "ternary"), CHOICE),
    **dict.fromkeys(("range", "arange", "linspace", "reduce", "sum", "any", "all", "prod"), LOOP),
    **dict.fromkeys(("rand", "random", "rands", "randn", "randint", "rnd", "choice"), _DRAW),
    **dict.fromkeys(("perlin", "snoise", "cnoise", "pnoise", "simplex", "noise3", "perlin_noise"), _NOISE),
    **dict.fromkeys(("worley", "voronoi", "cellular", "worley_noise"), _CELLS),
    **dict.fromkeys(("hash1", "hash2", "hash3", "hash11", "hash13", "hash31", "hash33"), _HASH),
    **dict.fromkeys(("fBm", "fbm3", "fractal_noise"), "write `fbm(p, octaves)`, of `use std`"),
    **dict.fromkeys(("print", "echo", "assert"), "a file is formulas only: `fdifc show` draws them"),
    **dict.fromkeys(("time", "iTime"), "nothing moves: a quantity such as `phase ~ uniform(0, tau)` takes its place"),
}
"""What to say of a name that is not known."""

POINTS: dict[str, str] = {
    **dict.fromkeys(("x", "y", "z"), "a shape's point is `p`: write `p.x`, `p.y`, `p.z`; a profile's is `q`"),
    **dict.fromkeys(("uv", "pos", "position", "coord"), "the point is `p` in a shape, `q` in a profile"),
}
"""The same, but for functions, which see no point."""

MODULES = frozenset({
    "math", "Math", "np", "numpy", "torch", "cmath", "scipy", "sp", "jnp", "jax", "tf", "glm", "THREE", "std", "random",
    "random_state", "rng", "cupy", "cp", "metal", "mathutils"})
"""Names in front of a point that are modules elsewhere."""

STATEMENTS: dict[str, str] = {
    "return": "the result of a function is a statement: `value = ...`",
    **dict.fromkeys(("for", "while"), LOOP),
    **dict.fromkeys(("if", "else", "elif", "then", "switch"), CHOICE),
    **dict.fromkeys(("let", "var", "const", "float", "int", "bool", "vec2", "vec3", "double", "uniform", "auto", "val",
                     "local"), QUANTITY),
}
"""What to say where a body has a word that starts a statement elsewhere."""

DECLARATIONS: dict[str, str] = {
    **dict.fromkeys(("def", "function", "func", "fun", "float", "lambda"), "a function is declared with `fn`"),
    **dict.fromkeys(("import", "from", "include", "using", "require"), "another file is brought in with `use name`"),
    **dict.fromkeys(("class", "struct", "solid", "object"), "a solid is declared with `shape`"),
    **dict.fromkeys(("const", "let", "var", "static", "uniform", "define"), CONSTANT),
}
"""The same between declarations."""

_ENDINGS = re.compile(r"[fFhHlLuUdD]{1,3}")


def name_hint(name: str, kind: str = "") -> str:
    """What an unknown name is called here, in a declaration of a kind; or nothing."""
    return NAMES.get(name) or (POINTS.get(name, "") if kind != "fn" else "")


def number_hint(number: str, ending: str) -> str:
    """What to write for a number that goes on in letters, such as `3.0f` and `0x10`."""
    whole = f"{number}{ending}"
    if re.fullmatch(r"0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO][0-7]+", whole):
        return f"numbers are decimal: write `{int(whole, 0)}`"
    if _ENDINGS.fullmatch(ending):
        return f"a number has no ending: write `{number}`"
    return f"write `{number} * {ending}`"


def after_slashes(file: SourceFile, offset: int) -> bool:
    """Whether `//` stands before this place on its line, as in front of what is a comment elsewhere."""
    return "//" in file.text[file.text.rfind("\n", 0, offset) + 1 : offset].partition("#")[0]
