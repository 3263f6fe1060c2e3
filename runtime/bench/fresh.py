"""What a fresh process takes: to load a compiled library, to make its first volume, and in memory."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from fdif_dsl.runtime.bench import child


def run_process(artefact: Path, recipe: str, seed: int, count: int) -> dict[str, Any]:
    """Start Python, load a compiled library and make the volumes 0 to `count` - 1.

    Returns `load_s`, seconds to import the package and load the library; `first_s`, seconds from the start of the
    process until the first volume was there; `resident_mb`, its memory after all volumes; `growth_mb`, by how much that
    grew over the second half of them (both None where the system does not say); and `torch`, whether it was loaded.
    """
    # Without the script's folder on its path, where modules might hide others.
    command = [sys.executable, "-P", str(child.__file__), str(artefact), recipe, str(seed), str(count)]
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        seconds = time.perf_counter() - start
        last = process.stdout.readline()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    then = json.loads(last)
    half, resident = then.pop("half_mb"), then["resident_mb"]
    growth = None if half is None or resident is None else resident - half
    return {**json.loads(first), "first_s": seconds, **then, "growth_mb": growth}
