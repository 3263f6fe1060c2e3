"""The batches of a run. Which volumes are in which batch depends on the step and the process alone."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from fdif_dsl.runtime.streams.images import ImageStream
from fdif_dsl.runtime.streams.stream import VolumeStream, use_one_thread
from fdif_dsl.runtime.training.interrupt import put_off, serve


class Batches(IterableDataset):  # type: ignore[type-arg, misc, unused-ignore]
    """Batches {"image", "label", "number"} of `size` volumes, from number `first` on; `number` says which volumes.

    Of `world` processes, process r has volumes r, r + world, ... in the order of the stream. So together they see in
    a step what one process with a batch as large as all theirs would see, whatever the number of workers.
    """

    def __init__(self, stream: VolumeStream | ImageStream, size: int, first: int, rank: int, world: int) -> None:
        super().__init__()
        self.stream, self.size, self.first, self.rank, self.world = stream, size, first, rank, world

    def __iter__(self) -> Iterator[dict[str, Any]]:
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)  # a loader takes from its workers in turn
        mine = itertools.count(self.first + worker, workers)
        pairs = self.stream.volumes(number for batch in mine for number in self.numbers(batch))
        for batch in itertools.count(self.first + worker, workers):
            some = list(itertools.islice(pairs, self.size))
            yield {key: torch.stack([pair[key] for pair in some]) for key in ("image", "label")} | {
                "number": self.numbers(batch)}

    def numbers(self, batch: int) -> list[int]:
        """The volumes of a batch."""
        return [(batch * self.size + i) * self.world + self.rank for i in range(self.size)]


def loader(batches: Batches, workers: int) -> Any:
    """The batches as Lightning takes them, rendered by `workers` processes, or by threads where that is 0."""
    return _Loader(
        batches, batch_size=None, num_workers=workers, pin_memory=workers > 0 and torch.cuda.is_available(),
        # Kernels run on threads of their own, and a forked process must not inherit those.
        multiprocessing_context="spawn" if workers else None, worker_init_fn=_start_worker if workers else None)


class _Loader(DataLoader):  # type: ignore[type-arg, misc, unused-ignore]
    """Starts its workers such that no signal ends them, or is in the way of their start."""

    def __iter__(self) -> Any:
        with put_off():
            return super().__iter__()


def _start_worker(worker: int) -> None:
    serve()
    use_one_thread()
