"""What a network makes of a held-out case, and the way back to the voxels of the case's own files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from fdif_dsl.compiler.support.files import replacing
from fdif_dsl.runtime.finetuning.data.nifti import Stored
from fdif_dsl.runtime.training.validation import finest

_AT_ONCE = 2**26  # numbers that are resampled together


def half(device: torch.device, precision: str) -> Any:
    """The precision of training, for what is computed outside of it."""
    kind = torch.bfloat16 if precision == "bf16-mixed" else torch.float16
    return torch.autocast(device.type, kind, enabled=device.type == "cuda" and precision != "32")


def predict(network: torch.nn.Module, image: torch.Tensor, patch: tuple[int, int, int], overlap: float,
            device: torch.device) -> torch.Tensor:
    """The network's answer (classes, D, H, W) for an image (c, D, H, W), on the CPU; patches slide over it."""
    from monai.inferers.utils import sliding_window_inference

    with torch.inference_mode():
        out: Any = sliding_window_inference(
            image[None], patch, 1, lambda part: finest(network(part)).float(), overlap=overlap, mode="gaussian",
            sw_device=device, device="cpu")
    answer: torch.Tensor = out[0]
    return answer


def on_own_grid(answer: torch.Tensor, affine: np.ndarray, case: Stored) -> np.ndarray:
    """The classes (x, y, z) of a case's own voxels, from an answer (classes, D, H, W) on another grid.

    The answer is resampled and the greatest class taken then, so that surfaces are as smooth as it is.
    """
    from monai.data.meta_tensor import MetaTensor
    from monai.transforms.spatial.array import SpatialResample

    shape = case.voxels.shape[1:]
    resample = SpatialResample(mode="bilinear", dtype=np.float32)
    best = torch.full(shape, -torch.inf)
    found = torch.zeros(shape, dtype=torch.int16)
    for first in range(0, len(answer), step := max(1, _AT_ONCE // best.numel())):
        part = resample(MetaTensor(answer[first : first + step], affine=torch.as_tensor(affine)),
                        dst_affine=torch.as_tensor(case.affine), spatial_size=shape)
        value, place = torch.as_tensor(part).max(0)
        higher = value > best
        best[higher], found[higher] = value[higher], (place[higher] + first).to(torch.int16)
    return found.numpy()


def write_classes(found: np.ndarray, affine: np.ndarray, path: Path) -> None:
    """Labels (x, y, z) as a NIfTI file on the grid of the case's own label."""
    import nibabel

    path.parent.mkdir(exist_ok=True)
    highest = found.max(initial=0)
    kind = np.uint8 if highest < 2**8 else np.int16 if highest < 2**15 else np.int32
    image: Any = nibabel.Nifti1Image(found.astype(kind), affine)  # type: ignore[attr-defined, no-untyped-call]
    with replacing(path) as temporary:
        nibabel.save(image, temporary)  # type: ignore[attr-defined]
