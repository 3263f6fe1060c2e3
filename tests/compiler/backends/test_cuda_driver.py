"""What is asked of the CUDA driver, with a driver whose device is the host's memory and whose kernels are simulated.

No GPU is needed to see that memory is taken, filled and given back, that each parameter of a kernel is where its
signature says, and what becomes of errors.
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Mapping
from enum import IntEnum
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import fdif_dsl as fd
from fdif_dsl.compiler.backends.cuda import CudaBackend, gpu
from fdif_dsl.compiler.backends.cuda import backend as backends
from fdif_dsl.compiler.backends.cuda.backend import simulated
from fdif_dsl.compiler.backends.cuda.gpu import Gpu
from fdif_dsl.compiler.backends.cuda.simulated import SimulatedQueue
from fdif_dsl.compiler.backends.store.unit import Unit
from fdif_dsl.compiler.ir.grid import Grid
from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.runtime.scenes.render import place

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not simulated(), reason="kernels run in the simulator here")]

_KINDS = {"f": np.float32, "d": np.float64, "i": np.int32, "q": np.int64, "u": np.uint32, "b": np.uint8, "h": np.uint16}


class Result(IntEnum):
    CUDA_SUCCESS = 0
    CUDA_ERROR_OUT_OF_MEMORY = 2
    CUDA_ERROR_NO_DEVICE = 100
    CUDA_ERROR_INVALID_PTX = 218


OK = Result.CUDA_SUCCESS


class Driver:
    """The calls of `cuda.bindings.driver` that gpu.py uses, with the driver's own arguments and results."""

    CUresult = Result
    CUdevice_attribute = SimpleNamespace(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR=75,
                                         CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR=76)
    CUmemPool_attribute = SimpleNamespace(CU_MEMPOOL_ATTR_RELEASE_THRESHOLD=4)
    CUstream, cuuint64_t = int, int

    def __init__(self) -> None:
        self.units: dict[str, Unit] = {}
        self.blocks: dict[int, np.ndarray] = {}
        self.launched: list[str] = []
        self.room = 1 << 30
        self.broken = False
        self._queue = SimulatedQueue()

    def cuDeviceGetCount(self) -> Any:
        return OK, 2

    def cuDeviceGet(self, number: int) -> Any:
        return OK, number

    def cuDevicePrimaryCtxRetain(self, device: int) -> Any:
        return OK, f"context {device}"

    def cuCtxSetCurrent(self, context: str) -> Any:
        assert context.startswith("context")
        return (OK,)

    def cuDeviceGetDefaultMemPool(self, device: int) -> Any:
        return OK, "pool"

    def cuMemPoolSetAttribute(self, pool: str, attribute: int, value: int) -> Any:
        return (OK,)

    def cuDeviceGetAttribute(self, attribute: int, device: int) -> Any:
        return OK, {75: 9, 76: 0}[attribute]

    def cuDeviceTotalMem(self, device: int) -> Any:
        return OK, 1 << 37

    def cuModuleLoadData(self, image: int) -> Any:
        name = ctypes.string_at(image).decode()
        return (Result.CUDA_ERROR_INVALID_PTX, None) if self.broken else (OK, name)

    def cuModuleGetFunction(self, module: str, name: bytes) -> Any:
        assert module == name.decode()
        return OK, self.units[module]

    def cuMemAllocAsync(self, size: int, stream: int) -> Any:
        if sum(map(len, self.blocks.values())) + size > self.room:
            return Result.CUDA_ERROR_OUT_OF_MEMORY, 0
        block = np.full(size, 0xA5, np.uint8)
        self.blocks[block.ctypes.data] = block
        return OK, block.ctypes.data

    def cuMemFreeAsync(self, pointer: int, stream: int) -> Any:
        self.blocks.pop(pointer)[:] = 0xDD
        return (OK,)

    def cuMemcpyHtoDAsync(self, to: int, host: int, size: int, stream: int) -> Any:
        ctypes.memmove(self._at(to, size).ctypes.data, host, size)
        return (OK,)

    def cuMemcpyDtoHAsync(self, host: int, there: int, size: int, stream: int) -> Any:
        ctypes.memmove(host, self._at(there, size).ctypes.data, size)
        return (OK,)

    def cuMemsetD8Async(self, to: int, byte: int, size: int, stream: int) -> Any:
        self._at(to, size)[:size] = byte
        return (OK,)

    def cuStreamSynchronize(self, stream: int) -> Any:
        return (OK,)

    def cuLaunchKernel(self, unit: Unit, x: int, y: int, z: int, threads: int, ty: int, tz: int, shared: int,
                       stream: int, parameters: int, extra: int) -> Any:
        assert (z, ty, tz, shared, extra) == (1, 1, 1, 0, 0) and threads == gpu.THREADS
        places = (ctypes.c_uint64 * len(unit.signature)).from_address(parameters)
        arguments: list[Any] = []
        for letter, place_ in zip(unit.signature, places, strict=True):
            if letter == "n":
                arguments.append(ctypes.c_int32.from_address(place_).value)
            else:
                rest = self._at(ctypes.c_uint64.from_address(place_).value, 0)
                kind = np.dtype(_KINDS[letter])
                arguments.append(rest[: len(rest) // kind.itemsize * kind.itemsize].view(kind))
        self.launched.append(unit.symbol.partition("_")[0])
        self._queue.load({unit.symbol: unit})
        self._queue._kernels[unit.symbol][(x, y), threads](*arguments)
        return (OK,)

    def _at(self, address: int, size: int) -> np.ndarray:
        """The rest of the block that an address lies in."""
        for start, block in self.blocks.items():
            if start <= address <= start + len(block) - max(size, 1):
                return block[address - start :]
        raise AssertionError(f"{size} bytes at {address:#x} are nobody's")


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Driver:
    found = Driver()
    monkeypatch.setattr(gpu, "driver", lambda: found)
    monkeypatch.setattr(backends, "simulated", lambda: False)
    monkeypatch.setattr(backends, "gpu", Gpu)  # and not the one that another test has made
    monkeypatch.setattr(gpu, "THREADS", 4)
    monkeypatch.setattr(gpu.GpuQueue, "threads", 4)

    def codes(self: Any, units: Mapping[str, Unit]) -> dict[str, bytes]:
        found.units.update(units)
        return {symbol: symbol.encode() for symbol in units}

    monkeypatch.setattr(backends.Stored, "codes", codes)
    return found


def own(tmp_path: Any) -> fd.Library:
    (tmp_path / "own.sdf").write_text(
        "use std\nmapper glow { intensity = 100 / (1 + abs(d)) }\n"
        "displacement waves { offset = sin(p.x) + sin(p.y) }\n"
        "shape ball {\n  radius ~ uniform(2, 4)\n  distance = length(p) - radius\n}\n"
        "shape shell {\n  radius ~ uniform(2, 4)\n  wall = 0.3 * abs(deepest(length(p) - radius))\n"
        "  distance = abs(length(p) - radius) - wall\n}\n")
    return fd.load_library(tmp_path / "own.sdf")


def backend_of(lib: fd.Library, device: int = 0) -> CudaBackend:
    return CudaBackend(lib.formulas, lib.backend("cpu"), device=device)  # type: ignore[arg-type]


def test_a_volume_is_drawn_and_all_memory_comes_back(driver: Driver, tmp_path: Any) -> None:
    lib = own(tmp_path)
    scene = fd.sample_scene(lib, 1, 1, fd.Recipe(grid=(9, 8, 10), objects=3, displacements=["none", "waves"]))
    wanted = fd.render(scene, lib)
    backend = backend_of(lib)
    for _ in range(2):
        found = backend.render(place(scene, lib), Grid(scene.grid))
        for a, b in ((found.image, wanted.image), (found.label, wanted.label), (found.counts, wanted.counts)):
            assert np.asarray(a).dtype == b.dtype and np.array_equal(np.asarray(a), b)
    assert driver.launched[-1] == "paint8" and driver.launched.count("compose") == 2
    interface = found.image.__cuda_array_interface__
    assert interface["shape"] == (9, 8, 10) and interface["typestr"] == "|u1"
    assert driver._at(interface["data"][0], 720)[:720].tobytes() == wanted.image.tobytes()
    del found
    gc.collect()
    kept = len(driver.blocks)
    backend.render(place(scene, lib), Grid(scene.grid))
    gc.collect()
    assert len(driver.blocks) == kept <= 6  # what depends on the grid alone


def test_points_go_there_and_back(driver: Driver, tmp_path: Any) -> None:
    lib = own(tmp_path)
    lib._backends["cuda"] = backend_of(lib)
    points = np.arange(30.0).reshape(10, 3)
    found = np.asarray(lib.shapes["ball"].distance(points, {"radius": 2.5}, backend="cuda"))
    np.testing.assert_allclose(found, lib.shapes["ball"].distance(points, {"radius": 2.5}), rtol=1e-6)


def test_too_little_memory_is_told(driver: Driver, tmp_path: Any) -> None:
    lib = own(tmp_path)
    driver.room = 1 << 12
    scene = fd.sample_scene(lib, 1, 0, fd.Recipe(grid=(32, 32, 32), objects=3, displacements=[]))
    with pytest.raises(FdifError, match="E0614"):
        backend_of(lib).render(place(scene, lib), Grid(scene.grid))


def test_a_kernel_that_the_driver_refuses_is_told(driver: Driver, tmp_path: Any) -> None:
    lib = own(tmp_path)
    driver.broken = True
    with pytest.raises(FdifError, match=r"E0616[\s\S]*CUDA_ERROR_INVALID_PTX"):
        backend_of(lib).build()


def test_a_device_that_there_is_not(driver: Driver, tmp_path: Any) -> None:
    assert backend_of(own(tmp_path), device=1)._gpu.number == 1  # type: ignore[union-attr]
    with pytest.raises(FdifError, match=r"E0615[\s\S]*there is no CUDA device 2[\s\S]*this machine has 2"):
        backend_of(own(tmp_path), device=2)
