"""Locks between processes. A process that ends, however it does, gives up what it holds."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from fdif_dsl.compiler.support.files import LOCK
from fdif_dsl.compiler.support.progress import tell
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError

if TYPE_CHECKING:
    from filelock import BaseFileLock

NO_LOCKS = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK}
"""The errors of file systems that have no locks."""
_PATIENCE = 1.0  # seconds; another process that only looks whether the lock is free has it for less


def attempt(path: Path, seconds: float = 0) -> BaseFileLock | None:
    """The lock `path`, to be released; None where another holds it for so long.

    Raises:
        OSError: where there is no locking, on some network file systems for example, or the file cannot be made.
    """
    from filelock import FileLock, Timeout  # only those who compile need it

    lock = FileLock(path)
    try:
        lock.acquire(timeout=seconds, poll_interval=0.05)
    except Timeout:
        return None
    except NotImplementedError as error:
        raise OSError(errno.ENOSYS, str(error), str(path)) from None
    return lock


@contextmanager
def hold(directory: Path, check: Callable[[], None]) -> Iterator[None]:
    """Inside the block no other process that does this writes into `directory`, which is made where it is not there.

    `check` raises what speaks against the folder and changes nothing. It is called before the folder is touched, and
    again when nobody else can change it any more. The lock's file goes with the block, and so does a folder that was
    made for it and is empty then.

    Raises:
        FdifError: where another process holds the folder.
        OSError: where the folder cannot be written.
    """
    path = directory / LOCK
    if not path.exists():  # else another run may be at work, and that is the greater mistake
        check()
    made = [place for place in (directory, *directory.parents) if not place.exists()]
    directory.mkdir(parents=True, exist_ok=True)
    lock = None
    try:
        try:
            lock = attempt(path, _PATIENCE)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            tell(f"no locks on the file system of {directory}: do not run twice in it at the same time")
        else:
            if lock is None:
                raise FdifError(Diagnostic("E0883", f"another run is writing into {directory}",
                                           hint="wait until it ends, or name another folder with -o"))
        check()
        yield
    finally:
        if lock is not None:
            with suppress(OSError):
                path.unlink(missing_ok=True)  # whoever waits for it finds that it is gone, and makes a new one
            lock.release()
        with suppress(OSError):
            for place in made:
                place.rmdir()
