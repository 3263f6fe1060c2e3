"""The numbers of one object: drawn from their priors by a seed, or held by somebody; and the ranges of sliders."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from fdif_dsl.compiler.backends.array import grid_least
from fdif_dsl.compiler.backends.cpu import CpuBackend
from fdif_dsl.compiler.backends.cpu.sampling import FIRST_DRAWS
from fdif_dsl.compiler.backends.interpret import NUMPY
from fdif_dsl.compiler.ir.exact import SCALARS
from fdif_dsl.compiler.ir.formula import Formula, Quantity
from fdif_dsl.compiler.ir.graph import reachable
from fdif_dsl.compiler.ir.grid import Grid
from fdif_dsl.compiler.ir.parameters import bind
from fdif_dsl.compiler.passes.schedule import make_schedule, run_schedule
from fdif_dsl.runtime.scenes.philox import uniforms
from fdif_dsl.runtime.scenes.sampler_definition import sample_parameters

_LOOKS = 65  # values of a prior that its range is taken from
_EDGE = 2.0**-10  # of the draws of a prior without ends, as the normal one is
_MOST = float(np.nextafter(1, 0))  # of a draw
_INSTANCES = 64  # that ranges of derived quantities are taken from


class Quantities:
    """The quantities of one formula on one grid, by one seed. What is `held` keeps its value, and what depends on it
    follows; the draws of all others stay, so that a slider moves what it should and nothing else."""

    def __init__(self, backend: CpuBackend, formula: Formula, grid: Grid, seed: int, held: Mapping[str, Any]) -> None:
        """Raises `FdifError` for a value that does not fit its quantity."""
        self.formula, self.grid = formula, grid
        self.held = {name: value for name, value in held.items() if name in formula.named}
        given = {slot: float(value) for slot, value in bind(formula, self.held).items()}
        self.draws = list(uniforms(seed, 0, [0], FIRST_DRAWS[formula.kind], formula.draws)[0])
        self.slots = self._random(given)
        self.slots |= self._derived(backend, self.slots)

    def _random(self, given: dict[int, float]) -> dict[int, float]:
        """What is given, and the random quantities that are not."""
        wanted = [(slot, node) for q in self.formula.quantities if q.random
                  for slot, node in zip(q.slots, q.definition, strict=True) if slot not in given]
        schedule = make_schedule(self.formula, [node for _, node in wanted], frozenset(given), drawn=True)
        with np.errstate(all="ignore"):
            values = run_schedule(
                self.formula, schedule, given, xp=SCALARS, grid=self.grid, draws=self.draws,
                # Only a prior that itself depends on a scan comes here.
                reduce=lambda node, known: grid_least(NUMPY, node.args[0], known, self.grid, np.eye(4)))
        return given | {slot: float(values[node]) for slot, node in wanted}

    def _derived(self, backend: CpuBackend, slots: dict[int, float]) -> dict[int, float]:
        wanted = [(slot, node) for q in self.formula.quantities
                  for slot, node in zip(q.slots, q.definition, strict=True) if slot not in slots]
        with np.errstate(all="ignore"):
            values = backend.values(self.formula, tuple(node for _, node in wanted), slots, self.grid, np.eye(4))
        return {slot: float(values[node]) for slot, node in wanted}

    def to_json(self) -> list[dict[str, Any]]:
        """Each quantity with its values and the ranges of its sliders. What is not finite is null."""
        known = {}
        if any(not q.random for q in self.formula.quantities):
            rng = np.random.default_rng(0)
            known = sample_parameters(self.formula, self.grid, rng.random((self.formula.draws, _INSTANCES)))
        out = []
        for q in self.formula.quantities:
            values = [self.slots[slot] for slot in q.slots]
            low, high, whole = self._range(q) if q.random else _spread(known.get(q.name), len(values))
            out.append({
                "name": q.name, "doc": q.doc, "type": q.type, "random": q.random, "source": q.source,
                "width": q.width, "held": q.name in self.held, "whole": whole,
                "values": [_plain(v) for v in values],
                "low": [_plain(min(a, v)) for a, v in zip(low, values, strict=True)],
                "high": [_plain(max(b, v)) for b, v in zip(high, values, strict=True)]})
        return out

    def _range(self, q: Quantity) -> tuple[list[float], list[float], bool]:
        """The least and the greatest of what its prior gives while all else stays, and whether these are whole."""
        own = sorted({node.const for node in reachable(q.definition) if node.op == "draw"})
        rows = _even(len(own))
        found = self._looked(q, own, rows)
        if not np.isfinite(found).all():
            found = self._looked(q, own, np.clip(rows, _EDGE, 1 - _EDGE))
        found = np.where(np.isfinite(found), found, np.nan)
        low = [float(row[~np.isnan(row)].min(initial=math.inf)) for row in found]
        high = [float(row[~np.isnan(row)].max(initial=-math.inf)) for row in found]
        whole = bool((found == np.round(found)).all()) and len(np.unique(found)) < _LOOKS // 2
        return low, high, whole

    def _looked(self, q: Quantity, own: list[int], rows: np.ndarray) -> np.ndarray:
        draws: list[Any] = list(self.draws)
        for k, draw in enumerate(own):
            draws[draw] = rows[k]
        given = {slot: value for slot, value in self.slots.items() if slot not in q.slots}
        schedule = make_schedule(self.formula, q.definition, frozenset(given), drawn=True)
        with np.errstate(all="ignore"):
            values = run_schedule(self.formula, schedule, given, grid=self.grid, draws=draws,
                                  reduce=lambda *_: math.nan)
        return np.stack([np.broadcast_to(values[node], rows.shape[1:]) for node in q.definition]).astype(np.float64)


def _even(count: int) -> np.ndarray:
    """Draws (count, looks) that cover what `count` uniform numbers can be: evenly for one, for several the ends of each
    and some between."""
    if count <= 1:
        return np.linspace(0, _MOST, _LOOKS).reshape(1, -1)
    rng = np.random.default_rng(0)
    rows = rng.random((count, 4 * _LOOKS))
    ends = rng.random(rows.shape) < 0.5
    return np.where(ends, np.round(rows) * _MOST, rows)


def _spread(values: np.ndarray | None, size: int) -> tuple[list[float], list[float], bool]:
    """The range of a derived quantity over instances (n, ...), each number a bit beyond."""
    if values is None:  # it needs a scan of the grid
        return [math.inf] * size, [-math.inf] * size, False
    flat = np.where(np.isfinite(values), values, np.nan).reshape(len(values), size)
    low, high = np.full(size, np.inf), np.full(size, -np.inf)
    for k in range(size):
        column = flat[:, k][~np.isnan(flat[:, k])]
        if len(column):
            low[k], high[k] = column.min(), column.max()
    return low.tolist(), high.tolist(), False


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None
