"""How a library is made: from text, or from the folder of a compiled one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fdif_dsl.compiler.library import artefact
from fdif_dsl.compiler.library.artefact import MANIFEST
from fdif_dsl.compiler.library.library import Library
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError

if TYPE_CHECKING:
    from fdif_dsl.compiler.frontend.modules import Module


def load_library(path: str | Path | Sequence[str | Path] | None = None) -> Library:
    """The standard library; or that of a `.sdf` file, of a folder of them, or a compiled artefact.

    A library holds the closed declarations of its files and of everything they `use`, each file
    after those it uses, so that the standard classes keep their ids when a file adds some.

    Raises:
        FdifError: with every mistake found in the files.
    """
    paths = [] if path is None else [Path(path)] if isinstance(path, str | Path) else [Path(p) for p in path]
    if len(paths) == 1 and (paths[0] / MANIFEST).exists():
        return _from_artefact(paths[0])
    # The front end is imported only where there is something to parse: an artefact needs none of it.
    from fdif_dsl.compiler.frontend.modules import load_modules, standard_files

    files: list[Path] = standard_files() if path is None else []
    for one in paths:
        if one.is_dir():
            inside = sorted(one.glob("*.sdf"))
            if not inside:
                raise FdifError(Diagnostic("E0604", "the folder holds no library", where=str(one),
                                           why=f"it has neither .sdf files nor a {MANIFEST}",
                                           hint="name a folder of .sdf files, or one that `fdifc compile` wrote"))
            files += inside
        else:
            files.append(one)
    return from_modules(load_modules(files))


def from_modules(modules: list[Module]) -> Library:
    """The library of loaded modules."""
    from fdif_dsl.compiler.frontend.check import check
    from fdif_dsl.compiler.frontend.elaborate import elaborate

    sources = {}
    for module in modules:
        name = module.name
        while name in sources:  # two folders may hold a file of one name
            name += "_"
        sources[name] = module.tree.file.text
    return Library(elaborate(check(modules)), sources)


def _from_artefact(directory: Path) -> Library:
    contents = artefact.load(directory)
    library = Library(contents.formulas, contents.sources, kernels=directory)
    if any(name.startswith("cpu") for name in contents.targets):
        library.backend("cpu")  # checks the machine code now, not at the first volume
    return library
