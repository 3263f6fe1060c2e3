"""What the task `structure` learns: the targets against their definitions, the loss, the score."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt

from fdif_dsl.runtime.training.structure import TARGETS, Structure, border_distance, in_the_middle


def numbers(seed: int, shape: tuple[int, int, int]) -> torch.Tensor:
    """Three boxes over each other, of two volumes."""
    random = np.random.default_rng(seed)
    out = np.zeros((2, *shape), np.int64)
    for volume in out:
        for k in range(1, 4):
            ends = [sorted(random.integers(0, n + 1, 2)) for n in shape]
            volume[tuple(slice(*end) for end in ends)] = k
    return torch.from_numpy(out)


@given(st.integers(0, 10**6), st.tuples(*[st.integers(2, 11)] * 3), st.integers(1, 12))
def test_the_distance_of_the_nearest_border(seed: int, shape: tuple[int, int, int], reach: int) -> None:
    number = numbers(seed, shape)
    found = border_distance(number, reach).numpy()
    for volume, its in zip(number.numpy(), found, strict=True):
        border = np.zeros(shape, bool)
        for axis in range(3):
            ahead, behind = ([slice(None)] * 3 for _ in range(2))
            ahead[axis], behind[axis] = slice(1, None), slice(None, -1)
            differs = volume[tuple(ahead)] != volume[tuple(behind)]
            border[tuple(ahead)] |= differs
            border[tuple(behind)] |= differs
        far = distance_transform_edt(~border) + 0.5 if border.any() else np.full(shape, np.inf)
        wanted = np.minimum(far, reach) / reach * np.where(volume > 0, 1, -1)
        np.testing.assert_allclose(its, wanted, atol=1e-5)


@given(st.integers(0, 10**6), st.tuples(*[st.integers(2, 11)] * 3))
def test_the_object_in_the_middle(seed: int, shape: tuple[int, int, int]) -> None:
    number = numbers(seed, shape)
    for volume, found in zip(number.numpy(), in_the_middle(number).numpy(), strict=True):
        places = np.argwhere(volume > 0)
        if not len(places):
            assert not found.any()
            continue
        far = ((places - (np.array(shape) - 1) / 2) ** 2).sum(1)
        nearest = {int(volume[tuple(place)]) for place in places[np.isclose(far, far.min())]}
        assert any(np.array_equal(found, volume == k) for k in nearest)


def test_touching_objects_have_a_border() -> None:
    number = torch.zeros(1, 8, 8, 8, dtype=torch.int64)
    number[0, :4], number[0, 4:] = 1, 2
    far = border_distance(number, 4)[0, :, 0, 0]
    assert far.tolist() == pytest.approx([v / 4 for v in (3.5, 2.5, 1.5, 0.5, 0.5, 1.5, 2.5, 3.5)])


@pytest.mark.parametrize("targets", [TARGETS, ("distance",), ("middle", "object")])
def test_a_right_answer_costs_nothing_and_scores_one(targets: tuple[str, ...]) -> None:
    aim = Structure(targets, 4)
    label = numbers(5, (12, 10, 11))[:, None]
    image = torch.zeros(2, 1, 12, 10, 11)
    same, right = aim.pose(image, label, 0, [(0, 0), (1, 0)])
    assert torch.equal(same, image) and right.shape == (2, len(targets), 12, 10, 11)
    parts = []
    for i, name in enumerate(targets):
        its = right[:, i]
        parts += [its] if name == "distance" else [20 - 40 * its, 40 * its - 20]
    answer = torch.stack(parts, 1)
    assert answer.shape[1] == aim.channels
    assert float(aim.loss(answer, right)) == pytest.approx(0, abs=1e-3)
    assert float(aim.loss(torch.zeros_like(answer), right)) > 0.1
    tallies = aim.tallies(torch.device("cpu"))
    found = aim.count(tallies, answer[:1], right[:1])
    assert [score.mean for score in aim.scores(tallies)] == [1.0] * len(targets)
    assert [score.task for score in aim.scores(tallies)] == list(targets)
    assert torch.equal(found, (right[0, 0] > 0).long())


def test_several_depths() -> None:
    aim = Structure(("object", "distance"), 4)
    _, right = aim.pose(torch.zeros(2, 1, 8, 8, 8), numbers(1, (8, 8, 8))[:, None], 0, [(0, 0), (1, 0)])
    outputs = [torch.zeros(2, 3, n, n, n, requires_grad=True) for n in (8, 4, 2)]
    aim.loss(outputs, right).backward()
    assert all(out.grad is not None and bool(out.grad.abs().sum() > 0) for out in outputs)
