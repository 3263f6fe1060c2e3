"""What a data set holds, in numbers: how often each class occurs, and how full volumes are."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from fdif_dsl.runtime.datasets.plan import Plan
from fdif_dsl.runtime.datasets.record import Record
from fdif_dsl.runtime.recipe.meaning import Task

SUMMARY = "summary.json"
_DIGITS = 6


@dataclass(frozen=True)
class ClassCount:
    """A class: how many objects are of it, in how many volumes it is seen, and how many voxels it has there."""

    label: int
    name: str
    objects: int
    volumes: int
    voxels: int


@dataclass(frozen=True)
class Summary:
    """`tasks` has the classes of each task, by its name; `foreground` the share of labelled voxels of each volume."""

    tasks: dict[str, list[ClassCount]]
    foreground: list[float]

    def to_json(self) -> str:
        ordered = sorted(self.foreground)
        quantiles = {name: round(ordered[math.floor(q * (len(ordered) - 1))], _DIGITS) for name, q in
                     (("least", 0.0), ("quarter", 0.25), ("median", 0.5), ("three_quarters", 0.75), ("most", 1.0))}
        return json.dumps({
            "volumes": len(self.foreground),
            "foreground": {"mean": round(math.fsum(ordered) / len(ordered), _DIGITS), **quantiles},
            "tasks": {name: [vars(c) for c in classes] for name, classes in self.tasks.items()},
        }, indent=1) + "\n"


def summarise(plan: Plan, records: Sequence[Record]) -> Summary:
    """The summary of all cases of a plan."""
    voxels = math.prod(plan.recipe.grid)
    return Summary({task.name: _classes(task, number, records) for number, task in enumerate(plan.meaning.tasks)},
                   [sum(record.voxels[0].values()) / voxels for record in records])


def _classes(task: Task, number: int, records: Sequence[Record]) -> list[ClassCount]:
    objects: Counter[int] = Counter()
    volumes: Counter[int] = Counter()
    voxels: Counter[int] = Counter()
    for record in records:
        objects.update(labels[number] for labels in record.objects)
        volumes.update(record.voxels[number].keys())
        voxels.update(record.voxels[number])
    return [ClassCount(label, name, objects[label], volumes[label], voxels[label])
            for label, name in enumerate(task.classes) if label]
