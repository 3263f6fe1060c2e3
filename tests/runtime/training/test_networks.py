"""The networks: what they are made of, what they take, and what their encoders are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("monai")
pytest.importorskip("einops")

from fdif_dsl.compiler.library import load_library
from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.runtime.recipe import Recipe, resolve
from fdif_dsl.runtime.recipe.meaning import meaning_of
from fdif_dsl.runtime.training.heads import Classifier
from fdif_dsl.runtime.training.networks import NETWORKS, check_size, find_network
from fdif_dsl.runtime.training.sizes import size_of
from fdif_dsl.runtime.training.validation import finest

# Those of 100 million parameters are looked at in `test_recipes.py`.
LIGHT = ("unet", "resunet", "unetr", "vnet")
WIDE = {"resenc_l": "dynamic_network_architectures", "primus_m": "timm"}


def the(name: str) -> Any:
    if name in WIDE:
        pytest.importorskip("dynamic_network_architectures")
    return NETWORKS[name]


@pytest.mark.parametrize(("name", "classes", "millions"), [
    ("resenc_l", 2, 102.35), ("primus_m", 2, 146.6), ("swin_unetr", 8, 62.2), ("unetr", 8, 92.8), ("vnet", 8, 45.6)])
def test_parameters_are_as_published(name: str, classes: int, millions: float) -> None:
    row = the(name)
    meaning = meaning_of("shape", [str(i) for i in range(classes - 1)], [None], ["m"], 2)
    size = size_of(row, Recipe.load(row.recipe), meaning)
    digits = len(str(millions).partition(".")[2])
    assert round(size.parameters / 1e6, digits) == millions


def test_memory_grows_with_the_batch_and_not_the_state() -> None:
    meaning = meaning_of("shape", ["a", "b"], [None], ["m"], 2)
    one, two = (size_of(NETWORKS["unet"], Recipe.load("demo", [f"train.batch={n}"]), meaning) for n in (1, 2))
    assert two.state == one.state == 16 * one.parameters  # weights, gradients, two moments, in single precision
    assert two.activations == pytest.approx(2 * one.activations, rel=0.01)


def test_what_a_step_keeps_is_counted() -> None:
    """The estimate against what autograd really keeps."""
    recipe = Recipe.load("demo", ["volume.grid=[16, 16, 16]", "train.batch=3"])
    meaning = resolve(recipe, load_library()).meaning
    kept: dict[int, torch.Tensor] = {}
    network = NETWORKS["unet"].build(recipe.training.features, 11, (16, 16, 16))

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    from fdif_dsl.runtime.training.losses import DeepSupervision

    weights = {p.untyped_storage().data_ptr() for p in network.parameters()}
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        DeepSupervision.of(recipe, meaning)(network(torch.rand(3, 1, 16, 16, 16)), torch.ones(3, 1, 16, 16, 16).long())
    real = sum(t.untyped_storage().nbytes() for place, t in kept.items() if place not in weights)
    assert size_of(NETWORKS["unet"], recipe, meaning).activations == pytest.approx(real, rel=0.1)


@pytest.mark.parametrize("name", LIGHT)
def test_the_smallest_patch_that_is_allowed_works(name: str) -> None:
    row = NETWORKS[name]
    patch = (row.least, row.least, row.least)
    features = row.feature_step or 16
    check_size(row, features, patch, "recipe")
    model = row.build(features, 3, patch).train()
    assert finest(model(torch.rand(1, 1, *patch))).shape == (1, 3, *patch)
    head = [key for key in model.state_dict() if key.startswith(row.head)]
    assert head and len(head) < len(model.state_dict())


@pytest.mark.parametrize("name", LIGHT)
def test_a_classifier_trains_its_encoder_and_nothing_else(name: str) -> None:
    row = NETWORKS[name]
    patch = (32, 32, 32)
    model = Classifier(row.build(row.feature_step or 16, 1, patch), row, 5, patch).train()
    out = model(torch.rand(2, 1, *patch, generator=torch.Generator().manual_seed(0)))
    assert out.shape == (2, 5)
    out.square().sum().backward()
    for key, parameter in model.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, key
    trained = {key for key, p in model.network.named_parameters() if p.requires_grad}
    assert trained and not any(key.startswith(row.head) for key in trained)


@pytest.mark.parametrize("name", ["unet", "resunet", "unetr"])
def test_activations_computed_again_change_nothing(name: str) -> None:
    from fdif_dsl.runtime.training.learner import recompute

    row = NETWORKS[name]
    patch = (32, 32, 32) if name == "resunet" else (16, 16, 16)
    network = row.build(row.feature_step or 16, 3, patch)
    image = torch.rand(1, 1, *patch)

    def gradients() -> list[torch.Tensor]:
        network.zero_grad()
        network(image).square().mean().backward()
        return [p.grad.clone() for p in network.parameters() if p.grad is not None]

    plain, before = gradients(), list(network.state_dict())
    for path in row.blocks:
        recompute(network.get_submodule(path))
    again = gradients()
    assert len(plain) == len(again) and all(torch.allclose(a, b, atol=1e-6) for a, b in zip(plain, again, strict=True))
    assert list(network.state_dict()) == before


def message(call: Any, *arguments: Any) -> str:
    with pytest.raises(FdifError) as caught:
        call(*arguments)
    return str(caught.value)


def test_an_unknown_network() -> None:
    assert message(find_network, "swin_unet", "mine") == """\
