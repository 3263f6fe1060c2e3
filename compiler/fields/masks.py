"""Masks of NIfTI files, version 1 and 2, whole or packed by gzip.

Read here and not with a library: a header may say anything, and memory is taken for what is there, a few layers at a
time.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from fdif_dsl.compiler.fields.problems import damaged, problem, too_large

MOST_VOXELS = 1 << 28
_LAYERS = 1 << 22  # voxels that are read at a time
_KINDS = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}
_TOLD = 12  # labels that a message lists


@dataclass(frozen=True)
class Header:
    """What a header says: voxels along x, y and z, the kind of numbers, where they begin, how they are scaled, and the
    affine from voxels to mm."""

    sides: tuple[int, int, int]
    kind: np.dtype[np.generic]
    start: int
    slope: float
    shift: float
    affine: np.ndarray


def read_mask(path: Path, where: str, label: int) -> tuple[np.ndarray, np.ndarray]:
    """The voxels (x, y, z) that have a label, with 0 all that are not 0, cut out of the file; and the affine from these
    voxels to mm.

    Raises:
        FdifError: it is damaged or too large, or no voxel has the label.
    """
    try:
        with _opened(path) as file:
            header = _header(file, where)
            file.read(header.start - file.tell())
            chosen, labels = _chosen(file, header, where, label)
    except (OSError, EOFError, zlib.error, struct.error) as error:
        raise damaged(where, str(error) or "it ends too early") from None
    if not chosen.any():
        if label:
            told = ", ".join(f"{v:g}" for v in sorted(labels)[:_TOLD])
            raise problem("E0323", where, f"the mask has no label {label}", f"its labels are {told or 'all 0'}",
                          "name one of them, or leave `label` out for all that are not 0" if told else
                          "it is empty: name another file")
        raise problem("E0323", where, "the mask is empty", "all its voxels are 0", "name another file")
    boxes = [np.flatnonzero(chosen.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    first = np.array([box[0] for box in boxes])
    cut = chosen[tuple(slice(box[0], box[-1] + 1) for box in boxes)]
    affine = header.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ first
    return cut.copy(), affine


def _opened(path: Path) -> BinaryIO:
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return cast(BinaryIO, gzip.open(path, "rb")) if packed else path.open("rb")


def _header(file: BinaryIO, where: str) -> Header:
    size = file.read(4)
    for order in "<>":
        length = struct.unpack(f"{order}i", size)[0] if len(size) == 4 else 0
        if length in (348, 540):
            data = size + file.read(length - 4)
            return _first(data, order, where) if length == 348 else _second(data, order, where)
    raise damaged(where, "it does not begin as a NIfTI file does")


def _first(data: bytes, order: str, where: str) -> Header:
    if data[344:347] not in (b"n+1",):
        raise damaged(where, "it is no NIfTI file, or its voxels are in another one")
    dims = struct.unpack_from(f"{order}8h", data, 40)
    code, = struct.unpack_from(f"{order}h", data, 70)
    steps = struct.unpack_from(f"{order}8f", data, 76)
    start, slope, shift = struct.unpack_from(f"{order}3f", data, 108)
    qform, sform = struct.unpack_from(f"{order}2h", data, 252)
    turn = struct.unpack_from(f"{order}6f", data, 256)
    rows = struct.unpack_from(f"{order}12f", data, 280)
    return _checked(order, where, dims, code, start, slope, shift, _affine(steps, qform, sform, turn, rows))


def _second(data: bytes, order: str, where: str) -> Header:
    code, = struct.unpack_from(f"{order}h", data, 12)
    dims = struct.unpack_from(f"{order}8q", data, 16)
    steps = struct.unpack_from(f"{order}8d", data, 104)
    start, = struct.unpack_from(f"{order}q", data, 168)
    slope, shift = struct.unpack_from(f"{order}2d", data, 176)
    qform, sform = struct.unpack_from(f"{order}2i", data, 344)
    turn = struct.unpack_from(f"{order}6d", data, 352)
    rows = struct.unpack_from(f"{order}12d", data, 400)
    return _checked(order, where, dims, code, start, slope, shift, _affine(steps, qform, sform, turn, rows))


def _affine(steps: tuple[float, ...], qform: int, sform: int, turn: tuple[float, ...],
            rows: tuple[float, ...]) -> np.ndarray:
    """From voxels to mm: the sform where it is set, else the qform, else the size of the voxels alone."""
    affine = np.eye(4)
    if sform > 0:
        affine[:3] = np.reshape(rows, (3, 4))
    elif qform > 0:
        b, c, d = turn[:3]
        a = math.sqrt(max(0.0, 1 - (b * b + c * c + d * d)))
        rotation = np.array([
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c]])
        handed = -1 if steps[0] < 0 else 1
        affine[:3, :3] = rotation * [steps[1], steps[2], handed * steps[3]]
        affine[:3, 3] = turn[3:]
    else:
        affine[:3, :3] = np.diag(steps[1:4])
    return affine


def _checked(order: str, where: str, dims: tuple[int, ...], code: int, start: float, slope: float, shift: float,
             affine: np.ndarray) -> Header:
    if not 3 <= dims[0] <= 7 or min(dims[1:4]) < 1 or not start >= 0:
        raise damaged(where, "its header makes no sense")
    if any(n > 1 for n in dims[4 : dims[0] + 1]):
        raise problem("E0324", where, "the file has more than three axes",
                      f"it has {list(dims[1 : dims[0] + 1])} voxels",
                      "write the mask that is meant into a file of its own")
    if code not in _KINDS:
        raise problem("E0324", where, "the mask's numbers are of a kind that is not read", f"its code is {code}",
                      "write it anew with whole numbers")
    if math.prod(dims[1:4]) > MOST_VOXELS:
        raise too_large(where, f"it has {dims[1]} x {dims[2]} x {dims[3]} voxels, and {MOST_VOXELS} are read at most",
                        "cut the organ out of it, or make its voxels larger")
    matrix = affine[:3, :3]
    if not np.isfinite(affine).all() or not 1e-9 < abs(float(np.linalg.det(matrix))) < 1e15:
        raise problem("E0324", where, "the mask says nothing usable of where its voxels lie",
                      "the matrix from its voxels to mm has no inverse", "write it anew with its spacing")
    scaled = math.isfinite(slope) and slope != 0 and math.isfinite(shift)
    x, y, z = (int(n) for n in dims[1:4])
    return Header((x, y, z), np.dtype(order + _KINDS[code]), int(start), slope if scaled else 1.0,
                  shift if scaled else 0.0, affine)


def _chosen(file: BinaryIO, header: Header, where: str, label: int) -> tuple[np.ndarray, set[float]]:
    """The voxels with the label, and the labels that there are."""
    x, y, z = header.sides
    chosen = np.zeros((x, y, z), bool)
    labels: set[float] = set()
    for first, layers in _layers(file, header, where):
        values = layers.astype(np.float64) * header.slope + header.shift
        known = np.rint(values) if label else values
        part = known == label if label else (known != 0) & (known == known)
        chosen[:, :, first : first + len(layers)] = part.transpose(2, 1, 0)
        if label and len(labels) <= _TOLD:
            labels.update(float(v) for v in np.unique(known)[: _TOLD + 1] if v and math.isfinite(v))
    return chosen, labels


def _layers(file: BinaryIO, header: Header, where: str) -> Iterator[tuple[int, np.ndarray]]:
    """The numbers (z, y, x) of the file, a few layers at a time, and the number of the first of them."""
    x, y, z = header.sides
    at_once = max(1, _LAYERS // (x * y))
    for first in range(0, z, at_once):
        count = min(at_once, z - first) * x * y
        data = file.read(count * header.kind.itemsize)
        if len(data) < count * header.kind.itemsize:
            raise damaged(where, "it ends before its last voxel")
        yield first, np.frombuffer(data, header.kind).reshape(-1, y, x)
