"""What `fdifc check` warns of: files that compile, and give objects that nobody will see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from fdif_dsl.compiler.frontend.check import check
from fdif_dsl.compiler.frontend.elaborate import elaborate
from fdif_dsl.compiler.frontend.modules import load_modules
from fdif_dsl.compiler.ir.formula import RESULTS, Formula, Quantity
from fdif_dsl.compiler.passes.finite import DRAWS, nowhere_finite, without_number
from fdif_dsl.grammar import ast
from fdif_dsl.grammar.diagnostics import Diagnostic, error_at
from fdif_dsl.grammar.habits import COMMENT
from fdif_dsl.grammar.parse import words
from fdif_dsl.grammar.source import SourceFile, Span

_REACH = "a kernel computes in float32, which ends at 3.4e38"


def cautions(paths: Sequence[Path | str]) -> list[Diagnostic]:
    """Warnings about the classes, displacements and mappers of some files, and of one's own that these use.

    Raises:
        FdifError: where the files do not compile.
    """
    found: dict[str, Diagnostic] = {}  # by text: a file that two others use is read twice
    for path in paths:
        program = check(load_modules([Path(path)]))
        own = {str(decl.name_span): decl for module in program.modules if not module.standard
               for decl in module.tree.decls}
        for module in program.modules:
            if not module.standard:
                found.update((caution.render(), caution) for caution in divided(module.tree.file))
        for formula in elaborate(program):
            decl = own.get(formula.place)
            if decl is not None:
                found.update((caution.render(), caution) for caution in of_formula(formula, decl))
    return [*found.values()]


def divided(file: SourceFile) -> Iterator[Diagnostic]:
    """Numbers that `//` divides at the end of a line, where other languages have a comment."""
    tokens = words(file)
    for a, sign, b, after in zip(tokens, tokens[1:], tokens[2:], [*tokens[3:], None], strict=False):
        if (a.type, sign.type, b.type) == ("NUMBER", "DIV", "NUMBER") and (after is None or after.line != b.line):
            yield replace(error_at(Span(file, a.start_pos or 0, b.end_pos or 0), "E0313", "`//` divides here",
                                   "a number, rounded down", hint=COMMENT), warning=True)


def of_formula(formula: Formula, decl: ast.Decl) -> Iterator[Diagnostic]:
    """Warnings about what a declaration was elaborated to."""
    poor = list(without_number(formula))
    for quantity, lost in poor:
        stmt = _statement(decl, quantity)
        often = "never gives" if lost == DRAWS else "may not give"
        yield replace(error_at(
            decl.name_span if stmt is None else stmt.value.span, "E0311",
            f"the prior of `{quantity.name}` {often} a number",
            f"NaN or infinite in {lost} of {DRAWS} draws" + (f": {quantity.source}" if stmt is None else ""),
            why="where a parameter is NaN, so are most intensities, and NaN adds nothing: the object is black"
            if formula.kind == "mapper" else
            "where a parameter is NaN, so are most distances, and NaN is outside: the object has no voxel",
            hint="choose bounds for which the formula is defined, or hold it with `max` or `clamp`"), warning=True)
    if any(lost == DRAWS for _, lost in poor):
        return  # whence the rest follows
    kind = nowhere_finite(formula)
    if kind:
        what = f"the {RESULTS[formula.kind]} of `{formula.name}`"
        why = {"shape": "a distance that is NaN or infinite is outside or inside everywhere: there is no surface",
               "displacement": "added to a distance, it leaves no surface",
               "mapper": "an intensity that is NaN adds nothing, and an infinite one is the darkest or the brightest"}
        yield replace(error_at(
            decl.name_span, "E0312", f"{what} is {kind} wherever it was computed",
            "looked at in some hundreds of points",
            why=f"{why[formula.kind]}; {_REACH}",
            hint="look for a square root or logarithm of what is negative, a division by 0, or a huge number"),
            warning=True)


def _statement(decl: ast.Decl, quantity: Quantity) -> ast.Stmt | None:
    """Where a quantity is drawn, if that is in the declaration itself."""
    return next((stmt for stmt in ast.named(decl.body) if stmt.random and stmt.name == quantity.name), None)
