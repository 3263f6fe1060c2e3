"""What people write from habit is answered with what it is called here: each row of the tables and the reference."""

from __future__ import annotations

import random
import re
from pathlib import Path

import numpy as np
import pytest

from fdif_dsl.compiler.frontend.builtins import BUILTINS, CONSTANTS, PRIORS, RESERVED
from fdif_dsl.compiler.frontend.diagnose import check_files
from fdif_dsl.compiler.library import load_library
from fdif_dsl.compiler.library.cautions import cautions
from fdif_dsl.grammar import habits
from fdif_dsl.grammar.diagnostics import Diagnostic

REFERENCE = Path(__file__).parents[2] / "docs" / "language.md"
STANDARD = Path(__file__).parents[2] / "shapes" / "std.sdf"


def mistakes(folder: Path, text: str) -> list[Diagnostic]:
    (folder / "case.sdf").write_text(text, encoding="utf-8")
    return check_files([folder / "case.sdf"])


def hint(folder: Path, text: str) -> str:
    (mistake,) = mistakes(folder, text)
    assert mistake.labels and mistake.labels[0].span.text
    return mistake.hint


def formula(text: str) -> str:
    return f"use std\nshape a {{\n  distance = {text}\n}}\n"


def body(*lines: str) -> str:
    return "\n".join(["shape a {", *lines, "  distance = length(p) - 3", "}", ""])


@pytest.mark.parametrize("name", sorted(habits.NAMES))
def test_a_name_of_another_language(name: str, tmp_path: Path) -> None:
    assert hint(tmp_path, formula(f"{name}(p.x, 2)")) == habits.NAMES[name]
    assert hint(tmp_path, formula(f"p.x + {name}")) == habits.NAMES[name]
    assert hint(tmp_path, f"fn f(a) = {name}(a)\n") == habits.NAMES[name]


def test_no_row_names_what_the_language_has() -> None:
    standard = set(re.findall(r"^fn (\w+)", STANDARD.read_text("utf-8"), re.MULTILINE))
    has = {*BUILTINS, *CONSTANTS, *PRIORS, *RESERVED, *standard} - {"sum", "any", "all"}  # these want a bracket
    assert not has & {*habits.NAMES, *habits.POINTS, *habits.MODULES}


# What a hint says to write gives what the name gives elsewhere.
MEANING = {
    "frac": lambda x: x - np.floor(x),
    "fix": np.trunc,
    "cuberoot": np.cbrt,
    "log10": lambda x: np.log10(np.abs(x)),
    "ln": lambda x: np.log(np.abs(x)),
    "asinh": np.arcsinh,
    "arctan": np.arctan,
    "rad2deg": np.degrees,
    "deg2rad": np.radians,
    "saturate": lambda x: np.clip(x, 0, 1),
    "rsqrt": lambda x: 1 / np.sqrt(np.abs(x)),
    "square": np.square,
    "rcp": np.reciprocal,
    "rint": np.rint,
    "expm1": np.expm1,
    "exp10": lambda x: 10.0**x,
    "log1p": lambda x: np.log1p(np.abs(x)),
}


