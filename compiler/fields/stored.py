"""A baked field as a file: a line of JSON, filled up to a whole number of blocks, and then the numbers."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

from fdif_dsl.compiler.ir.fields import Baked
from fdif_dsl.compiler.support.files import replacing

FORMAT = "fdif-field-1"
_BLOCK = 64
_MOST_HEADER = 1 << 24


def write(path: Path, field: Baked) -> None:
    """Puts the field into `path`, whole or not at all."""
    numbers = np.ascontiguousarray(field.numbers)
    header = {"format": FORMAT, "shape": list(numbers.shape), "kind": numbers.dtype.newbyteorder("<").str,
              "cell": field.cell, "slope": field.slope, "origins": [dict(origin) for origin in field.origins],
              "sha256": hashlib.sha256(numbers.astype(numbers.dtype.newbyteorder("<")).tobytes()).hexdigest()}
    line = json.dumps(header).encode()
    line += b" " * (-(len(line) + 1) % _BLOCK) + b"\n"
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write(line)
        numbers.astype(numbers.dtype.newbyteorder("<")).tofile(file)


def read(path: Path) -> Baked:
    """The field in a file.

    Raises:
        OSError, ValueError, KeyError, TypeError: there is none, or it is damaged.
    """
    with path.open("rb") as file:
        line = file.readline(_MOST_HEADER)
        header = json.loads(line)
        if header["format"] != FORMAT or header["kind"] not in ("<f2", "<f4"):
            raise ValueError("its format is another one")
        shape = tuple(int(n) for n in header["shape"])
        count = int(np.prod(shape))
        size = len(line) + count * np.dtype(header["kind"]).itemsize
        if len(shape) != 4 or min(shape) < 1 or min(shape[1:]) < 2 or path.stat().st_size != size:
            raise ValueError("it is cut off")
        numbers = np.fromfile(file, header["kind"], count)
    if hashlib.sha256(numbers.tobytes()).hexdigest() != header["sha256"]:
        raise ValueError("its numbers have another checksum")
    cell, slope = float(header["cell"]), float(header["slope"])
    if not (0 < cell < 1 and 0 <= slope < 1e6):
        raise ValueError("its header makes no sense")
    return Baked(numbers.astype(numbers.dtype.newbyteorder("="), copy=False).reshape(shape), cell, slope,
                 tuple({str(word): str(text) for word, text in origin.items()} for origin in header["origins"]), path)
