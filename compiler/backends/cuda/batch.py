"""The objects of several scenes as arrays, ready to be uploaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fdif_dsl.compiler.backends import Placed
from fdif_dsl.compiler.ir.formula import Formula
from fdif_dsl.compiler.ir.priors import sampled_slots

KINDS = ("shape", "displacement", "mapper")


@dataclass(frozen=True)
class Batch:
    """Objects of several volumes on one grid, one volume after the other; all arrays but `volumes` have an entry an
    object.

    `volumes`: how many objects each volume has. `shape`, `displacement` (-1 is none) and `mapper`: positions in the
    formulas of that kind. `inverse` (n, 3, 4): from world to object coordinates. The slots of an object's shape,
    displacement and mapper, in the order of their `sampled_slots`, begin at `slot_start` (n, 3) of `slots`. `others`
    are the objects of which other slots are given, by number.
    """

    shapes: Sequence[Formula]
    displacements: Sequence[Formula]
    mappers: Sequence[Formula]
    volumes: np.ndarray
    shape: np.ndarray
    displacement: np.ndarray
    mapper: np.ndarray
    label: np.ndarray
    inverse: np.ndarray
    slots: np.ndarray
    slot_start: np.ndarray
    others: dict[int, Placed] = field(default_factory=dict)

    @classmethod
    def of(cls, scenes: Sequence[Sequence[Placed]]) -> Batch:
        """The objects of scenes that were placed one by one."""
        objects = [placed for scene in scenes for placed in scene]
        shapes, displacements, mappers = _Positions(), _Positions(), _Positions()
        slots: list[float] = []
        starts: list[list[int]] = []
        others: dict[int, Placed] = {}
        for k, placed in enumerate(objects):
            start = dict.fromkeys(KINDS, 0)
            for formula, given in placed.parts:
                wanted = sampled_slots(formula)
                start[formula.kind] = len(slots)
                if given.keys() == set(wanted):
                    slots += [float(given[slot]) for slot in wanted]
                else:
                    others[k] = placed
            starts.append([*start.values()])

        def whole(numbers: Sequence[Any]) -> np.ndarray:
            return np.array(numbers, np.int32)

        return cls(
            shape=whole([shapes.of(p.shape) for p in objects]),
            displacement=whole([-1 if p.displacement is None else displacements.of(p.displacement) for p in objects]),
            mapper=whole([mappers.of(p.mapper) for p in objects]), label=whole([p.label for p in objects]),
            shapes=shapes.formulas, displacements=displacements.formulas, mappers=mappers.formulas,
            volumes=whole([len(scene) for scene in scenes]),
            inverse=np.array([np.asarray(p.inverse, np.float64)[:3] for p in objects]).reshape(-1, 3, 4),
            slots=np.array(slots, np.float64), slot_start=whole(starts).reshape(-1, 3), others=others)


class _Positions:
    """Formulas in the order of their first use. By identity: a formula is as good as its graph."""

    def __init__(self) -> None:
        self.formulas: list[Formula] = []
        self._found: dict[int, int] = {}

    def of(self, formula: Formula) -> int:
        found = self._found.setdefault(id(formula), len(self.formulas))
        if found == len(self.formulas):
            self.formulas.append(formula)
        return found
