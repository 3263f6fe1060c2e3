"""The server's end of the process that draws: it starts it, hands it the newest jobs, and ends it where it hangs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from fdif_dsl.runtime.play.parcel import pack, unpack

LIMIT = 90.0  # seconds without a sign after which a job is given up
_LOST = "the process that draws ended; it starts anew with the next picture"


def _draw(connection: Connection, root: str) -> None:
    """What the process does. Only there is imported what drawing needs."""
    from fdif_dsl.runtime.play.studio import main

    main(connection, root)


class Worker:
    """One process, started ahead or with the first job. `deliver` gets each answer, on the event loop."""

    def __init__(self, root: Path, deliver: Callable[[bytes], None], limit: float = LIMIT) -> None:
        self.root, self.deliver, self.limit = root, deliver, limit
        self._loop = asyncio.get_running_loop()
        self._process: BaseProcess | None = None
        self._waiting: dict[str, dict[str, Any]] = {}  # jobs by slot, not yet handed over
        self._changed = threading.Condition()
        self._open: dict[int, str] = {}  # jobs without their last answer: id and kind
        self._heard = 0.0

    def ask(self, job: dict[str, Any]) -> None:
        """Have a job done. Of those of one `slot` that have not begun only the newest is."""
        self.start()
        if not self._open:
            self._heard = time.monotonic()
        self._open[job["id"]] = job["do"]
        with self._changed:
            older = self._waiting.pop(job["slot"], None)
            self._waiting[job["slot"]] = job
            self._changed.notify()
        if older is not None:
            self._answered(pack({"is": older["do"], "id": older["id"], "done": True}, []))

    def look_after(self) -> None:
        """To be called now and then: ends a process that has not been heard of for too long."""
        if self._open and time.monotonic() - self._heard > self.limit:
            self._end(f"it took more than {self.limit:.0f} seconds and was stopped")

    def close(self) -> None:
        self._open.clear()
        self._end("")

    def start(self) -> None:
        if self._process is not None:
            return
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_draw, args=(theirs, str(self.root)), daemon=True, name="fdif-studio")
        process.start()
        theirs.close()
        self._process = process
        for work in (self._send, self._receive):
            threading.Thread(target=work, args=(process, ours), daemon=True).start()

    def _send(self, process: BaseProcess, connection: Connection) -> None:
        """On a thread of its own, as a pipe is full while the other end is busy."""
        while True:
            with self._changed:
                while not self._waiting and self._process is process:
                    self._changed.wait()
                if self._process is not process:
                    return
                job = self._waiting.pop(next(iter(self._waiting)))
            try:
                connection.send_bytes(json.dumps(job).encode())
            except (OSError, ValueError):
                return  # the other thread tells

    def _receive(self, process: BaseProcess, connection: Connection) -> None:
        try:
            while True:
                self._loop.call_soon_threadsafe(self._answered, connection.recv_bytes())
        except (EOFError, OSError):
            connection.close()  # here, where nobody else reads from it
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._died, process)

    def _answered(self, answer: bytes) -> None:
        self._heard = time.monotonic()
        header, _ = unpack(answer)
        if header.get("done"):
            self._open.pop(header["id"], None)
        self.deliver(answer)

    def _died(self, process: BaseProcess) -> None:
        if process is self._process:
            self._end(_LOST)

    def _end(self, why: str) -> None:
        process = self._process
        with self._changed:
            self._process = None
            self._waiting.clear()
            self._changed.notify_all()
        if process is not None:
            process.kill()
        given_up, self._open = self._open, {}
        for number, kind in given_up.items():
            self.deliver(pack({"is": kind, "id": number, "problem": why}, []))
            self.deliver(pack({"is": kind, "id": number, "done": True}, []))
