"""What is right passes, with the right types. What is wrong is told in snapshots/check.txt."""

from __future__ import annotations

from pathlib import Path

import pytest

from fdif_dsl.compiler.frontend.built_in import standard_files
from fdif_dsl.compiler.frontend.check import MAX_TOLD, check
from fdif_dsl.compiler.frontend.check.scope import Program
from fdif_dsl.compiler.frontend.diagnose import check_files
from fdif_dsl.compiler.frontend.modules import Module, load_modules
from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.grammar.parse import parse
from fdif_dsl.grammar.source import SourceFile


def checked(text: str) -> Program:
    return check([Module(Path("test.sdf"), parse(SourceFile("test.sdf", text)), (), False)])


def codes(text: str) -> list[str]:
    try:
        checked(text)
    except FdifError as error:
        return [d.code for d in error.diagnostics]
    return []


@pytest.mark.parametrize(("formula", "expected"), [
    ("1", "int"), ("1.0", "float"), ("true", "bool"), ("x", "float"), ("n", "int"), ("pi", "float"), ("(v)", "vec2"),
    # whole numbers stay whole as long as they can be
    ("n + 1", "int"), ("n - n * 2", "int"), ("n // 2", "int"), ("-n", "int"), ("mod(n, 3)", "int"),
    ("min(n, 3)", "int"),
    ("n / 2", "float"), ("n ^ 2", "float"), ("n + x", "float"), ("min(n, x)", "float"), ("abs(n)", "float"),
    ("where(b, n, 1)", "float"), ("sum[i < n](i)", "float"), ("len(xs)", "int"), ("m", "int"),
    # vectors, and numbers with vectors
    ("v + v", "vec2"), ("v * 2", "vec2"), ("2 / w", "vec3"), ("v ^ x", "vec2"), ("-v", "vec2"), ("sin(w)", "vec3"),
    ("max(w, 0)", "vec3"), ("clamp(w, -w, w)", "vec3"), ("mix(v, v, x)", "vec2"), ("where(b, v, 0)", "vec2"),
    ("vec2(1, 2)", "vec2"), ("vec3(v, 1)", "vec3"), ("vec3(1, v)", "vec3"), ("dot(v, v)", "float"),
    ("length(w)", "float"),
    ("cross(v, v)", "float"), ("cross(w, w)", "vec3"), ("normalize(v)", "vec2"),
    ("w.x", "float"), ("w.xy", "vec2"), ("v.yxy", "vec3"), ("v.xx", "vec2"), ("w.zyx.xy.y", "float"),
    # truth
    ("x < 1", "bool"), ("n == 1", "bool"), ("b and not b or x != 1", "bool"), ("any[i < n](i < x)", "bool"),
    ("all[i < n](b)", "bool"),
    # arrays and reductions
    ("[1, 2]", "float[]"), ("[v, v]", "vec2[]"), ("[1, x]", "float[]"), ("xs[0]", "vec2"), ("[1, 2][n]", "float"),
    ("xs", "vec2[]"), ("min[i < n](xs[i])", "vec2"), ("sum[i < m](xs[i] * i)", "vec2"), ("max[i < 3](i)", "float"),
    ("sum[i < 2](sum[j < i](x))", "float"),
    ("g()", "float"), ("g(2)", "float"), ("g(y = 2)", "float"),
])
def test_the_type_of_a_formula(formula: str, expected: str) -> None:
    program = checked(f"fn f(x, n: int, b: bool, v: vec2, w: vec3, xs: vec2[m]) = {formula}\nfn g(y = 1) = y + 0.5")
    assert {d.name: kind for d, kind in program.value_types.items()}["f"] == expected


def test_what_varies_is_not_a_quantity() -> None:
    program = checked("""
profile disc { distance = length(q) - 3 }
shape s(section: profile, r = 1) {
  a = r * 2
  b ~ uniform(0, a)
  c = p * b
  e = c.x + 1
  part = disc
  inside = section(p.xy)
  depth = deepest(inside)
  k = grid.min * depth
  distance = e
}""")
    assert {s.name for s in program.varying if s.name != "distance"} == {"c", "e", "inside"}


