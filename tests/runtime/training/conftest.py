"""A library and a recipe so small that a run takes seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fdif_dsl.compiler.library import Library, load_library
from fdif_dsl.runtime.recipe import Recipe
from fdif_dsl.runtime.training.extra import mend_torchvision

mend_torchvision()  # before a test imports Lightning itself

FLAT = "mapper flat { intensity = where(d <= 0, 60, 0) }\n"

RECIPE = """\
[volume]
grid = [16, 16, 16]
objects = [1, 2]

[classes]
displacements = ["none", "waves"]
mappers = ["glow", "flat"]

[monitor]
validate = 2
volumes = 3
checkpoint = 2
"""


@pytest.fixture(scope="session")
def own_path(tmp_path_factory: pytest.TempPathFactory, small_shapes: str) -> Path:
    """The small library, with a second mapper."""
    path = tmp_path_factory.mktemp("library") / "shapes.sdf"
    path.write_text(small_shapes + FLAT)
    return path


@pytest.fixture(scope="session")
def own(own_path: Path) -> Library:
    return load_library(own_path)


@pytest.fixture
def recipe_path(tmp_path: Path, small_train: str) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(RECIPE + small_train)
    return path


@pytest.fixture
def small(recipe_path: Path) -> Any:
    """The recipe with some values replaced: `small("train.steps=3")`."""
    return lambda *overrides: Recipe.load(recipe_path, overrides)
