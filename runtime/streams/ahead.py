"""Work on one volume after the other, some volumes ahead of whoever takes the results.

Several volumes at a time, each on one thread, keep the processors busier than all threads on each volume in turn: what
only one thread can do for a volume, Python's part above all, is done while others draw.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from fdif_dsl.compiler.backends.cpu.driver import one_thread, thread_count

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def ahead(work: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
    """`work(item)` for each item, in their order, on the threads that the CPU backend would use (`FDIF_THREADS`).

    At most one result a thread, and one more, is made before it is asked for. What `work` raises is raised in its
    turn, and ends the iterator; what was begun by then is finished.
    """
    threads = thread_count()
    if threads < 2:
        yield from map(work, items)
        return

    def alone(item: _Item) -> _Result:
        with one_thread():
            return work(item)

    remaining = iter(items)
    pool = ThreadPoolExecutor(threads, thread_name_prefix="fdif-ahead")
    begun: deque[Future[_Result]] = deque()
    try:
        for item in remaining:
            begun.append(pool.submit(alone, item))
            if len(begun) > threads:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