@pytest.mark.parametrize("text", [
    "fn f(x) = g(x)\nfn g(x) = x",  # the order of declarations is free
    "shape a = b\nshape b { distance = 1 }",
    "fn f(x) { y = x + 1 value = y }",
    "shape s { sum = 3 any = sum distance = any }",  # a reduction is one with its bracket only
    "shape s { i = 3 a[i < 2] = i distance = i + a[0] }",  # a loop variable hides a name and gives it back
    "fn f(distance, offset) = distance + offset",
    "shape s(distance_ = 1) { distance = distance_ }",
    "profile p1(s: profile) = s\nprofile p2 = p1(p3)\nprofile p3 { distance = t }",
    "profile a { distance = q.x }\nshape s { part = a distance = part(p.xy) + part(p.xy, 0.5) + part(p.xy, t = 1) }",
    "profile a { d = deepest(length(q)) distance = d }",
    "fn f() = 1\nshape s { distance = f() }",
    "profile a(r = 1, k = r + 1) { distance = k }",
    "shape s { x ~ normal(0, 1) v ~ vec2(uniform(0, 1), 2) a[i < 3] ~ uniform(i, i + 1) distance = x }",
    "displacement none(amplitude: float) { offset = amplitude * p.x }\ndisplacement some = none(amplitude = 2)",
    "", "# nothing",
])
def test_what_is_right(text: str) -> None:
    assert codes(text) == []


def test_the_standard_library_is_right() -> None:
    assert check_files(standard_files()) == []


def test_own_names_win_over_used_ones(tmp_path: Path) -> None:
    (tmp_path / "part.sdf").write_text("fn grow(x: vec2) = x")
    (tmp_path / "case.sdf").write_text("use part\nfn grow(x) = x\nshape s { distance = grow(1) }")
    assert check_files([tmp_path / "case.sdf"]) == []


def test_a_file_beside_wins_over_the_standard_library(tmp_path: Path) -> None:
    (tmp_path / "std.sdf").write_text("fn mine(x) = x")
    (tmp_path / "case.sdf").write_text("use std\nshape s { distance = mine(1) }")
    assert check_files([tmp_path / "case.sdf"]) == []
    assert [m.standard for m in load_modules([tmp_path / "case.sdf"])] == [False, False]


def test_two_ways_to_one_file_bring_it_in_once(tmp_path: Path) -> None:
    (tmp_path / "base.sdf").write_text("fn f(x) = x")
    (tmp_path / "left.sdf").write_text("use base\nfn l(x) = f(x)")
    (tmp_path / "right.sdf").write_text("use base\nuse base\nfn r(x) = f(x)")
    (tmp_path / "case.sdf").write_text("use left\nuse right\nuse base\nshape s { distance = l(1) + r(1) + f(1) }")
    modules = load_modules([tmp_path / "case.sdf", tmp_path / "base.sdf"])
    assert [m.name for m in modules] == ["base", "left", "right", "case"]
    assert check_files([tmp_path / "case.sdf"]) == []


def test_a_mistake_in_a_shared_file_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "base.sdf").write_text("fn f(x) = y")
    for name in ("one", "two"):
        (tmp_path / f"{name}.sdf").write_text("use base\n")
    found = check_files([tmp_path / "one.sdf", tmp_path / "two.sdf"])
    assert {d.code for d in found} == {"E0234"}


def test_all_mistakes_are_told_up_to_a_number() -> None:
    for count in (1, MAX_TOLD, MAX_TOLD + 1, 10 * MAX_TOLD):
        text = "\n".join(f"fn f{i}() = missing{i}" for i in range(count))
        expected = ["E0234"] * min(count, MAX_TOLD) + ["E0205"] * (count > MAX_TOLD)
        assert codes(text) == expected
