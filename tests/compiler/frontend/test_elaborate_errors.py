"""The limits of elaboration, exactly; its messages are told in snapshots/elaborate.txt."""

from __future__ import annotations

from pathlib import Path

import pytest

from fdif_dsl.compiler.frontend.check import MAX_TOLD, check
from fdif_dsl.compiler.frontend.elaborate import MAX_CALLS, MAX_ITEMS, elaborate
from fdif_dsl.compiler.frontend.modules import Module
from fdif_dsl.compiler.ir.formula import Formula
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError
from fdif_dsl.grammar.parse import parse
from fdif_dsl.grammar.source import SourceFile


def formulas(text: str) -> list[Formula]:
    return elaborate(check([Module(Path("test.sdf"), parse(SourceFile("test.sdf", text)), (), False)]))


def mistakes(text: str) -> list[Diagnostic]:
    with pytest.raises(FdifError) as caught:
        formulas(text)
    return list(caught.value.diagnostics)


def code(formula: str, head: str = "") -> str | None:
    try:
        formulas(f"{head}\nshape ball {{ distance = {formula} }}")
    except FdifError as error:
        [diagnostic] = error.diagnostics
        return diagnostic.code
    return None


@pytest.mark.parametrize(("formula", "expected"), [
    (f"sum[i < {MAX_ITEMS}](1)", None), (f"sum[i < {MAX_ITEMS + 1}](1)", "E0301"),
    ("sum[i < 0](1)", None), ("sum[i < -1](1)", "E0301"),
    ("all[i < 0](false) and any[i < 0](true)", "E0226"),
    ("where(all[i < 0](false) and not any[i < 0](true), 1, 2)", None),
    ("max[i < 0](1)", "E0308"), ("max[i < 1](1)", None),
    ("[1, 2][0] + [1, 2][1]", None), ("[1, 2][2]", "E0307"), ("[1, 2][-1]", "E0307"),
    ("2147483647 + 0", None), ("2147483647 + 1", "E0306"), ("-2147483647 - 1", "E0306"), ("46341 * 46341", "E0306"),
    ("2147483647 + 1.0", None), ("2147483647 / 0", None),
    ("7 // 0", "E0303"), ("mod(7, 0)", "E0303"), ("mod(7.0, 0)", None),
    ("[1][7 // -8 + 1]", None), ("[1][mod(-8, 7) - 6]", None),  # both round down, as in mathematics
])
def test_limits(formula: str, expected: str | None) -> None:
    assert code(formula) == expected


def test_the_depth_of_calls() -> None:
    lines = ["fn f1(x) = x", *(f"fn f{i}(x) = f{i - 1}(x)" for i in range(2, MAX_CALLS + 2))]
    for head in (lines, lines[::-1]):
        assert code(f"f{MAX_CALLS}(p.x)", "\n".join(head)) is None
        assert code(f"f{MAX_CALLS + 1}(p.x)", "\n".join(head)) == "E0304"


def test_calls_beside_each_other_do_not_nest() -> None:
    inside = "p.x"
    for _ in range(MAX_CALLS + 10):
        inside = f"f({inside})"
    assert code(inside, "fn f(x) = x + 1") is None


def test_each_declaration_tells_its_mistake_and_a_shared_one_is_told_once() -> None:
    shared = "profile bad { distance = [1][2] }\nshape tube(s: profile) { distance = s(p.xy) }\n"
    found = mistakes(shared + "shape a = tube(bad)\nshape b = tube(bad)\nshape c { distance = 1 // 0 }")
    assert [d.code for d in found] == ["E0307", "E0303"]


def test_mistakes_are_cut_short() -> None:
    text = "\n".join(f"shape s{i} {{ distance = 1 // 0 }}" for i in range(3 * MAX_TOLD))
    assert [d.code for d in mistakes(text)] == ["E0303"] * MAX_TOLD + ["E0205"]


def test_what_grows_without_end_is_told_alone() -> None:
    grows = "sum[i < 4096](sum[j < 4096](p.x * i * j))"
    found = mistakes("\n".join(f"shape s{i} {{ distance = {grows} }}" for i in range(5)))
    assert [(d.code, d.labels[0].span.text) for d in found] == [("E0302", "s0")]


def test_the_line_that_gave_the_argument_is_to_blame() -> None:
    """However the part travels, the place is where its arguments were written."""
    [found] = mistakes("""
profile ring(n: int) { distance = min[i < n](length(q) - i) }
profile changed(section: profile) { distance = section(q) }
shape tube(section: profile) { distance = section(p.xy) }
profile none = ring(0)
shape wrong = tube(changed(none))
""")
    assert [label.span.text for label in found.labels] == ["n", "ring(0)"]
