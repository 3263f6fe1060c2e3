"""A share of a data set: every N-th case, for one of N runs that need not know of each other."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError

SLURM = "slurm"
_MOST = 100_000


@dataclass(frozen=True)
class Shard:
    """Number `number` of `of`, from 1."""

    number: int = 1
    of: int = 1

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def has(self, place: int) -> bool:
        """Whether the case at that place, counted from 0, is one of its own."""
        return place % self.of == self.number - 1

    def size(self, count: int) -> int:
        """How many of so many cases are its own."""
        return len(range(self.number - 1, count, self.of))


WHOLE = Shard()


def read_shard(text: str, environment: Mapping[str, str]) -> Shard:
    """The shard that `3/16` names, or `slurm` in a task of a Slurm job array. Raises `FdifError` for another text."""
    if text.strip().lower() == SLURM:
        return _of_slurm(environment)
    match = re.fullmatch(r"\s*([0-9]{1,6})\s*/\s*([0-9]{1,6})\s*", text)
    if match is None:
        raise _wrong(f"`{text}` is no shard", "", "write the third of sixteen as 3/16")
    number, of = int(match[1]), int(match[2])
    if not 1 <= number <= of <= _MOST:
        raise _wrong(f"there is no shard {number} of {of}", "shards count from 1" if number == 0 else
                     f"there can be {_MOST}" if of > _MOST else "", "the first of sixteen is 1/16, the last 16/16")
    return Shard(number, of)


def _of_slurm(environment: Mapping[str, str]) -> Shard:
    names = [f"SLURM_ARRAY_TASK_{name}" for name in ("ID", "MIN", "COUNT")]
    missing = [name for name in names if not environment.get(name, "").isdecimal()]
    if missing:
        raise _wrong("this is no task of a Slurm job array", f"{missing[0]} is not set",
                     "submit it with sbatch --array=1-16, or say which shard it is, such as --shard 3/16")
    task, least, count = (int(environment[name]) for name in names)
    step = int(environment.get("SLURM_ARRAY_TASK_STEP", "") or 1)
    place, rest = divmod(task - least, max(step, 1))
    if rest or not 0 <= place < count:
        raise _wrong(f"task {task} of the Slurm job array has no place among its {count} tasks",
                     "the numbers of the tasks are not evenly spaced", "submit it with sbatch --array=1-16")
    return Shard(place + 1, count)


def _wrong(title: str, why: str, hint: str) -> FdifError:
    return FdifError(Diagnostic("E0884", title, where="--shard", why=why, hint=hint))
