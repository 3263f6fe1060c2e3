"""What many tests share: the standard library, its compiled kernels, and the authors' numbers."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from fdif_dsl.compiler.backends.cuda.backend import simulated
from fdif_dsl.compiler.library import Library, load_library

DATA = Path(__file__).parent / "data"
SMALL_SHAPES = """\
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
TEXTURES = """\
use std

shape ball {
  radius ~ uniform(0.2, 0.35) * grid.min
  distance = length(p) - radius
}
shape shell {
  radius ~ uniform(0.2, 0.35) * grid.min
  wall = -deepest(length(p) - radius) / 4
  distance = onion(length(p) - radius, wall)
}

fn ridged(u: vec3) = abs(sin(u.x)) + abs(sin(u.y)) + abs(sin(u.z))

## Ridges of random height and place.
displacement ridges {
  ## Height, as a fraction of the grid's half-width.
  amplitude ~ uniform(0.01, 0.05)
  frequency ~ uniform(5, 15)
  phase ~ vec3(uniform(0, tau), uniform(0, tau), uniform(0, tau))
  height = amplitude * grid.limit.x
  offset = height * ridged(frequency / grid.limit * p + phase)
}
displacement waves {
  height = 1.0
  offset = height * sin(p.x)
}
## Waves that are bent, so that no axis has them alone.
displacement bent(n: int) {
  length_ ~ uniform(4, 9)
  shift[i < n] ~ uniform(-1, 1)
  offset = sum[i < n](sin(tau * length(p - vec3(9, 4 * shift[i], 0)) / length_))
}
displacement bent_2 = bent(2)

mapper glow {
  top = 128.0
  intensity = where(d <= 0, clamp(top + 10 * d, 0, 128), 0)
}
## Bright to some depth, and on the outside too.
mapper slope {
  steep ~ uniform(5, 40)
  intensity = clamp(60 - steep * d, 0, 128) - clamp(-steep * (d + 5), 0, 128)
}
## A calm rim, and a pattern in the core.
mapper tissue {
  rim ~ uniform(1, 3)
  wavelength ~ uniform(3, 8)
  core = smoothstep(0, rim, -d - rim)
  intensity = where(d > 0, 0, 60 + 30 * core * sin(tau * p.x / wavelength) * sin(tau * p.y / wavelength))
}
## Seen from the world, and the same for every object.
mapper lattice { intensity = where(d > 0, 0, 64 + 60 * sin(w.x) * sin(w.z + grid.min)) }
## Light from above, wherever an object is.
mapper lamp {
  power ~ uniform(1, 3)
  intensity = max(0, w.z - 3) * power
}
"""
SMALL_TRAIN = """\
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
"""

# Child processes of tests see the installed package too, not the folders that they are started in.
os.environ.setdefault("PYTHONSAFEPATH", "1")
# The machine's cores are shared by the workers of pytest-xdist.
os.environ.setdefault("FDIF_THREADS", "1" if "PYTEST_XDIST_WORKER" in os.environ else "2")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs a GPU runs on one, or in the process that test_cuda_simulator.py starts."""
    import torch

    if not simulated() and not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="there is no CUDA device"))


def pytest_configure() -> None:
    if "PYTEST_XDIST_WORKER" in os.environ:
        import torch

        torch.set_num_threads(1)


@pytest.fixture(scope="session")
def lib() -> Library:
    """The standard library; CPU kernels are compiled one by one as they are used."""
    return load_library()


@pytest.fixture(scope="session")
def compiled(lib: Library, tmp_path_factory: pytest.TempPathFactory) -> Library:
    """The standard library with every CPU kernel built, once for all workers."""
    with FileLock(tmp_path_factory.getbasetemp().parent / "compile.lock"):
        lib.compile()
    return lib


@pytest.fixture(scope="session")
def small_shapes() -> str:
    """A library so small that a command takes a second."""
    return SMALL_SHAPES


@pytest.fixture(scope="session")
def textures(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """A library of displacements and mappers with random quantities, and of mappers that see the point."""
    path = tmp_path_factory.mktemp("textures") / "textures.sdf"
    path.write_text(TEXTURES)
    return load_library(path)


@pytest.fixture(scope="session")
def small_train() -> str:
    """The section [train] of a recipe whose run takes seconds."""
    return SMALL_TRAIN


@pytest.fixture
def shapes(tmp_path: Path, small_shapes: str) -> Path:
    """The small library, as a file."""
    path = tmp_path / "shapes.sdf"
    path.write_text(small_shapes)
    return path


@pytest.fixture(scope="session")
def golden() -> Path:
    """Numbers computed by the authors' implementation, in float32."""
    return DATA / "golden"


@pytest.fixture(scope="session")
def a_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Path]]:
    """`a_run("vnet", "volume.grid=[32, 32, 32]")`: the folder of a run of the paper's recipe on two shapes, with the
    weights.pt that it leaves, of a network as it was made. The same call gives the same folder."""
    from fdif_dsl.runtime.recipe import Recipe, resolve
    from fdif_dsl.runtime.training.extra import mend_torchvision

    mend_torchvision()  # before anything imports Lightning
    for package in ("lightning", "monai", "einops"):
        pytest.importorskip(package)
    from fdif_dsl.runtime.training.checkpoints import Checkpoints
    from fdif_dsl.runtime.training.networks import find_network
    from fdif_dsl.runtime.training.pretrain import make_learner
    from fdif_dsl.runtime.training.run_folder import facts_of

    path = tmp_path_factory.mktemp("library") / "shapes.sdf"
    path.write_text(SMALL_SHAPES)
    library = load_library(path)
    made: dict[tuple[str, ...], Path] = {}

    def run(network: str, *overrides: str) -> Path:
        if (network, *overrides) not in made:
            recipe = Recipe.load("paper", [f"train.network={network}", "classes.displacements=[]",
                                           'classes.mappers=["glow"]', "volume.grid=[64, 64, 64]", *overrides])
            row, meaning = find_network(network, "recipe"), resolve(recipe, library).meaning
            folder = made[network, *overrides] = tmp_path_factory.mktemp("run")
            learner = make_learner(recipe, row, meaning)
            Checkpoints(folder, facts_of(recipe, row, learner.objective.tasks, library, 1), 1).save_weights(learner, 30)
        return made[network, *overrides]

    yield run
    for folder in made.values():  # the weights of some have half a gigabyte
        shutil.rmtree(folder)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20260323)
