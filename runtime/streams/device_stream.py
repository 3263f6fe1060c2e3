"""A stream of volumes that are born on the GPU that trains on them."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from fdif_dsl.compiler.backends.cuda import CudaBackend
from fdif_dsl.compiler.backends.cuda.backend import simulated
from fdif_dsl.compiler.backends.cuda.memory import DeviceArray
from fdif_dsl.compiler.ir.grid import Grid
from fdif_dsl.runtime.recipe import Choices, Recipe
from fdif_dsl.runtime.scanner.scan import draw_acquisition
from fdif_dsl.runtime.scanner.tensors import scanned
from fdif_dsl.runtime.scenes.batches import sample_batch

if TYPE_CHECKING:
    from fdif_dsl.compiler.library import Library

_VOXELS = 1 << 24  # drawn at a time: enough to keep a large GPU busy, about 50 MB
_MOST = 64  # volumes at a time, so that small ones do not keep the first step waiting
_AHEAD = 2  # groups that are begun before the first of them is asked for


@dataclass(frozen=True)
class _Group:
    """Volumes that were drawn together: `image` uint8 and `label` of 16 bits, both (volumes, D, H, W); `tables` as in
    `SceneBatch`; `done` tells when the GPU has got so far."""

    image: torch.Tensor
    label: torch.Tensor
    tables: torch.Tensor | None
    done: Any

    def pairs(self) -> Iterator[dict[str, torch.Tensor]]:
        if self.done is not None:  # whatever works on these waits for them; the host does not
            current = torch.cuda.current_stream(self.image.device)
            current.wait_event(self.done)
            for tensor in (self.image, self.label, *(() if self.tables is None else (self.tables,))):
                tensor.record_stream(current)
        for i, image in enumerate(self.image):
            label = self.label[i].long() & 0xFFFF  # torch takes them for signed
            yield {"image": image[None].float() / 128,
                   "label": label[None] if self.tables is None else self.tables[i][:, label]}


def volumes_on_device(lib: Library, recipe: Recipe, choices: Choices, seed: int, indices: Iterable[int],
                      device: str) -> Iterator[dict[str, torch.Tensor]]:
    """The pairs of these indices, in their order, as tensors on the device; as many as fill the GPU are drawn together
    and ahead, on a stream of their own, so that drawing and training overlap."""
    backend = lib.backend(device)
    assert isinstance(backend, CudaBackend)
    maker = _Maker(lib, backend, recipe, choices, seed, device)
    remaining = iter(indices)
    size = min(max(1, _VOXELS // Grid(recipe.grid).voxels), _MOST)
    begun: deque[_Group] = deque()
    for group in iter(lambda: list(itertools.islice(remaining, size)), []):
        begun.append(maker.begin(group))
        if len(begun) >= _AHEAD:
            yield from begun.popleft().pairs()
    while begun:
        yield from begun.popleft().pairs()


class _Maker:
    def __init__(self, lib: Library, backend: CudaBackend, recipe: Recipe, choices: Choices, seed: int,
                 device: str) -> None:
        self.lib, self.backend, self.recipe, self.choices, self.seed = lib, backend, recipe, choices, seed
        # In the simulator of CUDA everything is in the host's memory.
        self.device = torch.device("cpu" if simulated() else device)
        self.stream: Any = None if simulated() else torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]

    def begin(self, indices: Sequence[int]) -> _Group:
        """Ask for these volumes."""
        scanner, grid = self.recipe.scanner, self.recipe.grid
        batch = sample_batch(self.lib, self.seed, indices, self.recipe, self.choices, numbered=scanner.paint > 0)
        happens = [draw_acquisition(self.lib, scanner, grid, objects, self.seed, index)
                   for index, objects in zip(indices, batch.objects.volumes.tolist(), strict=True)]
        with torch.cuda.stream(self.stream):  # None changes nothing
            shape = (len(indices), *grid)
            image = torch.empty(shape, dtype=torch.uint8, device=self.device)
            label = torch.empty(shape, dtype=torch.int16, device=self.device)
            tables = None if batch.tables is None else torch.from_numpy(batch.tables).to(self.device)
            self.backend.render_batch(batch.objects, Grid(grid), out=(_shared(image), _shared(label)),
                                      stream=0 if self.stream is None else self.stream.cuda_stream)
            for i, what in enumerate(happens):
                if what is not None:
                    image[i] = scanned(what, image[i], label[i].long() & 0xFFFF)  # torch takes them for signed
            return _Group(image, label, tables, None if self.stream is None else self.stream.record_event())


def _shared(tensor: torch.Tensor) -> DeviceArray:
    """A tensor's own memory; 16 bits are without a sign."""
    kind = np.dtype(np.uint8 if tensor.dtype == torch.uint8 else np.uint16)
    host = None if tensor.is_cuda else tensor.numpy().view(kind)
    return DeviceArray(tensor.data_ptr(), tuple(tensor.shape), kind, tensor, host)
