"""What must hold of a program, whatever it says: it is refused in our own words or it has a value, and the same one on
every back end, with tiles that are left out and without."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fdif_dsl.compiler.backends import Placed
from fdif_dsl.compiler.backends.array import Arrays, object_stage, voxel_stage
from fdif_dsl.compiler.backends.cpu import CpuBackend
from fdif_dsl.compiler.backends.interpret import NUMPY, InterpretBackend
from fdif_dsl.compiler.backends.torch import TorchBackend
from fdif_dsl.compiler.frontend.check import check
from fdif_dsl.compiler.frontend.elaborate import elaborate
from fdif_dsl.compiler.frontend.modules import Module
from fdif_dsl.compiler.ir.formula import Formula
from fdif_dsl.compiler.ir.grid import Grid
from fdif_dsl.compiler.ir.serial import formulas_from_dict, formulas_hash, formulas_to_dict
from fdif_dsl.compiler.passes.schedule import ARRAY
from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.grammar.format import format_source
from fdif_dsl.grammar.parse import parse
from fdif_dsl.grammar.source import SourceFile
from fdif_dsl.runtime.scenes.sampler_definition import sample_instance

GRID = Grid((12, 10, 11))
POINTS = 60
INTERPRET, TORCH = InterpretBackend(), TorchBackend()
SINGLE = Arrays(np, ARRAY, lambda value: np.asarray(value, np.float32)[()])


class Wrong(Exception):
    """Something that must hold does not."""


def formulas_of(text: str) -> list[Formula]:
    """Raises `FdifError` where the text is refused."""
    tree = parse(SourceFile("fuzz.sdf", text))
    return elaborate(check([Module(Path("fuzz.sdf"), tree, (), False)]))


def read(text: str) -> list[Formula] | None:
    """The formulas of a text; None where it is refused."""
    try:
        formulas = formulas_of(text)
    except FdifError as error:
        if not error.diagnostics or not all(d.code.startswith("E") and d.render() for d in error.diagnostics):
            raise Wrong("an error without a message") from error
        if any(not (c.isprintable() or c == "\n") for c in str(error)):
            raise Wrong("a message with control characters") from error
        return None
    if formulas_hash(formulas_of(format_source(text))) != formulas_hash(formulas):
        raise Wrong("formatted, it means something else")
    if formulas_hash(formulas_from_dict(formulas_to_dict(formulas))) != formulas_hash(formulas):
        raise Wrong("stored and read, it means something else")
    return formulas


def agree(formulas: list[Formula], seed: int, *, compiled: bool) -> None:
    """Raises `Wrong` where two ways to evaluate a formula differ by more than rounding explains."""
    rng = np.random.default_rng(seed)
    slots = {}
    for formula in formulas:
        given = slots[formula.kind] = drawn(formula, seed)
        inputs = {name: rng.uniform(-6, 6, POINTS).astype(np.float32).astype(np.float64)
                  for name in ("p.x", "p.y", "p.z", "w.x", "w.y", "w.z", "d")}
        exact = INTERPRET.evaluate(formula, inputs, given, GRID)
        same(exact, np.asarray(TORCH.evaluate(formula, inputs, given, GRID)), formula, inputs, given, 1e-9, "torch")
        if compiled:
            backend = CpuBackend([formula], threads=1)
            kinds = {"shape": "p.", "displacement": "w.", "mapper": "dpw"}[formula.kind]
            mine = {name: v for name, v in inputs.items() if name[0] in kinds and (
                formula.kind != "mapper" or formula.sees or name == "d")}
            same(exact, backend.evaluate(formula, mine, given, GRID), formula, inputs, given, 1e-5, "cpu")
    if compiled and len(formulas) == 3:
        culled(formulas, slots)


def drawn(formula: Formula, seed: int) -> dict[int, float]:
    """The numbers of a formula's random quantities, by slot."""
    values = sample_instance(formula, seed, 0, GRID)
    return {slot: float(np.float32(number)) for q in formula.quantities
            if q.random and q.name in values  # those that something needs
            for slot, number in zip(q.slots, np.ravel(values[q.name]), strict=True)}


def same(exact: np.ndarray, other: np.ndarray, formula: Formula, inputs: dict[str, np.ndarray],
         slots: dict[int, float], error: float, name: str) -> None:
    """`other` is as near to `exact` as its precision, and how much the formula magnifies errors, let one expect."""
    def nudged(by: float) -> np.ndarray:
        moved = {k: v * (1 + by) + by for k, v in inputs.items()}
        return INTERPRET.evaluate(formula, moved, {k: v * (1 - by) for k, v in slots.items()}, GRID)

    with np.errstate(all="ignore"):
        near = np.stack([exact, nudged(error), nudged(-error), nudged(3 * error)])
        if error > 1e-6:
            # What single precision itself makes of it: sums that cancel, and what overflows there.
            values = object_stage(NUMPY, formula, slots, GRID, None)
            single = {k: np.float32(v) if np.ndim(v) == 0 and np.asarray(v).dtype != bool else v
                      for k, v in values.items()}
            found = voxel_stage(SINGLE, formula.result, single, {k: v.astype(np.float32) for k, v in inputs.items()})
            near = np.concatenate([near, np.broadcast_to(found, exact.shape)[None].astype(np.float64)])
        firm = np.isfinite(near).all(axis=0) & (np.abs(exact) < 1e30)
        spread = np.where(firm, np.ptp(near, axis=0), 0)
        off = np.abs(other - exact) > 50 * spread + 100 * error * (1 + np.abs(exact))
        wrong = firm & (off | ~np.isfinite(other))
        # A jump that a nudge does not find: one point in twenty may lie beside one.
    if wrong.sum() > POINTS // 20:
        at = int(np.flatnonzero(wrong)[0])
        raise Wrong(f"{formula.kind} on {name}: {other[at]!r}, and {exact[at]!r} on interpret, at "
                    f"{ {k: float(v[at]) for k, v in inputs.items()} } with {slots}")


def culled(formulas: list[Formula], slots: dict[str, dict[int, float]]) -> None:
    """A volume is the same, bit by bit, with the tiles drawn that are proven empty."""
    by_kind = {f.kind: f for f in formulas}
    placed = Placed(by_kind["shape"], slots["shape"], np.eye(4), by_kind["displacement"], by_kind["mapper"], 1,
                    slots["displacement"], slots["mapper"])
    volumes = [CpuBackend(formulas, threads=1, culling=culling).render([placed], GRID) for culling in (True, False)]
    parts: list[Callable[[Any], Any]] = [lambda v: v.image, lambda v: v.label, lambda v: v.counts]
    if not all(np.array_equal(*(part(volume) for volume in volumes)) for part in parts):
        raise Wrong("culled and unculled volumes differ")
