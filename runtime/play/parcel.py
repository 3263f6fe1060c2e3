"""Answers as bytes: the length of a header, the header as JSON, and parts whose names and lengths it tells."""

from __future__ import annotations

import json
import struct
from typing import Any

Json = dict[str, Any]


def pack(header: Json, parts: list[tuple[str, bytes]]) -> bytes:
    """An answer as bytes."""
    head = json.dumps({**header, "parts": [[name, len(data)] for name, data in parts]}, allow_nan=False).encode()
    return b"".join((struct.pack("<I", len(head)), head, *(data for _, data in parts)))


def unpack(answer: bytes) -> tuple[Json, dict[str, bytes]]:
    """The header and the parts of an answer."""
    (length,) = struct.unpack_from("<I", answer)
    header = json.loads(answer[4 : 4 + length])
    parts, at = {}, 4 + length
    for name, size in header["parts"]:
        parts[name] = answer[at : at + size]
        at += size
    return header, parts
