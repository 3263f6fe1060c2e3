"""Writing the classes found in an image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fdif_dsl.compiler.support.files import replacing
from fdif_dsl.runtime.finetuning.data import itk
from fdif_dsl.runtime.finetuning.data.cases import ENDINGS, ITK

_WHOLE = {".mhd": ".mha", ".nhdr": ".nrrd"}
"""The ending of a format whose files come in two, and of the same one in a single file."""


def ending_of(image: Path) -> str:
    """How the name of a prediction ends: as that of its image, where that is a file alone. What is found in a DICOM
    series is written as NIfTI."""
    its = next((ending for ending in ENDINGS if image.name.lower().endswith(ending)), "")
    return ".nii.gz" if not its or image.is_dir() else _WHOLE.get(its, its)


def write_classes(found: np.ndarray, affine: np.ndarray, path: Path) -> None:
    """Labels (x, y, z) as a file of the format that its name says."""
    path.parent.mkdir(exist_ok=True)
    highest = found.max(initial=0)
    kind = np.uint8 if highest < 2**8 else np.int16 if highest < 2**15 else np.int32
    with replacing(path) as temporary:
        if path.name.endswith(ITK):
            itk.save(found.astype(kind), affine, temporary)
            return
        import nibabel

        image: Any = nibabel.Nifti1Image(found.astype(kind), affine)  # type: ignore[attr-defined, no-untyped-call]
        nibabel.save(image, temporary)  # type: ignore[attr-defined]
