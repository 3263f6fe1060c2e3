"""Writing files so that a reader, or a run that was cut off, never sees half of one."""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError

LOCK = ".lock"
"""The file by which a run holds a folder, see `locks.py`. A folder with nothing else is as good as empty."""
_LEFT = 600.0  # seconds after which nobody is believed to be writing


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, with the same endings, that takes its place when the block succeeds.

    Where the block fails or is interrupted the temporary file goes and `path` is as it was. An `OSError`
    names `path`, as the user does not know the other.
    """
    temporary = path.with_name(f".{secrets.token_hex(4)}-{path.name}")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        if error.errno is not None and (error.filename is None or Path(os.fsdecode(error.filename)) == temporary):
            error.filename, error.filename2 = str(path), None
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Puts `text` into `path`, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_bytes(path: Path, data: bytes | memoryview, mode: int = 0o666) -> None:
    """Puts `data` into `path`, whole or not at all; `mode` is before the umask."""
    with (replacing(path) as temporary,
          open(temporary, "wb", opener=lambda name, flags: os.open(name, flags, mode)) as file):
        file.write(data)


def remove_leftovers(folder: Path, seconds: float = _LEFT) -> None:
    """Removes the temporary files of processes that were killed while they wrote into `folder`, and that are so old."""
    with suppress(OSError):
        for path in folder.iterdir():
            if re.match(r"\.[0-9a-f]{8}-", path.name):
                with suppress(OSError):
                    if not seconds or time.time() - path.stat().st_mtime > seconds:
                        path.unlink()


def claim_directory(path: Path, owner: str) -> None:
    """Makes the folder `path`, or takes it over where an earlier run left the file `owner` in it.

    Raises:
        FdifError: where the folder holds something else, which must not be mixed with or overwritten.
    """
    check_directory(path, owner)
    path.mkdir(parents=True, exist_ok=True)


def check_directory(path: Path, owner: str) -> None:
    """Raises what `claim_directory` would, and changes nothing."""
    if path.exists() and not path.is_dir():
        raise FdifError(Diagnostic("E0803", f"{path} is a file, and a folder is to go there",
                                   hint="name another folder with -o"))
    if path.is_dir() and not (path / owner).is_file() and any(entry.name != LOCK for entry in path.iterdir()):
        raise FdifError(Diagnostic(
            "E0804", f"{path} holds files of something else", why=f"it is not empty and has no {owner}",
            hint="name a new or empty folder with -o"))
