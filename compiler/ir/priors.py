"""What a scene holds of a class, and what of it needs a scan of the grid."""

from __future__ import annotations

from fdif_dsl.compiler.ir.formula import Formula, Quantity
from fdif_dsl.compiler.ir.graph import REDUCTION, reachable

EXTENT = "extent"
"""The name by which a shape says how much room it takes."""


def extent_of(formula: Formula) -> Quantity | None:
    """The quantity of a shape that says how much room it takes: a vec3, half the sides of a box around its origin."""
    found = formula.named.get(EXTENT)
    return found if found is not None and formula.kind == "shape" and found.type == "vec3" else None


def scene_quantities(formula: Formula) -> tuple[Quantity, ...]:
    """The random quantities that the result depends on, or the room that a shape says it takes, directly or through
    derived ones: of a polygon its vertices, not the radii and angles that their prior is made of.

    Derived quantities are left to the renderer. It works them out from these anyway, so a scene edited by hand
    cannot contradict itself, and the wall of an onion, which needs a scan of the grid, costs it a fraction of
    what it would cost the sampler.
    """
    extent = extent_of(formula)
    kept = {extent.name} if extent is not None and extent.random else set[str]()
    todo, seen = [formula.result], set[str]()
    if extent is not None and not extent.random:
        todo += extent.definition
    while todo:
        for node in reachable([todo.pop()]):
            if node.op != "slot":
                continue
            q, _ = formula.definitions[node.const]
            if q.random:
                kept.add(q.name)
            elif q.name not in seen:
                seen.add(q.name)
                todo.extend(q.definition)
    return tuple(q for q in formula.quantities if q.name in kept)


def sampled_slots(formula: Formula) -> tuple[int, ...]:
    """The slots that a sampled scene gives of a class, in order."""
    return tuple(slot for q in scene_quantities(formula) for slot in q.slots)


def is_shared(formula: Formula) -> bool:
    """Whether all objects on a grid share what is computed before any voxel, as long as none gives a quantity: so it
    is with displacements without random quantities, and with such mappers that see the distance alone."""
    return formula.kind != "shape" and not scene_quantities(formula) and (
        formula.kind == "displacement" or not formula.sees)


def scanning_slots(formula: Formula) -> set[int]:
    """The slots whose definition needs a scan of the grid, directly or through another slot."""
    deep: set[int] = set()
    for q in formula.quantities:  # a definition uses earlier slots only
        if any(n.op == REDUCTION or (n.op == "slot" and n.const in deep) for n in reachable(q.definition)):
            deep.update(q.slots)
    return deep
