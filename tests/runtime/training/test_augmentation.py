from __future__ import annotations

import numpy as np
import pytest
import torch

from fdif_dsl.runtime.recipe import Augmentation
from fdif_dsl.runtime.training.augmentation import augment, crops, normalise

NOTHING = Augmentation(flip=0, turn=0, shift=0)
PAPER = Augmentation()


def test_grey_levels_are_kept_or_z_scored() -> None:
    image = torch.rand(3, 1, 5, 6, 7) * torch.tensor([1.0, 0.2, 0.0]).view(3, 1, 1, 1, 1)
    assert normalise(image, "unit") is image
    scored = normalise(image, "zscore").numpy()
    for one, its in zip(image.numpy()[:2], scored[:2], strict=True):
        assert np.allclose(its, (one - one.mean()) / one.std(), atol=1e-4)
    assert not scored[2].any()  # an empty volume has no deviation to divide by


def test_crops_of_the_whole_grid_are_copies() -> None:
    image = torch.rand(2, 1, 4, 5, 6)
    copies, labels = crops(image, image.long(), (4, 5, 6), 3, NOTHING, 0, [7, 8])
    assert copies.shape == labels.shape == (6, 1, 4, 5, 6)
    assert all(torch.equal(copies[i], image[i // 3]) for i in range(6))


def test_crops_are_parts_of_their_volume() -> None:
    volume = torch.arange(2 * 6 * 7 * 8).reshape(2, 1, 6, 7, 8)
    image, label = crops(volume.float(), volume, (3, 4, 5), 3, NOTHING, 0, [0, 1])
    assert image.shape == (6, 1, 3, 4, 5)
    assert torch.equal(image.long(), label)
    assert [int(label[i].min()) // (6 * 7 * 8) for i in range(6)] == [0, 0, 0, 1, 1, 1]
    assert len({int(c[0, 0, 0, 0]) % 336 for c in label}) > 2
    for crop in label[:, 0]:
        n, _, z, y, x = np.unravel_index(int(crop[0, 0, 0]), volume.shape)
        assert torch.equal(crop, volume[n, 0, z : z + 3, y : y + 4, x : x + 5])


def test_augmentation_moves_image_and_label_together() -> None:
    label = torch.arange(4**3).reshape(1, 4, 4, 4)
    changed = 0
    for seed in range(64):
        image, moved = augment(label.double() / 64, label, PAPER, np.random.default_rng(seed))
        difference = image - moved.double() / 64
        assert torch.allclose(difference, difference.flatten()[0].expand_as(difference))  # one shift a crop
        assert difference.abs().max() <= 0.1
        assert sorted(moved.flatten().tolist()) == list(range(64))
        changed += not torch.equal(moved, label)
    assert 8 < changed < 40  # of 64, each changed with chance 1 - 0.9^4 = 0.34


def test_two_labels_move_alike() -> None:
    label = torch.arange(64).reshape(1, 4, 4, 4).repeat(2, 1, 1, 1)
    _, moved = augment(torch.rand(1, 4, 4, 4), label, Augmentation(flip=1, turn=1), np.random.default_rng(0))
    assert torch.equal(moved[0], moved[1]) and not torch.equal(moved, label)


def test_augmentation_keeps_the_shape_of_an_uneven_patch() -> None:
    image = torch.rand(1, 4, 6, 6)
    for seed in range(20):
        assert augment(image, image.long(), Augmentation(turn=1), np.random.default_rng(seed))[0].shape == image.shape


def test_a_shift_is_as_large_as_the_recipe_says() -> None:
    image = torch.zeros(1, 2, 2, 2)
    far = Augmentation(flip=0, turn=0, shift=1, shift_by=2.0)
    shifts = [float(augment(image, image, far, np.random.default_rng(seed))[0].flatten()[0]) for seed in range(50)]
    assert 1.5 < max(shifts) <= 2 and -2 <= min(shifts) < -1.5


def test_a_crop_depends_on_seed_and_number_alone() -> None:
    image = torch.rand(3, 1, 6, 6, 6)
    together, _ = crops(image, image.long(), (4, 4, 4), 2, PAPER, 5, [10, 11, 12])
    alone, _ = crops(image[2:], image[2:].long(), (4, 4, 4), 2, PAPER, 5, [12])
    assert torch.equal(together[4:], alone)
    other, _ = crops(image[2:], image[2:].long(), (4, 4, 4), 2, PAPER, 6, [12])
    assert not torch.equal(alone, other)


@pytest.mark.parametrize("how", ["unit", "zscore"])
def test_volumes_are_normalised_one_by_one(how: str) -> None:
    image = torch.rand(2, 1, 4, 4, 4)
    assert torch.equal(normalise(image, how)[1:], normalise(image[1:], how))
