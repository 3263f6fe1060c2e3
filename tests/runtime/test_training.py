"""The parts of pre-training: networks, labels, crops and augmentation, the curve, missing packages."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.runtime.training import extra
from fdif_dsl.runtime.training.augment import augment, crops
from fdif_dsl.runtime.training.curve import Fall, fall, smooth
from fdif_dsl.runtime.training.networks import NETWORKS, check_network


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_smallest_patch_that_is_allowed_works(name: str) -> None:
    pytest.importorskip("monai")
    if name in ("swin_unetr", "unetr"):
        pytest.importorskip("einops")
    network = NETWORKS[name]
    patch = (network.least, network.least, network.least)
    features = network.feature_step or 16
    check_network(name, features, patch, "recipe")
    model = network.build(features, 3, patch).train()
    assert model(torch.rand(1, 1, *patch)).shape == (1, 3, *patch)
    head = [key for key in model.state_dict() if key.startswith(network.head)]
    assert head and len(head) < len(model.state_dict())


def test_crops_of_the_whole_grid_are_copies() -> None:
    image = torch.rand(2, 4, 5, 6)
    copies, labels = crops(image, image.long(), (4, 5, 6), 3, generator())
    assert copies.shape == labels.shape == (6, 4, 5, 6)
    assert all(torch.equal(copies[i], image[i // 3]) for i in range(6))


def test_crops_are_parts_of_their_volume() -> None:
    volume = torch.arange(2 * 6 * 7 * 8).reshape(2, 6, 7, 8)
    image, label = crops(volume.float(), volume, (3, 4, 5), 3, generator())
    assert image.shape == (6, 3, 4, 5)
    assert torch.equal(image.long(), label)
    assert [int(label[i].min()) // (6 * 7 * 8) for i in range(6)] == [0, 0, 0, 1, 1, 1]
    assert len({int(c[0, 0, 0]) for c in label}) > 2
    for crop in label:
        z, y, x = np.unravel_index(int(crop[0, 0, 0]), volume.shape)[1:]
        assert torch.equal(crop, volume[int(crop[0, 0, 0]) // 336, z : z + 3, y : y + 4, x : x + 5])


def test_augmentation_moves_image_and_label_together() -> None:
    label = torch.arange(4**3).reshape(1, 4, 4, 4).repeat(64, 1, 1, 1)
    image, moved = augment(label.double() / 64, label, generator())
    difference = image - moved.double() / 64
    flat = difference.reshape(64, -1)
    assert torch.allclose(flat, flat[:, :1].expand_as(flat))  # one shift a volume
    assert 0 < flat[:, 0].abs().max() <= 0.1
    assert sorted(moved[0].flatten().tolist()) == list(range(64))
    changed = sum(not torch.equal(a, b) for a, b in zip(moved, label, strict=True))
    assert 8 < changed < 40  # of 64, each changed with chance 1 - 0.9^4 = 0.34


def test_augmentation_keeps_the_shape_of_an_uneven_patch() -> None:
    image = torch.rand(50, 4, 6, 6)
    assert augment(image, image.long(), generator())[0].shape == image.shape


def test_augmentation_depends_on_the_generator_alone() -> None:
    image = torch.rand(8, 4, 4, 4)
    one, two = (augment(image, image.long(), generator(5))[0] for _ in range(2))
    assert torch.equal(one, two)


def test_the_learning_rate() -> None:
    pytest.importorskip("lightning")
    pytest.importorskip("monai")
    from fdif_dsl.runtime.training.module import rate

    rates = [rate(step, 10, 110) for step in range(111)]
    assert rates[0] == pytest.approx(1 / 11) and rates[10] == 1 and rates[60] == pytest.approx(0.5)
    assert rates[110] == 0
    assert all(a < b for a, b in pairwise(rates[:11]))
    assert all(a > b for a, b in pairwise(rates[10:]))


def test_the_fall_of_a_loss() -> None:
    assert fall([2.0]) == Fall(2.0, 2.0)
    assert fall([4.0] * 5 + [1.0] * 10) == Fall(4.0, 1.0)
    assert str(Fall(2.0, 0.5)) == "loss 2.000 -> 0.500 (75 % down)"
    assert str(Fall(1.0, 1.5)) == "loss 1.000 -> 1.500 (50 % up)"


def test_smoothing_keeps_a_straight_line() -> None:
    line = np.arange(20.0)
    assert np.allclose(smooth(line, 3)[3:-3], line[3:-3])
    assert smooth(line, 3)[0] == pytest.approx(1.5)


def test_a_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extra, "find_spec", lambda name: None)
    with pytest.raises(FdifError) as error:
        extra.require("monai.networks.nets")
    assert str(error.value) == """\
error[E0821]: pre-training needs the package `monai`, which is not installed
  hint: pip install 'fdif-dsl[train]'"""


def test_a_torchvision_that_does_not_fit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = tmp_path / "needs_torchvision"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "needs_torchvision", raising=False)
    with pytest.raises(FdifError) as error:
        extra.require("needs_torchvision")
    assert str(error.value) == """\
error[E0823]: the installed torchvision does not fit the installed torch, and `needs_torchvision` loads it
  why: RuntimeError: operator torchvision::nms does not exist
  hint: pre-training does not need it: `pip uninstall torchvision`, or install the pair that belongs together"""


def test_a_broken_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "broken_package.py").write_text("import a_package_that_is_not_there\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(FdifError) as error:
        extra.require("broken_package")
    assert str(error.value) == """\
error[E0822]: the package `broken_package` cannot be loaded
  why: ModuleNotFoundError: No module named 'a_package_that_is_not_there'
  hint: pip install 'fdif-dsl[train]'"""


def test_workers_in_processes_of_their_own(lib: Any, tmp_path: Path) -> None:
    pytest.importorskip("lightning")
    from fdif_dsl.runtime.recipe import Recipe, Training
    from fdif_dsl.runtime.training.pretrain import pretrain

    name = next(iter(lib.shapes))
    losses = []
    for workers in (0, 1):
        training = Training(network="unet", features=4, batch=1, crops=1, steps=2, warmup=0, lr=1e-3, workers=workers,
                            precision="32")
        recipe = Recipe(grid=(16, 16, 16), objects=1, shapes=[name], displacements=[], training=training)
        losses.append(pretrain(lib, recipe, tmp_path / str(workers), name="small").loss)
    assert losses[0] == losses[1]
