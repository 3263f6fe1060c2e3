"""Patches that slide over an image, and the way back to the voxels of its own file."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.inferers.utils import sliding_window_inference
from scipy.ndimage import map_coordinates

from fdif_dsl.runtime.finetuning.data.nifti import Grid
from fdif_dsl.runtime.finetuning.data.normalisation import Scaling
from fdif_dsl.runtime.finetuning.data.preprocessing import Seen
from fdif_dsl.runtime.finetuning.inference import Member, Sliding, classes_of, segment
from fdif_dsl.runtime.finetuning.own_grid import on_own_grid
from fdif_dsl.runtime.finetuning.sliding_window import Part, slide

KEEP = Scaling(-np.inf, np.inf, 0.0, 1.0)
CPU = torch.device("cpu")
Shape = tuple[int, int, int]
sides = st.tuples(*[st.integers(1, 17)] * 3)


def together(parts: Any, outputs: int, shape: Shape) -> torch.Tensor:
    """The whole answer; every plane that two parts share is the same in both."""
    whole = torch.full((outputs, *shape), torch.nan)
    for part in parts:
        cut = (slice(None), *(slice(a, a + n) for a, n in zip(part.first, part.values.shape[1:], strict=True)))
        there = ~whole[cut].isnan()
        torch.testing.assert_close(whole[cut][there], part.values[there], rtol=1e-6, atol=1e-6)
        whole[cut] = part.values
    return whole


@settings(deadline=None, max_examples=60)
@given(sides, sides, st.sampled_from([0.0, 0.25, 0.5, 0.8]), st.integers(1, 3000))
def test_patches_slide_as_those_of_monai(shape: Shape, patch: Shape, overlap: float, room: int) -> None:
    """However little room there is for sums: then strips are done one after the other."""
    image = torch.rand(1, 2, *shape)

    def network(part: torch.Tensor) -> torch.Tensor:
        """What it says of a voxel depends on where in the patch that is."""
        places = torch.arange(math.prod(patch)).reshape(patch) % 7
        return torch.cat([part * (1 + places), part.cumsum(2)], 1)

    wanted: Any = sliding_window_inference(image, patch, 1, network, overlap=overlap, mode="gaussian")
    sliding = Sliding(patch, overlap, CPU, "32")
    answer = sliding._answer([Member(network, (KEEP, KEEP))], image[0])  # type: ignore[arg-type]
    told: list[tuple[int, int]] = []
    found = together(slide(answer, 4, shape, patch, overlap, lambda *its: told.append(its), room), 4, shape)
    torch.testing.assert_close(found, wanted[0], rtol=1e-5, atol=1e-5)
    assert [done for done, _ in told] == list(range(1, told[-1][1] + 1))


@settings(deadline=None, max_examples=60)
@given(st.tuples(*[st.integers(1, 9)] * 3), sides, st.permutations(range(3)),
       st.tuples(*[st.sampled_from([-1, 1])] * 3), st.tuples(*[st.floats(0.3, 3)] * 3),
       st.tuples(*[st.floats(-3, 3)] * 3), st.just((0.0, 0.0, 0.0)) | st.tuples(*[st.floats(-0.3, 0.3)] * 3),
       st.sets(st.integers(1, 8)), st.sets(st.integers(1, 8)))
def test_every_own_voxel_is_settled_once(own: Shape, seen: Shape, order: list[int], signs: Shape, sizes: Any,
                                         offset: Any, shear: Any, cuts_z: set[int], cuts_y: set[int]) -> None:
    """Axes in any order and direction, voxels of any size, and headers with a shear, wherever the parts are cut."""
    there = np.eye(4)
    there[:3, :3] = np.array([[1, *shear[:2]], [0, 1, shear[2]], [0, 0, 1]]) @ (np.eye(3)[order] * sizes * signs)
    there[:3, 3] = offset
    where = np.diag([2.0, -3.0, 1.5, 1.0])
    values = np.random.default_rng(0).normal(size=(2, *seen)).astype(np.float32)
    z_edges, y_edges = ([0, *sorted(c for c in cuts if c < n - 1), n - 1]
                        for cuts, n in ((cuts_z, seen[0]), (cuts_y, seen[1])))
    found, times = np.full((2, *own), np.nan, np.float32), np.zeros(own, int)
    for (z0, z1), (y0, y1) in itertools.product(itertools.pairwise(z_edges), itertools.pairwise(y_edges)):
        low = (z0 if z0 else -math.inf, y0 if y0 else -math.inf, -math.inf)
        high = (z1 if z1 < seen[0] - 1 else math.inf, y1 if y1 < seen[1] - 1 else math.inf, math.inf)
        part = Part(torch.as_tensor(values[:, z0 : z1 + 1, y0 : y1 + 1]), (z0, y0, 0), low, high)
        for box, its, meant in on_own_grid(part, where, seen, Grid(own, where @ there)):
            found[(slice(None), *box)] = np.where(meant, its, found[(slice(None), *box)])
            times[box] += meant.numpy()
    assert (times == 1).all()
    index = np.stack([*np.indices(own), np.ones(own)], -1)
    places = np.moveaxis((index @ there.T)[..., :3], -1, 0)
    wanted = [map_coordinates(part, places, order=1, mode="nearest") for part in values]
    np.testing.assert_allclose(found, wanted, atol=1e-4)


@given(st.integers(1, 6), st.integers(0, 99))
def test_the_class_is_the_first_of_the_greatest_values(outputs: int, seed: int) -> None:
    values = torch.as_tensor(np.random.default_rng(seed).integers(-2, 3, (outputs, 5, 4, 3))).float()
    wanted = values.numpy().argmax(0)
    found = classes_of(values.permute(0, 3, 1, 2))
    assert found.dtype == torch.int16 and (found.numpy() == wanted.transpose(2, 0, 1)).all()


def test_an_answer_goes_back_to_the_voxels_of_the_file() -> None:
    """A ball on a turned, finer grid; the file has thick slices and looks the other way."""
    own = np.array([[-1.0, 0, 0, 20], [0, -1.0, 0, 15], [0, 0, 4.0, -30], [0, 0, 0, 1]])
    other = np.array([[0, 0, 1.0, 0], [0, 1.0, 0, -5], [1.0, 0, 0, -30], [0, 0, 0, 1]])  # z, y, x, each 1 mm
    middle = np.array([10.0, 5.0, -14.0])

    def inside(affine: np.ndarray, shape: Shape) -> np.ndarray:
        index = np.stack([*np.meshgrid(*map(np.arange, shape), indexing="ij"), np.ones(shape)], -1)
        return np.asarray(((index @ affine.T)[..., :3] - middle) ** 2).sum(-1) < 49

    image = torch.as_tensor(np.stack([~inside(other, (33, 21, 21)), inside(other, (33, 21, 21))])).float()
    label = inside(own, (21, 21, 9)).astype(np.int16)
    same = Member(torch.nn.Threshold(-1.0, 0.0), (KEEP, KEEP))
    before = torch.zeros(33, 21, 21, dtype=torch.int16)
    parts = Sliding((16, 16, 16), 0.5, CPU, "32").parts([same], 2, image)
    found = segment(parts, Seen(image, other, Grid((21, 21, 9), own)), before=before)
    assert 2 * (found * label).sum() / (found.sum() + label.sum()) > 0.97
    assert (before.numpy() == inside(other, (33, 21, 21))).all()


class Slope(torch.nn.Module):
    """What it says depends on the direction of the first axis."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image.diff(dim=2, append=image[:, :, -1:])


@pytest.mark.parametrize("flips", [False, True])
def test_what_is_seen_mirrored_is_turned_back(flips: bool) -> None:
    """The mean over both directions of a slope is half of it forwards less half of it backwards."""
    image = torch.rand(1, 6, 5, 4)
    (part,) = Sliding((6, 5, 4), 0.5, CPU, "32", flips).parts([Member(Slope(), (KEEP,))], 1, image)
    forwards = image.diff(dim=1, append=image[:, -1:])
    backwards = image.flip(1).diff(dim=1, append=image[:, :1]).flip(1)
    torch.testing.assert_close(part.values, (forwards + backwards) / 2 if flips else forwards)


def test_members_are_a_mean_and_each_has_its_own_levels() -> None:
    image = torch.rand(1, 9, 8, 7)
    twice, shifted = (Member(torch.nn.Identity(), (Scaling(-np.inf, np.inf, shift, size),))
                      for shift, size in ((0.0, 0.5), (1.0, 1.0)))
    (part,) = Sliding((9, 8, 7), 0.5, CPU, "32").parts([twice, shifted], 1, image)
    torch.testing.assert_close(part.values, (3 * image - 1) / 2)