@pytest.mark.parametrize("name", MEANING)
def test_what_a_hint_says_to_write_has_that_value(name: str, tmp_path: Path) -> None:
    written = re.search(r"`(.*?)`", habits.NAMES[name])
    assert written is not None
    inside = "abs(p.x)" if name in ("log10", "ln", "rsqrt", "log1p") else "p.x"
    (tmp_path / "own.sdf").write_text(formula(re.sub(r"\bx\b", inside, written[1])))
    points = np.array([[x, 0, 0] for x in (-3.7, -1.5, -0.25, 0.3, 0.9, 2.5, 4.2)])
    got = load_library(tmp_path / "own.sdf").shapes["a"].distance(points, backend="interpret")
    np.testing.assert_allclose(got, MEANING[name](points[:, 0]), rtol=1e-9)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("math.sin(p.x)", "write `sin(x)`"),
        ("np.sqrt(p.x)", "write `sqrt(x)`"),
        ("torch.clamp(p.x, 0, 1)", "write `clamp(x, lo, hi)`"),
        ("math.pi * p.x", "write `pi`"),
        ("np.linalg.norm(p)", habits.NAMES["norm"]),
        ("np.fabs(p.x)", habits.NAMES["fabs"]),
        ("np.sine(p.x)", "did you mean `sin`?"),
        ("math.zzzzz", "leave the module out"),
        ("length(p - (1, 2, 3))", "a vector is written `vec3(x, y, z)`"),
        ("length((p.x, abs(p.y)))", "a vector is written `vec2(x, y)`"),
        ("length((1, 2, 3, 4))", "a vector is written `vec4(x, y, z, w)`"),
        ("length((1, 2, 3, 4, 5))", habits.TOO_MANY),
        ("p.x * 30°", "angles are in radians: write `radians(x)`"),
        ("where(p.x > 0, 1)", "give the value for where it does not hold too: `where(condition, a, b)`"),
        ("3.0f + p.x", "a number has no ending: write `3.0`"),
        ("1e3F + p.x", "a number has no ending: write `1e3`"),
        ("0x10 + p.x", "numbers are decimal: write `16`"),
        ("0b101 + p.x", "numbers are decimal: write `5`"),
        ("2p.x", "write `2 * p`"),
        ("1_000 * p.x", "digits stand together, without `_`"),
        ("len(p)", "the length of a vector is `length(v)`; `len(array)` counts the values of an array"),
        ("max(p)", "the greatest component is `max(v.x, v.y, v.z)`"),
        ("min(p.xy)", "the least component is `min(v.x, v.y)`"),
        ("p.x ** 2", "a power is written `x ^ y`"),
        ("p.x % 3", "write `mod(a, b)`"),
        ("1 if p.x > 0 else 2", habits.CHOICE),
        ("if p.x > 0 then 1 else 2", habits.CHOICE),
        ("min[i < 3 if i > 1](p.x)", habits.SOME),
        ("sum[i < 3 where i > 1](p.x)", habits.SOME),
        ("sum[i < 3 and p.x > 0](p.x)", habits.SOME),
        ("any[i < 3, i > 1](p.x < i)", habits.SOME),
        ("max[i < 3 : i > 1](p.x)", habits.SOME),
        ("sum[i < 4 when i > 1 when p.x > 0](p.x)", "conditions are joined with `and`"),
        ("p.x when p.x > 0", habits.WHEN),
        ("random.choice(1, 2) * p.x", "write `name ~ choice(a, b, ...)`"),
        ("p.x > 0 ? 1 : 2", "write `where(condition, a, b)`"),
        ("where(0 < p.x < 1, 1, 2)", "comparisons do not chain: write `a < b and b < c`"),
        ("where(p.x > 0 && p.y > 0, 1, 2)", "write `and`"),
        ("where(p.x > 0 || p.y > 0, 1, 2)", "write `or`; for an absolute value write `abs(x)`"),
        ("where(!(p.x > 0), 1, 2)", 'write `not`, or `!=` for "differs from"'),
        ("p[0]", "components of a vector are `.x`, `.y`, `.z`"),
        ("p.x;", "statements need no end mark: delete it"),
        ("random()", habits.NAMES["random"]),
        ("uniform(1, 2) * p.x", "write it after `~`: `name ~ uniform(lo, hi)`"),
        ('"text"', "only `field(...)` takes a text, in double quotes"),
        ("2 × p.x", "write `*`"),
        ("p.x − 1", "write `-` (the plain hyphen)"),
        ("p.x – 1", "write `-` (the plain hyphen)"),
        ("p.x ÷ 2", "write `/`"),
        ("π * p.x", "write `pi`"),
        ("√(p.x)", "write `sqrt(x)`"),
        ("p.x + ３", "write `3` (the plain character)"),
        ("größe", "names are letters from a to z, digits and underscores"),
        ("PI * p.x", "write `pi`"),
        ("Sin(p.x)", "did you mean `sin`?"),
        ("x + 1", habits.POINTS["x"]),
        ("p.x // the width of it", habits.COMMENT),
        ("p.x // width", habits.COMMENT),
        ("/* wide */ p.x", habits.COMMENT),
        ("p.x /* wide */", habits.COMMENT),
        ("length(p) - 3 // [mm]", habits.COMMENT),
        ("p.x // größe", habits.COMMENT),
    ],
)
def test_a_habit_in_a_formula(text: str, wanted: str, tmp_path: Path) -> None:
    assert hint(tmp_path, formula(text)) == wanted


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("return length(p) - 3", habits.STATEMENTS["return"]),
        ("for i in range(3)", habits.LOOP),
        ("for (i = 0; i < 3; i++) {", habits.LOOP),
        ("while (true)", habits.WHILE),
        ("do {", habits.WHILE),
        ("if (p.x > 0) {", habits.CHOICE),
        ("float r = 3", habits.QUANTITY),
        ("let r = 3", habits.QUANTITY),
        ("const R = 3", habits.CONSTANT_INSIDE),
        ("r := 3", habits.QUANTITY),
        ("r: float = 3", habits.QUANTITY),
        ("r += 3", "a name keeps its value; give the new one a name of its own"),
        ("p.x = 3", "a component cannot be set; make a new vector, such as `v = vec2(x, y)`"),
        ("// a radius", habits.COMMENT),
        ("/* a radius */", habits.COMMENT),
        ("-- a radius", "a comment starts with `#`"),
    ],
)
def test_a_habit_in_a_body(line: str, wanted: str, tmp_path: Path) -> None:
    assert hint(tmp_path, body(f"  {line}")) == wanted
    assert hint(tmp_path, body("  k = 2", f"  {line}")) == wanted
    # Two statements on one line.
    if not line.startswith(("--", "//", "/*", "p.x")):
        assert hint(tmp_path, body(f"  k = 2 {line}")) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("R = 3\n", habits.CONSTANT),
        ("let R = 3\n", habits.CONSTANT),
        ("define R = 3\n", habits.CONSTANT),
        ("def f(x): return x\n", habits.DECLARATIONS["def"]),
        ("import std\n", habits.DECLARATIONS["import"]),
        ("class ball {}\n", habits.DECLARATIONS["class"]),
        ("/* shapes */\n", habits.COMMENT),
        ("// shapes\n", habits.COMMENT),
        ("shape ball: distance = p.x\n", "a body stands in braces, as in `shape ball { distance = ... }`"),
    ],
)
def test_a_habit_in_a_file(text: str, wanted: str, tmp_path: Path) -> None:
    assert hint(tmp_path, text) == wanted
    assert hint(tmp_path, f"{body()}{text}") == wanted


