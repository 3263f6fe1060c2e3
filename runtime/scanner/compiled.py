"""The scanner on the CPU: fills the job of the compiled functions and shares the slices out to threads."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from fdif_dsl.compiler.backends.cpu import CpuBackend
from fdif_dsl.compiler.backends.cpu import scanner as layout
from fdif_dsl.compiler.backends.cpu.driver import prototype, thread_count, together
from fdif_dsl.runtime.scanner.draws import Acquisition
from fdif_dsl.runtime.scanner.fields import Field
from fdif_dsl.runtime.scanner.profiles import Profile

_WORD = 0xFFFFFFFF

Functions = dict[str, Callable[..., None]]
_functions: weakref.WeakKeyDictionary[CpuBackend, Functions] = weakref.WeakKeyDictionary()


def uniforms(backend: CpuBackend, seed: int, index: int, object_number: int, count: int) -> npt.NDArray[np.float64]:
    """The first so many numbers of an object, as `philox.uniforms` has them."""
    blocks = -(-count // 4)
    job, out = _job(seed, index), np.empty(4 * blocks)
    functions_of(backend)["draw_uniforms"](job.ctypes.data, out.ctypes.data, object_number, 0, blocks)
    return out[:count]


def scanned(backend: CpuBackend, what: Acquisition, image: npt.NDArray[np.uint8],
            numbers: npt.NDArray[np.unsignedinteger[Any]]) -> npt.NDArray[np.uint8]:
    """The image (D, H, W) after all that happens to it. `numbers`, of 8 or 16 bits, says which object each voxel
    belongs to, from 1; 0 is background. Where nothing is painted, any number but 0 will do for an object."""
    image, numbers = np.ascontiguousarray(image), np.ascontiguousarray(numbers)
    depth, height, width = image.shape
    out = np.empty_like(image)
    stride = -(-height * width // layout.GROUP) * layout.GROUP
    planes = np.empty((depth, stride), np.float32)
    job = _job(what.seed, what.index)
    job[[layout.WIDTH, layout.HEIGHT, layout.DEPTH]] = width, height, depth
    job[[layout.IMAGE, layout.OUT]] = image.ctypes.data, out.ctypes.data
    job[[layout.NUMBER, layout.WIDE_NUMBER]] = numbers.ctypes.data, numbers.itemsize == 2
    job[[layout.PLANES, layout.STRIDE]] = planes.ctypes.data, stride
    if what.paint is not None:
        job[[layout.PAINT, layout.PAINTED]] = what.paint.ctypes.data, what.paint.shape[1]
    rows = 0
    for at, field in ((layout.TEXTURE, what.texture), (layout.BIAS, what.bias)):
        if field is not None:
            job[at : at + 6] = _field(field)
            rows = max(rows, field.values.shape[1])
    for axis, profile in enumerate(reversed(what.profiles)):
        if profile is not None:
            at = layout.AXES + layout.COLUMNS * axis
            job[at : at + layout.COLUMNS] = _matrix(profile)
    given = np.empty(layout.NUMBERS)
    given[[layout.INVERT, layout.GAUSSIAN, layout.RICIAN, layout.GAMMA]] = (
        what.invert, what.gaussian, what.rician, what.gamma)
    functions = functions_of(backend)

    def run(name: str) -> None:
        scratch = np.empty(layout.scratch_size(width, height, stride, rows), np.float32)
        functions[name](job.ctypes.data, scratch.ctypes.data, given.ctypes.data)

    if image.size:
        threads = min(thread_count(), depth)
        together(threads, lambda: run("compose"))
        together(threads, lambda: run("finish"))
    return out


def _job(seed: int, index: int) -> npt.NDArray[np.int64]:
    """The job table with what decides about its random numbers."""
    job = np.zeros(layout.JOB, np.int64)
    job[layout.KEY_LOW : layout.INDEX_HIGH + 1] = seed & _WORD, seed >> 32, index & _WORD, index >> 32
    return job


def _field(field: Field) -> tuple[int, ...]:
    (cell_z, cell_y), (weight_z, weight_y) = field.cells, field.weights
    return (field.values.ctypes.data, field.values.shape[1], cell_z.ctypes.data, weight_z.ctypes.data,
            cell_y.ctypes.data, weight_y.ctypes.data)


def _matrix(profile: Profile) -> tuple[int, int, int]:
    return profile.weights.ctypes.data, profile.first.ctypes.data, profile.weights.shape[1]


def functions_of(backend: CpuBackend) -> Functions:
    """The compiled functions by name, built first if need be; a call releases Python's lock."""
    found = _functions.get(backend)
    if found is None:
        units = layout.scanner_units()
        addresses = backend.addresses(list(units.values()))
        found = _functions[backend] = {name: prototype(unit.signature)(addresses[unit.symbol])
                                       for name, unit in units.items()}
    return found
