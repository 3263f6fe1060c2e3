"""Volumes without end, rendered as they are asked for."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import IterableDataset, get_worker_info

from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError
from fdif_dsl.runtime.recipe import Recipe, as_recipe, resolve
from fdif_dsl.runtime.scanner.scan import prepare, scan
from fdif_dsl.runtime.scenes.render import as_tensor
from fdif_dsl.runtime.scenes.sampler import check_number, sample_scene
from fdif_dsl.runtime.streams.ahead import ahead

if TYPE_CHECKING:
    from fdif_dsl.compiler.library import Library


class VolumeStream(IterableDataset):  # type: ignore[type-arg, misc, unused-ignore]
    """Pairs {"image", "label"} for a training loop, the volumes `start`, `start + 1`, ... of a seed.

    `image` is float32 (1, D, H, W), the grey level divided by 128, so from 0 to 1; `label` is int64
    (tasks, D, H, W), as `meaning` says: mostly one task, the shape; where a recipe takes the whole library, its
    labels are class ids. Both have the channel axis that MONAI's losses expect; a batch of a `DataLoader` is
    (B, 1, D, H, W).

    `count` volumes, or without end. The volumes are dealt out in turn: worker w of W on process r of R takes
    those whose place in the stream is r·W + w modulo R·W, so together they take each volume once, and the
    set does not depend on how many they are. `rank` and `world` are read from `torch.distributed`, or
    from torchrun's environment, where they are not given.

    With `device`, "cuda" or "cuda:1", volumes are drawn on that GPU and the pairs are tensors there, on torch's
    current stream; some are drawn ahead, on a stream of their own, while others are trained on. Such a stream cannot go
    to the workers of a `DataLoader`, and needs none. "cuda" is the GPU that torch has chosen.

    Raises `FdifError` for a recipe that the library cannot fill, an unknown backend, and numbers that make
    no sense; so a mistake shows when the stream is made, and not in a worker. For the same reason all kernels that
    the recipe can need are compiled then, where they are not in the cache or the library.
    """

    def __init__(self, lib: Library, recipe: str | Path | Recipe = "paper", seed: int = 7, *, start: int = 0,
                 count: int | None = None, backend: str = "cpu", device: str | None = None,
                 rank: int | None = None, world: int | None = None) -> None:
        super().__init__()
        self.lib = lib
        self.recipe = as_recipe(recipe)
        self.seed, self.start, self.count = seed, start, count
        self.rank, self.world = rank, world
        choices = resolve(self.recipe, lib)
        self.meaning = choices.meaning
        self.device = _device(device or backend)
        self.backend = self.device or backend
        made = lib.backend(self.backend)
        check_number("seed", seed, 2**64)
        check_number("index", start, 2**63)
        check_number("count", 0 if count is None else count, 2**63)
        here, everywhere = self._place()
        if not 0 <= here < everywhere:
            raise FdifError(Diagnostic("E0905", f"process {here} of {everywhere} does not exist",
                                       hint="`rank` counts from 0 to `world` - 1"))
        if self.device:
            made.build(choices.formulas)  # type: ignore[attr-defined]
        if self.recipe.placement.inside or (backend == "cpu" and not self.device):  # places are found on the CPU
            lib.compile(formulas=choices.formulas)  # once, here, and not in each worker
        prepare(lib, self.recipe)

    @property
    def classes(self) -> int:
        """How many labels there are, the background among them: the channels of a network's output. Where a recipe
        has several tasks, it is their sum."""
        return sum(1 + task.count for task in self.meaning.tasks)

    def volume(self, index: int) -> dict[str, Any]:
        """The pair number `index`."""
        scene = sample_scene(self.lib, self.seed, index, self.recipe)
        rendered = scan(scene, self.lib, self.recipe, self.seed, index, self.backend, self.meaning)
        image = as_tensor(rendered.image)[None].float() / 128
        label = as_tensor(rendered.label).long()
        return {"image": image, "label": label if label.ndim == 4 else label[None]}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        rank, world = self._place()
        if info and self.device:
            raise FdifError(Diagnostic("E0906", "a stream on a GPU was given to the workers of a DataLoader",
                                       why="its volumes are drawn on the GPU, where a worker process cannot",
                                       hint="leave `num_workers` at 0; volumes are drawn ahead all the same"))
        if info:
            use_one_thread()
        first, step = self.start + rank * workers + worker, world * workers
        mine = itertools.count(first, step) if self.count is None else range(first, self.start + self.count, step)
        yield from self.volumes(mine)

    def volumes(self, indices: Iterable[int]) -> Iterator[dict[str, Any]]:
        """The pairs of these numbers in their order, some of them made before they are asked for."""
        if self.device:
            from fdif_dsl.runtime.streams.device_stream import volumes_on_device

            choices = resolve(self.recipe, self.lib)
            return volumes_on_device(self.lib, self.recipe, choices, self.seed, indices, self.device)
        return ahead(self.volume, indices) if self.backend == "cpu" else map(self.volume, indices)

    def _place(self) -> tuple[int, int]:
        """This process's number and how many processes there are."""
        if self.rank is not None and self.world is not None:
            return self.rank, self.world
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            return torch.distributed.get_rank(), torch.distributed.get_world_size()
        if "RANK" in os.environ and "WORLD_SIZE" in os.environ:
            return int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        return 0, 1

    def __getstate__(self) -> dict[str, Any]:
        # A spawned worker has no process group, so its place goes with it.
        rank, world = self._place()
        return self.__dict__ | {"rank": rank, "world": world}


def _device(name: str) -> str:
    """The name of the backend of a GPU, with its number; "" for what is none."""
    if name == "cuda" and torch.cuda.is_available():
        return f"cuda:{torch.cuda.current_device()}"
    return name if name.partition(":")[0] == "cuda" else ""


def use_one_thread() -> None:
    """Workers share the machine's cores, so each one renders on a single one."""
    os.environ["FDIF_THREADS"] = "1"  # read by the CPU backend at each volume
    torch.set_num_threads(1)
