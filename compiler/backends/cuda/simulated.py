"""numba's simulator as a device: kernels as plain Python, arrays as NumPy's. Slow, and exact."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fdif_dsl.compiler.backends.cuda.memory import DeviceArray
from fdif_dsl.compiler.backends.store.unit import Unit


class SimulatedQueue:
    """See `memory.Queue`. `budget` can be set, to try scenes that do not fit at once."""

    threads = 4  # Python threads that have to be started for each block

    def __init__(self, budget: int = 1 << 30) -> None:
        self.budget = budget
        self._kernels: dict[str, Any] = {}

    def empty(self, shape: Sequence[int], dtype: Any) -> DeviceArray:
        # What is in new memory is anybody's guess; nothing may depend on it.
        host = np.frombuffer(bytearray(b"\xa5") * (int(np.prod(shape)) * np.dtype(dtype).itemsize), dtype)
        return _on_host(host.reshape(shape))

    def upload(self, array: np.ndarray) -> DeviceArray:
        return _on_host(np.array(array, order="C"))

    def fill(self, array: DeviceArray, byte: int) -> None:
        assert array.host is not None
        array.host.reshape(-1).view(np.uint8)[:] = byte

    def load(self, units: Mapping[str, Unit]) -> None:
        from numba import cuda

        from fdif_dsl.compiler.backends.cuda.build import load

        with tempfile.TemporaryDirectory() as folder:
            for symbol, unit in units.items():
                if symbol not in self._kernels:
                    path = Path(folder, f"{symbol}.py")
                    path.write_text(unit.source, encoding="utf-8")
                    self._kernels[symbol] = cuda.jit(load(path, unit.function))

    def launch(self, unit: Unit, blocks: tuple[int, int], *arguments: DeviceArray | int) -> None:
        kernel = self._kernels[unit.symbol]
        plain = [a if isinstance(a, int) else a.host.reshape(-1) for a in arguments]  # type: ignore[union-attr]
        with warnings.catch_warnings():  # 1/0 is a number here
            warnings.simplefilter("ignore", RuntimeWarning)
            kernel[blocks, self.threads](*plain)


def _on_host(array: np.ndarray) -> DeviceArray:
    return DeviceArray(array.ctypes.data, array.shape, array.dtype, None, array)
