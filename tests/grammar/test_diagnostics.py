"""Diagnostics as values: their text form, their JSON form, and what keeps both readable."""

from __future__ import annotations

import json
import pickle

import pytest

from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError, did_you_mean, error_at, printable, quote
from fdif_dsl.grammar.parse import SdfError, parse
from fdif_dsl.grammar.source import SourceFile, Span

FILE = SourceFile("part.sdf", "shape ball {\n\tdistance = raduis\n}\n")


def at(word: str, file: SourceFile = FILE) -> Span:
    start = file.text.index(word)
    return Span(file, start, start + len(word))


FULL = error_at(at("raduis"), "E0999", "a title", "a label", "a reason", "a hint",
                [(at("ball"), "a note"), (at("{"), "")])


def test_text_form() -> None:
    assert FULL.render() == """\
error[E0999]: a title
  --> part.sdf:2:13
  |
2 |  distance = raduis
  |             ^^^^^^ a label
  note: part.sdf:1:7
  |
1 | shape ball {
  |       ^^^^ a note
  note: part.sdf:1:12
  |
1 | shape ball {
  |            ^
  why: a reason
  hint: a hint"""


def test_json_form() -> None:
    assert json.loads(json.dumps(FULL.to_dict())) == {
        "code": "E0999", "title": "a title", "where": "", "why": "a reason", "hint": "a hint",
        "labels": [
            {"file": "part.sdf", "line": 2, "column": 13, "end_line": 2, "end_column": 19, "text": "a label"},
            {"file": "part.sdf", "line": 1, "column": 7, "end_line": 1, "end_column": 11, "text": "a note"},
            {"file": "part.sdf", "line": 1, "column": 12, "end_line": 1, "end_column": 13, "text": ""},
        ]}


def test_a_mistake_outside_of_a_text_has_a_place_in_words() -> None:
    diagnostic = Diagnostic("E0999", "a title", where="scene.json: objects[3]")
    assert diagnostic.render() == "error[E0999]: a title\n  --> scene.json: objects[3]"
    assert diagnostic.to_dict()["labels"] == [] and diagnostic.to_dict()["where"] == "scene.json: objects[3]"


def test_an_error_of_several_diagnostics_tells_all_and_travels() -> None:
    error = FdifError(FULL, Diagnostic("E0998", "another"))
    assert str(error) == f"{FULL.render()}\n\nerror[E0998]: another"
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is FdifError and str(again) == str(error)


def test_a_span_over_several_lines_is_marked_to_the_end_of_the_first() -> None:
    span = Span(FILE, 0, len(FILE.text))
    assert error_at(span, "E0999", "t").render().splitlines()[-1] == "  | ^^^^^^^^^^^^"
    label = error_at(span, "E0999", "t").to_dict()["labels"][0]
    assert (label["line"], label["end_line"], label["end_column"]) == (1, 4, 1)


def test_a_span_at_the_end_of_the_file() -> None:
    end = len(FILE.text)
    assert error_at(Span(FILE, end, end), "E0999", "t", "here").render().splitlines()[1:] == [
        "  --> part.sdf:4:1", "  |", "4 | ", "  | ^ here"]


@pytest.mark.parametrize("position", [0, 40, 99, 100, 5_000, 9_990, 9_999])
def test_a_long_line_is_shown_around_the_caret(position: int) -> None:
    text = "".join(chr(ord("a") + i % 26) for i in range(10_000))
    span = Span(SourceFile("f", text), position, position + 5)
    source, caret = error_at(span, "E0999", "t").render().splitlines()[-2:]
    marked = [c for c, mark in zip(source.ljust(len(caret)), caret, strict=False) if mark == "^"]
    assert "".join(marked) == text[position : position + 5]
    assert len(source) < 120


def test_a_file_cannot_drive_the_terminal() -> None:
    file = SourceFile("bad\x1b[2J.sdf", "a \x1b[31m\x07\u202e b")
    text = error_at(Span(file, 0, 1), "E0999", "title \x1b[0m", "label", "why \x9b", "hint \r").render()
    assert all(c.isprintable() or c == "\n" for c in text)
    assert "bad\\x1b[2J.sdf" in text and "title \\x1b[0m" in text


def test_printable_leaves_text_alone() -> None:
    assert printable("größe ≤ 3\nnext") == "größe ≤ 3\nnext"
    assert printable("\x00\t\u202e") == "\\x00\\x09\\x202e"


def test_quote_shortens() -> None:
    assert quote("radius") == "`radius`"
    assert quote("r" * 1000) == f"`{'r' * 37}...`"


def test_did_you_mean() -> None:
    assert did_you_mean("raduis", ["height", "radius"]) == "did you mean `radius`?"
    assert did_you_mean("wobble", ["height", "radius"]) == ""
    assert did_you_mean("r" * 100_000, ["radius"]) == ""


@pytest.mark.parametrize(("offset", "place"), [(0, (1, 1)), (1, (1, 2)), (2, (2, 1)), (4, (2, 3)), (5, (3, 1))])
def test_lines_and_columns_count_from_one(offset: int, place: tuple[int, int]) -> None:
    assert SourceFile("f", "a\nbc\n").line_column(offset) == place


def test_a_line_has_no_end() -> None:
    file = SourceFile("f", "a\r\nbc\n")
    assert [file.line_text(i) for i in (1, 2, 3)] == ["a", "bc", ""]


def test_a_syntax_error_is_a_value() -> None:
    with pytest.raises(SdfError) as caught:
        parse(SourceFile("part.sdf", "shape ball {"))
    [diagnostic] = caught.value.diagnostics
    assert (diagnostic.code, diagnostic.labels[0].span.text) == ("E0108", "{")
