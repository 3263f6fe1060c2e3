"""What a network makes of held-out cases: pictures, and files of the classes found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fdif_dsl.compiler.support.files import replacing
from fdif_dsl.runtime.finetuning.data.preprocessing import Prepared
from fdif_dsl.runtime.training.pictures import draw_predictions

Sample = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def sample(case: Prepared, answer: torch.Tensor, orientation: str) -> Sample:
    """The first channel of a case with grey levels from 0 to 1, its label and the classes found, (D, H, W), turned as
    radiologists look at them: the patient's front at the top, their right at the left."""
    low, high = case.percentiles[0]
    image = ((case.image[0] - low) / max(high - low, 1e-8)).clamp(0, 1)
    axes = [axis for axis, end in ((1, orientation[1] == "A"), (2, orientation[0] == "R")) if end]
    image, label, found = (part.flip(axes) for part in (image, case.label[0].long(), answer.argmax(0)))
    return image, label, found


def draw(samples: Sequence[Sample], classes: Sequence[str], path: Path, title: str) -> None:
    """A column for each sample; a PNG."""
    draw_predictions(samples, classes, path, title)


def write_classes(found: np.ndarray, affine: np.ndarray, path: Path) -> None:
    """Classes (x, y, z) as a NIfTI file on the grid of the case's own label."""
    import nibabel

    path.parent.mkdir(exist_ok=True)
    kind = np.uint8 if found.max(initial=0) < 256 else np.int16
    image: Any = nibabel.Nifti1Image(found.astype(kind), affine)  # type: ignore[attr-defined, no-untyped-call]
    with replacing(path) as temporary:
        nibabel.save(image, temporary)  # type: ignore[attr-defined]