def test_numbers_that_a_comment_would_hide_are_pointed_out(tmp_path: Path) -> None:
    (tmp_path / "case.sdf").write_text(body("  r = 10 // 3", "  s = (7 // 2) * r"))
    (caution,) = cautions([tmp_path / "case.sdf"])
    assert (caution.code, caution.warning, caution.labels[0].span.text, caution.hint) == (
        "E0313",
        True,
        "10 // 3",
        habits.COMMENT,
    )


def test_names_anywhere_in_a_formula_keep_their_hint(tmp_path: Path) -> None:
    random_ = random.Random(7)
    frames = [
        "{} + 1",
        "sin({})",
        "where(p.x > {}, 1, 2)",
        "max(p.y, -{})",
        "vec2({}, 1).x",
        "2 * ({} ^ 2)",
        "[1, {}][0]",
    ]
    for _ in range(300):
        name, text = random_.choice(sorted(habits.NAMES)), "{}"
        for _ in range(random_.randint(1, 4)):
            text = text.format(random_.choice(frames))
        assert hint(tmp_path, formula(text.format(name))) == habits.NAMES[name], text


# The rows of the reference's table, each with a text and what is said of it; None where a rule speaks, not a habit.
ROWS = {
    "`x ** 2`": (formula("p.x ** 2"), "a power is written `x ^ y`"),
    "`x % 3`": (formula("p.x % 3"), "write `mod(a, b)`"),
    "`a if c else b`, `c ? a : b`": (formula("1 if p.x > 0 else 2"), habits.CHOICE),
    "`lo < x < hi`": (formula("where(0 < p.x < 1, 1, 2)"), "comparisons do not chain: write `a < b and b < c`"),
    "`&&`, <code>&#124;&#124;</code>, `!`": (formula("where(p.x > 0 && p.y > 0, 1, 2)"), "write `and`"),
    "`for i in range(n)`": (body("  for i in range(3)"), habits.LOOP),
    "`sum(f(i) for i in range(n) if i < k)`": (formula("sum(p.x for i in range(3) if i < 2)"), habits.LOOP),
    "`x = x + 1`": (body("  r = 1", "  r = r + 1"), None),
    "`p[0]`": (formula("p[0]"), "components of a vector are `.x`, `.y`, `.z`"),
    "`r[-1]`": (body("  r = [1, 2]", "  s = r[-1]"), None),
    "`(x, y)`": (formula("length((p.x, p.y))"), "a vector is written `vec2(x, y)`"),
    "`def f(x): return x`": ("def f(x): return x\n", habits.DECLARATIONS["def"]),
    "`return x`": (body("  return p.x"), habits.STATEMENTS["return"]),
    "`import std`": ("import std\n", habits.DECLARATIONS["import"]),
    "`math.pi`, `np.sin(x)`": (formula("np.sin(p.x)"), "write `sin(x)`"),
    "`random()`, `uniform(a, b)` in a formula": (formula("random()"), habits.NAMES["random"]),
    "`randint(a, b)`, `random.choice([a, b])`": (formula("randint(1, 2)"), habits.NAMES["randint"]),
    "`;` at the end of a statement": (body("  r = 3;"), "statements need no end mark: delete it"),
    '`"text"`': (formula('"text"'), "only `field(...)` takes a text, in double quotes"),
    "recursion": ("fn f(x) = f(x - 1)\n", None),
    "a loop until something holds": (body("  while (p.x > 0)"), habits.WHILE),
    "`// comment`, `/* comment */`": (formula("p.x // wide"), habits.COMMENT),
    "`let R = 3` in a file": ("let R = 3\n", habits.CONSTANT),
    "`3.0f`, `0x10`": (formula("3.0f * p.x"), "a number has no ending: write `3.0`"),
    "`frac(x)`, `lerp(a, b, s)`, `norm(v)`, ...": (formula("frac(p.x)"), habits.NAMES["frac"]),
    "`fract(sin(...) * 43758.5)`, `random(p)`, `snoise(p)`, `voronoi(p)`": (
        formula("snoise(p)"), habits.NAMES["snoise"]),
}


def test_every_row_of_the_reference_is_answered(tmp_path: Path) -> None:
    table = REFERENCE.read_text("utf-8").split("| habit | instead |")[1].split("\n\n")[0]
    rows = [re.split(r"(?<!\\)\|", row)[1].strip() for row in table.splitlines()[2:]]
    assert rows == [*ROWS]
    for row, (text, wanted) in ROWS.items():
        said = hint(tmp_path, text)
        assert said and wanted in (None, said), row
