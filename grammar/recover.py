"""Reading a file that has mistakes: what is right in it, and every mistake, not the first alone.

A file is cut into pieces, one for each declaration or `use`, and each piece is read on its own. The cuts are where a
declaration starts outside of all brackets; inside of brackets that were never closed, where one starts a line. Of a
piece that the grammar does not allow, its statements are tried one by one. A piece that was read is kept for the next
reading, as an editor reads a file again after each key press: its nodes stay the same ones, its places move with it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache

from fdif_dsl.grammar import ast
from fdif_dsl.grammar.diagnostics import Diagnostic
from fdif_dsl.grammar.parse import MAX_CHARACTERS, TOO_DEEP, SdfError, keywords, parse, starters, too_large
from fdif_dsl.grammar.source import SourceFile, Span

MAX_TOLD = 20  # mistakes of one file; who made more mends these first
_MAX_BROKEN = 50  # declarations with mistakes; what follows is not read

WORDS = re.compile(r'#[^\n]*|"[^"\n]*"|[A-Za-z][A-Za-z0-9_]*|[^\s]')
_WORDS_AND_LINES = re.compile(rf"{WORDS.pattern}|\n")
_NAME = re.compile(r'\s*([A-Za-z][A-Za-z0-9_]*|"[^"\n]*")')
_OPEN, _CLOSE = frozenset("([{"), frozenset(")]}")


@dataclass(frozen=True)
class Reading:
    """What a file says as far as it could be read, and what is wrong with the rest."""

    tree: ast.Module
    mistakes: tuple[Diagnostic, ...]


def parse_whole(file: SourceFile) -> ast.Module:
    """The syntax tree of a file.

    Raises:
        SdfError: with every mistake that could be told from what follows of another one, the first 20 of them.
    """
    try:
        return parse(file)
    except SdfError:
        reading = Reader().read(file)
        raise SdfError(*reading.mistakes) from None


@dataclass(eq=False)
class _Piece:
    """A part of a file that was read on its own, and where it lies now."""

    file: SourceFile
    start: int
    tree: ast.Module = field(init=False)


class _Moving(Span):
    """A place in a piece. It says where that is in the file as it is now."""

    def __init__(self, piece: _Piece, start: int, end: int) -> None:
        for name, value in (("piece", piece), ("first", start), ("last", end)):
            object.__setattr__(self, name, value)

    piece: _Piece
    first: int
    last: int

    @property
    def file(self) -> SourceFile:  # type: ignore[override]
        return self.piece.file

    @property
    def start(self) -> int:  # type: ignore[override]
        return self.piece.start + self.first

    @property
    def end(self) -> int:  # type: ignore[override]
        return self.piece.start + self.last


@dataclass(frozen=True, eq=False)
class _PieceText(SourceFile):
    """The text of a piece; places in it move with the piece."""

    piece: _Piece

    def span(self, start: int, end: int) -> Span:
        return _Moving(self.piece, start, end)


class Reader:
    """Reads one file, again and again as it changes."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], _Piece] = {}

    def read(self, file: SourceFile) -> Reading:
        """What is right in the file, and what is wrong."""
        if len(file.text) > MAX_CHARACTERS:
            return Reading(_unknown(file), (too_large(file.name, f"{len(file.text)} characters"),))
        cuts = _cuts(file.text)
        seen: Counter[str] = Counter()
        known: dict[tuple[str, int], _Piece] = {}
        trees: list[ast.Module] = []
        mistakes: list[Diagnostic] = []
        broken = 0
        for start, end in zip(cuts, [*cuts[1:], len(file.text)], strict=True):
            text = file.text[start:end].rstrip()  # so that a line more below moves nothing
            key = text, seen[text]
            seen[text] += 1
            piece = self._known.get(key) or _read_piece(file, text)
            if piece is not None:
                piece.file, piece.start = file, start
                known[key] = piece
                trees.append(piece.tree)
            else:
                broken += 1
                if broken > _MAX_BROKEN:
                    trees.append(_unknown(file))
                    break
                tree, told = _mend(file, start, end)
                trees.append(tree)
                mistakes += [m for m in told if m not in mistakes]
        self._known = known
        return Reading(
            ast.Module(file, tuple(u for t in trees for u in t.uses), tuple(d for t in trees for d in t.decls),
                       tuple(c for t in trees for c in t.comments), all(t.complete for t in trees)),
            tuple(mistakes[:MAX_TOLD]))


