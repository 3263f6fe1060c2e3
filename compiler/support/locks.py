"""Locks between processes. A process that ends, however it does, gives up what it holds."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from filelock import BaseFileLock


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
