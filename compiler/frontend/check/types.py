"""The kinds and types of the language, and how messages call them."""

from __future__ import annotations

from dataclasses import dataclass

from fdif_dsl.compiler.ir import formula
from fdif_dsl.grammar import ast

RESULTS = {**formula.RESULTS, "profile": "distance", "fn": "value"}
INPUTS = {
    "shape": {"p": "vec3"}, "profile": {"q": "vec2", "t": "float"}, "displacement": {"p": "vec3"},
    "mapper": {"d": "float", "p": "vec3", "w": "vec3"}, "fn": {}, "const": {},
}
WITH_GRID = ("shape", "profile", "displacement", "mapper")
GRID_FIELDS = {"min": "float", "size": "vec3", "limit": "vec3"}
PARAM_TYPES = ("int", "float", "bool", "vec2", "vec3", "vec4", "mat2", "mat3", "profile", "shape")
ARRAY_ITEMS = ("float", "vec2", "vec3", "vec4")
INSTANCES = ("shape", "profile", "displacement", "mapper")
UNKNOWN = "?"  # the type of what is wrong already: it fits everywhere, so one mistake is told once
_ARTICLE = {"int": "a whole number", "float": "a number", "bool": "a truth value"}


@dataclass(frozen=True)
class Typed:
    """What is known of an expression: its type and whether it differs from point to point."""

    type: str
    varies: bool = False


def param_type(param: ast.Param) -> str:
    """The type of a parameter: as written, or a number."""
    if param.type is None:
        return "float"
    return f"{param.type.name}[]" if param.type.length else param.type.name


def fits(got: str, wanted: str) -> bool:
    """Whether a value of one type may stand where another is wanted."""
    return got == wanted or UNKNOWN in (got, wanted) or (got == "int" and wanted == "float")


def say(kind: str) -> str:
    """What to call a type in a message."""
    if kind.endswith("[]"):
        return f"an array of {kind[:-2]}"
    return _ARTICLE.get(kind, f"a {kind}")


def kind_of(decl: ast.Decl) -> str:
    """What to call a declaration in a message."""
    return {"fn": "a function", "const": "a constant"}.get(decl.kind, f"a {decl.kind}")


def operand_hint(*types: str) -> str:
    """A hint how values of these types come to fit where numbers or vectors are wanted."""
    if "bool" in types:
        return "`where(condition, 1, 0)` makes a number of a truth value"
    if any(t in INSTANCES for t in types):
        return "evaluate the part at a point first, as in `part(p)`"
    if any(t.endswith("[]") for t in types):
        return "take one value, as in `a[0]`, or reduce them, as in `sum[i < n](a[i])`"
    if any(t.startswith("mat") for t in types):
        return "take a column, as in `m[0]`, or transform a vector, as in `m * v`"
    return vector_hint(*types)


def vector_hint(*types: str) -> str:
    """A hint where vectors of two widths meet."""
    narrow, *wide = sorted({t for t in types if t.startswith("vec")}) or [""]
    if wide:
        letters, zeros = "xyzw"[: int(narrow[-1])], ", 0" * (int(wide[-1][-1]) - int(narrow[-1]))
        return f"`.{letters}` makes a {narrow} of a {wide[-1]}; `{wide[-1]}(v{zeros})` makes a {wide[-1]} of a {narrow}"
    return ""
