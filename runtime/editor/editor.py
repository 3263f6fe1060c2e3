"""What is known of the files that somebody writes: the language server and the playground answer with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lsprotocol import types as lsp

from fdif_dsl.compiler.frontend.modules import Module
from fdif_dsl.grammar import ast
from fdif_dsl.grammar.diagnostics import Diagnostic
from fdif_dsl.runtime.editor import mistakes
from fdif_dsl.runtime.editor.elaboration import Elaborated, Elaboration, Note
from fdif_dsl.runtime.editor.names import Names
from fdif_dsl.runtime.editor.positions import Lines
from fdif_dsl.runtime.editor.project import Analysis, Project


class Editor:
    """A project, its newest analysis, and what the compiler found in the background."""

    def __init__(self, uri_of: Callable[[Path], str] = Path.as_uri) -> None:
        """`uri_of` is how the protocol's other side spells a file."""
        self.project = Project()
        self.uri_of = uri_of
        self.elaboration = Elaboration()
        self.uris: dict[object, str] = {}  # as the editor spells them
        self.deep: dict[Path, list[Diagnostic]] = {}
        self.notes: dict[ast.Stmt, Note] = {}
        self._analysis: Analysis | None = None
        self._names: Names | None = None

    def changed(self) -> None:
        self._analysis = self._names = None

    @property
    def analysis(self) -> Analysis:
        if self._analysis is None:
            self._analysis = self.project.analyse()
            for path in {**self._analysis.modules, **self._analysis.mistakes}:
                self.uris.setdefault(path, self.uri_of(path))
        return self._analysis

    @property
    def names(self) -> Names:
        if self._names is None:
            self._names = Names(self.analysis.program.scopes)
        return self._names

    def known(self, path: Path) -> dict[str, Module]:
        """The modules that a file may use, by name: those beside it, and those of the standard library."""
        modules = sorted(self.analysis.modules.values(), key=lambda module: not module.standard)
        return {module.name: module for module in modules if module.standard or module.path.parent == path.parent}

    def told(self, path: Path) -> list[Diagnostic]:
        """Everything that is wrong with a file."""
        known = self.analysis.mistakes.get(path, [])
        return [*known, *(d for d in self.deep.get(path, []) if d not in known)]

    def lines(self, path: Path) -> Lines:
        return self.analysis.lines(path) if path in self.analysis.modules else Lines(
            self.project.document(path).opened or "")

    def diagnostics(self, path: Path) -> list[lsp.Diagnostic]:
        lines = self.lines(path)
        return [mistakes.diagnostic(d, self.analysis, lines, self.uris) for d in self.told(path)]

    def found(self, elaborated: list[Elaborated], files: dict[Path, tuple[Diagnostic, ...]]) -> None:
        """Take in what the compiler found. A part that many declarations share has one mistake."""
        deep: dict[Path, dict[tuple[object, ...], Diagnostic]] = {}
        for diagnostic in (d for one in elaborated for d in one.told):
            place = self.analysis.place(diagnostic.labels[0].span) if diagnostic.labels else None
            if place is not None:
                key = diagnostic.code, diagnostic.labels[0].span
                deep.setdefault(place[0], {}).setdefault(key, diagnostic)
        self.deep = {path: list(found.values()) for path, found in deep.items()}
        for path, warnings in files.items():
            self.deep.setdefault(path, []).extend(warnings)
        notes: dict[ast.Stmt, Note] = {}
        for one in elaborated:
            for stmt, note in one.notes.items():
                if stmt in notes and notes[stmt] != note:
                    note = Note(max(note.rate, notes[stmt].rate))
                notes[stmt] = note
        self.notes = notes
