"""Elaboration: from checked declarations to closed formulas.

Functions, profiles, whole numbers, arrays and loops are all run here, once; what is left is a
graph of scalar ops. A quantity of the object (a name that does not vary over space) becomes a slot
with its definition, so that it can be given by name; everything else is inlined.

Each module adds to the one before: `expressions`, `statements`, `calls`, and `declaration`, which makes the formula.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fdif_dsl.compiler.frontend.check import told
from fdif_dsl.compiler.frontend.check.scope import Program
from fdif_dsl.compiler.frontend.elaborate.calls import MAX_CALLS
from fdif_dsl.compiler.frontend.elaborate.declaration import Elaborator
from fdif_dsl.compiler.frontend.elaborate.expressions import MAX_ITEMS, MAX_NODES
from fdif_dsl.compiler.frontend.modules import Module
from fdif_dsl.compiler.ir.formula import Formula
from fdif_dsl.grammar import ast
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError, error_at

__all__ = ["MAX_CALLS", "MAX_ITEMS", "MAX_NODES", "MAX_WORK", "closed", "elaborate"]

MAX_WORK = 300_000  # operations of all formulas of a file


def closed(modules: Sequence[Module], errors: list[Diagnostic]) -> Iterator[tuple[Module, list[ast.Decl]]]:
    """The declarations of each module that stand for one formula. Names that two files declare are errors."""
    seen: dict[tuple[str, str], ast.Decl] = {}
    for module in modules:
        decls = []
        for decl in module.tree.decls:
            if decl.params is not None or decl.kind in ("fn", "profile", "const"):
                continue
            if (first := seen.get((decl.kind, decl.name))) is not None:
                errors.append(error_at(decl.name_span, "E0211", f"two files declare the {decl.kind} `{decl.name}`",
                                       "again here", notes=[(first.name_span, "first here")],
                                       hint="a library needs one meaning for each name: rename one"))
                continue
            seen[decl.kind, decl.name] = decl
            decls.append(decl)
        yield module, decls


def elaborate(program: Program, *, optimised: bool = True) -> list[Formula]:
    """Every closed declaration of the program, in order.

    A declaration without a parameter list is closed; one with parameters is a template for others.

    Raises:
        FdifError: with a diagnostic for each declaration that cannot be elaborated.
    """
    out: list[Formula] = []
    errors: list[Diagnostic] = []
    for module in program.modules:  # constants first: a mistake in one is told once, at its own place
        if constants := [decl for decl in module.tree.decls if decl.kind == "const"]:
            Elaborator(program, constants[0]).constants_of(constants, program.scopes[module])
    for module, decls in closed(program.modules, errors):
        work = 0
        for decl in decls:
            elaborator = Elaborator(program, decl)
            try:
                out.append(elaborator.formula(program.scopes[module], optimised))
            except FdifError as error:
                # A part that many declarations share has one mistake, not one for each of them.
                places = {(e.code, label.span) for e in errors for label in e.labels[:1]}
                errors += [d for d in error.diagnostics
                           if not places & {(d.code, label.span) for label in d.labels[:1]}]
            work += elaborator.steps + len(elaborator.graph)
            if work > MAX_WORK:
                errors.append(error_at(decl.name_span, "E0310", "the file grows too large",
                                       f"more than {MAX_WORK} operations so far",
                                       why="every formula is unrolled while compiling",
                                       hint="split the file, or lower the loop bounds"))
            if any(e.code in ("E0302", "E0310") for e in errors):  # more of that kind would take for ever
                raise FdifError(*told(errors))
    if errors:
        raise FdifError(*told(errors))
    return out
