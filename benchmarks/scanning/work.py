"""The runs of a benchmark: each in a process, those first whose weights others start from, all of them resumable."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from scanning.ledger import Ledger


@dataclass(frozen=True)
class Task:
    """A run by its name. `call` is a function and its arguments; of a run that `needs` another one's weights, it lacks
    these as its last argument."""

    name: str
    call: tuple[Any, ...]
    needs: str | None = None

    def complete(self, ledger: Ledger) -> tuple[Any, ...]:
        return (*self.call, ledger[self.needs]["weights"]) if self.needs else self.call


def work_off(tasks: Sequence[Task], pool: ProcessPoolExecutor, jobs: int, ledger: Ledger,
             say: Callable[[str], None]) -> None:
    """Runs what is not in the ledger yet, in this order as far as the weights are there that a run needs."""
    left = [task for task in tasks if task.name not in ledger]
    count, running = len(left), dict[Future[Any], Task]()
    while left or running:
        ready = [task for task in left if task.needs is None or task.needs in ledger]
        for task in ready[: jobs - len(running)]:
            left.remove(task)
            running[pool.submit(*task.complete(ledger))] = task
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            task = running.pop(future)
            ledger.add(task.name, future.result())
            say(f"{count - len(left) - len(running)} of {count}: {task.name}, {future.result()['seconds']:.0f} s")


def set_up(threads: int) -> None:
    """Makes a process ready: it shares the cores with those beside it, and ends with the one that started it."""
    os.environ.update(OMP_WAIT_POLICY="PASSIVE", FDIF_THREADS=str(threads))  # torch reads the first as it is loaded
    import torch

    torch.set_num_threads(threads)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A parent that is killed cannot say so, and what trained on alone would meet the next call of the benchmark."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


@contextmanager
def processes(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that share the cores; what waits for them is dropped when something fails or Ctrl-C comes."""
    threads = max(1, (os.cpu_count() or 1) // jobs)
    pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), set_up, (threads,))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
