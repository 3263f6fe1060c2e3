"""The record of a data set: JSON lines, one for each case, with the checksums of its files.

`manifest.jsonl` begins with a line that says what the data set is, and ends, once it is whole, with the checksums of
the lists. While a run works, it notes each case that it has written in a part of its own.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fdif_dsl.compiler.support.files import write_text
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError
from fdif_dsl.runtime.datasets.plan import Case

MANIFEST = "manifest.jsonl"
FORMAT = 1
_PIECE = 2**18  # voxels that are counted at a time, since NumPy makes eight bytes of each
_PATH = re.compile(r"([A-Za-z0-9_-][A-Za-z0-9._-]*/){0,4}[A-Za-z0-9_-][A-Za-z0-9._-]*", re.ASCII)


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
        return _dump({"split": self.case.split, "case": self.case.name, "index": self.case.index,
                      "files": dict(self.files), "objects": self.objects, "voxels": self.voxels})

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Record:
        """From the JSON form. Raises `LookupError`, `TypeError` or `ValueError` for something else."""
        return cls(Case(str(data["split"]), str(data["case"]), int(data["index"])),
                   _checksums(data["files"]),
                   tuple(tuple(map(int, labels)) for labels in data["objects"]),
                   tuple({int(label): int(n) for label, n in task.items()} for task in data["voxels"]))


@dataclass(frozen=True)
class Manifest:
    """What a data set is (`identity`), how many volumes it is to have, and what is there.

    `lists` has the checksums of the files that are written last: without them the data set is not whole.
    """

    identity: Mapping[str, Any]
    counts: Mapping[str, int]
    records: Mapping[Case, Record]
    lists: Mapping[str, str] | None = None

    def write(self, directory: Path) -> None:
        """Puts it into a folder, with the records in the order of their volumes."""
        head = {"manifest": FORMAT, "data_set": dict(self.identity), "volumes": dict(self.counts)}
        lines = [_dump(head), *(self.records[case].line() for case in sorted(self.records, key=lambda c: c.index))]
        if self.lists is not None:
            lines.append(_dump({"lists": dict(self.lists)}))
        write_text(directory / MANIFEST, "\n".join(lines) + "\n")


def read_manifest(directory: Path) -> Manifest | None:
    """The manifest of a folder, or None where there is none.

    Raises:
        FdifError: where it is damaged, or of another version.
        OSError: where it cannot be read.
    """
    path = directory / MANIFEST
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return None
    try:
        head = json.loads(lines[0])
        if head["manifest"] != FORMAT:
            raise damaged(path, f"its format is {head['manifest']!r}, and this version of fdif-dsl reads {FORMAT}")
        last = json.loads(lines[-1])
        lists = _checksums(last["lists"]) if "lists" in last else None
        records = [Record.of(json.loads(line)) for line in lines[1 : None if lists is None else -1]]
        return Manifest(dict(head["data_set"]), {str(k): int(v) for k, v in head["volumes"].items()},
                        {r.case: r for r in records}, lists)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise damaged(path, "it was changed by something else, or damaged") from None


def read_part(path: Path) -> dict[Case, Record]:
    """What a run noted before it ended, however it did: a line that was cut off is passed over."""
    records = {}
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return {}
    for line in lines:
        try:
            record = Record.of(json.loads(line))
        except (ValueError, LookupError, TypeError, AttributeError):
            continue
        records[record.case] = record
    return records


def digest(data: bytes) -> str:
    """The checksum of a file."""
    return hashlib.sha256(data).hexdigest()


def file_digest(path: Path) -> str | None:
    """The checksum of a file, or None where there is no such file."""
    try:
        return digest(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None


def count_voxels(label: np.ndarray) -> dict[int, int]:
    """How many voxels have each label but 0."""
    flat = label.reshape(-1)
    counts = np.zeros(int(flat.max(initial=0)) + 1, np.int64)
    for start in range(0, flat.size, _PIECE):
        counts += np.bincount(flat[start : start + _PIECE], minlength=len(counts))
    return {int(v): int(counts[v]) for v in np.flatnonzero(counts) if v}


def _checksums(data: Mapping[str, Any]) -> dict[str, str]:
    """Raises `ValueError` for a path that leads out of the data set: manifests come from anywhere."""
    for path in data:
        if not _PATH.fullmatch(path):
            raise ValueError(path)
    return {path: str(value) for path, value in data.items()}


def damaged(path: Path, why: str) -> FdifError:
    """What is said of a manifest that is none."""
    return FdifError(Diagnostic("E0885", f"{path} cannot be used", why=why,
                                hint="name another folder, or make the data set anew with --overwrite"))


def _dump(data: Any) -> str:
    return json.dumps(data, separators=(",", ":"))
