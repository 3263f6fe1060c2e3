"""Fields: shapes whose distance is sampled on a grid, and the function that every back end computes of them.

A field has samples, such as one liver of each of fifty people, all on grids of the same shape. Its coordinates are
those of the object in units of a sample's longest side, with the middle of the box at the origin; so are its distances.
Inside of the box they are interpolated between the eight voxels around; a point outside has the distance to the box
added to the value at the nearest point of the box, so that far away it is still nearly a distance.

The graph names a field by its key, a hash of what it is baked from. What it holds is found here, by that key: it is
loaded, or baked, when a kernel or a value needs it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from fdif_dsl.compiler.ir.lattice import Primitives, cast_to, primitives


@dataclass(frozen=True, eq=False)
class Baked:
    """What is stored of a field: `numbers`, float16 or float32 (samples, z, y, x), one `cell` apart, how steep they are
    at most, and `origins`, the files that they were made from."""

    numbers: np.ndarray
    cell: float
    slope: float
    origins: tuple[Mapping[str, str], ...] = ()
    path: Path | None = None
    """The file that it was read from, or is kept in."""
    copies: dict[Any, Any] = field(default_factory=dict)
    """Its memory on other devices."""

    @property
    def sides(self) -> tuple[int, int, int]:
        """Voxels along x, y and z."""
        z, y, x = (int(side) for side in self.numbers.shape[1:])
        return x, y, z

    @property
    def halves(self) -> tuple[float, float, float]:
        """Half the sides of the box."""
        x, y, z = (self.cell * (side - 1) / 2 for side in self.sides)
        return x, y, z

    @property
    def samples(self) -> int:
        return int(self.numbers.shape[0])

    @cached_property
    def range(self) -> tuple[float, float]:
        """The least and the greatest of its numbers."""
        return float(self.numbers.min()), float(self.numbers.max())

    @cached_property
    def memory(self) -> np.ndarray:
        """The numbers one after the other as kernels read them, and one more: the last voxel is read with what follows.
        """
        flat = np.zeros(self.numbers.size + 2, self.numbers.dtype)
        flat[:-2] = self.numbers.reshape(-1)
        return flat


@dataclass(eq=False)
class Source:
    """Where a field comes from: how to get it, whether that is a file to load or an organ to bake; and of each file
    that it is made from the name, the checksum, the data set and the licence."""

    make: Callable[[], Baked]
    origins: tuple[Mapping[str, str], ...]
    _baked: Baked | None = field(default=None, init=False)

    def get(self) -> Baked:
        if self._baked is None:
            self._baked = self.make()
        return self._baked


_known: dict[str, Source] = {}


def declare(key: str, make: Callable[[], Baked], origins: Iterable[Mapping[str, str]] = ()) -> None:
    """Say how to get the field of a key, and what it is made from; what is known already stays."""
    _known.setdefault(key, Source(make, tuple(origins)))


def origins_of(keys: Iterable[str]) -> list[dict[str, str]]:
    """The files that fields are made from, each once. Nothing is baked for it."""
    found = [dict(origin) for key in keys for origin in _known[key].origins]
    return [*{(origin["sha256"], origin["file"]): origin for origin in found}.values()]


def baked(key: str) -> Baked:
    """What the field of a key holds.

    Raises:
        FdifError: it cannot be loaded or baked.
    """
    return _known[key].get()


def symbol(key: str) -> str:
    """What machine code calls the memory of a field."""
    return f"fdif_field_{key}"


@dataclass(frozen=True)
class Facts:
    """The numbers about a field that kernels hold as constants."""

    samples: int
    sides: tuple[int, int, int]
    cell: float
    bits: int

    @classmethod
    def of(cls, field_: Baked) -> Facts:
        return cls(field_.samples, field_.sides, field_.cell, 8 * field_.numbers.itemsize)


def sampler(facts: Facts, target: Primitives, absolute: Any, pair: Any, number: Callable[[float], Any],
            inline: Callable[[Any], Any]) -> Any:
    """The function (sample, x, y, z) of a field on a target.

    `pair(i)` gives the numbers i and i + 1 of its memory; `number` makes constants, `inline` makes a function of plain
    Python into one that kernels can call.
    """
    _, least, most, fma, floor, _, sqrt, of_words = target
    word, plus, times = of_words.word, of_words.plus, of_words.times
    nx, ny, nz = facts.sides
    zero, per_cell, last_sample = number(0), number(1 / facts.cell), number(facts.samples - 1)
    half_x, half_y, half_z = (number(facts.cell * (side - 1) / 2) for side in facts.sides)
    end_x, end_y, end_z = (number(side - 1) for side in facts.sides)
    last_x, last_y, last_z = (number(side - 2) for side in facts.sides)
    row, layer = nx, nx * ny

    @inline
    def beyond(x: Any, half: Any) -> Any:
        return most(absolute(x) - half, zero)  # NaN stays, as the first operand

    @inline
    def place(x: Any, half: Any, end: Any) -> Any:
        """A coordinate in cells, held within the grid; 0 for NaN."""
        return least(end, most(zero, (x + half) * per_cell))

    @inline
    def blend(t: Any, a: Any, b: Any) -> Any:
        return fma(t, b - a, a)

    @inline
    def line(i: Any, t: Any) -> Any:
        a, b = pair(i)
        return blend(t, a, b)

    @inline
    def value(k: Any, x: Any, y: Any, z: Any) -> Any:
        u, v, w = place(x, half_x, end_x), place(y, half_y, end_y), place(z, half_z, end_z)
        i, j, m = least(last_x, floor(u)), least(last_y, floor(v)), least(last_z, floor(w))
        u, v, w = u - i, v - j, w - m
        k = floor(least(last_sample, most(zero, k)))
        at = plus(times(plus(times(plus(times(word(k), nz), word(m)), ny), word(j)), nx), word(i))
        low = blend(v, line(at, u), line(plus(at, row), u))
        high = blend(v, line(plus(at, layer), u), line(plus(at, layer + row), u))
        a, b, c = beyond(x, half_x), beyond(y, half_y), beyond(z, half_z)
        return blend(w, low, high) + sqrt(fma(a, a, fma(b, b, c * c)))

    return value


def of_arrays(xp: Any, sqrt: Any, key: str, k: Any, x: Any, y: Any, z: Any) -> Any:
    """The same on arrays of the module `xp`, NumPy or torch."""
    found = baked(key)
    memory = found.memory if xp is np else _on(found, xp, x.device)

    def pair(i: Any) -> tuple[Any, Any]:
        at = i if xp is np else i.long()
        return cast_to(memory[at], x.dtype), cast_to(memory[at + 1], x.dtype)

    return sampler(Facts.of(found), primitives(xp, sqrt), xp.abs, pair, float, lambda f: f)(k, x, y, z)


def _on(found: Baked, torch: Any, device: Any) -> Any:
    """The memory of a field as a tensor on a device, copied there once."""
    if device not in found.copies:
        found.copies[device] = torch.from_numpy(found.memory).to(device)
    return found.copies[device]


def steepest(numbers: np.ndarray, cell: float) -> float:
    """How steep the interpolation of some samples is at most: along each axis no steeper than between two voxels."""
    found = np.asarray(numbers, np.float32)
    rise = [np.abs(np.diff(found, axis=axis)) for axis in (1, 2, 3)]
    z = _most_of_two(_most_of_two(rise[0], 2), 3)
    y = _most_of_two(_most_of_two(rise[1], 1), 3)
    x = _most_of_two(_most_of_two(rise[2], 1), 2)
    squares = float((z * z + y * y + x * x).max(initial=0.0))
    return math.sqrt(squares) / cell


def _most_of_two(a: np.ndarray, axis: int) -> np.ndarray:
    """The greater of each two neighbours."""
    n = a.shape[axis]
    greater: np.ndarray = np.maximum(a.take(range(n - 1), axis), a.take(range(1, n), axis))
    return greater
