"""One closed declaration: from its body to a formula, with its quantities under their public names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import cast

from fdif_dsl.compiler.frontend.check.scope import Scope
from fdif_dsl.compiler.frontend.elaborate.calls import Calls
from fdif_dsl.compiler.frontend.values import Value, as_node
from fdif_dsl.compiler.ir.formula import Formula, Kind, Quantity
from fdif_dsl.compiler.ir.graph import REDUCTION, Node, reachable
from fdif_dsl.compiler.passes import optimise
from fdif_dsl.grammar import ast


class Elaborator(Calls):
    """The elaboration of one closed declaration."""

    def formula(self, scope: Scope, optimised: bool) -> Formula:
        decl = self.decl
        try:
            target = self.instantiate(decl, scope, {}, ())
            g = self.graph
            inputs: dict[str, Value] = {}
            here, world = (tuple(g.node("input", const=f"{space}.{c}") for c in "xyz") for space in "pw")
            inputs["p"] = world if decl.kind == "displacement" else here
            if decl.kind == "mapper":
                inputs |= {"d": g.node("input", const="d"), "w": world}
            result = as_node(g, self.evaluate(target, inputs))
            if decl.kind != "shape" and (scanned := self.scanned(result)) is not None:
                raise self.fail(decl.name_span, "E0309", f"the {decl.kind} `{decl.name}` scans the grid",
                                f"a part of it uses `deepest`{scanned}",
                                why="only the quantities of a solid may depend on a scan of the grid",
                                hint="use a part without `deepest`")
        except RecursionError:
            raise self.fail(decl.name_span, "E0304", f"`{decl.name}` nests too deep") from None
        definitions = [node for q in self.named for node in q.definition]
        if optimised:
            *definitions, result = optimise(g, [*definitions, result])
        flat = iter(definitions)
        names = _public_names([(q.path, q.name) for q in self.named])
        quantities = tuple(
            Quantity(name, q.width, q.length, q.slots, tuple(next(flat) for _ in q.slots), q.random,
                     q.source, q.stmt.doc)
            for name, q in zip(names, self.named, strict=True))
        return Formula(decl.name, cast(Kind, decl.kind), decl.doc or target.decl.doc, str(decl.name_span), quantities,
                       self.integer_names(), self.draws, result)

    def constants_of(self, constants: Sequence[ast.Decl], scope: Scope) -> None:
        """Compute constants for the mistakes that show only then: nobody may use them."""
        for self.decl in constants:
            self.steps = 0
            try:
                self.constant(self.decl, scope, None)
            except RecursionError:
                raise self.fail(self.decl.name_span, "E0304", f"`{self.decl.name}` nests too deep") from None

    def scanned(self, result: Node) -> str | None:
        """Whether the formula scans the grid: None if not, else for which quantity, as a message has it."""
        for q in self.named:
            if any(node.op == REDUCTION for node in reachable(q.definition)):
                return f" for `{'.'.join((*q.path, q.name))}`"
        return "" if any(node.op == REDUCTION for node in reachable([result])) else None

    def integer_names(self) -> dict[str, int]:
        """Whole-number parameters by name; one value is told once however many parts share it."""
        distinct = list(dict.fromkeys(self.integers))
        merged: dict[tuple[str, int], tuple[tuple[str, ...], str, int]] = {}
        for path, name, value in distinct:
            merged.setdefault((name, value), (path, name, value))
        kept = list(merged.values())
        names = _public_names([(path, name) for path, name, _ in kept])
        return {name: value for name, (_, _, value) in zip(names, kept, strict=True)}


def _public_names(names: list[tuple[tuple[str, ...], str]]) -> list[str]:
    """The plain name where only one part has it; else with its path, as in `section.radius`."""
    counts = Counter(name for _, name in names)
    return [name if counts[name] == 1 or not path else ".".join((*path, name)) for path, name in names]
