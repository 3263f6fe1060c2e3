"""Weights of a network as it was made, for fine-tuning and whoever else loads some."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from fdif_dsl.runtime.training.networks import NETWORKS

Write = Callable[..., Path]


@pytest.fixture
def weights(tmp_path: Path) -> Write:
    """What `fdifc pretrain` leaves of a network with five classes: `weights("unet", features=4)` is its folder."""

    def write(network: str = "unet", features: int = 4, patch: tuple[int, int, int] = (16, 16, 16),
              task: str = "segmentation") -> Path:
        torch.manual_seed(11)
        row = NETWORKS[network]
        made = row.build(features, 5, patch)
        folder = tmp_path / f"pretrained-{network}-{features}"
        folder.mkdir()
        torch.save({
            "network_weights": made.state_dict(), "network": network, "features": features, "patch": list(patch),
            "head": list(row.head), "task": task, "label": "shape", "tasks": {"shape": list("abcde")},
            "recipe": {"train": {"steps": 7}, "augment": {"normalise": "unit"}}, "library": "0" * 64, "seed": 7,
            "step": 7, "fdif_dsl": "0"}, folder / "weights.pt")
        return folder

    return write
