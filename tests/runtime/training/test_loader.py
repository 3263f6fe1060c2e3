"""Which volumes are in which batch."""

from __future__ import annotations

from itertools import islice
from typing import Any

import pytest
import torch

from fdif_dsl.runtime.streams.stream import VolumeStream
from fdif_dsl.runtime.training.loader import Batches, loader


def numbers(batches: Any, count: int) -> list[list[int]]:
    return [batch["number"] for batch in islice(batches, count)]


def test_a_batch_has_the_volumes_of_its_numbers(own: Any, small: Any) -> None:
    stream = VolumeStream(own, small(), 3)
    batch = next(iter(Batches(stream, 3, first=2, rank=0, world=1)))
    assert batch["number"] == [6, 7, 8]
    assert batch["image"].shape == batch["label"].shape == (3, 1, 16, 16, 16)
    for key in ("image", "label"):
        assert torch.equal(batch[key], torch.stack([stream.volume(i)[key] for i in (6, 7, 8)]))


def test_processes_share_what_one_would_see(own: Any, small: Any) -> None:
    stream = VolumeStream(own, small(), 3)
    whole = numbers(Batches(stream, 4, 0, 0, 1), 3)
    parts = [numbers(Batches(stream, 2, 0, rank, 2), 3) for rank in (0, 1)]
    for step in range(3):
        assert sorted(parts[0][step] + parts[1][step]) == whole[step]
        assert not set(parts[0][step]) & set(parts[1][step])


@pytest.mark.parametrize("first", [0, 3])
def test_workers_change_nothing(own: Any, small: Any, first: int) -> None:
    stream = VolumeStream(own, small(), 3)
    alone = list(islice(Batches(stream, 2, first, 0, 1), 5))
    shared = list(islice(loader(Batches(stream, 2, first, 0, 1), 2), 5))
    assert [b["number"] for b in shared] == [b["number"] for b in alone]
    assert all(torch.equal(a["image"], b["image"]) for a, b in zip(alone, shared, strict=True))
