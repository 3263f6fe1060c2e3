"""Ctrl-C, and the signals that clusters send: the step in hand is finished and a checkpoint written."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from typing import Any

_ASKED = [signal.SIGINT, signal.SIGTERM]
"""By a user or a scheduler, who may ask twice."""
_WARNED = [getattr(signal, name) for name in ("SIGHUP", "SIGUSR1", "SIGUSR2") if hasattr(signal, name)]
"""A lost connection, which is told more than once, and what Slurm's `--signal` sends some time before the end."""
_STEP = 20  # seconds that a step may need at most to end; schedulers kill not much later


class Stop:
    """Whether the run is to end after the step in hand, and whether even before. `say` is called when the end is first
    asked for."""

    def __init__(self, say: Callable[[], None] | None = None) -> None:
        self.wanted = self.at_once = False
        self._say = say

    def handle(self, number: int, frame: Any) -> None:
        """For `signal.signal`. The first signal asks for the end; after it, Ctrl-C or SIGTERM ends the run at once."""
        if number == getattr(signal, "SIGHUP", None):
            _leave_terminal()
        if self.wanted:
            if number in _ASKED:
                self.at_once = True
                raise KeyboardInterrupt
            return
        self.wanted = True
        if self._say is not None:
            with suppress(OSError):
                self._say()


@contextmanager
def stop_on_interrupt(stop: Stop) -> Iterator[None]:
    """Ctrl-C, SIGTERM, which Slurm and others send before they kill, SIGHUP and SIGUSR1 or 2 go to `stop`.

    A SIGHUP that is ignored, as under nohup, stays so, and so does what another part of the program has a use for.
    Signals belong to the main thread; elsewhere nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [*_ASKED, *(number for number in _WARNED if signal.getsignal(number) == signal.SIG_DFL)]
    before = {number: signal.signal(number, stop.handle) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def put_off() -> Iterator[None]:
    """Signals that end a run wait until the block has ended, and processes that begin in it do not see them: they must
    live until the step in hand is done. Those decide for themselves with `serve`."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "pthread_sigmask"):
        yield
        return
    shield()  # the first process would start the tracker, and that unblocks signals
    came: list[int] = []
    handlers = {number: signal.getsignal(number) for number in (*_ASKED, *_WARNED)}
    ours = {number: handler for number, handler in handlers.items() if callable(handler)}
    for number in ours:
        signal.signal(number, lambda number, frame: came.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, list(handlers))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in ours.items():
            signal.signal(number, handler)
        for number in came:
            signal.raise_signal(number)


def shield() -> None:
    """Starts the process in which Python keeps track of shared memory such that no signal to the group ends it: others
    of the group live on, and would complain. To be called before anything else may start it. It does not tell of what a
    process that was ended left behind, as it removes that."""
    if hasattr(signal, "pthread_sigmask"):
        mask, options = signal.pthread_sigmask(signal.SIG_BLOCK, _WARNED), sys.warnoptions[:]
        sys.warnoptions.append("ignore:resource_tracker")  # the process is started with these
        try:
            resource_tracker.ensure_running()
        finally:
            sys.warnoptions[:] = options
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def serve() -> None:
    """For a process that works for one that trains: signals reach all of a group, and the main one decides what they
    mean. After a SIGTERM, which may be meant for this process alone, it lives as long as a step may need it."""
    for number in (signal.SIGINT, *_WARNED):
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.signal(signal.SIGTERM, lambda number, frame: signal.alarm(_STEP))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])


def _leave_terminal() -> None:
    """Lets what is said from now on go nowhere where the terminal has gone: writing to it would fail."""
    for descriptor in (1, 2):
        try:
            os.write(descriptor, b"\r" if os.isatty(descriptor) else b"")
        except OSError:
            with suppress(OSError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, descriptor)
                os.close(nowhere)
