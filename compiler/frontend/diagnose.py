"""What is wrong with some files, as a list of diagnostics."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fdif_dsl.compiler.frontend.check import check
from fdif_dsl.compiler.frontend.elaborate import elaborate
from fdif_dsl.compiler.frontend.modules import load_modules
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError


def check_files(paths: Sequence[Path | str]) -> list[Diagnostic]:
    """The mistakes in the files and in what they use, the first 20 of each; none: an empty list.

    Also elaborates each closed declaration, since some mistakes (an index out of range, a formula
    that grows without end) show only then.
    """
    found: list[Diagnostic] = []
    for path in paths:
        try:
            elaborate(check(load_modules([Path(path)])))
        except FdifError as error:
            found += [d for d in error.diagnostics if d not in found]
    return found
