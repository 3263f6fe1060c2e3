"""Diagnostics are values: made anywhere, rendered at the edge (terminal text or JSON)."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from fdif_dsl.grammar.edits import Edit, edit_of
from fdif_dsl.grammar.source import Span

_WINDOW = 100  # characters of a source line that are shown


@dataclass(frozen=True)
class Label:
    """A place in a source file and what to say under it."""

    span: Span
    text: str = ""


@dataclass(frozen=True)
class Diagnostic:
    """One mistake, told once.

    `labels[0]` is the place to blame; further labels are shown as notes. A mistake outside a text
    file (a scene's field, a command's option) has no label and says its place in `where`, for
    example `scene.json: objects[3].params.height`. A warning is something that works and is hardly meant.
    `edit` does what the hint says, where a program can.
    """

    code: str
    title: str
    labels: tuple[Label, ...] = ()
    where: str = ""
    why: str = ""
    hint: str = ""
    warning: bool = False
    edit: Edit | None = None

    def to_dict(self) -> dict[str, Any]:
        """The JSON form, for editors and `--format json`; that of a warning has a further key that says so, and so has
        one whose hint is an edit."""
        return {
            **({"severity": "warning"} if self.warning else {}),
            "code": self.code,
            "title": self.title,
            "where": self.where,
            "labels": [_label_dict(label) for label in self.labels],
            "why": self.why,
            "hint": self.hint,
            **({"edit": {**_place(self.edit.span), "replacement": self.edit.text}} if self.edit else {}),
        }

    def render(self) -> str:
        """The text form: title, place, source line with a caret, reason and hint."""
        out = [f"{'warning' if self.warning else 'error'}[{self.code}]: {printable(self.title)}"]
        for i, label in enumerate(self.labels):
            out.extend(_render_label(label, "-->" if i == 0 else "note:"))
        if self.where:
            out.append(f"  --> {printable(self.where)}")
        if self.why:
            out.append(f"  why: {printable(self.why)}")
        if self.hint:
            out.append(f"  hint: {printable(self.hint)}")
        return "\n".join(out)


class FdifError(Exception):
    """Base of every error a user can cause. Carries one or more diagnostics."""

    def __init__(self, *diagnostics: Diagnostic) -> None:
        self.diagnostics: tuple[Diagnostic, ...] = diagnostics
        super().__init__("\n\n".join(d.render() for d in diagnostics))

    def __reduce__(self) -> tuple[Any, ...]:  # errors cross process boundaries
        return (type(self), self.diagnostics)


def error_at(span: Span, code: str, title: str, label: str = "", why: str = "", hint: str = "",
             notes: Sequence[tuple[Span, str]] = ()) -> Diagnostic:
    """A diagnostic that blames `span`; `notes` are further places with a sentence each."""
    labels = (Label(span, label), *(Label(s, text) for s, text in notes))
    return Diagnostic(code, title, labels, why=why, hint=hint, edit=edit_of(span, hint))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint that names the nearest known spelling, or an empty string."""
    near = difflib.get_close_matches(name[:80], sorted(known), n=1, cutoff=0.6)
    return f"did you mean `{near[0]}`?" if near else ""


def quote(word: str) -> str:
    """A word from a file for use in a message: in backticks and not endless."""
    return f"`{word}`" if len(word) <= 40 else f"`{word[:37]}...`"


def printable(text: str) -> str:
    """`text` with control characters shown as escapes, so that a file cannot drive the terminal."""
    return "".join(c if c.isprintable() or c == "\n" else f"\\x{ord(c):02x}" for c in text)


def _label_dict(label: Label) -> dict[str, Any]:
    return {**_place(label.span), "text": label.text}


def _place(span: Span) -> dict[str, Any]:
    line, column = span.file.line_column(span.start)
    end_line, end_column = span.file.line_column(span.end)
    return {"file": span.file.name, "line": line, "column": column, "end_line": end_line, "end_column": end_column}


def _render_label(label: Label, arrow: str) -> list[str]:
    file, span = label.span.file, label.span
    line, column = file.line_column(span.start)
    source = file.line_text(line)
    length = max(1, min(span.end - span.start, len(source) - column + 1))
    # A long line is shown as a window around the caret.
    first = max(0, column - 1 - _WINDOW // 2) if len(source) > _WINDOW else 0
    shown = source[first : first + _WINDOW].replace("\t", " ")
    before, after = "…" if first else "", "…" if first + _WINDOW < len(source) else ""
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in shown)
    at = column - 1 - first
    caret = " " * (len(before) + at) + "^" * max(1, min(length, len(shown) - at))
    gutter = " " * len(str(line))
    text = f" {printable(label.text)}" if label.text else ""
    return [
        f"{gutter} {arrow} {printable(file.name)}:{line}:{column}",
        f"{gutter} |",
        f"{line} | {before}{shown}{after}",
        f"{gutter} | {caret}{text}",
    ]
