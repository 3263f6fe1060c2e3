"""Whether memory, open files and threads stay what they are while volumes are drawn for hours.

    python benchmarks/soak.py --minutes 90
    python benchmarks/soak.py --minutes 600 --rest 1

Three things run side by side: a `VolumeStream` behind two forked workers, one behind two spawned ones, and `fdifc
generate`, a data set after the other in the same folder. What each of them and its children hold is read every few
seconds from /proc (Linux): memory as proportional set size, so that shared pages count once, files and threads. The
first fifth of the time is for warming up; the last fifth is held against the one after it. Growth of more than 5 % in
memory, or of files or threads at all, ends with exit status 1.
"""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
import torch

import fdif_dsl as fd

EVERY = 5.0  # seconds
ALLOWED = 0.05
STREAMS = {"stream, workers by fork": "fork", "stream, workers by spawn": "spawn"}
GENERATE = ("--recipe", "paper", "--format", "monai", "--overwrite")


class Held(NamedTuple):
    memory: float
    """MB."""
    files: int
    threads: int
    processes: int


def main(minutes: float, rest: float) -> bool:
    """Whether everything stayed as it was."""
    lib = fd.load_library()
    lib.compile()
    spawn = multiprocessing.get_context("spawn")
    over, counts = spawn.Event(), {name: spawn.Value("q", 0) for name in (*STREAMS, "generate")}
    with tempfile.TemporaryDirectory() as folder:
        parts: dict[str, BaseProcess] = {
            name: spawn.Process(target=stream, args=(how, rest, counts[name], over)) for name, how in STREAMS.items()}
        parts["generate"] = spawn.Process(target=generate, args=(folder, rest, counts["generate"], over))
        for part in parts.values():
            part.start()
        try:
            seen = watch(parts, minutes * 60)
        finally:
            over.set()
            for part in parts.values():
                part.join()
    steady = [tell(name, its, counts[name].value) for name, its in seen.items()]
    return all(steady)


def stream(how: str, rest: float, count: Any, over: Event) -> None:
    """Takes pairs and counts the volumes, until it is `over`; `rest` is how long it waits after each."""
    torch.set_num_threads(1)
    loader = torch.utils.data.DataLoader(fd.VolumeStream(fd.load_library()), batch_size=2, num_workers=2,
                                         multiprocessing_context=how)
    for batch in loader:
        assert batch["image"].shape == (2, 1, 96, 96, 96)
        count.value += 2
        if over.wait(rest):
            break


def generate(folder: str, rest: float, count: Any, over: Event) -> None:
    """Writes data sets one after the other, in this process."""
    from fdif_dsl.cli import cli

    while not over.wait(10 * rest if count.value else 0):
        arguments = ["generate", *GENERATE, "--count", "20", "--seed", str(count.value), "-o", folder]
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            cli(arguments, prog_name="fdifc", standalone_mode=False)
        count.value += 20


def watch(parts: dict[str, BaseProcess], seconds: float) -> dict[str, list[Held]]:
    seen: dict[str, list[Held]] = {name: [] for name in parts}
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        time.sleep(EVERY)
        for name, part in parts.items():
            if part.exitcode is not None:
                raise click.ClickException(f"{name}: it ended with status {part.exitcode}")
            assert part.pid is not None
            seen[name].append(held(tree(part.pid)))
    return seen


def tree(pid: int) -> list[int]:
    """A process and all that it has started."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += tree(int(child))
    return found


def held(pids: Iterable[int]) -> Held:
    """What processes hold together; one that has ended meanwhile holds nothing."""
    memory, files, threads, processes = 0.0, 0, 0, 0
    for pid in pids:
        at = Path(f"/proc/{pid}")
        try:
            rollup = (at / "smaps_rollup").read_text()
            files, threads = files + len(list((at / "fd").iterdir())), threads + len(list((at / "task").iterdir()))
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        memory += int(next(line.split()[1] for line in rollup.splitlines() if line.startswith("Pss:"))) / 1024
        processes += 1
    return Held(memory, files, threads, processes)


def tell(name: str, seen: list[Held], volumes: int) -> bool:
    """Says what a part held, and whether that stayed the same."""
    rows = np.array(seen)
    fifth = len(rows) // 5
    early, late = np.median(rows[fifth : 2 * fifth], 0), np.median(rows[-fifth:], 0)
    steady = bool(late[0] <= early[0] * (1 + ALLOWED) and (late[1:] <= early[1:]).all())
    print(f"{name}: {volumes} volumes; {early[0]:.0f} MB then {late[0]:.0f} ({late[0] / early[0] - 1:+.1%}, most "
          f"{rows[:, 0].max():.0f}), files {early[1]:.0f} then {late[1]:.0f}, threads {early[2]:.0f} then {late[2]:.0f}"
          f": {'steady' if steady else 'IT GROWS'}")
    return steady


@click.command(help=(__doc__ or "").replace("    python", "\b\n    python"))
@click.option("--minutes", type=click.FloatRange(1), default=90.0, show_default=True)
@click.option("--rest", type=click.FloatRange(0), default=0.0, show_default=True,
              help="Seconds of rest after each pair, for a machine that others use too.")
def command(minutes: float, rest: float) -> None:
    if not Path("/proc/self/smaps_rollup").exists():
        raise click.ClickException("this needs /proc/PID/smaps_rollup, which Linux has")
    sys.exit(0 if main(minutes, rest) else 1)


if __name__ == "__main__":
    command()
