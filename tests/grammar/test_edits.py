"""Hints that a program can follow: what they do to the text."""

from __future__ import annotations

from pathlib import Path

import pytest

from fdif_dsl.compiler.frontend.diagnose import check_files
from fdif_dsl.grammar import habits
from fdif_dsl.grammar.diagnostics import Diagnostic, error_at
from fdif_dsl.grammar.source import SourceFile


def told(text: str, folder: Path) -> list[Diagnostic]:
    (folder / "x.sdf").write_text(text, "utf-8")
    return check_files([folder / "x.sdf"])


@pytest.mark.parametrize(("before", "after"), [
    ("p.x ** 2", "p.x ^ 2"),
    ("p.x² - 3", "p.x^ 2 - 3"),
    ("3·p.x", "3*p.x"),
    ("2 × π", "2 * π"),
    ("2 * π", "2 * pi"),
    ("2*3π", "2*3 pi"),
    ("p.x;", "p.x"),
    ("where(p.x = 0, 1, 2)", "where(p.x == 0, 1, 2)"),
    ("where(p.x < 1 && p.y < 1, 1, 2)", "where(p.x < 1 and p.y < 1, 1, 2)"),
    ("where((p.x < 1)|(p.y < 1), 1, 2)", None),
    ("where((p.x < 1)||(p.y < 1), 1, 2)", "where((p.x < 1)or(p.y < 1), 1, 2)"),
    ("where(p.x<1&2<3, 1, 2)", "where(p.x<1 and 2<3, 1, 2)"),
    ("3.0f * p.x", "3.0 * p.x"),
    ("0x10", "16"),
    ("arctan2(p.y, p.x)", "atan2(p.y, p.x)"),
    ("np.sin(p.x)", "sin(p.x)"),
    ("2 * math.pi", "2 * pi"),
    ("fmod(p.x, 2)", "mod(p.x, 2)"),
    ("where(True, 1, 2)", "where(true, 1, 2)"),
    ("lenght(p)", "length(p)"),
    ("max(p.x, p.y", "max(p.x, p.y)"),
    ("p.x)", "p.x"),
    ("[1, 2)[0]", "[1, 2][0]"),
    ("p.x // a comment", "p.x # a comment"),
    ("p.x % 2", None),
    ("saturate(p.x)", None),
    ("rcp(p.x)", None),
    ("dot2(p)", None),
    ("p.x ? 1 : 2", None),
])
def test_the_edit_of_a_formula(before: str, after: str | None, tmp_path: Path) -> None:
    mistake = told(f"shape ball {{\n  distance = {before}\n}}\n", tmp_path)[0]
    got = mistake.edit and mistake.edit.applied()
    assert got == (after and f"shape ball {{\n  distance = {after}\n}}\n")


@pytest.mark.parametrize(("before", "after"), [
    ("shpae ball { distance = 1 }", "shape ball { distance = 1 }"),
    ("def f(x) = x", "fn f(x) = x"),
    ("class ball { distance = 1 }", "shape ball { distance = 1 }"),
    ("# Head.\n\nfn f(a) = rotate_z(a, 1)\n", None),
    ("# Head.\n\nfn f(a) = union(a, 1)\n", "use std\n\n# Head.\n\nfn f(a) = union(a, 1)\n"),
    ("use solids\nfn f(a) = union(a, 1)\n", "use solids\nuse std\nfn f(a) = union(a, 1)\n"),
    ("fn f(a) = a\nfn g(a) = f(b = a)\n", None),
    ("fn f(radius) = radius\nfn g(a) = f(raduis = a)\n", "fn f(radius) = radius\nfn g(a) = f(radius = a)\n"),
])
def test_the_edit_of_a_file(before: str, after: str | None, tmp_path: Path) -> None:
    mistake = told(before, tmp_path)[0]
    assert (mistake.edit and mistake.edit.applied()) == after


def test_an_edit_does_what_the_table_of_habits_says() -> None:
    file = SourceFile("x", "name(x)")
    edits = {name: error_at(file.span(0, 4), "E0234", "", hint=hint).edit for name, hint in habits.NAMES.items()}
    plain = {name: edit.text for name, edit in edits.items() if edit is not None}
    assert {"ln": "log", "fabs": "abs", "clip": "clamp", "PI": "pi", "norm": "length", "powf": None}.items() <= {
        **plain, "powf": plain.get("powf")}.items()
    # Each of them is a word that the hint names, and no hint with a choice or with numbers to fill in is among them.
    assert all(f"`{new}" in habits.NAMES[name] for name, new in plain.items()) and 20 < len(plain) < len(edits)


def test_the_json_form_has_the_edit(tmp_path: Path) -> None:
    first, = told("fn f(x) = x ** 2\n", tmp_path)
    assert first.to_dict()["edit"] == {
        "file": str(tmp_path / "x.sdf"), "line": 1, "column": 13, "end_line": 1, "end_column": 15, "replacement": "^"}
    assert "edit" not in Diagnostic("E0102", "too large").to_dict()
