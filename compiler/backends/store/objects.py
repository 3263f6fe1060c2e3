"""A file of code: the code and then its checksum, so that damage is noticed."""

from __future__ import annotations

import hashlib
from pathlib import Path

from fdif_dsl.compiler.support.files import write_bytes
from fdif_dsl.compiler.support.trust import file_mode, read_guarded

_MAGIC = b"FDIFOBJ1"
_FOOTER = len(_MAGIC) + hashlib.sha256().digest_size


def write_object(path: Path, code: bytes) -> None:
    """The checksum comes last: it is still an object file to `objdump`."""
    write_bytes(path, code + _MAGIC + hashlib.sha256(code).digest(), file_mode(path.parent))


def read_object(path: Path) -> bytes | None:
    """The code in a file; None where there is none, it is damaged, or others could change it."""
    try:
        data = read_guarded(path)
    except OSError:
        return None
    code, foot = data[:-_FOOTER], data[-_FOOTER:]
    return code if foot == _MAGIC + hashlib.sha256(code).digest() else None
