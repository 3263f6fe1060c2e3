"""Whether the disk has room for a data set."""

from __future__ import annotations

import math
import shutil
from contextlib import suppress
from pathlib import Path

from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError
from fdif_dsl.runtime.datasets.case import draw, encode
from fdif_dsl.runtime.datasets.folder import read_folder
from fdif_dsl.runtime.datasets.manifest import MANIFEST
from fdif_dsl.runtime.datasets.plan import Plan
from fdif_dsl.runtime.datasets.shard import WHOLE, Shard

_MOST = 4 + 8  # bytes of a voxel that is not compressed, in image and labels, in any format
_SURE = 10  # a data set that would take this part of the room without compression is not looked at


def check_room(plan: Plan, directory: Path, shard: Shard = WHOLE) -> None:
    """Raises `FdifError` where the volumes of a shard will not find room. Where it is not plain from their number that
    they will, the first is made, in memory, to see how large it is."""
    place = directory.absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    count = shard.size(plan.count)
    if count * _MOST * math.prod(plan.recipe.grid) * _SURE < free:
        return
    if (directory / MANIFEST).is_file():
        with suppress(FdifError):  # a damaged one is told of later
            records = read_folder(directory).records
            count -= sum(shard.has(at) for case in records if (at := plan.place(case)) is not None)
    if count <= 0:
        return
    case = next(plan.cases())
    size = sum(map(len, encode(plan, case, *draw(plan, case)).values()))
    if count * size > free:
        raise FdifError(Diagnostic(
            "E0888", f"{count} volumes need about {_size(count * size)}, and {place} has {_size(free)} free",
            where=str(directory), why=f"the first of them has {_size(size)}",
            hint="ask for fewer volumes, free some space, or name a folder elsewhere with -o"))


def _size(size: float) -> str:
    for unit, bytes_ in (("PB", 1e15), ("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if size >= bytes_ / 10:
            return f"{size / bytes_:.1f} {unit}"
    return f"{size / 1e3:.1f} kB"
