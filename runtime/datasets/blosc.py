"""Arrays as Blosc2 files (`.b2nd`), in memory: no path and no time in them, so the same array gives the same bytes."""

from __future__ import annotations

import math

import numpy as np

from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError

_BLOCK = 32  # voxels along each axis: 128 KiB of float32, which fits the second-level cache


def need_blosc2() -> None:
    """Raises `FdifError` where the package is not installed."""
    try:
        import blosc2  # noqa: F401
    except ImportError:
        raise FdifError(Diagnostic("E0924", "this format needs the package blosc2, which is not installed",
                                   hint="pip install 'fdif-dsl[blosc2]'")) from None


def b2nd(array: np.ndarray, level: int) -> bytes:
    """An array (C, D, H, W) as a Blosc2 file, packed by Zstandard at `level` (0 to 9) after a shuffle of bytes.

    A chunk is one channel and `_BLOCK` planes. Chunks are filled one by one, since only that lets other threads run
    meanwhile; with more than one thread of its own, Blosc2 would give other bytes.
    """
    import blosc2

    channels, *sides = array.shape
    depth, *plane = (min(_BLOCK, side) for side in sides)
    out = blosc2.empty(array.shape, array.dtype, chunks=(1, depth, *sides[1:]), blocks=(1, depth, *plane),
                       cparams={"codec": blosc2.Codec.ZSTD, "clevel": level, "nthreads": 1})
    # A chunk holds its blocks one after the other, each whole: what lies beyond the array is zero.
    rows, columns = (math.ceil(side / block) for side, block in zip(sides[1:], plane, strict=True))
    chunk = np.zeros((depth, rows * plane[0], columns * plane[1]), array.dtype)
    blosc2.set_releasegil(True)
    for number, (channel, start) in enumerate(np.ndindex(channels, math.ceil(sides[0] / depth))):
        part = array[channel, start * depth : (start + 1) * depth]
        chunk[:] = 0
        chunk[: len(part), : sides[1], : sides[2]] = part
        blocks = chunk.reshape(depth, rows, plane[0], columns, plane[1]).transpose(1, 3, 0, 2, 4)
        out.schunk.update_data(number, np.ascontiguousarray(blocks), copy=True)
    return bytes(out.to_cframe())


def read_b2nd(data: bytes) -> np.ndarray:
    """The array of such a file. Raises `RuntimeError` or `ValueError` for something else."""
    import blosc2

    return np.asarray(blosc2.ndarray_from_cframe(data)[:])
