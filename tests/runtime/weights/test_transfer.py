"""Pre-trained weights in a network for other channels, classes and patches."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.runtime.training.networks import NETWORKS
from fdif_dsl.runtime.training.pretrained import Pretrained
from fdif_dsl.runtime.weights.transfer import take_over

Patch = tuple[int, int, int]


def build(name: str, features: int, patch: Patch, channels: int = 3, inputs: int = 1) -> Any:
    torch.manual_seed(2)
    return NETWORKS[name].build(features, channels, patch, inputs)


@pytest.mark.parametrize(("name", "patch"), [
    ("unet", (16, 16, 16)), ("resunet", (32, 32, 32)), ("vnet", (32, 32, 32))])
def test_the_same_image_in_every_channel_gives_what_one_gave(name: str, patch: Patch, weights: Any) -> None:
    before = Pretrained.read(weights(name, 4, patch))
    one, two = build(name, 4, patch), build(name, 4, patch, inputs=2)
    alone, both = (take_over(network, NETWORKS[name], before, patch) for network in (one, two))
    assert not alone.adapted and both.adapted
    assert all(part.startswith(NETWORKS[name].head) for part in both.new)
    image = torch.rand(1, 1, *patch)
    first, second = (NETWORKS[name].encode(network.eval(), x) for network, x in (  # type: ignore[misc]
        (one, image), (two, image.expand(-1, 2, -1, -1, -1))))
    if name == "unet":  # vnet adds its input, whose repetition depends on the channels
        torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-4)
    stem = both.adapted[0]
    torch.testing.assert_close(two.state_dict()[stem].sum(1), before.weights[stem].sum(1))


def test_position_embeddings_go_to_another_patch(weights: Any) -> None:
    before = Pretrained.read(weights("unetr", 4, (32, 32, 32)))
    network = build("unetr", 4, (32, 48, 64))
    taken = take_over(network, NETWORKS["unetr"], before, (32, 48, 64))
    (name,) = taken.adapted
    assert name.endswith("position_embeddings")
    positions = network.state_dict()[name].reshape(2, 3, 4, -1)
    source = before.weights[name].reshape(2, 2, 2, -1)
    torch.testing.assert_close(positions[:, 0, 0], source[:, 0, 0])  # the corner stays the corner
    torch.testing.assert_close(positions[:, 1, 0], (source[:, 0, 0] + source[:, 1, 0]) / 2)
    assert "adapted: vit.patch_embedding.position_embeddings" in str(taken)


def test_the_head_is_new_even_where_it_would_fit(weights: Any) -> None:
    before = Pretrained.read(weights())
    network = build("unet", 4, (16, 16, 16), channels=5)
    made = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    taken = take_over(network, NETWORKS["unet"], before, (16, 16, 16))
    assert taken.new and all(name.startswith("model.3.") for name in taken.new)
    assert all(torch.equal(network.state_dict()[name], made[name]) for name in taken.new)
    assert len(taken.body) + len(taken.new) == len(made)


def test_a_decoder_that_never_learnt_is_not_taken(weights: Any) -> None:
    """Who learnt to classify trained the encoder alone."""
    before = Pretrained.read(weights(task="classification"))
    taken = take_over(build("unet", 4, (16, 16, 16)), NETWORKS["unet"], before, (16, 16, 16))
    assert set(taken.new) == {name for name in before.weights if name.startswith(NETWORKS["unet"].decoder)}


def test_weights_of_another_network_are_refused(weights: Any) -> None:
    before = Pretrained.read(weights("vnet", 4, (32, 32, 32)))
    with pytest.raises(FdifError) as caught:
        take_over(build("unet", 4, (32, 32, 32)), NETWORKS["unet"], before, (32, 32, 32))
    assert str(caught.value) == f"""\
error[E0937]: none of the weights fits `unet`
  --> {before.path}
  why: they are of `vnet` with 4 features
  hint: take a network of that kind and width; in a recipe leave out train.network and train.features"""