def _read_piece(file: SourceFile, text: str) -> _Piece | None:
    piece = _Piece(file, 0)  # while it is read, places are those in its own text
    try:
        piece.tree = parse(_PieceText(file.name, text, piece))
    except SdfError:
        return None
    return piece


def _unknown(file: SourceFile) -> ast.Module:
    """Nothing, where there may be declarations."""
    return ast.Module(file, (), (), (), complete=False)


def _cuts(text: str) -> list[int]:
    """Where pieces start, from 0 on. A text that the grammar allows has no cut inside of a declaration."""
    first_words = starters()
    out = [0]
    depth, docs, before, leads = 0, -1, "", True  # `leads`: nothing stands before on the line
    for match in _WORDS_AND_LINES.finditer(text):
        word = match.group()
        if word == "\n":
            leads = True
            continue
        if word[0] == "#":
            docs = match.start() if docs < 0 and word.startswith("##") and leads else docs
            leads = False
            continue
        if word in first_words and (leads and _starts_anew(text, match) if depth else
                                    leads or before not in first_words):
            start = match.start() if docs < 0 else docs
            if start or out != [0]:
                out.append(start)
            depth = 0
        elif word in _OPEN:
            depth += 1
        elif word in _CLOSE:
            depth = max(0, depth - 1)
        docs, before, leads = -1, word, False
    return out


def _starts_anew(text: str, word: re.Match[str]) -> bool:
    """Whether a declaration starts with a word that leads a line where brackets before it are open. An indented `const`
    is a habit inside of a body."""
    indented = text[word.start() - 1 : word.start()] not in ("", "\n")
    return _NAME.match(text, word.end()) is not None and not (indented and word.group() == "const")


# -- a piece with a mistake


def _mend(file: SourceFile, start: int, end: int) -> tuple[ast.Module, list[Diagnostic]]:
    """What is right in a piece that cannot be read as a whole, and its mistakes."""
    try:  # What follows is read too: a message may have to speak of it.
        whole = parse(file, " " * start + file.text[start:])
        return replace(whole, decls=tuple(d for d in whole.decls if d.span.start < end),
                       uses=tuple(u for u in whole.uses if u.span.start < end)), []
    except SdfError as error:
        told = list(error.diagnostics)
    head = _head(file, start, end)
    if head is None:
        return _unknown(file), told
    decl, body, close = head
    if body < 0:
        return ast.Module(file, (), (decl,), ()), told
    first = told[0].labels[0].span.start if told[0].labels and told[0].code != TOO_DEEP else end
    statements: list[ast.Stmt | ast.Fold] = []
    no_names: set[str] = set()
    opening = file.text[start:body]
    for stmt in _statements(file, body, close):
        text = file.text[stmt.start : stmt.end]
        try:
            statements += _first(file, start, f"{opening}{' ' * (stmt.start - body)}{text}}}").body or ()
        except SdfError as error:
            if stmt.name.text in starters("fn f() {"):
                statements += _lost(file, stmt.name.end, stmt.end)
                if stmt.head.endswith(("=", "~")):  # a word taken for a name
                    no_names.add(stmt.name.text)
            elif _reads(f"fn f() {{ {stmt.head} 0 }}"):
                statements += _lost(file, stmt.start, stmt.end)[:1]
            else:
                no_names.add(stmt.name.text)  # where it is used, it is wrong again
            if first < stmt.start and no_names.isdisjoint(WORDS.findall(text)):
                told += [d for d in error.diagnostics
                         if d.labels and d.labels[0].span.start < stmt.start + len(text.rstrip())]
    return ast.Module(file, (), (replace(decl, body=tuple(statements)),), ()), told


