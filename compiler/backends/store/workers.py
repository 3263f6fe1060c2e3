"""Compiling: here for a few units, in processes side by side for many."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import pickle
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from fdif_dsl.compiler.backends.store.objects import read_object, write_object
from fdif_dsl.compiler.backends.store.target import Target
from fdif_dsl.compiler.backends.store.unit import Unit
from fdif_dsl.compiler.support.progress import Progress
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError

READY = "fdif-dsl worker is ready"
# Fewer units than this are compiled at once; for more it pays to start workers.
_ALONE = 4
_TOLD = 1200  # characters of what a worker wrote last


def compile_units(target: Target, units: Sequence[Unit], folder: Path, progress: Progress,
                  workers: int | None) -> dict[str, bytes]:
    """The code of the units, whose sources stand in `folder`; it is written there too.

    Raises:
        FdifError: where LLVM ended the process that compiled a unit, with what it wrote last.
        OSError: where the folder cannot be written; what was compiled by then stays.
    """
    if workers is None:
        workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = min(workers, len(units) // 2)
    progress(0, len(units))
    if len(units) < _ALONE or workers < 2 or not sys.executable:
        built: dict[str, bytes] = {}
        for done, unit in enumerate(units, 1):
            code = built[unit.symbol] = target.compile(unit, folder / f"{unit.symbol}.py")
            write_object(folder / f"{unit.symbol}.o", code)
            progress(done, len(units))
        return built
    # The longest sources first, so that no worker is left with a long one at the end.
    tasks: queue.SimpleQueue[Unit] = queue.SimpleQueue()
    for unit in sorted(units, key=lambda u: -len(u.source)):
        tasks.put(unit)
    answers: queue.SimpleQueue[str | Exception] = queue.SimpleQueue()
    stop = threading.Event()
    threads = [threading.Thread(target=_feed, args=(target, tasks, answers, folder, stop), daemon=True)
               for _ in range(workers)]
    for thread in threads:
        thread.start()
    try:
        for done in range(1, len(units) + 1):
            answer = answers.get()
            if isinstance(answer, Exception):
                raise answer
            progress(done, len(units))
    finally:
        stop.set()  # on an error or an interrupt the others stop after the unit at hand
        for thread in threads:
            thread.join()
    codes = {unit.symbol: read_object(folder / f"{unit.symbol}.o") for unit in units}
    if None in codes.values():
        raise RuntimeError(f"compiled kernels have vanished from {folder}")
    return {symbol: code for symbol, code in codes.items() if code is not None}


def _feed(target: Target, tasks: queue.SimpleQueue[Unit], answers: queue.SimpleQueue[str | Exception], folder: Path,
          stop: threading.Event) -> None:
    """One worker process and its share of the tasks."""
    try:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p or str(Path.cwd()) for p in sys.path)}
        command = [sys.executable, "-P", "-m", "fdif_dsl.compiler.backends.store.worker"]
        with tempfile.TemporaryFile() as said, subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True, encoding="utf-8",
                env=environment) as worker:
            assert worker.stdin is not None and worker.stdout is not None
            with contextlib.suppress(BrokenPipeError):
                print(base64.b64encode(pickle.dumps(target)).decode(), file=worker.stdin, flush=True)
            while (line := worker.stdout.readline()) and line.strip() != READY:
                pass  # something that every interpreter prints here
            while not stop.is_set():
                try:
                    unit = tasks.get_nowait()
                except queue.Empty:
                    break
                path = folder / f"{unit.symbol}.o"
                task = {"symbol": unit.symbol, "source": unit.source, "function": unit.function,
                        "signature": unit.signature, "path": str(path)}
                answer = {}
                with contextlib.suppress(BrokenPipeError):
                    print(json.dumps(task), file=worker.stdin, flush=True)
                    answer = json.loads(worker.stdout.readline() or "{}")
                if "errno" in answer:
                    raise OSError(answer["errno"], answer["error"], str(path))
                if "error" in answer:
                    raise RuntimeError(f"cannot compile the kernel {unit.symbol}: {answer['error']}")
                if "done" not in answer:
                    raise _died(unit, worker, said)
                answers.put(unit.symbol)
    except Exception as error:  # goes to the caller's thread
        answers.put(error)


def _died(unit: Unit, worker: subprocess.Popen[str], said: IO[bytes]) -> FdifError:
    """How a worker ended that gave no answer, and what it wrote last: LLVM ends the process where it finds itself at
    fault."""
    status = worker.wait()
    try:
        why = f"the process was ended by {signal.Signals(-status).name}"
    except ValueError:
        why = f"the process ended with status {status}"
    size = said.seek(0, os.SEEK_END)
    said.seek(max(0, size - _TOLD))
    lines = [line.strip() for line in said.read().decode(errors="replace").splitlines() if line.strip()]
    if lines:
        why = f"{why}; it wrote last: {'; '.join(lines)}"
    return FdifError(Diagnostic("E0709", f"cannot compile the kernel {unit.symbol}", why=why,
                                hint="this is a fault of fdif-dsl or of LLVM: please report it with these lines"))
