"""A library and a recipe so small that a volume takes a millisecond."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fdif_dsl.compiler.library import Library, load_library
from fdif_dsl.runtime.datasets import make_format
from fdif_dsl.runtime.datasets.manifest import digest
from fdif_dsl.runtime.datasets.plan import Plan
from fdif_dsl.runtime.datasets.record import TRAINING
from fdif_dsl.runtime.recipe import Recipe

FLAT = "mapper flat { intensity = where(d <= 0, 100, 0) }\n"

RECIPE = """\
[volume]
grid = [12, 16, 20]
objects = [1, 3]
[classes]
displacements = ["none", "waves"]
mappers = ["glow", "flat"]
"""


@pytest.fixture
def shapes(shapes: Path) -> Path:
    """The small library, with a second mapper."""
    shapes.write_text(shapes.read_text() + FLAT)
    return shapes


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(RECIPE)
    return path


@pytest.fixture
def small(shapes: Path) -> Library:
    return load_library(shapes)


@pytest.fixture
def plan(small: Library, recipe: Path) -> Callable[..., Plan]:
    """`plan("monai", 4, label="multi_task")`: so many volumes for training, the recipe with another field."""

    def make(form: str, counts: int | Mapping[str, int], level: int = 1, **fields: Any) -> Plan:
        options = {key: fields.pop(key) for key in ("scenes", "title", "seed") if key in fields}
        counts = {TRAINING: counts} if isinstance(counts, int) else counts
        return Plan(**{"library": small, "recipe": replace(Recipe.load(recipe), **fields), "name": "small",
                       "title": "FDIF small", "seed": 5, "counts": counts, "form": make_format(form, level)} | options)

    return make


@pytest.fixture
def fdifc(shapes: Path, recipe: Path, tmp_path: Path) -> Callable[..., Any]:
    """Starts `fdifc generate` on the small library and recipe as a process of its own."""

    def start(*arguments: object) -> Any:
        command = [sys.executable, "-c", "from fdif_dsl.cli import main; main()", "generate", "--library", shapes,
                   "--recipe", recipe, "--seed", 5, "--level", 1, *arguments]
        # In a group of its own, which can be interrupted as a terminal does, also where these tests cannot.
        return subprocess.Popen(list(map(str, command)), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True, start_new_session=True,
                                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))

    return start


@pytest.fixture
def contents() -> Callable[[Path], dict[str, str]]:
    """The checksum of every file of a data set, by its path: short enough to be read where two differ."""

    def read(folder: Path) -> dict[str, str]:
        return {p.relative_to(folder).as_posix(): digest(p.read_bytes()) for p in sorted(folder.rglob("*"))
                if p.is_file()}

    return read
