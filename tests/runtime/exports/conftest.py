"""Checkpoints as a run leaves them, of networks as they were made: what they learnt does not matter here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fdif_dsl.compiler.library import Library, load_library
from fdif_dsl.runtime.recipe import Recipe, resolve
from fdif_dsl.runtime.training.extra import mend_torchvision

mend_torchvision()  # before a test imports Lightning itself

SHAPES = """\
shape ball { radius ~ uniform(0.15, 0.3) * grid.min  distance = length(p) - radius }
shape cube { half ~ uniform(0.1, 0.25) * grid.min  distance = max(abs(p.x), max(abs(p.y), abs(p.z))) - half }
mapper glow { intensity = where(d <= 0, clamp(128 + 10 * d, 0, 128), 0) }
"""

Make = Callable[..., Path]


@pytest.fixture(scope="session")
def own(tmp_path_factory: pytest.TempPathFactory) -> Library:
    path = tmp_path_factory.mktemp("library") / "shapes.sdf"
    path.write_text(SHAPES)
    return load_library(path)


@pytest.fixture(scope="session")
def make(own: Library, tmp_path_factory: pytest.TempPathFactory) -> Make:
    """`make("vnet", "train.patch=[32, 32, 32]")`: the folder of a run of the paper's recipe, which has weights.pt. The
    same call gives the same folder."""
    from fdif_dsl.runtime.training.checkpoints import Checkpoints
    from fdif_dsl.runtime.training.networks import find_network
    from fdif_dsl.runtime.training.pretrain import make_learner
    from fdif_dsl.runtime.training.record import facts_of

    made: dict[tuple[str, ...], Path] = {}

    def run(network: str, *overrides: str) -> Path:
        if (network, *overrides) not in made:
            recipe = Recipe.load("paper", [f"train.network={network}", "classes.displacements=[]",
                                           'classes.mappers=["glow"]', "volume.grid=[64, 64, 64]", *overrides])
            row, meaning = find_network(network, "recipe"), resolve(recipe, own).meaning
            folder = made[network, *overrides] = tmp_path_factory.mktemp(network.partition(":")[0])
            checkpoints = Checkpoints(folder, facts_of(recipe, row, meaning, own, 1), 1)
            checkpoints.save_weights(make_learner(recipe, row, meaning), 30)
        return made[network, *overrides]

    return run