error[E0811]: unknown network `swin_unet`
  --> mine: train.network
  why: there are unet, resunet, swin_unetr, unetr, vnet, resenc_l, primus_m
  hint: did you mean `swin_unetr`?"""


def test_a_patch_that_does_not_fit() -> None:
    assert message(check_size, NETWORKS["swin_unetr"], 48, (96, 96, 80), "mine") == """\
error[E0812]: `swin_unetr` cannot take patches of 96 x 96 x 80 voxels
  --> mine: train.patch
  why: each side must be a multiple of 32 and at least 64
  hint: the nearest patch that it takes is 96 x 96 x 64"""


OWN = """
import torch

def tiny(out_channels, patch):
    assert patch == (16, 16, 16)
    return torch.nn.Conv3d(1, out_channels, 3, padding=1)

def two_classes():
    return torch.nn.Conv3d(1, 2, 1)

def halves(out_channels):
    return torch.nn.Conv3d(1, out_channels, 2, stride=2)

def picky(out_channels):
    return torch.nn.Conv3d(4, out_channels, 1)

def broken():
    return 1 / 0

def text():
    return "network"
"""


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_nets.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))


def test_a_network_of_ones_own(own_module: None) -> None:
    network = find_network("my_nets:tiny", "mine").build(16, 3, (16, 16, 16))
    assert network(torch.rand(1, 1, 16, 16, 16)).shape == (1, 3, 16, 16, 16)


@pytest.mark.parametrize(("function", "said"), [
    ("two_classes", """\
error[E0852]: the network gives an output of shape (1, 2, 16, 16, 16) where (1, 3, 16, 16, 16) is expected
  --> mine: train.network
  why: the recipe's labels have 3 classes, background among them, and each voxel gets one
  hint: give the function a parameter `out_channels` and use it"""),
    ("halves", """\
error[E0852]: the network gives an output of shape (1, 3, 8, 8, 8) where (1, 3, 16, 16, 16) is expected
  --> mine: train.network
  why: the recipe's labels have 3 classes, background among them, and each voxel gets one
  hint: give the function a parameter `out_channels` and use it"""),
    ("picky", """\
error[E0852]: the network cannot take patches of 16 x 16 x 16 voxels
  --> mine: train.network
  why: RuntimeError: ...
  hint: change train.patch, or the network"""),
    ("broken", """\
error[E0852]: `my_nets:broken` fails
  --> mine: train.network
  why: ZeroDivisionError: division by zero
  hint: it is called with those of in_channels, out_channels, patch, features that it has parameters for"""),
    ("text", """\
error[E0852]: `my_nets:text` makes no network
  --> mine: train.network
  why: it gives str, not a torch.nn.Module
  hint: return the network that the function makes"""),
    ("tinny", """\
error[E0852]: `my_nets` has no function `tinny`
  --> mine: train.network
  hint: did you mean `tiny`?"""),
])
def test_a_network_of_ones_own_that_does_not_fit(own_module: None, function: str, said: str) -> None:
    def build() -> None:
        find_network(f"my_nets:{function}", "mine").build(16, 3, (16, 16, 16))

    found = message(build).splitlines()
    assert [line if not line.startswith("  why: RuntimeError") else "  why: RuntimeError: ..." for line in found] == \
        said.splitlines()


def test_a_module_that_is_not_there() -> None:
    assert message(find_network, "my_nests:tiny", "mine") == """\
error[E0852]: the module `my_nests` cannot be loaded
  --> mine: train.network
  why: ModuleNotFoundError: No module named 'my_nests'
  hint: modules are looked for in the current folder and where Python finds packages"""
