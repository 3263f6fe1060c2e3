"""A file with mistakes: what is right in it is read as ever, and each mistake is told once."""

from __future__ import annotations

import dataclasses
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fdif_dsl.compiler.frontend.built_in import standard_files
from fdif_dsl.grammar import ast
from fdif_dsl.grammar.parse import MAX_CHARACTERS, SdfError, parse
from fdif_dsl.grammar.recover import MAX_TOLD, Reader, parse_whole
from fdif_dsl.grammar.source import SourceFile, Span

TEXTS = {path.stem: path.read_text("utf-8") for path in standard_files()}
MISTAKES = ["**", ")", "(", "{", "}", ";", "=", "shape", "fn ", "## x", "\n", "// ", "~", '"', "use", "é", " ", ""]


def dump(value: Any) -> Any:
    """A tree as plain data, with the places in it."""
    if isinstance(value, Span):
        return value.start, value.end, value.file.text
    if dataclasses.is_dataclass(value) and not isinstance(value, SourceFile):
        return type(value).__name__, [dump(getattr(value, f.name)) for f in dataclasses.fields(value)]
    return [dump(v) for v in value] if isinstance(value, tuple) else "" if isinstance(value, SourceFile) else value


@pytest.mark.parametrize("name", TEXTS)
def test_a_file_without_mistakes_is_read_as_the_parser_reads_it(name: str) -> None:
    file = SourceFile(name, TEXTS[name])
    reading = Reader().read(file)
    assert reading.mistakes == () and dump(reading.tree) == dump(parse(file))


def edited(text: str, rng: random.Random) -> str:
    at = rng.randrange(len(text) + 1)
    return text[:at] + rng.choice(MISTAKES) + text[at + rng.choice([0, 0, 1, 5]):]


@settings(deadline=None, derandomize=True, max_examples=12)
@given(st.integers(0, 2**32))
def test_a_file_that_changes_is_read_as_if_it_were_new(seed: int) -> None:
    rng = random.Random(seed)
    text = TEXTS[rng.choice(["solids", "mappers"])]
    reader = Reader()
    for _ in range(6):
        text = edited(text, rng)
        file = SourceFile("x", text)
        again, new = reader.read(file), Reader().read(file)
        assert dump(again.tree) == dump(new.tree) and again.mistakes == new.mistakes
        try:
            assert dump(again.tree) == dump(parse(file)) and again.mistakes == ()
        except SdfError as error:
            assert again.mistakes[0] == error.diagnostics[0]


def test_a_declaration_that_did_not_change_stays_the_same_node() -> None:
    reader = Reader()
    one, two = reader.read(SourceFile("x", "fn a(x) = 1\nfn b(x) = 2\n")).tree.decls
    again, other = reader.read(SourceFile("x", "fn a(x) = 1 + 1\n\nfn b(x) = 2\n")).tree.decls
    assert other is two and again is not one
    assert (other.span.start, other.name_span.text) == (17, "b")


def test_two_declarations_of_one_text_are_two() -> None:
    one, two = Reader().read(SourceFile("x", "fn a(x) = 1\nfn a(x) = 1\n")).tree.decls
    assert one is not two and (one.span.start, two.span.start) == (0, 12)


BROKEN = """\
fn good(x) = x

shape bad(size = 1) {
  ## Kept.
  first ~ uniform(1, 2)
  lost = max(first, 2
  third = first ** 2
  distance = length(p) - lost
}

shape no name { distance = 1 }

fn later(x) =
fn last(x) = x % 2
"""


def test_what_is_right_is_kept_and_every_mistake_is_told() -> None:
    reading = Reader().read(SourceFile("x", BROKEN))
    assert [(m.code, str(m.labels[0].span)) for m in reading.mistakes] == [
        ("E0107", "x:7:3"), ("E0107", "x:11:10"), ("E0107", "x:14:1"), ("E0101", "x:14:16")]
    good, bad, no, later, last = reading.tree.decls
    assert (good.broken, bad.broken, no.broken, later.broken, last.broken) == ("", "body", "head", "body", "body")
    assert [(s.name, isinstance(s.value, ast.Hole), s.doc) for s in bad.body or ()] == [
        ("first", False, "Kept."), ("lost", True, ""), ("third", True, ""), ("distance", False, "")]
    assert bad.params is not None and [p.name for p in bad.params] == ["size"]


def test_there_is_an_end_to_mistakes() -> None:
    mistakes = Reader().read(SourceFile("x", "shape a { distance = ; }\n" * 500)).mistakes
    assert len(mistakes) == MAX_TOLD
    with pytest.raises(SdfError) as told:
        parse_whole(SourceFile("x", "shape ; " * 500))
    assert 1 <= len(told.value.diagnostics) <= MAX_TOLD


@pytest.mark.parametrize("text", ["(" * 30000, "shape a {" * 5000, "fn " * 20000, "## a\n" * 10000, "é" * 60000,
                                  "x" * (MAX_CHARACTERS + 1), "\0\r\u2028" * 9000, '"' * 50000, "shape a = (\n" * 5000])
def test_nonsense_of_any_size(text: str) -> None:
    assert Reader().read(SourceFile("x", text)).mistakes
