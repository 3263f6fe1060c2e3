"""The server's own logic, without the protocol's streams: edits at random, and places as the protocol counts them."""

from __future__ import annotations

import random
import runpy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("pygls")
from lsprotocol import types as lsp

from fdif_dsl.compiler.frontend.built_in import standard_files
from fdif_dsl.compiler.frontend.builtins import BUILTINS, PRIORS
from fdif_dsl.compiler.frontend.diagnose import check_files
from fdif_dsl.grammar.parse import keywords, starters
from fdif_dsl.runtime.editor import describe, mistakes, navigation, tokens
from fdif_dsl.runtime.editor.completion import Completion
from fdif_dsl.runtime.editor.positions import Lines
from fdif_dsl.runtime.editor.server import Editor

TEXTS = {path.name: path.read_text("utf-8") for path in standard_files() if path.stem in ("solids", "mappers", "std")}
TYPED = [*"()[]{}=~.,:+-*/^<>#\" \n\t;é😀0", "**", "##", "shape ", "fn f(x) = ", "use std\n", "distance", "p.x",
         "min[i < 3](", "\r\n", "\0", "\u2028", "uniform(", "2.5"]


def an_editor(folder: Path, texts: dict[str, str]) -> Editor:
    editor = Editor()
    for name, text in texts.items():
        editor.project.put(folder / name, text)
    return editor


def ask_everything(editor: Editor, path: Path, offset: int) -> None:
    """Every question of the protocol, at one place."""
    editor.changed()
    analysis, names, lines = editor.analysis, editor.names, editor.lines(path)
    module = analysis.modules[path]
    for file in analysis.own:
        editor.diagnostics(file)
    one = names.at(module, offset)
    if one is not None:
        describe.markdown(one.symbol, analysis.program, editor.notes)
        list(navigation.uses(one.symbol, analysis, names))
        if not navigation.refusal(one.symbol, analysis):
            navigation.bad_name(one.symbol, "fresh", analysis, names)
    asked = Completion(analysis, names, path, offset, True, editor.known(path))
    asked.items()
    asked.signatures()
    tokens.tokens(module.tree.file.text, lines, names.of(module))
    navigation.document_symbols(module.tree, lines)
    navigation.lenses(module.tree, lines, "")
    mistakes.actions(editor.told(path), lines.range(0, len(lines.text)), analysis, lines, editor.uris, "")


def unroll(editor: Editor) -> None:
    analysis = editor.analysis
    editor.found([editor.elaboration.of(analysis.program, *one) for one in analysis.closed()],
                 {path: editor.elaboration.divided(analysis.modules[path].tree.file)
                  for path in analysis.own if not analysis.mistakes[path]})


def edit_at_random(folder: Path, edits: int, every: int) -> None:
    """Edits of a library of several files; what the reading of a file gives is looked at after each, and every
    question is asked after some."""
    rng = random.Random(7)
    texts = dict(TEXTS)
    editor = an_editor(folder, texts)
    for i in range(edits):
        name = rng.choice(list(texts))
        text = texts[name]
        at = rng.randrange(len(text) + 1)
        texts[name] = text[:at] + rng.choice(TYPED) + text[at + rng.choice([0, 0, 0, 1, 1, 8]):]
        if i % 40 == 39:
            texts[name] = TEXTS[name]  # or else nothing would be right any more
        path = (folder / name).resolve()
        editor.project.put(path, texts[name])
        editor.project.document(path).read(name)
        if i % every == 0:
            ask_everything(editor, path, min(at, len(texts[name])))
        if i % (4 * every) == 0:
            unroll(editor)


def test_edits_at_random(tmp_path: Path) -> None:
    edit_at_random(tmp_path, 300, 10)


@pytest.mark.long  # each edit is read, and after each tenth every question is asked: minutes
def test_ten_thousand_edits_at_random(tmp_path: Path) -> None:
    edit_at_random(tmp_path, 10_000, 10)


