"""Ctrl-C, and the signals that clusters send: the step in hand is finished and a checkpoint written."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Stop:
    """Whether the run is to end after the step in hand. `say` is called when that is first asked for."""

    def __init__(self, say: Callable[[], None] | None = None) -> None:
        self.wanted = False
        self._say = say

    def handle(self, number: int, frame: Any) -> None:
        """For `signal.signal`. The first signal asks for the end, the second ends the run at once."""
        if self.wanted:
            raise KeyboardInterrupt
        self.wanted = True
        if self._say is not None:
            self._say()


@contextmanager
def stop_on_interrupt(stop: Stop) -> Iterator[None]:
    """Ctrl-C, and SIGTERM, which Slurm and others send before they kill, go to `stop`.

    Signals belong to the main thread; elsewhere nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, stop.handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
