"""The machine that figures were taken on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fdif_dsl.runtime.bench.setups import cpus

_PACKAGES = ("fdif-dsl", "numpy", "numba", "llvmlite")


def describe_machine() -> dict[str, Any]:
    """Processor, CPUs that may be used, system, versions, and how busy it was: the mean number of running tasks over
    the last minute, None where the system does not say."""
    return {
        "cpu": _processor(), "cpus": cpus(), "system": platform.platform(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(), **{name: version(name) for name in _PACKAGES}}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    found = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return found or platform.processor() or platform.machine()
