"""What the task `masked` hides, and what its loss and score are of."""

from __future__ import annotations

import pytest
import torch

from fdif_dsl.runtime.training.masked import Masked


@pytest.mark.parametrize(("shape", "size", "share"), [
    ((16, 16, 16), 4, 0.6), ((10, 7, 9), 4, 0.5), ((8, 8, 8), 1, 0.25)])
def test_whole_blocks_are_hidden(shape: tuple[int, int, int], size: int, share: float) -> None:
    mask = Masked(share, size).mask(shape, 3, 11, 0)
    assert mask.shape == shape and set(mask.unique().tolist()) == {0.0, 1.0}
    blocks = mask[::size, ::size, ::size]
    assert int(blocks.sum()) == round(share * blocks.numel())
    for z, y, x in torch.cartesian_prod(*(torch.arange(n) for n in shape)).tolist():
        assert mask[z, y, x] == blocks[z // size, y // size, x // size]


def test_a_mask_belongs_to_a_crop() -> None:
    aim = Masked(0.5, 4)
    one = aim.mask((16, 16, 16), 1, 2, 0)
    assert torch.equal(one, aim.mask((16, 16, 16), 1, 2, 0))
    assert not any(torch.equal(one, aim.mask((16, 16, 16), *other)) for other in ((1, 2, 1), (1, 3, 0), (2, 2, 0)))


def test_only_what_is_hidden_counts() -> None:
    aim = Masked(0.5, 2)
    image = torch.randn(2, 1, 8, 8, 8, generator=torch.Generator().manual_seed(0)) + 3
    seen, right = aim.pose(image, torch.zeros(2, 1, 8, 8, 8), 0, [(5, 0), (5, 1)])
    hidden = right[:, 1:] > 0
    assert bool((seen[hidden] == 0).all()) and torch.equal(seen[~hidden], image[~hidden])
    answer = torch.where(hidden, image, 99.0)  # right where it is asked
    assert float(aim.loss(answer, right)) == 0
    assert float(aim.loss(answer + hidden * 2.0, right)) == pytest.approx(4)
    tallies = aim.tallies(torch.device("cpu"))
    aim.count(tallies, answer, right)
    assert aim.scores(tallies)[0].mean == 1
    (mean,) = aim.tallies(torch.device("cpu")),
    aim.count(mean, torch.full_like(image, float(image[hidden].mean())), right)
    assert aim.scores(mean)[0].mean == pytest.approx(0, abs=1e-5)
