"""Who works on a data set: locks, which a process gives up when it ends, however it does.

    lock                      held for moments, while a run begins or ends
    part-003-of-016.lock      held by the run of that shard as long as it lives; a run without shards is 001-of-001

A shard's lock is taken and given up only by who holds the first one. So whoever holds that knows who else works.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from fdif_dsl.compiler.support.locks import NO_LOCKS, attempt
from fdif_dsl.compiler.support.progress import tell
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError
from fdif_dsl.runtime.datasets.shard import Shard

if TYPE_CHECKING:
    from filelock import BaseFileLock

_PATIENCE = 600.0  # seconds for another run to begin or end
_PART = re.compile(r"part-([0-9]+)-of-([0-9]+)\.lock")


class Holding:
    """The locks of one run, that of a shard. They lie in `place`; `directory` is what they are for."""

    def __init__(self, directory: Path, place: Path, shard: Shard) -> None:
        self.directory, self.place, self.shard = directory, place, shard
        self._own: BaseFileLock | None = None

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Inside the block no other run begins or ends."""
        lock, known = self._attempt(self.place / "lock", _PATIENCE)
        if lock is None and known:
            raise self._busy()
        try:
            yield
        finally:
            if lock is not None:
                lock.release()

    def take(self) -> set[Shard]:
        """Takes the shard, until `leave` or `release`; to be called alone. Returns the shards that others work on.

        Raises:
            FdifError: where another run has it, or one that does not share the data set in the same way.
        """
        self._own, known = self._attempt(part(self.place, self.shard, "lock"))
        others = self.others()
        if (self._own is None and known) or any(other.of != self.shard.of for other in others):
            self.leave()
            raise self._busy()
        return others

    def others(self) -> set[Shard]:
        """The shards that others work on; to be called alone."""
        found = set()
        for path in self.place.iterdir():
            match = _PART.fullmatch(path.name)
            if match and (shard := Shard(int(match[1]), int(match[2]))) != self.shard:
                lock, known = self._attempt(path)
                if lock is not None:
                    lock.release()
                elif known:
                    found.add(shard)
        return found

    def release(self) -> None:
        """Gives up the shard, whatever happens."""
        if self._own is not None:
            self._own.release()
            self._own = None

    def leave(self) -> None:
        """Gives up the shard and removes its lock; to be called alone."""
        if self._own is not None:
            self.release()
            _remove(part(self.place, self.shard, "lock"))

    def clear(self) -> None:
        """Removes the locks that killed runs left behind; to be called alone, when nobody works."""
        for path in self.place.iterdir():
            if _PART.fullmatch(path.name):
                _remove(path)

    def _attempt(self, path: Path, seconds: float = 0) -> tuple[BaseFileLock | None, bool]:
        """The lock, if it is free; and whether there are locks at all."""
        try:
            return attempt(path, seconds), True
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            if path.name == "lock":
                tell(f"no locks on the file system of {self.directory}: do not run twice on it at the same time")
            return None, False

    def _busy(self) -> FdifError:
        return FdifError(Diagnostic(
            "E0883", f"another run is writing into {self.directory}",
            hint="wait until it ends; or give each of several runs its share of the volumes, with --shard"))


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


def part(place: Path, shard: Shard, ending: str) -> Path:
    """A file of a shard's run."""
    return place / f"part-{shard.number:03d}-of-{shard.of:03d}.{ending}"
