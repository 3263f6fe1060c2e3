"""What people write from habit, in the words of other languages, and what it is called here. Messages and the reference
read these tables; a row whose name the language comes to know has to go, as a test says."""

from __future__ import annotations

import re

from fdif_dsl.grammar.source import SourceFile

COMMENT = "a comment starts with `#`; `//` divides and rounds down"
CHOICE = "a choice is written `where(condition, a, b)`"
SOME = "which rounds count is said with `when`: `sum[i < n when i < k](...)`"
WHEN = f"`when` stands in the bracket of a reduction, as in `sum[i < n when i < k](...)`; {CHOICE}"
ALL = "an array has all its values: say which count where it is reduced, as in `sum[i < n when i < k](a[i])`"
LOOP = "a loop is written `sum[i < n](...)`, `name[i < n] = ...` or, to carry a value, `fold[i < n] { ... }`"
WHILE = "rounds are counted: `fold[i < n] { x = start then where(done, x, next) }`"
FOLD = "rounds are written `fold[i < n] { name = start then next }`"
FOLD_STATEMENT = "a fold is a statement, `fold[i < n] { name = start then next }`; what it carries is known after it"
FOLD_INSIDE = "a fold stands in the body of a declaration"
THEN = "`then` stands in the statements of a fold: `fold[i < n] { name = start then next }`"
ONE_THEN = "a statement has one `then`: `name = start then next`"
QUANTITY = "a quantity is written `name = formula`, without a word or a type"
CONSTANT = "a constant of the file is written `const name = formula`"
CONSTANT_INSIDE = "a constant stands between declarations; inside one write `name = formula`"
CONSTANT_FORM = {
    "LPAR": "a constant has no parameters; a function is written `fn name(x) = formula`",
    "TILDE": "a constant is the same for all objects: write `=`, or draw a quantity inside a shape",
    **dict.fromkeys(("COLON", "LBRACE", "LSQB"), CONSTANT),
}
"""What to say of what follows the name of a constant in place of `=`."""

_DRAW = "a random number is a quantity of the object: `name ~ uniform(a, b)`; one of a place is `hash(p)`"
_WHOLE = "a random whole number is a quantity of the object: `name ~ integer(lo, hi)`, both ends included"
_CHOSEN = "a random choice is a quantity of the object: `name ~ choice(a, b)`"
_DIRECTION = "a random direction is a quantity of the object: `name ~ unit_vec3()`"
_NO_MATRIX = "matrices are `mat2` and `mat3`; what moves a point too is a sum, `m * p + v`"
_INVERSE = "the inverse of a rotation is `transpose(m)`; of others, write it out"
TOO_MANY = "vectors have two to four components: `vec2`, `vec3`, `vec4`"
_TRUTH = "truth values are `true` and `false`"
_NOTHING = "every name has a value: leave out what is not there"
_NOISE = "write `noise(p)`: in -1..1, with cells of size 1"
_HASH = "write `hash(p)`, a number in 0..1 of a lattice point; several of one are `hash(p, 0)`, `hash(p, 1)`, ..."
_CELLS = "write `cells(p)`: the distances to the nearest and the second nearest of scattered points"
_NO_INFINITY = "take a number that is large enough, such as `1e6`"

