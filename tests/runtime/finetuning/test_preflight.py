"""Which network a recipe fine-tunes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.runtime.finetuning.preflight import plan
from fdif_dsl.runtime.training.pretrained import Pretrained


def test_what_a_recipe_leaves_open_is_as_in_the_weights(weights: Any, tiny: Any) -> None:
    before = Pretrained.read(weights("unet", 6, (24, 16, 16)))
    chosen = plan(tiny(Path("x"), "train.features=auto", "train.patch=auto"), before, "small")
    assert (chosen.row.name, chosen.features, chosen.patch) == ("unet", 6, (24, 16, 16))
    other = plan(tiny(Path("x"), "train.features=auto", "train.patch=[32, 32, 32]"), before, "small")
    assert other.patch == (32, 32, 32)


def test_without_weights_it_is_the_networks_own_recipe(tiny: Any) -> None:
    chosen = plan(tiny(Path("x"), "train.features=auto", "train.patch=auto", "train.network=swin_unetr"), None, "small")
    assert (chosen.features, chosen.patch) == (48, (96, 96, 96))


@pytest.mark.parametrize(("override", "said"), [
    ("train.network=vnet", """\
error[E0935]: the recipe's network is vnet, and that of the weights is unet
  --> command line:1:7
  |
1 | train.network="vnet"
  |       ^^^^^^^
  why: the weights are PATH
  hint: leave it out, or write network = "auto", to take that of the weights"""),
    ("train.features=8", """\
error[E0935]: the recipe's features is 8, and that of the weights is 6
  --> command line:1:7
  |
1 | train.features=8
  |       ^^^^^^^^
  why: the weights are PATH
  hint: leave it out, or write features = "auto", to take that of the weights"""),
    ("train.network=unte", """\
error[E0811]: unknown network `unte`
  --> small: train.network
  why: there are unet, resunet, swin_unetr, unetr, vnet, resenc_l, primus_m
  hint: did you mean `unet`?"""),
])
def test_a_recipe_that_contradicts_the_weights(override: str, said: str, weights: Any, tiny: Any) -> None:
    before = Pretrained.read(weights("unet", 6))
    with pytest.raises(FdifError) as caught:
        plan(tiny(Path("x"), override), before, "small")
    assert str(caught.value) == said.replace("PATH", str(before.path))
