"""A library and a recipe so small that a run takes seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fdif_dsl.compiler.library import Library, load_library
from fdif_dsl.runtime.recipe import Recipe
from fdif_dsl.runtime.training.extra import mend_torchvision

mend_torchvision()  # before a test imports Lightning itself

SHAPES = """\
shape ball { radius ~ uniform(0.15, 0.3) * grid.min  distance = length(p) - radius }
shape cube { half ~ uniform(0.1, 0.25) * grid.min  distance = max(abs(p.x), max(abs(p.y), abs(p.z))) - half }
displacement waves { offset = sin(p.x) }
mapper glow { intensity = where(d <= 0, clamp(128 + 10 * d, 0, 128), 0) }
mapper flat { intensity = where(d <= 0, 60, 0) }
"""

RECIPE = """\
[volume]
grid = [16, 16, 16]
objects = [1, 2]

[classes]
displacements = ["none", "waves"]
mappers = ["glow", "flat"]

[train]
network = "unet"
features = 4
batch = 2
crops = 1
steps = 6
warmup = 1
lr = 1e-2
workers = 0
precision = "32"

[monitor]
validate = 2
volumes = 3
checkpoint = 2
"""


@pytest.fixture(scope="session")
def own_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("library") / "shapes.sdf"
    path.write_text(SHAPES)
    return path


@pytest.fixture(scope="session")
def own(own_path: Path) -> Library:
    return load_library(own_path)


@pytest.fixture
def recipe_path(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(RECIPE)
    return path


@pytest.fixture
def small(recipe_path: Path) -> Any:
    """The recipe with some values replaced: `small("train.steps=3")`."""
    return lambda *overrides: Recipe.load(recipe_path, overrides)
