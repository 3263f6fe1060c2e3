"""Writing the classes found in an image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fdif_dsl.compiler.support.files import replacing


def write_classes(found: np.ndarray, affine: np.ndarray, path: Path) -> None:
    """Labels (x, y, z) as a NIfTI file."""
    import nibabel

    path.parent.mkdir(exist_ok=True)
    highest = found.max(initial=0)
    kind = np.uint8 if highest < 2**8 else np.int16 if highest < 2**15 else np.int32
    image: Any = nibabel.Nifti1Image(found.astype(kind), affine)  # type: ignore[attr-defined, no-untyped-call]
    with replacing(path) as temporary:
        nibabel.save(image, temporary)  # type: ignore[attr-defined]
