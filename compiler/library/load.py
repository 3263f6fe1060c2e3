"""How a library is made: from text, or from the folder of a compiled one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fdif_dsl.compiler.frontend.built_in import STANDARD, is_library, libraries, library_files
from fdif_dsl.compiler.library import artefact
from fdif_dsl.compiler.library.artefact import MANIFEST
from fdif_dsl.compiler.library.library import Library
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError, did_you_mean

if TYPE_CHECKING:
    from fdif_dsl.compiler.frontend.modules import Module


def load_library(path: str | Path | Sequence[str | Path] | None = None) -> Library:
    """The standard library; or those of the paths together, which are names of built-in libraries, `.sdf` files,
    folders of them, or a compiled artefact alone.

    A text that is the name of a built-in library (`standard`, or a file of `shapes/`) means that; "./organic" and
    Path("organic") are places on disk.

    A library holds the closed declarations of its files and of everything they `use`, each file
    after those it uses, so that the standard classes keep their ids when a file adds some.

    Raises:
        FdifError: with every mistake found in the files.
    """
    paths = [STANDARD] if path is None else [path] if isinstance(path, str | Path) else list(path)
    if len(paths) == 1 and (Path(paths[0]) / MANIFEST).exists() and not is_library(paths[0]):
        return _from_artefact(Path(paths[0]))
    # The front end is imported only where there is something to parse: an artefact needs none of it.
    from fdif_dsl.compiler.frontend.modules import load_modules

    return from_modules(load_modules(sources_of(paths)))


def sources_of(paths: Sequence[str | Path]) -> list[Path]:
    """The files of text that paths, or names of built-in libraries, stand for.

    Raises:
        FdifError: where a folder holds none, or nothing has that name.
    """
    found: list[Path] = []
    for one in paths:
        place = Path(one)
        if is_library(one):
            found += library_files(str(one))
        elif place.is_dir():
            inside = sorted(place.glob("*.sdf"))
            if not inside:
                raise FdifError(Diagnostic("E0604", "the folder holds no library", where=str(one),
                                           why=f"it has neither .sdf files nor a {MANIFEST}",
                                           hint="name a folder of .sdf files, or one that `fdifc compile` wrote"))
            found += inside
        elif place.suffix or place.exists() or place.name != str(one):
            found.append(place)
        else:
            raise FdifError(Diagnostic("E0625", f"there is no library `{one}`",
                                       why=f"the built-in ones are {', '.join(f'`{name}`' for name in libraries())}",
                                       hint=did_you_mean(str(one), libraries())
                                       or "one of your own is a .sdf file or a folder of them"))
    return found


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
