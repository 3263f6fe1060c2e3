"""The files of a library as an editor has them, read and checked as far as they are right."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from fdif_dsl.compiler.frontend.built_in import standard_files
from fdif_dsl.compiler.frontend.check import survey
from fdif_dsl.compiler.frontend.check.scope import Program
from fdif_dsl.compiler.frontend.elaborate import closed
from fdif_dsl.compiler.frontend.modules import MAX_MODULES, Loader, Module, read_file
from fdif_dsl.grammar import ast
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError, Label
from fdif_dsl.grammar.parse import SdfError
from fdif_dsl.grammar.recover import Reader, Reading
from fdif_dsl.grammar.source import SourceFile, Span
from fdif_dsl.runtime.editor.positions import Lines

MAX_TOLD = 200  # mistakes of names and types
_MAX_FOLDERS = 5000  # that are looked through for files
_PASSED_OVER = {"node_modules", "build", "dist", "venv", "site-packages"}


@dataclass(eq=False)
class Document:
    """A file of the project, and its text as it was read last."""

    path: Path
    reader: Reader = field(default_factory=Reader)
    opened: str | None = None  # its text in the editor
    stamp: object = None  # which text was read
    source: SourceFile = field(default_factory=lambda: SourceFile("", ""))
    reading: Reading = field(default_factory=lambda: Reading(ast.Module(SourceFile("", ""), (), (), ()), ()))

    def read(self, shown: str) -> Reading:
        """What it says now.

        Raises:
            FdifError: where it is no readable file of text.
        """
        stamp: object = self.opened
        if self.opened is None:
            status = self.path.stat() if self.path.is_file() else None
            stamp = status and (status.st_mtime_ns, status.st_size)
        if stamp is None or stamp != self.stamp:
            source = SourceFile(shown, self.opened) if self.opened is not None else read_file(self.path, shown)
            self.reading = self.reader.read(source)
            self.source, self.stamp = source, stamp
        return self.reading


@dataclass(eq=False)
class Analysis:
    """What is known of a project at one moment.

    `own` are the files that somebody works on; the others are what these use. `mistakes` are those of each file, as
    far as they show without elaboration.
    """

    own: tuple[Path, ...]
    modules: dict[Path, Module]
    program: Program
    mistakes: dict[Path, list[Diagnostic]]

    @cached_property
    def paths(self) -> dict[SourceFile, Path]:
        """Where each text comes from."""
        return {module.tree.file: path for path, module in self.modules.items()}

    def place(self, span: Span) -> tuple[Path, Span] | None:
        """The file of a span; None where that is none of this analysis."""
        path = self.paths.get(span.file)
        return None if path is None else (path, span)

    def lines(self, path: Path) -> Lines:
        if path not in self._lines:
            self._lines[path] = Lines(self.modules[path].tree.file.text)
        return self._lines[path]

    @cached_property
    def _lines(self) -> dict[Path, Lines]:
        return {}

    def decl_at(self, path: Path, offset: int) -> ast.Decl | None:
        """The declaration that starts last before a place."""
        before = [d for d in self.modules[path].tree.decls if d.span.start <= offset]
        return before[-1] if before else None

    def closed(self) -> Iterator[tuple[Module, ast.Decl]]:
        """The declarations of own files that stand for one formula, or for one value."""
        for path in self.own:
            for module, decls in closed([self.modules[path]], []):
                constants = (decl for decl in module.tree.decls if decl.kind == "const")
                yield from ((module, decl) for decl in (*constants, *decls))


class _Loader(Loader):
    """Reads what the editor has, and goes on after mistakes."""

    def __init__(self, project: Project) -> None:
        super().__init__()
        self.project = project
        self.mistakes: dict[Path, list[Diagnostic]] = {}

    def read(self, path: Path, shown: str) -> ast.Module:
        reading = self.project.document(path).read(shown)
        self.mistakes.setdefault(path.resolve(), []).extend(reading.mistakes)
        return reading.tree

    def exists(self, path: Path) -> bool:
        within, place = self.project.within, _resolved(path)
        if within is not None and not place.is_relative_to(within) and place.parent != self.standard:
            return False
        document = self.project.documents.get(place)
        return super().exists(path) or (document is not None and document.opened is not None)

    def use(self, user: Path, use: ast.Use, stack: list[Path]) -> Module | None:
        try:
            return super().use(user, use, stack)
        except SdfError as error:
            self.mistakes.setdefault(user.resolve(), []).extend(
                d if d.labels else _at(d, use.name_span) for d in error.diagnostics)
            return None


class Project:
    """The files of the editor's folders, and those that are open."""

    def __init__(self, within: Path | None = None) -> None:
        """`within`: no file outside of this folder is a module, by a link neither."""
        self.within = within and _resolved(within)
        self.documents: dict[Path, Document] = {}
        self.folders: list[Path] = []
        self._found: list[Path] | None = None  # files in the folders

    def document(self, path: Path) -> Document:
        path = _resolved(path)
        return self.documents.setdefault(path, Document(path))

    def put(self, path: Path, text: str | None) -> None:
        """The text of a file in the editor; None: it is closed there."""
        self.document(path).opened = text

    def search(self) -> None:
        """Look for files in the folders again."""
        self._found = None

    def analyse(self) -> Analysis:
        """Read what changed, and check everything."""
        if self._found is None:
            self._found = [_resolved(path) for folder in self.folders for path in _files(folder)][:MAX_MODULES]
        loader = _Loader(self)
        own = list(dict.fromkeys([*self._found, *(d.path for d in self.documents.values() if d.opened is not None)]))
        for path in standard_files():  # known to all, so that their names can be offered
            loader.load(path, str(path), None, [])
        there: list[Path] = []
        unread: dict[Path, list[Diagnostic]] = {}
        for path in own:
            try:
                loader.load(path, str(path), None, [])
                there.append(path)
            except (FdifError, OSError) as error:
                # A file that is gone is none of the project; one that is no text is told so.
                if isinstance(error, FdifError) and path.is_file():
                    unread[path] = list(error.diagnostics)
        modules = list(loader.done.values())
        program, errors = survey(modules, MAX_TOLD)
        mistakes = {path: list(dict.fromkeys(loader.mistakes.get(path, []))) for path in loader.done}
        analysis = Analysis(tuple(there), loader.done, program, mistakes)
        # What two files declare is told in the file that uses both.
        for path in there:
            list(closed(_used(analysis.modules[path]), errors))
        for mistake in dict.fromkeys(errors):
            place = analysis.place(mistake.labels[0].span) if mistake.labels else None
            if place is not None:
                mistakes[place[0]].append(mistake)
        mistakes.update(unread)
        return analysis


def _used(module: Module) -> list[Module]:
    """A module behind everything it uses."""
    out: dict[Module, None] = {}
    stack = [(module, False)]
    while stack:
        one, leaving = stack.pop()
        if leaving:
            out[one] = None
        elif one not in out:
            stack.append((one, True))
            stack += [(used, False) for used in reversed(one.uses)]
    return list(out)


def _at(diagnostic: Diagnostic, span: Span) -> Diagnostic:
    return replace(diagnostic, labels=(Label(span, diagnostic.where),), where="")


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError):  # a ring of links, a path that is too long
        return path


def _files(folder: Path) -> Iterator[Path]:
    """The `.sdf` files in a folder and those in it; hidden folders and those of builds are passed over."""
    for looked, (place, folders, names) in enumerate(os.walk(folder), start=1):
        folders[:] = sorted(f for f in folders if f[0] != "." and f not in _PASSED_OVER)
        yield from (Path(place, name) for name in sorted(names) if name.endswith(".sdf"))
        if looked >= _MAX_FOLDERS:
            return
