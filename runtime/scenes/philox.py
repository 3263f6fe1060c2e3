"""Random numbers by counting: Philox4x32-10, vectorised in NumPy.

A counter-based generator is a function of (key, counter) without any state, so number k of object o of
volume i is the same on every machine, in every worker and in every order. The function is that of Salmon,
Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011), with ten rounds.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_MULTIPLY = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_WEYL = 0x9E3779B9, 0xBB67AE85  # the golden ratio and sqrt(3) - 1, added to the key each round
_LOW, _SHIFT = np.uint64(0xFFFFFFFF), np.uint64(32)

VOLUME = 0xFFFFFFFF
"""The object number of what is drawn for a volume as a whole. Those of the six numbers below it are the scanner's, see
`runtime/scanner/draws.py`."""

Words = tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64], npt.NDArray[np.uint64], npt.NDArray[np.uint64]]


def philox4x32(counter: Words, key: tuple[int, int]) -> Words:
    """Four random words for each counter. Words have 32 bits and are held in uint64 arrays, which must
    broadcast against each other, so that a product keeps both its halves."""
    a, b, c, d = counter
    key_0, key_1 = key
    for _ in range(10):
        first, second = a * _MULTIPLY[0], c * _MULTIPLY[1]
        a, b, c, d = ((second >> _SHIFT) ^ b ^ np.uint64(key_0), second & _LOW,
                      (first >> _SHIFT) ^ d ^ np.uint64(key_1), first & _LOW)
        key_0, key_1 = (key_0 + _WEYL[0]) & 0xFFFFFFFF, (key_1 + _WEYL[1]) & 0xFFFFFFFF
    return a, b, c, d


def uniforms(seed: int, index: int, objects: npt.ArrayLike, first: int, count: int) -> npt.NDArray[np.float64]:
    """Random numbers `first` to `first + count` of each object: float64 (number of objects, count).

    The key is the 64-bit `seed`; the counter is (draw // 4, object, low and high word of the volume's
    `index`). A number is a word w as (w + 1/2) / 2^32: a resolution of 2^-32, and never 0 or 1.
    """
    number = np.atleast_1d(np.asarray(objects, np.uint64))[:, None]
    start = first // 4
    block = np.arange(start, -(-(first + count) // 4), dtype=np.uint64)[None, :]
    low, high = np.uint64(index & 0xFFFFFFFF), np.uint64(index >> 32)
    zero = np.zeros((number.shape[0], block.shape[1]), np.uint64)
    words = philox4x32((block + zero, number + zero, zero + low, zero + high), (seed & 0xFFFFFFFF, seed >> 32))
    drawn = np.stack(words, axis=-1).reshape(number.shape[0], 4 * block.shape[1])[:, first - 4 * start :][:, :count]
    return (drawn.astype(np.float64) + 0.5) * 2.0**-32
