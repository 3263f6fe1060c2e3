"""How much memory is free, and which errors say that there was too little."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

_ROOT = Path("/")


def free_memory(root: Path = _ROOT) -> int | None:
    """Bytes that this process may still take: what the machine has free, within the limits of its control group (of a
    container, or a job of Slurm) and of `ulimit -v`. None where the system does not say. `root` is that of the system.
    """
    rooms = [*_of_machine(root), *_of_groups(root), *_of_process(root)]
    return max(0, min(rooms)) if rooms else None


def shortage(error: BaseException | None) -> BaseException | None:
    """The error, or the one that it came from, that says that memory could not be had, on a GPU or not."""
    while error is not None and not _ran_out(error):
        error = error.__cause__ or error.__context__  # MONAI says first which of its transforms failed
    return error


def _ran_out(error: BaseException) -> bool:
    if isinstance(error, MemoryError):
        return True
    # torch's allocator for the CPU has no error of its own.
    return isinstance(error, RuntimeError) and (
        type(error).__name__ == "OutOfMemoryError" or "DefaultCPUAllocator" in str(error)
        or "Storage size calculation overflowed" in str(error))


def _of_machine(root: Path) -> list[int]:
    with suppress(OSError):
        found = re.search(r"^MemAvailable:\s+(\d+) kB", (root / "proc/meminfo").read_text(), re.MULTILINE)
        if found:
            return [int(found[1]) * 1024]
    with suppress(AttributeError, OSError, ValueError):  # macOS: all that there is
        return [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    return []


def _of_groups(root: Path) -> list[int]:
    """What is left of the limits of each control group that this process is in, of both versions."""
    base = root / "sys/fs/cgroup"
    folders = {(base, "memory.max", "memory.current", "inactive_file"),
               (base / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")}
    with suppress(OSError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, kinds, group = line.split(":", 2)
            for folder in [Path(group.lstrip("/")), *Path(group.lstrip("/")).parents]:
                if not kinds:
                    folders.add((base / folder, "memory.max", "memory.current", "inactive_file"))
                elif "memory" in kinds.split(","):
                    folders.add((base / "memory" / folder, "memory.limit_in_bytes", "memory.usage_in_bytes",
                                 "total_inactive_file"))
    rooms = []
    for folder, most, used, files in folders:
        with suppress(OSError, ValueError):  # no limit is the word `max`
            limit, taken = (int((folder / name).read_text()) for name in (most, used))
            # The cache of files counts as used, and goes when there is need.
            cached = re.search(rf"^{files} (\d+)$", (folder / "memory.stat").read_text(), re.MULTILINE)
            rooms.append(limit - taken + (int(cached[1]) if cached else 0))
    return rooms


def _of_process(root: Path) -> list[int]:
    with suppress(ImportError, OSError, ValueError):
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit != resource.RLIM_INFINITY:
            pages = int((root / "proc/self/statm").read_text().split()[0])
            return [limit - pages * os.sysconf("SC_PAGE_SIZE")]
    return []
