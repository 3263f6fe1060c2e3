"""The command line, on a recipe for the small library."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fdif_dsl.cli import cli
from fdif_dsl.runtime.pictures import view

RECIPE = """\
about = "A run for tests."

[volume]
grid = [16, 16, 16]
objects = [1, 2]

[classes]
displacements = ["none", "waves"]
mappers = ["glow"]

[monitor]
volumes = 2
"""

Fdifc = Callable[..., Result]
Started = Callable[..., subprocess.Popen[str]]
Interrupted = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def fdifc() -> Fdifc:
    """Runs a command in this process: `fdifc("list", "shapes")`."""

    def run(*arguments: object) -> Result:
        result = CliRunner().invoke(cli, [str(a) for a in arguments], prog_name="fdifc")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


@pytest.fixture(autouse=True)
def small_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "_SIDE", 60)


@pytest.fixture
def recipe(tmp_path: Path, small_train: str) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(RECIPE + small_train)
    return path


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Started]:
    """`started(log, "finetune", ...)` starts a command as a process of its own, in a group of its own, and gives
    it back once two steps stand in the CSV file `log`, or at once where that is None."""
    processes: list[subprocess.Popen[str]] = []

    def start(log: Path | None, *arguments: object, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", "from fdif_dsl.cli import main; main()", *map(str, arguments)], cwd=tmp_path,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | environment,
            start_new_session=True)
        processes.append(process)
        while log is not None and not (log.exists() and log.read_text().count("\n") >= 3):
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        return process

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
            process.communicate()


@pytest.fixture
def interrupted(started: Started) -> Interrupted:
    """`interrupted(log, "finetune", ...)` starts a command as `started` does and presses Ctrl-C, or sends the signal
    `number`. Gives its exit code and the lines that it said on standard error."""

    def run(log: Path, *arguments: object, number: signal.Signals = signal.SIGINT) -> tuple[int, list[str]]:
        process = started(log, *arguments)
        process.send_signal(number)
        _, said = process.communicate(timeout=120)
        return process.returncode, said.splitlines()

    return run
