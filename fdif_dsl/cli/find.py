"""Finding a class of a library by its name, whatever its kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError, did_you_mean

KINDS = ("shape", "displacement", "mapper")


def of_kind(library: Any, kind: str) -> Mapping[str, Any]:
    """The classes of one kind by name, in order."""
    found: Mapping[str, Any] = {"shape": library.shapes, "displacement": library.displacements,
                                "mapper": library.mappers}[kind]
    return found


def find_class(library: Any, name: str) -> tuple[str, Any]:
    """The kind and the class of this name.

    Raises:
        FdifError: the library has no such class.
    """
    for kind in KINDS:
        if name in of_kind(library, kind):
            return kind, of_kind(library, kind)[name]
    known = [n for kind in KINDS for n in of_kind(library, kind)]
    raise FdifError(Diagnostic("E0842", f"the library has no class `{name}`",
                               hint=did_you_mean(name, known) or "`fdifc list` shows what there is"))
