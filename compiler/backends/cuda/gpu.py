"""A GPU through the CUDA driver. Never imports numba: a machine with a compiled library needs no compiler."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from functools import cache, cached_property
from typing import Any

import numpy as np

from fdif_dsl.compiler.backends.cuda.layout import THREADS
from fdif_dsl.compiler.backends.cuda.memory import DeviceArray
from fdif_dsl.compiler.backends.cuda.target import require_packages
from fdif_dsl.compiler.backends.field_constants import fields_in
from fdif_dsl.compiler.backends.store.unit import Unit
from fdif_dsl.compiler.ir import fields
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError

_SHARE = 16  # of the card's memory, for distances
_LEAST, _MOST = 1 << 28, 1 << 33

Codes = Callable[[Mapping[str, Unit]], Mapping[str, bytes]]
"""Gives the machine code or PTX of units by symbol, building what is missing."""


def driver() -> Any:
    """The module `cuda.bindings.driver`, initialised.

    Raises:
        FdifError: where the package, the driver or a GPU is missing.
    """
    require_packages("the backend `cuda`", "backend")
    from cuda.bindings import driver as module

    try:
        (error,) = module.cuInit(0)
    except Exception as reason:  # the package's own, where there is no driver library
        raise _no_driver(str(reason).splitlines()[0]) from None
    if int(error) == int(module.CUresult.CUDA_ERROR_NO_DEVICE):
        raise FdifError(Diagnostic("E0613", "this machine has no CUDA device", where="backend",
                                   why="the driver finds none, or CUDA_VISIBLE_DEVICES hides them all",
                                   hint='use backend="cpu"'))
    if int(error):
        raise _no_driver(error.name)
    return module


def _no_driver(why: str) -> FdifError:
    return FdifError(Diagnostic("E0612", "the backend `cuda` needs NVIDIA's driver, which does not work here",
                                where="backend", why=why,
                                hint='install the driver of your card, or use backend="cpu"'))


def _checked(result: tuple[Any, ...]) -> Any:
    """What a call of the driver returned, unless it is an error."""
    error, *values = result
    if int(error):
        if error.name == "CUDA_ERROR_OUT_OF_MEMORY":
            raise FdifError(Diagnostic("E0614", "the GPU has too little free memory", where="backend",
                                       hint="render fewer volumes at a time, or smaller ones"))
        raise RuntimeError(f"the CUDA driver says {error.name}")
    return values[0] if len(values) == 1 else tuple(values)


@cache
def gpu(number: int) -> Gpu:
    """The GPU of that number, among those that are visible."""
    return Gpu(number)


class Gpu:
    """One card: its primary context, which torch uses too, and the kernels that were loaded onto it."""

    def __init__(self, number: int) -> None:
        d = self._driver = driver()
        count = _checked(d.cuDeviceGetCount())
        if not 0 <= number < count:
            raise FdifError(Diagnostic("E0615", f"there is no CUDA device {number}", where="backend",
                                       why=f"this machine has {count}, numbered from 0",
                                       hint="CUDA_VISIBLE_DEVICES says which are visible"))
        self.number = number
        self._device = _checked(d.cuDeviceGet(number))
        self._context = _checked(d.cuDevicePrimaryCtxRetain(self._device))
        self._functions: dict[str, Any] = {}
        self._fields: dict[str, int] = {}
        self._lock = threading.Lock()
        self.enter()
        pool = _checked(d.cuDeviceGetDefaultMemPool(self._device))
        threshold = d.CUmemPool_attribute.CU_MEMPOOL_ATTR_RELEASE_THRESHOLD
        # Freed memory stays with the process: to ask the system anew at each batch would cost more than drawing.
        _checked(d.cuMemPoolSetAttribute(pool, threshold, d.cuuint64_t(2**63)))

    def enter(self) -> None:
        """Make this thread work on this card."""
        _checked(self._driver.cuCtxSetCurrent(self._context))

    @cached_property
    def capability(self) -> tuple[int, int]:
        d, names = self._driver, self._driver.CUdevice_attribute
        major = _checked(d.cuDeviceGetAttribute(names.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, self._device))
        minor = _checked(d.cuDeviceGetAttribute(names.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, self._device))
        return int(major), int(minor)

    @cached_property
    def memory(self) -> int:
        """Bytes in all."""
        return int(_checked(self._driver.cuDeviceTotalMem(self._device)))

    def function(self, symbol: str) -> Any:
        return self._functions[symbol]

    def load(self, units: Mapping[str, Unit], codes: Codes) -> None:
        with self._lock:
            missing = {symbol: unit for symbol, unit in units.items() if symbol not in self._functions}
            if missing:
                self.enter()
                for symbol, code in codes(missing).items():
                    self._functions[symbol] = self._function(symbol, code, fields_in(missing[symbol].source))

    def _function(self, symbol: str, code: bytes, keys: Sequence[str]) -> Any:
        text = np.frombuffer(code + b"\0", np.uint8)  # PTX has to end in a zero
        result = self._driver.cuModuleLoadData(text.ctypes.data)
        if int(result[0]):
            raise FdifError(Diagnostic(
                "E0616", "the GPU does not take a compiled kernel", where="backend", why=result[0].name,
                hint="update the driver, or compile for this card with the CUDA version that the driver has"))
        module = _checked(result)
        for key in keys:
            place, size = _checked(self._driver.cuModuleGetGlobal(module, fields.symbol(key).encode()))
            address = np.array([self._field(key)], np.uint64)
            assert size == address.nbytes
            _checked(self._driver.cuMemcpyHtoD(place, address.ctypes.data, address.nbytes))
        return _checked(self._driver.cuModuleGetFunction(module, symbol.encode()))

    def _field(self, key: str) -> int:
        """Where the numbers of a field are on the card; they are brought there once, and stay."""
        if key not in self._fields:
            memory = fields.baked(key).memory
            place = _checked(self._driver.cuMemAlloc(memory.nbytes))
            _checked(self._driver.cuMemcpyHtoD(place, memory.ctypes.data, memory.nbytes))
            self._fields[key] = int(place)
        return self._fields[key]

    def queue(self, codes: Codes, stream: int = 0) -> GpuQueue:
        """Work on a stream, by its handle; 0 is the default stream."""
        return GpuQueue(self, codes, stream)


class GpuQueue:
    """See `memory.Queue`."""

    threads = THREADS

    def __init__(self, device: Gpu, codes: Codes, stream: int) -> None:
        self.device = device
        self.budget = min(max(device.memory // _SHARE, _LEAST), _MOST)
        self._codes = codes
        self._driver = driver()
        self._stream = self._driver.CUstream(stream)
        device.enter()

    def empty(self, shape: Sequence[int], dtype: Any) -> DeviceArray:
        kind = np.dtype(dtype)
        size = max(1, int(np.prod(shape))) * kind.itemsize
        block = _Block(self, size)
        return DeviceArray(block.address, tuple(shape), kind, block)

    def upload(self, array: np.ndarray) -> DeviceArray:
        # From memory that is not pinned the driver takes a copy before it returns.
        array = np.ascontiguousarray(array)
        made = self.empty(array.shape, array.dtype)
        if array.nbytes:
            _checked(self._driver.cuMemcpyHtoDAsync(made.address, array.ctypes.data, array.nbytes, self._stream))
        return made

    def fill(self, array: DeviceArray, byte: int) -> None:
        if array.size:
            size = array.size * array.dtype.itemsize
            _checked(self._driver.cuMemsetD8Async(array.address, byte, size, self._stream))

    def load(self, units: Mapping[str, Unit]) -> None:
        self.device.load(units, self._codes)

    def launch(self, unit: Unit, blocks: tuple[int, int], *arguments: DeviceArray | int) -> None:
        # Each parameter lies in eight bytes of its own; of a small number the driver reads the first four.
        values = np.array([a if isinstance(a, int) else a.address for a in arguments], np.uint64)
        places = values.ctypes.data + 8 * np.arange(len(values), dtype=np.uint64)
        _checked(self._driver.cuLaunchKernel(
            self.device.function(unit.symbol), blocks[0], blocks[1], 1, self.threads, 1, 1, 0, self._stream,
            places.ctypes.data, 0))


class _Block:
    """Memory that goes back to the pool, in the order of its stream, when nobody holds it any more."""

    def __init__(self, queue: GpuQueue, size: int) -> None:
        self._queue = queue
        d, stream = queue._driver, queue._stream
        pointer = _checked(d.cuMemAllocAsync(size, stream))
        self.address = int(pointer)
        device = queue.device

        def free() -> None:
            device.enter()
            d.cuMemFreeAsync(pointer, stream)

        weakref.finalize(self, free).atexit = False  # the driver may be gone by then; the process ends anyway

    def download(self, array: DeviceArray) -> np.ndarray:
        """A copy in the host's memory, when all that the stream was asked for is done."""
        d = self._queue._driver
        self._queue.device.enter()
        out = np.empty(array.shape, array.dtype)
        if out.nbytes:
            _checked(d.cuMemcpyDtoHAsync(out.ctypes.data, array.address, out.nbytes, self._queue._stream))
        _checked(d.cuStreamSynchronize(self._queue._stream))
        return out
