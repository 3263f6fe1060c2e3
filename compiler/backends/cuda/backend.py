"""The CUDA backend: scenes to volumes that are born on the device, and points to numbers there."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fdif_dsl.compiler.backends import Placed, Rendered
from fdif_dsl.compiler.backends.cpu import CpuBackend
from fdif_dsl.compiler.backends.cuda import pipeline, text
from fdif_dsl.compiler.backends.cuda.batch import Batch
from fdif_dsl.compiler.backends.cuda.gpu import Gpu, gpu
from fdif_dsl.compiler.backends.cuda.kernels import LibraryKernels, point_unit
from fdif_dsl.compiler.backends.cuda.layout import SIDE, VOXELS
from fdif_dsl.compiler.backends.cuda.memory import DeviceArray, Queue
from fdif_dsl.compiler.backends.cuda.pipeline import Fields, OnGrid, Volumes
from fdif_dsl.compiler.backends.cuda.simulated import SimulatedQueue
from fdif_dsl.compiler.backends.cuda.stored import Stored
from fdif_dsl.compiler.backends.cuda.target import require_packages
from fdif_dsl.compiler.backends.statements import ROWS
from fdif_dsl.compiler.ir.formula import Formula
from fdif_dsl.compiler.ir.graph import Node
from fdif_dsl.compiler.ir.grid import Grid
from fdif_dsl.compiler.ir.parameters import is_tensor
from fdif_dsl.compiler.passes.mapper_limits import empty_from
from fdif_dsl.compiler.support.progress import Progress

_INPUTS = {"shape": ("p.x", "p.y", "p.z"), "displacement": ("w.x", "w.y", "w.z"), "mapper": ("d",), "seeing": ROWS}
_MOST_GRIDS = 4
_MANY = 6  # classes that a batch needs and the backend has not seen, from which on the whole library is built


class CudaBackend:
    """Renders and evaluates on a GPU, or in numba's simulator where NUMBA_ENABLE_CUDASIM=1. Results are `DeviceArray`s.

    `device` is the GPU's number. Kernels come from `folder`, an artefact, where it has some for this kind of GPU; else
    they are built when they are first used. What depends on the grid alone is worked out by `host`, the CPU backend of
    the same formulas, and so are objects of which other quantities are given than a sampled scene gives.

    Raises:
        FdifError: where packages, the driver or the GPU are missing.
    """

    name = "cuda"

    def __init__(self, formulas: Sequence[Formula], host: CpuBackend, folder: Path | None = None, device: int = 0,
                 progress: Progress | None = None) -> None:
        require_packages("the backend `cuda`", "backend")
        self._library = LibraryKernels(formulas)
        self._host = host
        self._gpu: Gpu | None = None if simulated() else gpu(device)
        self._stored = None if self._gpu is None else Stored(self._gpu.capability, folder, progress)
        self._simulated = SimulatedQueue()
        self._ready: set[int] = set()  # formulas whose kernels are loaded, by identity
        self._grids: dict[tuple[tuple[int, int, int], int], OnGrid] = {}
        self._lock = threading.Lock()

    def queue(self, stream: int = 0) -> Queue:
        """Work on a CUDA stream, by its handle; 0 is the default stream, which torch uses too unless told otherwise."""
        if self._gpu is None:
            return self._simulated
        assert self._stored is not None
        return self._gpu.queue(self._stored.codes, stream)

    def build(self, formulas: Sequence[Formula] | None = None) -> None:
        """Have all kernels that the formulas (None: all of them) need in volumes, building what is missing."""
        chosen = self._library.formulas if formulas is None else formulas
        self.queue().load({unit.symbol: unit for unit in self._library.drawing(chosen)})
        self._ready.update(map(id, chosen))

    # Points -----------------------------------------------------------------------------------

    def evaluate(self, formula: Formula, inputs: Mapping[str, Any], slots: Mapping[int, Any],
                 grid: Grid | None = None, inverse: Any = None) -> DeviceArray:
        """The formula at points: float32 (N,). See `Backend.evaluate`."""
        queue, unit = self.queue(), point_unit(formula)
        queue.load({unit.symbol: unit})
        roots = text.values_of(formula.result)
        matrix = np.eye(4) if inverse is None else np.asarray(inverse, np.float64)
        numbers = queue.upload(self._numbers(formula, roots, slots, grid, matrix))
        kind = "seeing" if formula.kind == "mapper" and formula.sees else formula.kind
        columns = [queue.upload(_on_host(inputs[name])) for name in _INPUTS[kind]]
        count = len(columns[0])
        if any(len(column) != count for column in columns):
            raise ValueError("the inputs must be arrays of one length")
        out = queue.empty((count,), np.float32)
        if count:
            queue.launch(unit, (-(-count // queue.threads), 1), *columns, count, numbers, out)
        return out

    def _numbers(self, formula: Formula, roots: Sequence[Node], slots: Mapping[int, Any], grid: Grid | None,
                 inverse: np.ndarray) -> np.ndarray:
        """What kernels read of an object, worked out on the host; one number at least, so that it has an address."""
        with np.errstate(all="ignore"):
            values = self._host.values(formula, tuple(roots), slots, grid, inverse)
            return np.array([values[node] for node in roots] or [0], np.float32)

    # Volumes ----------------------------------------------------------------------------------

    def render(self, objects: Sequence[Placed], grid: Grid) -> Rendered:
        """Compose the objects into a volume on the device. See `Backend.render`."""
        volumes = self.render_batch(Batch.of([objects]), grid)
        return Rendered(volumes.image[0], volumes.label[0], volumes.counts)

    def render_batch(self, batch: Batch, grid: Grid, *, stream: int = 0,
                     out: tuple[Any, Any] | None = None) -> Volumes:
        """The volumes of several scenes, asked for on a stream and ready when that gets there.

        `out` are the image, uint8 (volumes, D, H, W), and the label, uint8 or uint16, where the volumes shall go;
        anything that has `__cuda_array_interface__`.
        """
        queue = self.queue(stream)
        with self._lock:
            own_mappers = [f for f in batch.mappers if id(f) in self._library.own]
            self._prepare((*batch.shapes, *batch.displacements, *own_mappers), queue)
            known = self._on_grid(grid, queue, stream)
            others = {k: self._of_object(placed, grid) for k, placed in batch.others.items()}
            places = None if out is None else (DeviceArray.of(out[0]), DeviceArray.of(out[1]))
            largest = max(int(batch.label.max(initial=0)), len(self._library.shapes))
            label = np.uint16 if largest > 255 else np.uint8
            return pipeline.render(batch, grid, queue, self._library, known, others, label, places)

    def _of_object(self, placed: Placed, grid: Grid) -> dict[str, np.ndarray]:
        """What kernels read of an object, by kind of formula; of textures only what is its own."""
        found: dict[str, np.ndarray] = {}
        inverse = np.asarray(placed.inverse, np.float64)
        for formula, slots in placed.parts:
            if formula.kind == "shape" or slots or id(formula) in self._library.own:
                kernels = self._library.shapes if formula.kind == "shape" else self._library.textures
                found[formula.kind] = self._numbers(formula, kernels[id(formula)].roots, slots, grid, inverse)
        return found

    def _prepare(self, formulas: Sequence[Formula], queue: Queue) -> None:
        """Load what a batch needs in one go, so that what is missing is built side by side."""
        new = [f for f in formulas if id(f) not in self._ready]
        if not new and self._ready:
            return
        if self._gpu is not None and len(new) >= _MANY:
            new = list(self._library.formulas)  # such a batch is one of many: rather one wait than one after the other
        queue.load({unit.symbol: unit for unit in self._library.drawing(new)})
        self._ready.update(map(id, new))

    def _on_grid(self, grid: Grid, queue: Queue, stream: int) -> OnGrid:
        """What depends on the grid alone; once a grid and stream, as another stream would not wait for it."""
        key = (grid.shape, stream)
        found = self._grids.get(key)
        if found is None:
            greys = [None if id(f) in self._library.own else self._host.grey(f, grid) for f in self._library.mappers]
            numbers = [grey.values.owner[: grey.values.length] for grey in greys if grey]
            dark = [empty_from(f) if grey is None else grey.limits[0]
                    for f, grey in zip(self._library.mappers, greys, strict=True)]
            textures = self._library.displacements
            own = [() if id(f) in self._library.own else text.values_of(f.result) for f in textures]
            of_textures = [self._numbers(f, roots, {}, grid, np.eye(4))[: len(roots)]
                           for f, roots in zip(textures, own, strict=True)]
            first = np.cumsum([0, *map(len, own)])[:-1].tolist()
            tiles = int(np.prod([-(-side // SIDE) for side in grid.shape]))
            room = len(textures) * tiles * VOXELS * 4 <= queue.budget
            found = OnGrid(
                queue.upload(np.concatenate([*numbers, np.zeros(1)]).astype(np.float32)),
                queue.upload(np.array(dark or [0], np.float32)),
                queue.upload(np.concatenate([*of_textures, np.zeros(1)]).astype(np.float32)), first,
                Fields.room(len(textures), tiles, queue) if room else None)
            if len(self._grids) >= _MOST_GRIDS:
                self._grids.clear()
            self._grids[key] = found
        return found


def simulated() -> bool:
    """Whether numba's simulator stands in for a GPU in this process."""
    return os.environ.get("NUMBA_ENABLE_CUDASIM", "0").strip() not in ("", "0")


def _on_host(values: Any) -> np.ndarray:
    if is_tensor(values):
        values = values.detach().cpu().numpy()
    return np.ascontiguousarray(values, np.float32)
