"""The tests that need a GPU, in numba's simulator of one: in a process of its own, as numba chooses at its import.

Where there is a GPU they run on that, and not here.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[2]
# What a process runs, so that several can run side by side.
PARTS = {
    "families": ["compiler/backends/test_cuda.py", "-k", "family or sampled"],
    "scenes": ["compiler/backends/test_cuda.py", "-k", "not family and not sampled"],
    "driver": ["compiler/backends/test_cuda_driver.py"],
    "golden": ["test_golden.py"],
    "libraries": ["shapes/test_organic_textures.py"],
    "primgeoseg": ["test_primgeoseg.py"],
    "fractals": ["examples/test_fractals.py"],
}
LONG = ("fractals",)  # hundreds of operations a voxel, each a call of Python


@pytest.mark.parametrize("part", [pytest.param(p, marks=[pytest.mark.long] * (p in LONG)) for p in PARTS])
def test_in_the_simulator(compiled: object, part: str) -> None:
    file, *selection = PARTS[part]
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1"}
    environment.pop("PYTEST_XDIST_WORKER", None)
    command = [sys.executable, "-P", "-m", "pytest", "-p", "no:xdist", "-p", "no:cacheprovider", "-m", "gpu",
               str(TESTS / file), *selection]
    done = subprocess.run(command, env=environment, cwd=TESTS.parent, capture_output=True, text=True, check=False)
    passed = re.search(r"(\d+) passed", done.stdout)
    assert done.returncode == 0 and passed and int(passed[1]) >= 5, done.stdout[-5000:] + done.stderr[-2000:]
