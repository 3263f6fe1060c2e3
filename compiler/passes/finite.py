"""Whether a formula has a finite value anywhere, found by trying.

Its priors are drawn a few times, and it is computed at some hundreds of points. So a place where it is finite may be
overlooked: what is found here is worth a warning and no more.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from fdif_dsl.compiler.ir.formula import Formula, Quantity
from fdif_dsl.compiler.ir.graph import Node, reachable
from fdif_dsl.compiler.ir.grid import Grid
from fdif_dsl.compiler.ir.priors import scanning_slots
from fdif_dsl.compiler.passes.rates import split
from fdif_dsl.compiler.passes.schedule import make_schedule, run_schedule, run_voxels

DRAWS = 64
"""How often a prior is drawn."""
_OBJECTS, _POINTS, _GRID = 4, 800, Grid((96, 96, 96))


def without_number(formula: Formula) -> Iterator[tuple[Quantity, int]]:
    """The random quantities that are not finite in some of `DRAWS` draws, and in how many. Those that are so because
    another one is are left out, and so are those that need a scan of the grid."""
    deep = scanning_slots(formula)
    chosen = [q for q in formula.quantities if q.slots.start not in deep]
    schedule = make_schedule(formula, [d for q in chosen for d in q.definition], frozenset(), drawn=True)
    draws = np.random.default_rng(0).random((formula.draws, DRAWS))
    with np.errstate(all="ignore"):
        values = run_schedule(formula, schedule, {}, grid=_GRID, draws=list(draws))
    told: set[int] = set()
    for q in chosen:
        finite = [np.isfinite(np.broadcast_to(values[d], DRAWS)) for d in q.definition]
        lost = DRAWS - int(np.logical_and.reduce(finite).sum()) if finite else 0
        inherited = any(n.op == "slot" and n.const in told for n in reachable(q.definition))
        if lost or inherited:
            told.update(q.slots)
        if lost and q.random and not inherited:
            yield q, lost


def nowhere_finite(formula: Formula) -> str:
    """"NaN", "infinite" or "NaN or infinite", where a formula is that at every point looked at, in every object; else
    "". It is computed as kernels do: what belongs to the object in float64, the rest in float32."""
    rng = np.random.default_rng(0)
    *points, distances = (48 * rng.uniform(-1, 1, (4, _POINTS)) ** 3).astype(np.float32)  # more around the origin
    inputs = {f"{space}.{axis}": row for space in "pw" for axis, row in zip("xyz", points, strict=True)}
    inputs["d"] = distances
    kinds: set[str] = set()
    with np.errstate(all="ignore"):
        for _ in range(_OBJECTS):
            found = np.asarray(run_voxels(formula.result, _of_object(formula, rng, inputs), inputs, convert=np.float32))
            if np.isfinite(found).any():
                return ""
            kinds.update(name for name, there in (("NaN", np.isnan(found)), ("infinite", np.isinf(found)))
                         if there.any())
    return " or ".join(sorted(kinds))


def _of_object(formula: Formula, rng: np.random.Generator, inputs: dict[str, Any]) -> dict[Node, Any]:
    """What voxels read of an object whose quantities are drawn."""
    schedule = make_schedule(formula, split(formula.result, world_is_axis=False).values, frozenset(), drawn=True)
    values = run_schedule(
        formula, schedule, {}, grid=_GRID, draws=list(rng.random(formula.draws)),
        reduce=lambda node, known: np.fmin.reduce(np.append(run_voxels(node.args[0], known, inputs), np.inf)))
    return {node: np.float32(value) if node.type == "f" else value for node, value in values.items()}
