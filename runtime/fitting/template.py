"""A class of a library as what is fitted: its random quantities as numbers without bounds.

Each number of a quantity is drawn a few thousand times from its prior. What has ends stays between them, by a sigmoid;
what has none is `mean + deviation * z`. So z = 0 is about the middle of the prior and z = 1 a deviation away, and the
square of z is what the prior says against a value.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from fdif_dsl.compiler.ir.formula import Quantity
from fdif_dsl.compiler.ir.graph import REDUCTION, reachable
from fdif_dsl.compiler.ir.grid import Grid
from fdif_dsl.compiler.ir.priors import scanning_slots, scene_quantities
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError
from fdif_dsl.runtime.scenes.sampler_definition import sample_parameters

if TYPE_CHECKING:
    from fdif_dsl.compiler.library import Library

_DRAWS = 4096
_FEW = 32
_STEEP = 1.702  # the sigmoid of this times z is within 0.01 of the normal distribution function


@dataclass(frozen=True)
class Numbers:
    """What is known of the numbers of all quantities, one after the other: `mean` and `deviation` by the prior, `low`
    and `high` where it has ends, else infinite; `length` is whether a number grows with the grid, `steps` whether it
    takes few values only, and `unit` numbers the vectors that have length 1, from 0, else -1."""

    mean: np.ndarray
    deviation: np.ndarray
    low: np.ndarray
    high: np.ndarray
    length: np.ndarray
    steps: np.ndarray
    unit: np.ndarray


class Template:
    """A class that is fitted, on a grid of `side` voxels along each axis.

    Raises:
        FdifError: it has no random quantity, or one that hangs on a scan of the grid.
    """

    def __init__(self, library: Library, name: str, side: int) -> None:
        self.formula = library.shapes[name].formula
        self.side = side
        self.grid = Grid((side, side, side))
        self.quantities: tuple[Quantity, ...] = scene_quantities(self.formula)
        self._check()
        self.slots = [slot for q in self.quantities for slot in q.slots]

    def _check(self) -> None:
        name = self.formula.name
        if not self.quantities:
            raise FdifError(Diagnostic("E0972", f"the template `{name}` has no random quantity", where="template",
                                       why="what it draws is what is fitted",
                                       hint="give a quantity a prior, `radius ~ uniform(5, 20)`, or name another one"))
        nodes = reachable([self.formula.result, *(d for q in self.formula.quantities for d in q.definition)])
        if scanning_slots(self.formula) or any(node.op == REDUCTION for node in nodes):
            raise FdifError(Diagnostic("E0973", f"the template `{name}` scans the grid", where="template",
                                       why="`deepest` depends on the place of an object, which is not known yet",
                                       hint="name a template without `deepest`"))
        inner = [q.name for q in self.quantities if "." in q.name]
        if inner:
            raise FdifError(Diagnostic(
                "E0974", f"the template `{name}` draws `{inner[0]}` inside of a part", where="template",
                why="what is fitted is given where the template is made a part, which reaches its own quantities",
                hint="write a shape that draws it itself and gives it to the part: `part = thing(size = size)`"))

    @cached_property
    def numbers(self) -> Numbers:
        """What its priors say of each number."""
        random = np.random.default_rng(0)
        draws = random.random((self.formula.draws, _DRAWS))
        ends = np.where(random.random(draws.shape) < 0.5, 1e-9, 1 - 1e-9)
        drawn, extreme = self._drawn(draws, self.side), self._drawn(ends, self.side)
        larger = self._drawn(draws[:, :64], 2 * self.side)
        low, high = drawn.min(0), drawn.max(0)
        span = np.maximum(high - low, 1e-9)
        ended = (extreme.min(0) > low - 0.1 * span) & (extreme.max(0) < high + 0.1 * span)
        length = np.all(np.isclose(larger, 2 * drawn[:64], rtol=1e-6), axis=0) & (np.abs(drawn[:64]).max(0) > 0)
        steps = np.array([len(np.unique(column)) <= _FEW for column in drawn.T])
        return Numbers(drawn.mean(0), np.maximum(drawn.std(0), 1e-9),
                       np.where(ended, np.minimum(low, extreme.min(0)), -np.inf),
                       np.where(ended, np.maximum(high, extreme.max(0)), np.inf), length, steps, self._unit(drawn))

    def _drawn(self, draws: np.ndarray, side: int) -> np.ndarray:
        """The numbers of instances, (instances, numbers)."""
        found = sample_parameters(self.formula, Grid((side, side, side)), draws)
        return np.concatenate([found[q.name].reshape(draws.shape[1], -1) for q in self.quantities], axis=1)

    def _unit(self, drawn: np.ndarray) -> np.ndarray:
        found = np.full(drawn.shape[1], -1)
        first, number = 0, 0
        for q in self.quantities:
            for _ in range(len(q.slots) // q.width):
                of = slice(first, first + q.width)
                if q.width > 1 and np.allclose((drawn[:, of] ** 2).sum(1), 1, atol=1e-6):
                    found[of] = number
                    number += 1
                first += q.width
        return found

    def instances(self, count: int, seed: int) -> np.ndarray:
        """The numbers of random instances, (count, numbers)."""
        return self._drawn(np.random.default_rng(seed).random((self.formula.draws, count)), self.side)

    def latent(self, values: np.ndarray) -> np.ndarray:
        """The z of some values."""
        n = self.numbers
        ended = np.isfinite(n.low)
        part = np.clip((values - n.low) / np.where(ended, n.high - n.low, 1), 0.02, 0.98) if ended.any() else values
        with np.errstate(invalid="ignore"):
            held = np.log(part / (1 - part)) / _STEEP if ended.any() else values
        free = (values - n.mean) / n.deviation
        return np.where(n.unit >= 0, values, np.where(ended, held, free))

    def values(self, z: Any, steps: Any) -> Any:
        """The values of tensors z (problems, numbers), through which gradients flow; what has few values takes those of
        `steps`."""
        import torch

        n = self.numbers
        ended = np.isfinite(n.low)
        low, span, mean, deviation = (torch.as_tensor(a, dtype=z.dtype, device=z.device) for a in (
            np.where(ended, n.low, 0), np.where(ended, n.high - n.low, 0), n.mean, n.deviation))
        flags = [torch.as_tensor(a, device=z.device) for a in (ended, n.steps)]
        found = torch.where(flags[0], low + span * torch.sigmoid(_STEEP * z), mean + deviation * z)
        for number in range(int(n.unit.max()) + 1):
            of = torch.as_tensor(np.flatnonzero(n.unit == number), device=z.device)
            part = z[:, of]
            found = found.index_copy(1, of, part / part.norm(dim=1, keepdim=True).clamp_min(1e-6))
        return torch.where(flags[1], steps, found)

    def values_of(self, z: np.ndarray) -> np.ndarray:
        """The values of one z; of what takes few values, the mean of its prior."""
        import torch

        found = self.values(torch.as_tensor(z[None]), torch.as_tensor(self.numbers.mean[None]))
        values: np.ndarray = found[0].numpy()
        return values

    def distance(self, points: Any, values: Any) -> Any:
        """Distances (problems, points) at points (problems, points, 3) of its own frame, all at once."""
        from fdif_dsl.compiler.backends.torch import TorchBackend

        slots = {slot: values[:, k : k + 1] for k, slot in enumerate(self.slots)}
        inputs = {f"p.{axis}": points[..., k] for k, axis in enumerate("xyz")}
        return TorchBackend(points.device).evaluate(self.formula, inputs, slots, self.grid)
