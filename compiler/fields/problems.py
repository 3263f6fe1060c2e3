"""What is said of a file that no field can be made of."""

from __future__ import annotations

from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError


def problem(code: str, where: str, title: str, why: str = "", hint: str = "") -> FdifError:
    """The error about a file, which messages call `where`."""
    return FdifError(Diagnostic(code, title, where=where, why=why, hint=hint))


def damaged(where: str, why: str) -> FdifError:
    """The error about a file that is cut off, or no such file at all."""
    return problem("E0321", where, "the file is damaged", why,
                   "copy it again from where it came; read are NIfTI masks, STL, OBJ, PLY and MedShapeNet's .npz")


def too_large(where: str, why: str, hint: str) -> FdifError:
    return problem("E0322", where, "the file is too large for a field", why, hint)
