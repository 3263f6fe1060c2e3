"""Every built-in recipe that trains: its real network takes real steps, on smaller volumes and with a smaller batch."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch

pytest.importorskip("lightning")
pytest.importorskip("monai")
pytest.importorskip("einops")

from fdif_dsl.compiler.library import Library, load_library
from fdif_dsl.runtime.recipe import Recipe, recipes, resolve
from fdif_dsl.runtime.streams.stream import VolumeStream
from fdif_dsl.runtime.training.loader import Batches, loader
from fdif_dsl.runtime.training.networks import NETWORKS
from fdif_dsl.runtime.training.pretrain import make_learner

# As small as leaves several voxels at the bottleneck.
GRIDS = {name: [32, 64, 64] for name in ("classification", "paper-swin-unetr", "paper-resenc-l")}
SLOW = pytest.mark.slow  # more than 100 million parameters: half a minute, and gigabytes, on a CPU


def _recipe(name: str) -> Any:
    heavy = name in ("paper-resenc-l", "paper-primus-m")
    return pytest.param(name, marks=[SLOW] if heavy else [])


SAME = ("paper", "scanner", "organic", "textures", "primgeoseg")  # have the network of `paper-swin-unetr`


@pytest.mark.parametrize("name", [_recipe(name) for name in recipes() if name not in SAME])
def test_three_steps(compiled: Library, name: str) -> None:
    if name in ("paper-resenc-l", "paper-primus-m"):
        pytest.importorskip("dynamic_network_architectures")
    from lightning.pytorch import Callback, Trainer

    recipe = Recipe.load(name, [f"volume.grid={GRIDS.get(name, [32, 32, 32])}", "train.steps=3", "train.batch=1",
                                "train.crops=1"])
    library = compiled if recipe.library == ("standard",) else load_library(recipe.library)
    meaning = resolve(recipe, library).meaning
    learner = make_learner(recipe, NETWORKS[recipe.training.network], meaning)
    moved: set[str] = set()
    losses: list[float] = []

    class Look(Callback):  # type: ignore[misc, unused-ignore]
        def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
            for key, parameter in pl_module.network.named_parameters():
                assert (parameter.grad is not None) == parameter.requires_grad, key
                if parameter.grad is not None and parameter.grad.any():
                    moved.add(key)

        def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
            losses.append(float(outputs["loss"]))

    trainer = Trainer(max_steps=3, accelerator="cpu", callbacks=[Look()], logger=False, enable_checkpointing=False,
                      enable_progress_bar=False, enable_model_summary=False,
                      gradient_clip_val=recipe.training.clip or None)
    before = {key: float(value.double().sum()) for key, value in learner.network.named_parameters()}
    trainer.fit(learner, loader(Batches(VolumeStream(library, recipe), 1, 0, 0, 1), 0))
    assert len(losses) == 3 and all(torch.isfinite(torch.tensor(losses)))
    parameters = dict(learner.network.named_parameters())
    assert not {key for key, parameter in parameters.items() if parameter.requires_grad} - moved
    # What UNETR has no use for, and what a classifier on an encoder has not.
    unused = r"norm_cross_attn" if recipe.training.task != "classification" else (
        r"^network\.(decoder|encoder[1-4]|out)")
    assert all(re.search(unused, key) for key, parameter in parameters.items() if not parameter.requires_grad)
    assert all(float(value.double().sum()) != before[key] for key, value in learner.network.named_parameters()
               if key in moved)


@pytest.mark.parametrize("name", [n for n in recipes() if n.startswith("paper-")])
def test_a_recipe_trains_the_network_whose_name_it_has(name: str) -> None:
    recipe = Recipe.load(name)
    assert name == "paper-" + recipe.training.network.replace("_", "-")
    assert NETWORKS[recipe.training.network].recipe == name
    assert (recipe.grid, recipe.objects, recipe.shapes) == (Recipe().grid, Recipe().objects, None)


def test_the_papers_settings() -> None:
    training = Recipe.load("paper-swin-unetr").training
    assert (training.optimizer, training.lr, training.weight_decay) == ("adamw", 1e-4, 1e-5)
    assert (training.steps, training.warmup, training.schedule) == (30000, 500, "cosine")
    assert (training.batch, training.crops, training.dice) == (1, 4, "all")
    augment = Recipe.load("paper-swin-unetr").augment
    assert (augment.flip, augment.turn, augment.shift, augment.shift_by) == (0.1, 0.1, 0.5, 0.1)
