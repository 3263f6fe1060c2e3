"""The weights that come with the package: small, of the recipe of their name, with a card, and ready for one's own
classes."""

from __future__ import annotations

import pytest
import torch

import fdif_dsl as fd
from fdif_dsl.runtime.recipe import Recipe
from fdif_dsl.runtime.training.pretrained import Pretrained
from fdif_dsl.runtime.weights.source import shipped

SHIPPED = shipped()
MOST = 8_000_000  # bytes
FREE = {"accelerator", "compile", "devices", "nodes", "workers"}
"""Keys of [train] that say where a network learns, and not what."""


def test_there_are_some() -> None:
    assert "laptop" in SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_all_but_the_head_is_taken_over(name: str) -> None:
    assert SHIPPED[name].stat().st_size <= MOST
    network = fd.load_pretrained(name, out_channels=3, in_channels=2)
    its = network.pretraining
    assert its.network == "unet" and {part.rpartition(".")[0] for part in its.taken.new} == {"model.3"}
    with torch.no_grad():
        assert network(torch.randn(1, 2, *its.patch)).shape == (1, 3, *its.patch)


@pytest.mark.parametrize("name", SHIPPED)
def test_they_are_of_the_recipe_of_their_name(name: str) -> None:
    found, recipe = Pretrained.read(SHIPPED[name]), Recipe.load(name).to_dict()
    for section in ("volume", "placement", "classes", "scanner", "augment"):
        assert found.recipe.get(section) == recipe.get(section), section
    train = {key: value for key, value in recipe["train"].items() if key not in FREE}
    assert {key: found.recipe["train"].get(key) for key in train} == train
    assert found.step == recipe["train"]["steps"]


@pytest.mark.parametrize("name", SHIPPED)
def test_a_card_says_what_they_are(name: str) -> None:
    found, card = Pretrained.read(SHIPPED[name]), SHIPPED[name].with_suffix(".md").read_text(encoding="utf-8")
    for said in (f"fdifc pretrain {name}", found.library[:12], f"seed {found.seed}", f"{found.step:,} steps",
                 "docs/evidence.md"):
        assert said in card, said