NAMES: dict[str, str] = {
    # Small functions
    "frac": "write `fract(x)`; for `fract(sin(...) * 43758.5)` write `hash(p)`",
    **dict.fromkeys(("fix", "truncate"), "write `trunc(x)`"),
    **dict.fromkeys(("cbrtf", "cubert", "cuberoot"), "write `cbrt(x)`"),
    **dict.fromkeys(("lerp", "linear_interpolate"), "write `mix(a, b, s)`"),
    "log10": "write `log(x) / log(10)`",
    "ln": "write `log(x)`",
    "log1p": "write `log(1 + x)`",
    "expm1": "write `exp(x) - 1`",
    "exp10": "write `10 ^ x`",
    **dict.fromkeys(("asinh", "arcsinh"), "write `sign(x) * log(abs(x) + sqrt(x ^ 2 + 1))`"),
    **dict.fromkeys(("acosh", "arccosh"), "write `log(x + sqrt(x ^ 2 - 1))`"),
    **dict.fromkeys(("atanh", "arctanh"), "write `log((1 + x) / (1 - x)) / 2`"),
    **dict.fromkeys(("arctan", "atanf"), "write `atan(x)`; of two numbers, `atan2(y, x)`"),
    **dict.fromkeys(("arctan2", "atan2f"), "write `atan2(y, x)`"),
    **dict.fromkeys(("arcsin", "asinf"), "write `asin(x)`"),
    **dict.fromkeys(("arccos", "acosf"), "write `acos(x)`"),
    **dict.fromkeys(("rad2deg", "degree"), "write `degrees(x)`"),
    **dict.fromkeys(("deg2rad", "radian"), "write `radians(x)`"),
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
    "hypotenuse": "write `hypot(x, y)`",
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
    **dict.fromkeys(("float4", "Vector4", "ivec4", "quaternion"), "write `vec4(x, y, z, w)`"),
    **dict.fromkeys(("float2x2", "Matrix2"), "write `mat2(v, w)`, column by column"),
    **dict.fromkeys(("float3x3", "Matrix3", "matrix"), "write `mat3(u, v, w)`, column by column"),
    **dict.fromkeys(("mat4", "float4x4", "Matrix4"), _NO_MATRIX),
    **dict.fromkeys(("inverse", "inv", "determinant", "det"), _INVERSE),
    **dict.fromkeys(("matmul", "mul"), "write `m * v`"),
    **dict.fromkeys(("quat_multiply", "qmul", "quatmul"), "write `quat_mul(a, b)`, of `use std`"),
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
    **dict.fromkeys(("range", "arange", "linspace", "reduce", "sum", "any", "all", "prod", "scan", "iterate"), LOOP),
    **dict.fromkeys(("rand", "random", "rands", "rnd"), _DRAW),
    **dict.fromkeys(("randint", "randrange", "rand_int", "randi", "uniform_int"), _WHOLE),
    **dict.fromkeys(("choose", "pick", "sample", "bernoulli", "categorical"), _CHOSEN),
    **dict.fromkeys(("unit_vector", "random_direction", "on_sphere", "random_unit_vector"), _DIRECTION),
    **dict.fromkeys(("randn", "gauss", "gaussian", "normalvariate"),
                    "a random quantity is `name ~ normal(mean, deviation)`"),
    **dict.fromkeys(("loguniform", "uniform_log"), "write `name ~ log_uniform(lo, hi)`"),
    **dict.fromkeys(("lognormal", "log_normal"), "write `name ~ exp(normal(mean, deviation))`"),
    "expovariate": "write `name ~ -log(uniform(0, 1)) * mean`",
    **dict.fromkeys(("beta", "betavariate", "kumaraswamy"),
                    "write `name ~ (1 - uniform(0, 1) ^ (1 / b)) ^ (1 / a)`, nearly the same (Kumaraswamy's), or "
                    "`triangular(lo, mode, hi)`"),
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
    "for": LOOP,
    **dict.fromkeys(("while", "loop", "do", "repeat"), WHILE),
    **dict.fromkeys(("if", "else", "elif", "switch"), CHOICE),
    **dict.fromkeys(("let", "var", "float", "int", "bool", "vec2", "vec3", "vec4", "mat2", "mat3", "double", "uniform",
                     "auto", "val", "local"), QUANTITY),
}
"""What to say where a body has a word that starts a statement elsewhere."""

DECLARATIONS: dict[str, str] = {
    **dict.fromkeys(("def", "function", "func", "fun", "float", "lambda"), "a function is declared with `fn`"),
    **dict.fromkeys(("import", "from", "include", "using", "require"), "another file is brought in with `use name`"),
    **dict.fromkeys(("class", "struct", "solid", "object"), "a solid is declared with `shape`"),
    **dict.fromkeys(("let", "var", "static", "uniform", "define", "constant"), CONSTANT),
}
"""The same between declarations."""

_ENDINGS = re.compile(r"[fFhHlLuUdD]{1,3}")


def name_hint(name: str, kind: str = "") -> str:
    """What an unknown name is called here, in a declaration of a kind; or nothing."""
    return NAMES.get(name) or (POINTS.get(name, "") if kind not in ("fn", "const") else "")


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
