"""Hints that a program can follow: where a hint is a plain replacement, what to put in which place.

Hints are written for people; those of a few forms say all that there is to do. They are read here, so that each row of
the tables of hints is an edit too, as far as it can be one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from fdif_dsl.grammar.source import SourceFile, Span

_WORD = re.compile(r"[A-Za-z]\w*")
_DOTTED = re.compile(r"[A-Za-z]\w*(?:\.[A-Za-z]\w*)*")
_SIGN = re.compile(r"[^\w\s]{1,2}(?: \d)?|\d[\d.]*|pi|tau")
_NAMES = re.compile(r"(\w+)(?:\((\w+(?:, \w+)*)\))?")


@dataclass(frozen=True)
class Edit:
    """Text to put in the place of a span; an empty span is a place to insert at."""

    span: Span
    text: str

    def applied(self) -> str:
        """The whole text of the file afterwards."""
        whole = self.span.file.text
        return whole[: self.span.start] + self.text + whole[self.span.end :]


def edit_of(span: Span, hint: str) -> Edit | None:
    """The edit that a hint about a place asks for; None where it leaves something to decide."""
    for pattern, make in _FORMS:
        match = pattern.search(hint)
        if match and (edit := make(span, match)) is not None:
            return edit
    return None


def _nearest(span: Span, hint: re.Match[str]) -> Edit | None:
    """An unknown name: also the one in front of a `=`, as in an argument."""
    found = _WORD.match(span.file.text, span.start, span.end)
    return Edit(span.file.span(span.start, found.end()), hint[1]) if found else None


def _write(span: Span, hint: re.Match[str]) -> Edit | None:
    """A sign for a sign, a name for a name. A call is one too where it takes all that the other took, in any order."""
    text, new = span.text, hint[1]
    if _SIGN.fullmatch(new) and not _DOTTED.fullmatch(text):
        return _spaced(span, new)
    call = _NAMES.fullmatch(new)
    if call is None or not _DOTTED.fullmatch(text):
        return None
    arguments = (call[2] or "").split(", ")
    plain = not any(a.isdigit() for a in arguments) and len({*arguments}) == len(arguments)
    return Edit(span, call[1]) if plain else None


def _doubled(span: Span, hint: re.Match[str]) -> Edit | None:
    """`&&` is `and`; a single `|` may mean something else."""
    text, sign = span.file.text, span.text
    start, end = span.start, span.end
    if text[end : end + 1] == sign:
        end += 1
    elif sign == "|":
        return None
    return _spaced(span.file.span(start, end), hint[1])


def _spaced(span: Span, new: str) -> Edit:
    """A word in the place of a sign needs space around it."""
    text = span.file.text
    if new[0].isalpha() and text[span.start - 1 : span.start].isalnum():
        new = f" {new}"
    if new[-1].isalnum() and text[span.end : span.end + 1].isalnum():
        new = f"{new} "
    return Edit(span, new)


def _delete(span: Span, hint: re.Match[str]) -> Edit | None:
    return Edit(span, "")


def _power(span: Span, hint: re.Match[str]) -> Edit | None:
    both = span.file.span(span.start - 1, span.end)
    return Edit(both, "^") if both.text == "**" else None


def _comment(span: Span, hint: re.Match[str]) -> Edit | None:
    text = span.file.text
    line = text.rfind("\n", 0, span.start) + 1
    found = re.compile(r"//+|--+").search(text[line:].partition("\n")[0])
    return Edit(span.file.span(line + found.start(), line + found.end()), "#") if found else None


def _truth(span: Span, hint: re.Match[str]) -> Edit | None:
    return Edit(span, span.text.lower()) if span.text.lower() in ("true", "false") else None


def _closing(span: Span, hint: re.Match[str]) -> Edit | None:
    """A closing bracket, behind the last word before the place; not where a comment may stand between."""
    before = span.file.text[: span.start].rstrip()
    if "#" in before[before.rfind("\n") + 1 :]:
        return None
    return Edit(span.file.span(len(before), len(before)), hint[1])


def _use(span: Span, hint: re.Match[str]) -> Edit | None:
    return add_use(span.file, hint[1])


def add_use(file: SourceFile, module: str) -> Edit:
    """A line `use module` below those that are there, or before everything."""
    lines = [m.end() for m in re.finditer(r"^use [^\n]*(?:\n|$)", file.text, re.MULTILINE)]
    at = lines[-1] if lines else 0
    whole = not at or file.text[at - 1] == "\n"
    return Edit(file.span(at, at), f"{'' if whole else chr(10)}use {module}\n{'' if lines else chr(10)}")


_FORMS: tuple[tuple[re.Pattern[str], Callable[[Span, re.Match[str]], Edit | None]], ...] = (
    (re.compile(r"^did you mean `(\w+)`\?$"), _nearest),
    (re.compile(r"^a power is written `x \^ y`$"), _power),
    (re.compile(r"^write `(and|or)`"), _doubled),
    (re.compile(r"^(?:a number has no ending: |numbers are decimal: )write `([\d.]+)`$"),
     lambda span, hint: _number(span, hint[1])),
    (re.compile(r"^(?:to compare )?write `([^`]+)`(?: \(the plain \w+\)|, which .*|; .*)?$"), _write),
    (re.compile(r"^(?:nothing is open here|no `.` is open here|statements need no end mark|an invisible character): "
                r"delete it$|^delete it$"), _delete),
    (re.compile(r"declared with `(\w+)`$"), _nearest),
    (re.compile(r"^a comment starts with `#`"), _comment),
    (re.compile(r"^truth values are"), _truth),
    (re.compile(r"^add the missing `(.)`$"), _closing),
    (re.compile(r"add `use (\w+)`$"), _use),
)


def _number(span: Span, new: str) -> Edit | None:
    """A number that goes on in letters: the place is that of the letters."""
    start = span.start
    while start and (span.file.text[start - 1].isalnum() or span.file.text[start - 1] == "."):
        start -= 1
    return Edit(span.file.span(start, span.end), new)
