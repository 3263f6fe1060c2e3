"""What is said of a text while it is typed: mistakes, completion, hover, layout; by what the language server uses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lsprotocol import types as lsp
from lsprotocol.converters import get_converter

from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.grammar.format import format_source
from fdif_dsl.runtime.editor import describe, mistakes
from fdif_dsl.runtime.editor.completion import Completion
from fdif_dsl.runtime.editor.editor import Editor

DRAWN = ("shape", "displacement", "mapper")
"""The kinds of declaration that there are pictures of."""

Json = dict[str, Any]


class Writing:
    """The text of one page. Used by one thread at a time."""

    def __init__(self, root: Path) -> None:
        self.editor = Editor()
        self.editor.project.within = root
        self.path: Path | None = None
        self._json: Callable[[Any], Any] = get_converter().unstructure

    def put(self, path: Path, text: str) -> None:
        """The text of the file that the page shows; the one before is closed."""
        project = self.editor.project
        if self.path is not None and self.path != path:
            project.put(self.path, None)
        if self.path != path or project.document(path).opened != text:
            self.editor.changed()
        project.put(path, text)
        self.path = path

    def told(self) -> Json:
        """The mistakes that show at once, and the declarations that can be drawn."""
        editor, path = self.editor, self._path
        module = editor.analysis.modules.get(path)
        lines = editor.lines(path)
        found = editor.told(path)
        actions = {}
        if module is not None:
            everywhere = lines.range(0, len(lines.text))
            for action in mistakes.actions(found, everywhere, editor.analysis, lines, editor.uris, path.as_uri()):
                if action.diagnostics and action.edit and action.edit.changes:
                    key = str(action.diagnostics[0].range), action.diagnostics[0].message
                    actions[key] = {"title": action.title, "edits": self._json(action.edit.changes[path.as_uri()])}
        told = []
        for one in editor.diagnostics(path):
            shown = self._json(one)
            shown.pop("relatedInformation", None)
            shown["fix"] = actions.get((str(one.range), one.message))
            told.append(shown)
        return {"mistakes": told, "classes": self.classes()}

    def classes(self, path: Path | None = None) -> list[Json]:
        """What can be drawn of the text, or of another file that is known, in its order; `broken` where it has a
        mistake."""
        analysis, path = self.editor.analysis, path or self._path
        module = analysis.modules.get(path)
        return [{"name": decl.name, "kind": decl.kind, "doc": decl.doc, "broken": decl in analysis.program.faulty,
                 "line": analysis.lines(path).position(decl.name_span.start).line}
                for decl in (module.tree.decls if module else ()) if decl.kind in DRAWN and decl.params is None]

    def deepen(self, stale: Callable[[], bool]) -> bool:
        """Look for the mistakes that show only when formulas are unrolled, until `stale`. Whether it came to an end."""
        editor = self.editor
        analysis = editor.analysis
        closed, found = list(analysis.closed()), []
        for module, decl in closed:
            if stale():
                return False
            found.append(editor.elaboration.of(analysis.program, module, decl))
        files = {path: editor.elaboration.divided(analysis.modules[path].tree.file) for path in analysis.own
                 if not analysis.mistakes[path]}
        editor.elaboration.keep({decl for _, decl in closed}, {m.tree.file for m in analysis.modules.values()})
        editor.found(found, files)
        return True

    def complete(self, line: int, character: int) -> list[Any]:
        """What may be written at a place, as the protocol of editors has it."""
        completion = self._completion(line, character)
        return [] if completion is None else self._json(completion.items())

    def signature(self, line: int, character: int) -> Json | None:
        """What the call around a place takes, and which of its parameters is being written, from 0."""
        completion = self._completion(line, character)
        found = completion and completion.signatures()
        if not found:
            return None
        (one,) = found.signatures
        return {"label": one.label, "parameters": [part.label for part in one.parameters or ()],
                "active": found.active_parameter}

    def _completion(self, line: int, character: int) -> Completion | None:
        editor, path = self.editor, self._path
        if path not in editor.analysis.modules:
            return None
        offset = editor.lines(path).offset(lsp.Position(line, character))
        return Completion(editor.analysis, editor.names, path, offset, False, editor.known(path))

    def hover(self, line: int, character: int) -> Json | None:
        """What is known of the word at a place, as Markdown."""
        editor, path = self.editor, self._path
        module = editor.analysis.modules.get(path)
        if module is None:
            return None
        lines = editor.lines(path)
        one = editor.names.at(module, lines.offset(lsp.Position(line, character)))
        if one is None:
            return None
        return {"text": describe.markdown(one.symbol, editor.analysis.program, editor.notes),
                "range": self._json(lines.range(one.span.start, one.span.end))}

    def place(self, line: int, character: int) -> Json | None:
        """Where the word at a place is declared: a path, and a line of it."""
        editor, path = self.editor, self._path
        module = editor.analysis.modules.get(path)
        one = module and editor.names.at(module, editor.lines(path).offset(lsp.Position(line, character)))
        found = editor.analysis.place(one.symbol.span) if one and one.symbol.span else None
        if found is None:
            return None
        return {"path": found[0], "line": editor.lines(found[0]).position(found[1].start).line}

    @property
    def _path(self) -> Path:
        assert self.path is not None, "a page has a text before it asks about it"
        return self.path


def formatted(text: str) -> str | None:
    """A text in the canonical layout; None where it has mistakes."""
    try:
        return format_source(text)
    except FdifError:
        return None

