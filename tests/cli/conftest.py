"""The command line on a library and a recipe so small that a command takes a second."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fdif_dsl.cli import cli
from fdif_dsl.runtime.pictures import view

SHAPES = """\
## A ball.
shape ball {
  ## Radius in voxels.
  radius ~ uniform(0.15, 0.3) * grid.min
  distance = length(p) - radius
}

## A cube.
shape cube {
  half ~ uniform(0.1, 0.25) * grid.min
  distance = max(abs(p.x), max(abs(p.y), abs(p.z))) - half
}

## Waves along x.
displacement waves {
  offset = sin(p.x)
}

## Brightest at the surface.
mapper glow {
  intensity = where(d <= 0, clamp(128 + 10 * d, 0, 128), 0)
}
"""

RECIPE = """\
about = "A run for tests."

[volume]
grid = [16, 16, 16]
objects = [1, 2]

[classes]
displacements = ["none", "waves"]
mappers = ["glow"]

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
volumes = 2
"""

Fdifc = Callable[..., Result]


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
def shapes(tmp_path: Path) -> Path:
    path = tmp_path / "shapes.sdf"
    path.write_text(SHAPES)
    return path


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(RECIPE)
    return path
