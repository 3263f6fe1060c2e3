"""Names and types, checked on the tree before anything is elaborated.

Each body is read once, whatever uses it, so that a mistake is told at its own place: a wrong
argument is the caller's, even when the callee is a library function. Along the way the checker
notes which names *vary* over space; all others are quantities of the object.
"""

from __future__ import annotations

from fdif_dsl.compiler.frontend.check.body import MAX_TOLD, Body
from fdif_dsl.compiler.frontend.check.scope import Program, in_order, make_scope
from fdif_dsl.compiler.frontend.modules import Module
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError


def check(modules: list[Module]) -> Program:
    """Check all modules.

    Raises:
        FdifError: with the mistakes found, the first 20 of them.
    """
    program, errors = survey(modules)
    if errors:
        raise FdifError(*told(errors))
    return program


def survey(modules: list[Module], most: int = MAX_TOLD) -> tuple[Program, list[Diagnostic]]:
    """What is known of the modules, and the mistakes in them: a little more than `most`, where there are so many."""
    program = Program(modules, {}, set())
    errors: list[Diagnostic] = []
    for module in modules:
        program.scopes[module] = make_scope(module, program.scopes, errors)
    for module in modules:
        for decl in in_order(program.scopes[module], errors):
            if len(errors) <= most:
                own: list[Diagnostic] = []
                body = Body(program, program.scopes[module], decl, own)
                body.check()
                program.names[decl] = body.names
                if own or decl.broken or not module.complete:
                    program.faulty.add(decl)
                errors += own
    return program, errors


def told(errors: list[Diagnostic]) -> list[Diagnostic]:
    """The first mistakes, and that there are more."""
    if len(errors) <= MAX_TOLD:
        return errors
    return [*errors[:MAX_TOLD], Diagnostic("E0205", "there are more mistakes", hint="mend these first")]
