"""Diagnostics as the protocol has them, and the edits that mend them."""

from __future__ import annotations

from collections.abc import Iterable

from lsprotocol import types as lsp

from fdif_dsl.grammar.diagnostics import Diagnostic
from fdif_dsl.grammar.edits import Edit
from fdif_dsl.grammar.source import Span
from fdif_dsl.runtime.editor.positions import Lines
from fdif_dsl.runtime.editor.project import Analysis

Uri = str


def diagnostic(mistake: Diagnostic, analysis: Analysis, lines: Lines, uris: dict[object, Uri]) -> lsp.Diagnostic:
    """A mistake at its place; one of the whole file at its beginning."""
    first = mistake.labels[0] if mistake.labels else None
    text = [mistake.title + (f": {first.text}" if first and first.text else "")]
    text += [f"why: {mistake.why}"] * bool(mistake.why) + [f"hint: {mistake.hint}"] * bool(mistake.hint)
    related = []
    for label in mistake.labels[1:]:
        place = analysis.place(label.span)
        if place is not None:
            found = analysis.lines(place[0]).range(label.span.start, label.span.end)
            related.append(lsp.DiagnosticRelatedInformation(lsp.Location(uris[place[0]], found), label.text))
    return lsp.Diagnostic(
        range=_shown(first.span, lines) if first else lines.range(0, 0), message="\n".join(text), code=mistake.code,
        severity=lsp.DiagnosticSeverity.Warning if mistake.warning else lsp.DiagnosticSeverity.Error, source="fdifc",
        related_information=related or None)


def actions(mistakes: Iterable[Diagnostic], wanted: lsp.Range, analysis: Analysis, lines: Lines,
            uris: dict[object, Uri], uri: Uri) -> list[lsp.CodeAction]:
    """What can be done about the mistakes in a part of a file."""
    out = []
    for mistake in mistakes:
        if mistake.edit is None or not mistake.labels:
            continue
        place = _shown(mistake.labels[0].span, lines)
        if _before(place.end, wanted.start) or _before(wanted.end, place.start):
            continue
        edit = mistake.edit
        changes = {uri: [lsp.TextEdit(lines.range(edit.span.start, edit.span.end), edit.text)]}
        out.append(lsp.CodeAction(title(edit), lsp.CodeActionKind.QuickFix,
                                  [diagnostic(mistake, analysis, lines, uris)], is_preferred=True,
                                  edit=lsp.WorkspaceEdit(changes)))
    return out


def title(edit: Edit) -> str:
    """What an edit does, in a few words."""
    old, new = edit.span.text, edit.text.strip()
    if not old:
        return f"Add `{new}`"
    return f"Replace `{old}` by `{new}`" if new else f"Delete `{old}`"


def _shown(span: Span, lines: Lines) -> lsp.Range:
    """The place of a mistake; at the end of a file it is the last character, so that there is something to see."""
    start = max(0, min(span.start, len(lines.text) - 1))
    return lines.range(start, max(span.end, start))


def _before(one: lsp.Position, other: lsp.Position) -> bool:
    return (one.line, one.character) < (other.line, other.character)