def _head(file: SourceFile, start: int, end: int) -> tuple[ast.Decl, int, int] | None:
    """The declaration of a piece without what stands in its body, and where the inside of that starts and ends (-1
    for none); None where not even its name can be read."""
    text, words = file.text, [m for m in WORDS.finditer(file.text, start, end) if m.group()[0] != "#"]
    if not words or words[0].group() not in starters() - {"use"}:
        return None
    named = _NAME.match(text, words[0].end(), end)
    if named is None or named[1] in keywords():
        return None
    depth, body, sign = 0, -1, -1
    for match in words:
        word = match.group()
        if word == "{":
            body = match.end()
            break
        if word == "=" and not depth:
            sign = match.end()
            break
        depth += (word in _OPEN) - (word in _CLOSE)
    close = max((m.start() for m in words if m.group() == "}" and m.start() >= body), default=end)
    try:
        if body >= 0:
            return replace(_first(file, start, text[start:body] + "}"), broken="body"), body, close
        if sign >= 0:
            decl = _first(file, start, text[start:sign] + " 0")
            return replace(decl, value=ast.Hole(decl.name_span), broken="body"), -1, close
    except (SdfError, IndexError):
        pass  # the head itself is wrong
    span = file.span(*named.span(1))
    return ast.Decl(file.span(words[0].start(), span.end), "", words[0].group(), span.text.strip('"'), span, None,
                    ast.Hole(span), None, "head"), -1, close


def _lost(file: SourceFile, start: int, end: int) -> list[ast.Stmt]:
    """The names that a text would define, without what they are."""
    spans = [file.span(*m.span("name")) for m in _statement_start().finditer(file.text, start, end) if m["name"]]
    return [ast.Stmt(span, "", span.text, span, None, False, ast.Hole(span)) for span in spans]


def _reads(text: str) -> bool:
    try:
        parse(SourceFile("", text))
    except SdfError:
        return False
    return True


def _first(file: SourceFile, start: int, text: str) -> ast.Decl:
    """The first declaration of a text that stands at a place of the file."""
    return parse(file, " " * start + text).decls[0]


@dataclass(frozen=True)
class _Statement:
    """Where a statement starts and ends, and its name with what follows up to its sign."""

    start: int
    end: int
    name: Span
    head: str


@cache
def _statement_start() -> re.Pattern[str]:
    """What starts a statement, at the start of a line or of a body, with the comments above it."""
    words = "|".join(sorted(starters("fn f() {"))) or "(?!)"
    return re.compile(rf"(?:^|(?<=\{{))(?:[ \t]*#[^\n]*\n)*(?P<indent>[ \t]*)(?P<head>"
                      rf"(?P<name>[A-Za-z]\w*)[ \t]*(?:\[[^\]\n]*\][ \t]*)?(?:=(?!=)|~)|(?P<word>{words})\b)",
                      re.MULTILINE)


def _statements(file: SourceFile, start: int, end: int) -> Iterator[_Statement]:
    """The statements of a body, as far as their beginnings show."""
    found: list[re.Match[str]] = []
    for match in _statement_start().finditer(file.text, start, end):
        leads = file.text[match.start() - 1] == "\n" and found and len(match["indent"]) <= len(found[0]["indent"])
        if not found or leads or not _open(file.text, found[-1].start(), match.start()):
            found.append(match)
    for match, after in zip(found, [*found[1:], None], strict=False):
        name = file.span(*match.span("word" if match["name"] is None else "name"))
        yield _Statement(match.start(), end if after is None else after.start(), name, match["head"])


def _open(text: str, start: int, end: int) -> bool:
    """Whether a bracket that opens in a part of a text does not close there."""
    depth = 0
    for match in WORDS.finditer(text, start, end):
        depth += (match.group() in _OPEN) - (match.group() in _CLOSE)
    return depth > 0
