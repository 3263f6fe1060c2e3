"""What a label means: the classes of a recipe's volumes, and the label of each object.

A meaning has one task or several. A task counts its classes from 1, in the order of the recipe's choices; 0 is
background. One task that is made of several choices has a class for each combination, the last choice changing fastest.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError

MEANINGS: dict[str, tuple[tuple[str, ...], ...]] = {
    "shape": (("shape",),),
    "shape_mapper": (("shape", "mapper"),),
    "shape_displacement_mapper": (("shape", "displacement", "mapper"),),
    "multi_task": (("shape",), ("displacement",), ("mapper",)),
    "object": ((),),
    "instance": (("number",),),
}
"""The meanings by name, each with its tasks; a task is the list of choices that it tells apart. What tells nothing
apart has one class; `number` is the place of an object in its scene."""

MOST = 2**16 - 1
"""The greatest label."""
BACKGROUND, NONE, OBJECT, NUMBER = "background", "none", "object", "number"


class Labelled(Protocol):
    """What an object of a scene was made of, by the names of its library."""

    @property
    def shape(self) -> str: ...

    @property
    def displacement(self) -> str | None: ...

    @property
    def mapper(self) -> str: ...


@dataclass(frozen=True)
class Task:
    """A number for each object: its place among the combinations of what the recipe chooses from, from 1.

    `choices` has the names to choose from for each of `parts`, which are those of `Labelled`; None is no
    displacement.
    """

    parts: tuple[str, ...]
    choices: tuple[tuple[str | None, ...], ...]

    @property
    def name(self) -> str:
        return "_".join(self.parts) or OBJECT

    @property
    def count(self) -> int:
        """How many classes there are beside background."""
        return math.prod(len(names) for names in self.choices)

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The class names in the order of labels; the first is background."""
        return (BACKGROUND, *("+".join(name or NONE for name in names) or OBJECT
                              for names in itertools.product(*self.choices)))

    @cached_property
    def _places(self) -> tuple[dict[str | None, int], ...]:
        return tuple({name: i for i, name in enumerate(names)} for names in self.choices)

    def label(self, o: Labelled, number: int) -> int:
        """The label of an object, which is number `number` of its scene, from 1. Raises `FdifError` for what the recipe
        does not draw."""
        label = 0
        for part, places in zip(self.parts, self._places, strict=True):
            name = str(number) if part == NUMBER else getattr(o, part)
            if name not in places:
                raise FdifError(Diagnostic(
                    "E0506", f"the recipe draws no {part} `{name or NONE}`, so it has no label for it",
                    hint="render the scene without a meaning to have class ids of the library as labels"))
            label = label * len(places) + places[name]
        return label + 1


@dataclass(frozen=True)
class Meaning:
    """What the labels of a recipe's volumes mean. A volume has a label array for each task."""

    name: str
    tasks: tuple[Task, ...]

    @property
    def dtype(self) -> type[np.unsignedinteger]:
        """The smallest type that holds every label of every task."""
        return np.uint8 if max(task.count for task in self.tasks) < 2**8 else np.uint16

    def labels(self, o: Labelled, number: int) -> tuple[int, ...]:
        """The label of an object in each task, by what it is made of and its number in the scene, from 1; less 1, it is
        the class of a volume that holds this object only."""
        return tuple(task.label(o, number) for task in self.tasks)

    def table(self, objects: Sequence[Labelled]) -> np.ndarray:
        """(tasks, 1 + objects), of `dtype`: from the number of an object, which counts from 1, to its labels."""
        return np.array([(0,) * len(self.tasks), *map(self.labels, objects, itertools.count(1))], self.dtype).T


def meaning_of(name: str, shapes: Sequence[str], displacements: Sequence[str | None],
               mappers: Sequence[str], most: int) -> Meaning:
    """The meaning of that name for what a recipe chooses from, and up to `most` objects of a scene. A task may have
    more classes than `MOST`."""
    choices = {"shape": tuple(shapes), "displacement": tuple(displacements), "mapper": tuple(mappers),
               NUMBER: tuple(map(str, range(1, max(1, most) + 1)))}
    return Meaning(name, tuple(Task(parts, tuple(choices[part] for part in parts)) for parts in MEANINGS[name]))