def test_the_editor_says_what_the_command_says(tmp_path: Path) -> None:
    cases = runpy.run_path(str(Path(__file__).parents[2] / "test_diagnostics.py"))["CASES"]
    for i, (_, case) in enumerate(cases):
        if case.title.startswith("a chain") or i % 4:  # a quarter of them: the others are alike
            continue
        folder = tmp_path / str(i)
        folder.mkdir()
        case.write_files(folder)
        if not (folder / "case.sdf").is_file():
            continue
        said = [(d.code, d.title) for d in check_files([folder / "case.sdf"])]
        editor = Editor()
        editor.project.folders = [folder]
        own = editor.analysis.own
        unroll(editor)
        found = {(d.code, d.title) for path in {*own, *editor.analysis.mistakes} for d in editor.told(path)}
        codes = {code for code, _ in said} - {"E0205", "E0302", "E0310"}
        assert codes <= {code for code, _ in found} or "E0203" in codes, case.title


@given(st.text(alphabet=st.sampled_from("ab\n\ré😀ß\u2028 ")), st.integers(0, 40))
@settings(deadline=None, derandomize=True)
def test_places_go_there_and_back(text: str, offset: int) -> None:
    lines = Lines(text)
    offset = min(offset, len(text))
    place = lines.position(offset)
    before = text[:offset].replace("\r\n", "\n").replace("\r", "\n")
    if text[offset - 1 : offset + 1] != "\r\n":  # a place inside of a line end is none of the protocol's
        assert place.line == before.count("\n")
        assert place.character == len(before[before.rfind("\n") + 1 :].encode("utf-16-le")) // 2
        assert lines.offset(place) == offset
    assert lines.offset(lsp.Position(10**6, 0)) == len(text)


def test_words_come_from_the_tables_of_the_language(tmp_path: Path) -> None:
    """A new word, kind, function or draw is offered and coloured without a change here."""
    text = "shape a {\n  r ~ \n}\n\n"
    path = (tmp_path / "a.sdf").resolve()
    editor = an_editor(tmp_path, {"a.sdf": text})

    def offered(offset: int) -> set[str]:
        return {item.label for item in Completion(
            editor.analysis, editor.names, path, offset, False, editor.known(path)).items()}

    assert offered(len(text)) == starters()
    inside = offered(text.index("~ ") + 2)
    assert {*BUILTINS, *PRIORS, "true", "false", "and", "or", "not"} <= inside
    assert starters() | starters("fn f() {") | starters("fn f() = ") | starters("fn f() = 0 ") <= keywords()
    words = " ".join(sorted(keywords()))
    data: Any = tokens.tokens(words, Lines(words), []).data
    assert len(data) == 5 * len(keywords()) and {*data[3::5]} == {tokens.TYPES.index("keyword")}


def test_only_what_changed_is_unrolled_again(tmp_path: Path) -> None:
    text = "fn half(x) = x / 2\nshape a { distance = half(p.x) }\nshape b { distance = p.y }\n"
    path = (tmp_path / "a.sdf").resolve()
    editor = an_editor(tmp_path, {"a.sdf": text})

    def elaborated() -> list[Any]:
        editor.changed()
        return [editor.elaboration.of(editor.analysis.program, *one) for one in editor.analysis.closed()]

    first = elaborated()
    editor.project.put(path, "\n# A line more.\n" + text.replace("x / 2", "x / 3"))
    second = elaborated()
    assert second[1] is first[1] and second[0] is not first[0]


def test_mistakes_of_constants_that_nobody_uses(tmp_path: Path) -> None:
    """They show only when a constant is computed; one that is used tells its mistake once."""
    (tmp_path / "other.sdf").write_text("const away = [1][1]\n")
    text = """use other
const short = [1, 2]
const alone = short[5]
const used = short[2]
const fine = 3
shape a { distance = p.x - used - fine }
shape b { distance = p.y - used }
"""
    path = (tmp_path / "a.sdf").resolve()
    editor = an_editor(tmp_path, {"a.sdf": text})
    editor.changed()
    unroll(editor)
    assert sorted((d.code, d.labels[0].span.text) for d in editor.told(path)) == [
        ("E0307", "2"), ("E0307", "5")]


def test_an_input_is_that_of_its_kind(tmp_path: Path) -> None:
    text = "displacement a { offset = p.x }\nshape b { distance = p.x }\n"
    path = (tmp_path / "a.sdf").resolve()
    editor = an_editor(tmp_path, {"a.sdf": text})
    module = editor.analysis.modules[path]
    told = [describe.doc(one.symbol) for one in editor.names.of(module) if one.span.text == "p"]
    assert [words.split(",")[0] for words in told] == ["the point in the world", "the point"]
