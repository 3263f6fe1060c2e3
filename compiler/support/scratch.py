"""Folders that appear whole or not at all, whatever happens to the process that makes them."""

from __future__ import annotations

import errno
import hashlib
import platform
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from fdif_dsl.compiler.support.locks import attempt

if TYPE_CHECKING:
    from filelock import BaseFileLock

_TOKEN = 8  # characters


@contextmanager
def scratch_folder(place: Path) -> Iterator[Path]:
    """A new, private folder beside `place`, to be filled and `put` there. It is gone when the block ends.

    A file beside it is locked while this process lives. So what a killed process has left behind can be told
    from what another one is busy with, and is removed by the next that works on `place`.
    """
    # On this host only: some network file systems keep the locks of each host to itself.
    stem = ".fdif-" + hashlib.sha256(f"{platform.node()}/{place.name}".encode()).hexdigest()[:12] + "-"
    place.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(place.parent, stem)
    folder, lock = _claim(place.parent, stem)
    try:
        folder.mkdir(mode=0o700)
        yield folder
    finally:
        _remove(folder)
        if lock is not None:
            lock.release()


def put(folder: Path, place: Path) -> None:
    """Puts a scratch folder at `place`. What was there goes; where that fails, it stays."""
    while True:
        with suppress(FileNotFoundError):
            place.rename(_aside(folder))
        try:
            folder.rename(place)
        except OSError as error:
            if error.errno in (errno.EEXIST, errno.ENOTEMPTY):  # another process has just put its own there
                shutil.rmtree(_aside(folder), ignore_errors=True)
                continue
            with suppress(OSError):
                _aside(folder).rename(place)
            raise
        return


def _claim(parent: Path, stem: str) -> tuple[Path, BaseFileLock | None]:
    """A name that is free and this process's; without a lock where the file system has none."""
    for _ in range(3):
        folder = parent / (stem + secrets.token_hex(_TOKEN // 2))
        try:
            lock = attempt(_guard(folder))
        except OSError:
            return folder, None
        # Between making the file and locking it, another process may have taken it for abandoned.
        if lock is not None:
            if _guard(folder).exists():
                return folder, lock
            lock.release()
    return folder, None


def _remove_abandoned(parent: Path, stem: str) -> None:
    with suppress(OSError):
        for name in {p.name[:len(stem) + _TOKEN] for p in parent.iterdir() if p.name.startswith(stem)}:
            with suppress(OSError):
                lock = attempt(_guard(parent / name))
                if lock is not None:
                    _remove(parent / name)
                    lock.release()


def _remove(folder: Path) -> None:
    """The folder and what belongs to it; its guard goes last."""
    for path in (folder, _aside(folder)):
        shutil.rmtree(path, ignore_errors=True)
    with suppress(OSError):
        _guard(folder).unlink(missing_ok=True)


def _aside(folder: Path) -> Path:
    """Where the predecessor waits while the new folder takes its place."""
    return folder.with_name(folder.name + ".old")


def _guard(folder: Path) -> Path:
    return folder.with_name(folder.name + ".lock")
