"""Patches: where they are cut, what becomes of their grey levels, and what they depend on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.data.meta_obj import get_track_meta, set_track_meta

from fdif_dsl.runtime.finetuning import Augment, open_data
from fdif_dsl.runtime.finetuning.augmentation import augmentation
from fdif_dsl.runtime.finetuning.data.nifti import Grid
from fdif_dsl.runtime.finetuning.data.normalisation import Scaling, foreground, scaled, scaling, schemes
from fdif_dsl.runtime.finetuning.data.preprocessing import Prepared
from fdif_dsl.runtime.finetuning.loader import Patches, Source, as_seen

NONE = Augment(flip=0, rotate=0, zoom=0, noise=0, contrast=0, shift=0)
KEEP = (Scaling(-np.inf, np.inf, 0.0, 1.0),)


@pytest.fixture
def untracked() -> Any:
    """As in training."""
    before = get_track_meta()
    set_track_meta(False)
    yield
    set_track_meta(before)


def prepared(image: torch.Tensor, label: torch.Tensor, places: tuple[np.ndarray, ...]) -> Prepared:
    d, h, w = image.shape[1:]
    return Prepared(image, np.eye(4), Grid((w, h, d), np.eye(4)), label, places)


def numbered() -> Prepared:
    """A case whose every voxel has a grey level of its own; class 1 is one voxel, class 2 a row, class 3 is absent."""
    shape = (9, 20, 14)
    image = torch.arange(float(np.prod(shape))).reshape(1, *shape)
    label = torch.zeros(1, *shape, dtype=torch.uint8)
    label[0, 4, 10, 7] = 1
    label[0, 6, :, 2] = 2
    return prepared(image, label, tuple(np.flatnonzero(label == k) for k in range(4)))


@pytest.mark.usefixtures("untracked")
def test_a_patch_is_a_part_of_the_case_and_of_its_label() -> None:
    case = numbered()
    for number in range(20):
        patch = Patches([Source(case, KEEP)], (4, 6, 8), 1, NONE, 5).patch_of(number)
        first = int(patch["image"].min())
        z, y, x = np.unravel_index(first, (9, 20, 14))
        cut = (slice(None), slice(z, z + 4), slice(y, y + 6), slice(x, x + 8))
        assert torch.equal(patch["image"], case.image[cut])
        assert torch.equal(patch["label"], case.label[cut].float())


@pytest.mark.usefixtures("untracked")
def test_rare_classes_are_seen_as_often_as_common_ones() -> None:
    patches = Patches([Source(numbered(), KEEP)], (1, 1, 1), 1, NONE, 5)
    seen = [int(patches.patch_of(number)["label"]) for number in range(600)]
    shares = np.bincount(seen, minlength=4) / 600
    assert shares == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0], abs=0.07)


@pytest.mark.usefixtures("untracked")
def test_a_case_smaller_than_a_patch_lies_in_its_middle() -> None:
    case = prepared(torch.ones(1, 3, 4, 5), torch.ones(1, 3, 4, 5, dtype=torch.uint8),
                    (np.array([], int), np.arange(60)))
    patch = Patches([Source(case, KEEP)], (8, 4, 8), 1, NONE, 0).patch_of(0)
    assert patch["image"].shape == patch["label"].shape == (1, 8, 4, 8)
    assert patch["image"][0, 2:5, :, 1:6].all() and patch["image"].sum() == 60 == patch["label"].sum()


@pytest.mark.usefixtures("untracked")
def test_every_case_comes_once_before_any_comes_again() -> None:
    cases = [Source(prepared(torch.full((1, 4, 4, 4), float(i)), torch.ones(1, 4, 4, 4),
                             (np.array([], int), np.arange(64))), KEEP) for i in range(5)]
    patches = Patches(cases, (4, 4, 4), 1, NONE, 3)
    order = [int(patches.patch_of(number)["image"][0, 0, 0, 0]) for number in range(15)]
    assert [sorted(order[i : i + 5]) for i in (0, 5, 10)] == [[0, 1, 2, 3, 4]] * 3
    assert order[:5] != order[5:10] or order[5:10] != order[10:]


@pytest.mark.usefixtures("untracked")
def test_batches_do_not_depend_on_who_makes_them() -> None:
    def first(workers: int) -> list[torch.Tensor]:
        patches = iter(Patches([Source(numbered(), KEEP)] * 3, (4, 6, 8), 2, Augment(), 9, workers))
        return [next(patches)["image"] for _ in range(6)]

    alone, threads = first(0), first(3)
    assert all(torch.equal(a, b) for a, b in zip(alone, threads, strict=True))
    assert not torch.equal(alone[0], alone[1])


@pytest.mark.usefixtures("untracked")
def test_label_and_image_change_alike() -> None:
    """Flips, turns and zooms: an image that shows its label still does."""
    label = torch.zeros(1, 32, 32, 32)
    label[0, 8:24, 8:25, 9:22] = 1
    made = augmentation(Augment(flip=0.5, rotate=1, degrees=30, zoom=1, zoom_by=0.2, noise=0, contrast=0, shift=0),
                        label=True)
    moved = 0
    for seed in range(8):
        made.set_random_state(seed=seed)
        out = made({"image": label.clone(), "label": label.clone()})
        image = out["image"] > 0.5
        assert set(out["label"].unique().tolist()) <= {0.0, 1.0}
        assert 2 * (image * out["label"]).sum() / (image.sum() + out["label"].sum()) > 0.95
        moved += not torch.equal(out["label"], label)
    assert moved == 8


# -- grey levels -----------------------------------------------------------------------------------------


def test_channels_are_normalised_by_their_names() -> None:
    assert schemes("auto", ("CT", "T1", "noNorm", "rescale_to_0_1"), 5) == (
        "ct", "clipped", "keep", "unit", "clipped")
    assert schemes("unit", ("CT",), 2) == ("unit", "unit")


def test_what_each_scheme_makes_of_an_image() -> None:
    random = np.random.default_rng(0)
    image = torch.as_tensor(random.normal(300, 40, (1, 20, 20, 20)).astype(np.float32))
    label = torch.zeros(1, 20, 20, 20, dtype=torch.uint8)
    label[0, :10] = 1
    case = prepared(image, label, tuple(np.flatnonzero(label == k) for k in range(2)))
    levels = foreground([case])
    inside = image[0, :10].numpy()
    assert levels[0].mean == pytest.approx(inside.mean(), abs=1) and levels[0].low == pytest.approx(
        np.percentile(inside, 0.5), abs=1)
    z, ct, unit, keep, clipped = (scaled(image, scaling(case, (how,), levels))
                                  for how in ("zscore", "ct", "unit", "keep", "clipped"))
    assert z.mean() == pytest.approx(0, abs=1e-4) and z.std() == pytest.approx(1, abs=1e-3)
    assert ct[0, :10].mean() == pytest.approx(0, abs=0.02)
    assert float(ct.max()) == pytest.approx((levels[0].high - levels[0].mean) / levels[0].deviation, rel=1e-5)
    assert (float(unit.min()), float(unit.max())) == pytest.approx((0, 1))
    assert torch.equal(keep, image)
    grey = image.numpy()
    cut = np.clip(grey, *np.percentile(grey, (0.5, 99.5)))
    np.testing.assert_allclose(clipped, (cut - cut.mean()) / cut.std(), atol=1e-3)


def test_an_outlier_does_not_move_what_is_clipped() -> None:
    """One voxel of a million: with `zscore` the others would all be nearly the same."""
    image = torch.as_tensor(np.random.default_rng(1).normal(300, 40, (1, 16, 16, 16)).astype(np.float32))
    places = tuple(np.arange(4096)[k::2] for k in range(2))
    plain, spoilt = (prepared(its, torch.zeros_like(its), places) for its in (image, image.clone()))
    spoilt.image[0, 3, 3, 3] = 1e6
    far = {}
    for how in ("clipped", "zscore"):
        one, other = (scaled(case.image, scaling(case, (how,), foreground([case]))) for case in (plain, spoilt))
        change = (one - other).abs()
        change[0, 3, 3, 3] = 0
        far[how] = float(change.max())
    assert far["clipped"] < 0.1 < 1 < far["zscore"]


def test_a_whole_image_is_clipped_too() -> None:
    image = np.random.default_rng(2).normal(10, 2, (1, 8, 8, 8))
    image[0, 0, 0, 0] = 1e5
    seen = as_seen(image, (8, 8, 8), "clipped").numpy()
    cut = np.clip(image, *np.percentile(image, (0.5, 99.5)))
    np.testing.assert_allclose(seen, (cut - cut.mean()) / cut.std(), atol=1e-3)


# -- the grid that the network sees ----------------------------------------------------------------------


def test_cases_of_two_directions_and_spacings_come_out_alike(datalist: Any, tiny: Any) -> None:
    """Case 1 is stored the other way round; (z, y, x) is what both become."""
    path = datalist(cases=3)
    bank = open_data(tiny(path))
    assert bank.spacing == (2.5, 1.0, 1.0)
    for i, case in enumerate(bank.data.list.cases):
        made = bank[case]
        assert made.image.shape[1:] == (12, 22, 26) and made.image.dtype == torch.float32
        middles = np.stack(np.nonzero(made.label[0].numpy() == 1)).mean(1) / (12, 22, 26)
        assert middles == pytest.approx([0.3] * 3, abs=0.13), f"case {i}"  # where its ball lies
        assert made.affine[:3, :3].tolist() == [[0, 0, 1], [0, 1, 0], [2.5, 0, 0]]


def test_voxels_of_another_size(datalist: Any, tiny: Any, tmp_path: Path) -> None:
    path = datalist(cases=3)
    bank = open_data(tiny(path, "data.spacing=[1.25, 2.0, 2.0]", "data.orientation=LPS"))
    made = bank[bank.data.list.cases[0]]
    assert made.image.shape[1:] == made.label.shape[1:] == (23, 12, 14) or made.image.shape[1:] == (23, 11, 13)
    assert made.affine[:3, :3].tolist() == [[0, 0, -2], [0, -2, 0], [1.25, 0, 0]]
    kept = open_data(tiny(path, "data.spacing=keep"))
    assert kept.spacing is None and kept[kept.data.list.cases[0]].image.shape[1:] == (12, 22, 26)
