from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator

import pytest

from fdif_dsl.compiler.backends.cpu.driver import thread_count
from fdif_dsl.runtime.streams.ahead import ahead


@pytest.mark.parametrize("threads", ["1", "2", "5"])
def test_results_come_in_order(monkeypatch: pytest.MonkeyPatch, threads: str) -> None:
    monkeypatch.setenv("FDIF_THREADS", threads)

    def slow_at_first(i: int) -> tuple[int, int]:
        time.sleep(0.02 if i == 0 else 0)
        return i, thread_count()

    assert list(ahead(slow_at_first, range(40))) == [(i, 1) for i in range(40)]
    assert list(ahead(slow_at_first, [])) == []
    assert thread_count() == int(threads)


def test_several_are_at_work_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FDIF_THREADS", "3")
    meeting = threading.Barrier(3, timeout=30)
    assert len(list(ahead(lambda i: meeting.wait(), range(6)))) == 6


@pytest.mark.parametrize("threads", [1, 2])
def test_no_more_is_made_than_is_needed_soon(monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    monkeypatch.setenv("FDIF_THREADS", str(threads))
    begun: list[int] = []
    endless = ahead(begun.append, itertools.count())
    for _ in range(3):
        next(endless)
    endless.close()  # type: ignore[attr-defined]
    assert 3 <= len(begun) <= 3 + threads + 1
    count = len(begun)
    time.sleep(0.05)
    assert len(begun) == count


@pytest.mark.parametrize("threads", ["1", "2"])
def test_an_error_comes_in_its_turn(monkeypatch: pytest.MonkeyPatch, threads: str) -> None:
    monkeypatch.setenv("FDIF_THREADS", threads)

    def work(i: int) -> int:
        return 10 // (3 - i)

    results: Iterator[int] = ahead(work, itertools.count())
    assert [next(results) for _ in range(3)] == [3, 5, 10]
    with pytest.raises(ZeroDivisionError):
        next(results)
