"""Files to modules: reading, parsing and bringing in what `use` names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fdif_dsl.compiler.frontend.built_in import standard_folder
from fdif_dsl.grammar import ast
from fdif_dsl.grammar.diagnostics import Diagnostic, did_you_mean, error_at
from fdif_dsl.grammar.parse import SdfError, read_source
from fdif_dsl.grammar.recover import parse_whole
from fdif_dsl.grammar.source import SourceFile

MAX_MODULES = 200


@dataclass(frozen=True, eq=False)
class Module:
    """A parsed file and the modules that its `use` lines name, in order. `standard`: it is ours. `complete`: all
    names that it declares or uses are known."""

    path: Path
    tree: ast.Module
    uses: tuple[Module, ...]
    standard: bool
    complete: bool = True

    @property
    def name(self) -> str:
        return self.path.stem


def load_modules(paths: Sequence[Path]) -> list[Module]:
    """The modules of the files and of everything they use, each one after those it uses.

    `use name` means `name.sdf` beside the file, else in the standard library.

    Raises:
        SdfError: unreadable or unparsable files, unknown modules, cycles.
    """
    loader = Loader()
    for path in paths:
        loader.load(path, str(path), None, [])
    return list(loader.done.values())


class Loader:
    """Reads files and what they use, each once. An editor has its own way to read, and goes on after a mistake."""

    def __init__(self) -> None:
        self.done: dict[Path, Module] = {}
        self.standard = standard_folder().resolve()

    def load(self, path: Path, shown: str, use: ast.Use | None, stack: list[Path]) -> Module:
        try:
            key = path.resolve()
        except (OSError, RuntimeError, ValueError) as error:  # a ring of links, a path that is too long
            raise SdfError(_unreadable(shown, str(error))) from None
        if key in stack:
            assert use is not None
            names = [p.stem for p in [*stack[stack.index(key):], key]]
            ring = " -> ".join(names if len(names) <= 8 else [*names[:4], "...", *names[-3:]])
            raise SdfError(error_at(use.name_span, "E0202", "files use each other in a circle", f"the circle is {ring}",
                                    hint="move what both need into a third file"))
        if key in self.done:
            return self.done[key]
        if len(self.done) + len(stack) >= MAX_MODULES:
            raise SdfError(Diagnostic("E0203", f"more than {MAX_MODULES} files", where=shown,
                                      why="a library is read whole", hint="put several declarations into one file"))
        standard = key.parent == self.standard
        tree = self.read(path, f"<standard>/{key.name}" if standard else shown)
        uses = tuple(module for u in tree.uses if (module := self.use(path, u, [*stack, key])) is not None)
        complete = len(uses) == len(tree.uses) and all(one.complete for one in (tree, *(used.tree for used in uses)))
        module = Module(path, tree, uses, standard, complete)
        self.done[key] = module
        return module

    def read(self, path: Path, shown: str) -> ast.Module:
        """The tree of a file that messages call `shown`."""
        return parse_whole(read_file(path, shown))

    def exists(self, path: Path) -> bool:
        return path.is_file()

    def use(self, user: Path, use: ast.Use, stack: list[Path]) -> Module | None:
        """The module that a line of the file `user` names. `stack` are the files that led there."""
        beside = user.parent / f"{use.name}.sdf"
        standard = self.standard / f"{use.name}.sdf"
        path = next((path for path in (beside, standard) if self.exists(path)), None)
        if path is not None:
            return self.load(path, str(path), use, stack)
        known = {p.stem for folder in (user.parent, self.standard) for p in folder.glob("*.sdf")} - {user.stem}
        raise SdfError(error_at(use.name_span, "E0201", f"there is no module `{use.name}`", "not found",
                                why=f"`{use.name}.sdf` is neither beside this file nor in the standard library",
                                hint=did_you_mean(use.name, known) or f"known here: {', '.join(sorted(known))}"))


def read_file(path: Path, shown: str) -> SourceFile:
    """The text of a file, under the name that messages call it.

    Raises:
        SdfError: where it is none, or cannot be read.
    """
    try:
        if path.exists() and not path.is_file():  # a folder, or a device that never ends
            raise SdfError(Diagnostic("E0204", "this is no file", where=shown, hint="name a .sdf file"))
        return read_source(path, shown)
    except OSError as error:
        raise SdfError(_unreadable(shown, error.strerror or str(error))) from None


def _unreadable(shown: str, why: str) -> Diagnostic:
    return Diagnostic("E0204", "the file cannot be read", where=shown, why=why,
                      hint="check the path and its permissions")
