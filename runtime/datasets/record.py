"""What a data set knows of each case: its split, name and number, and, once it is written, a record of its files."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

TRAINING, VALIDATION = "training", "validation"
FIRST = {TRAINING: 0, VALIDATION: 2**40}
"""The index of a split's first volume. They are far apart, so a data set that grows never trains on what validates."""
ENDINGS = {TRAINING: "Tr", VALIDATION: "Val"}
"""What ends the names of a split's folders."""

_PATH = re.compile(r"([A-Za-z0-9_-][A-Za-z0-9._-]*/){0,4}[A-Za-z0-9_-][A-Za-z0-9._-]*", re.ASCII)


@dataclass(frozen=True)
class Case:
    """A volume of a data set: its split, its name in files, and its number in the seed."""

    split: str
    name: str
    index: int

    @property
    def ending(self) -> str:
        """What ends the names of the folders of its split."""
        return ENDINGS[self.split]


@dataclass(frozen=True)
class Record:
    """A case that lies on disk.

    Attributes:
        files: the sha256 of each of its files, by path in the data set.
        objects: the labels of each object, one for each task.
        voxels: for each task, how many voxels have each label; background is left out.
        lost: the classes of objects that have no voxel since their distance is NaN; known to who made the case, and not
            kept.
    """

    case: Case
    files: Mapping[str, str]
    objects: tuple[tuple[int, ...], ...]
    voxels: tuple[Mapping[int, int], ...]
    lost: tuple[str, ...] = field(default=(), compare=False)

    def line(self) -> str:
        return dump({"split": self.case.split, "case": self.case.name, "index": self.case.index,
                      "files": dict(self.files), "objects": self.objects, "voxels": self.voxels})

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Record:
        """From the JSON form. Raises `LookupError`, `TypeError` or `ValueError` for something else."""
        return cls(Case(str(data["split"]), str(data["case"]), int(data["index"])),
                   checksums(data["files"]),
                   tuple(tuple(map(int, labels)) for labels in data["objects"]),
                   tuple({int(label): int(n) for label, n in task.items()} for task in data["voxels"]))


def checksums(data: Mapping[str, Any]) -> dict[str, str]:
    """The checksums of files, by path. Raises `ValueError` for a path that leads out of the data set: manifests come
    from anywhere."""
    for path in data:
        if not _PATH.fullmatch(path):
            raise ValueError(path)
    return {path: str(value) for path, value in data.items()}


def dump(data: Any) -> str:
    """A line of JSON."""
    return json.dumps(data, separators=(",", ":"))
