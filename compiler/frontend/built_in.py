"""The libraries that come with fdif-dsl, by name: where their `.sdf` files are."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.resources import as_file, files
from pathlib import Path

STANDARD = "standard"
_STANDARD = ("classes", "displacements", "mappers")
"""The modules of the standard library that hold classes. What these use belongs to it too."""


def standard_folder() -> Path:
    """Where our `.sdf` files are."""
    with as_file(files("fdif_dsl.shapes").joinpath("std.sdf")) as path:
        return path.parent


def standard_files() -> list[Path]:
    """All of them."""
    return sorted(standard_folder().glob("*.sdf"))


def libraries() -> tuple[str, ...]:
    """What can be asked for by name: the standard library, and each of our modules."""
    return STANDARD, *(path.stem for path in standard_files())


def is_library(name: str | Path) -> bool:
    """Whether a text, and no path, is the name of one."""
    return isinstance(name, str) and name in libraries()


def library_files(name: str) -> list[Path]:
    """The files of a built-in library; what they use comes with them."""
    return [standard_folder() / f"{stem}.sdf" for stem in (_STANDARD if name == STANDARD else (name,))]


def home(name: str, kinds: Iterable[str]) -> str:
    """The module of ours that declares a name as one of these kinds, or an empty string."""
    pattern = re.compile(rf'^(?:{"|".join(kinds)}) "?{re.escape(name)}"?[ (]', re.MULTILINE)
    return next((path.stem for path in standard_files() if pattern.search(path.read_text("utf-8"))), "")
