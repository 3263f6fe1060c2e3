"""Arrays in a device's memory, and what a device can do with them. There are two: a GPU, and numba's simulator."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from fdif_dsl.compiler.backends.store.unit import Unit


@dataclass(frozen=True)
class DeviceArray:
    """Numbers in a device's memory, in C order.

    Whatever understands `__cuda_array_interface__` (torch.as_tensor, cupy.asarray, numba) takes it without a copy;
    `numpy.asarray` copies it to the host. `owner` is what keeps the memory; `host` are the numbers of the simulator.
    """

    address: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    owner: Any = None
    host: np.ndarray | None = None

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        if self.host is not None:
            raise AttributeError("the simulator's arrays are in the host's memory")
        # 1 is the default stream, on which a finished volume is handed over.
        return {"shape": self.shape, "typestr": self.dtype.str, "data": (self.address, False), "version": 3,
                "strides": None, "stream": 1}

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("what is on a device cannot be had without a copy")
        found = self.host.copy() if self.host is not None else self.owner.download(self)
        return np.asarray(found, dtype)

    @classmethod
    def of(cls, array: Any) -> DeviceArray:
        """What another library has on the device, without a copy: it has to be in C order."""
        if isinstance(array, DeviceArray):
            return array
        facts = array.__cuda_array_interface__
        if facts.get("strides") is not None:
            raise ValueError("the array is not in C order")
        return cls(facts["data"][0], tuple(facts["shape"]), np.dtype(facts["typestr"]), array)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def reshape(self, shape: tuple[int, ...]) -> DeviceArray:
        """The same numbers in another shape of as many."""
        if math.prod(shape) != self.size:
            raise ValueError(f"{self.size} numbers have no shape {shape}")
        return replace(self, shape=shape, host=None if self.host is None else self.host.reshape(shape))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, i: int) -> DeviceArray:
        """Entry i of the first axis, in the same memory."""
        if not 0 <= i < self.shape[0]:
            raise IndexError(i)
        return self._part(i, self.shape[1:], None if self.host is None else self.host[i])

    def starting(self, i: int) -> DeviceArray:
        """The entries of the first axis from i on, in the same memory."""
        return self._part(i, (self.shape[0] - i, *self.shape[1:]), None if self.host is None else self.host[i:])

    def _part(self, i: int, shape: tuple[int, ...], host: np.ndarray | None) -> DeviceArray:
        step = math.prod(self.shape[1:]) * self.dtype.itemsize
        return DeviceArray(self.address + i * step, shape, self.dtype, self.owner, host)


class Queue(Protocol):
    """Work on one stream of one device: what is asked for is done after all that was asked for before."""

    threads: int
    """Threads of a block."""
    budget: int
    """Bytes that the distances of a batch may take at a time."""

    def empty(self, shape: Sequence[int], dtype: Any) -> DeviceArray:
        """Memory for an array, whatever is in it; it goes back when the array is no longer held."""
        ...

    def upload(self, array: np.ndarray) -> DeviceArray:
        """A copy of the host's array."""
        ...

    def fill(self, array: DeviceArray, byte: int) -> None:
        """Set each byte."""
        ...

    def launch(self, unit: Unit, blocks: tuple[int, int], *arguments: DeviceArray | int) -> None:
        """Run a kernel that `load` was given, on blocks of `threads`, along x and y."""
        ...

    def load(self, units: Mapping[str, Unit]) -> None:
        """Have the kernels ready, building what is missing."""
        ...
