"""Patches that slide over a held-out case, and the way back to its own voxels."""

from __future__ import annotations

import numpy as np
import torch

from fdif_dsl.runtime.finetuning.data.nifti import Stored
from fdif_dsl.runtime.finetuning.inference import on_own_grid, predict


def test_an_answer_goes_back_to_the_voxels_of_the_file() -> None:
    """A ball on a turned, finer grid; the file has thick slices and looks the other way."""
    own = np.array([[-1.0, 0, 0, 20], [0, -1.0, 0, 15], [0, 0, 4.0, -30], [0, 0, 0, 1]])
    other = np.array([[0, 0, 1.0, 0], [0, 1.0, 0, -5], [1.0, 0, 0, -30], [0, 0, 0, 1]])  # z, y, x, each 1 mm
    middle = np.array([10.0, 5.0, -14.0])

    def inside(affine: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
        index = np.stack([*np.meshgrid(*map(np.arange, shape), indexing="ij"), np.ones(shape)], -1)
        return np.asarray(((index @ affine.T)[..., :3] - middle) ** 2).sum(-1) < 49

    answer = torch.as_tensor(np.stack([~inside(other, (33, 21, 21)), inside(other, (33, 21, 21))])).float()
    label = inside(own, (21, 21, 9)).astype(np.int16)
    found = on_own_grid(answer, other, Stored(label[None], own))
    assert 2 * (found * label).sum() / (found.sum() + label.sum()) > 0.97


def test_a_network_that_passes_its_input_on_is_seen_as_it_is() -> None:
    """Whatever the patch: sliding over it changes nothing, also where a case is smaller than a patch."""
    image = torch.rand(2, 11, 20, 7)
    out = predict(torch.nn.Threshold(-1.0, 0.0), image, (16, 8, 8), 0.5, torch.device("cpu"))
    torch.testing.assert_close(out, image)
