"""Free memory, as different systems tell of it, and the errors of allocators."""

from __future__ import annotations

import resource
from pathlib import Path

import numpy as np
import pytest
import torch

from fdif_dsl.runtime.training.memory import free_memory, shortage

MEMINFO = "MemTotal:       24000000 kB\nMemFree:         1000000 kB\nMemAvailable:   16000000 kB\n"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files of a system with 16 million kB free, as far as the process knows, and without `ulimit -v`."""
    monkeypatch.setattr(resource, "getrlimit", lambda which: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    put(tmp_path / "proc/meminfo", MEMINFO)
    return tmp_path


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_machine_without_limits(root: Path) -> None:
    assert free_memory(root) == 16_000_000 * 1024
    put(root / "proc/self/cgroup", "0::/user.slice\n")
    put(root / "sys/fs/cgroup/user.slice/memory.max", "max\n")
    put(root / "sys/fs/cgroup/user.slice/memory.current", "1000\n")
    assert free_memory(root) == 16_000_000 * 1024


def test_a_group_of_the_second_version_and_those_around_it(root: Path) -> None:
    put(root / "proc/self/cgroup", "0::/slurm/job_7/step_0\n")
    for group, most, used in (("slurm/job_7", 8 * 10**9, 3 * 10**9), ("slurm/job_7/step_0", 10 * 10**9, 10**9)):
        put(root / f"sys/fs/cgroup/{group}/memory.max", f"{most}\n")
        put(root / f"sys/fs/cgroup/{group}/memory.current", f"{used}\n")
        put(root / f"sys/fs/cgroup/{group}/memory.stat", "anon 7\ninactive_file 500000000\n")
    assert free_memory(root) == 8 * 10**9 - 3 * 10**9 + 5 * 10**8


def test_a_group_of_the_first_version_as_a_container_sees_it(root: Path) -> None:
    put(root / "proc/self/cgroup", "9:cpu,cpuacct:/docker/abc\n5:memory:/docker/abc\n")
    for name, value in (("limit_in_bytes", 4 * 10**9), ("usage_in_bytes", 5 * 10**9)):
        put(root / f"sys/fs/cgroup/memory/memory.{name}", f"{value}\n")
    put(root / "sys/fs/cgroup/memory/memory.stat", "inactive_file 1\ntotal_inactive_file 100\n")
    assert free_memory(root) == 0


def test_a_limit_of_the_process(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (2**32, 2**33))
    put(root / "proc/self/statm", "1000 500 20 1 0 300 0\n")
    assert free_memory(root) == 2**32 - 1000 * resource.getpagesize()


def test_this_machine_says_what_is_free() -> None:
    free = free_memory()
    assert free is not None and 10**6 < free < 10**15


def test_the_errors_of_allocators() -> None:
    for attempt in (lambda: np.empty(2**62, np.uint8), lambda: torch.empty(2**60, dtype=torch.float32),
                    lambda: torch.empty(2**62, 2**62)):
        with pytest.raises((MemoryError, RuntimeError)) as caught:
            attempt()
        assert shortage(caught.value) is caught.value
    lack = torch.OutOfMemoryError("CUDA out of memory")
    assert shortage(lack) is lack
    assert shortage(RuntimeError("shape mismatch")) is None and shortage(ValueError()) is None


def test_an_error_that_came_of_a_lack_of_memory() -> None:
    """As MONAI raises it where a transform fails."""
    lack = MemoryError("Unable to allocate 3 TiB")
    with pytest.raises(RuntimeError) as caught:
        try:
            raise lack
        except MemoryError as error:
            raise RuntimeError("applying transform") from error
    assert shortage(caught.value) is lack
