"""Data sets on disk. Each format is a module with a class that has what `plan.Format` asks for, and a name here."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fdif_dsl.runtime.datasets.plan import Format

FORMATS = {
    "monai": "Medical Segmentation Decathlon: NIfTI files and datalist.json",
    "nnunet": "a data set of nnU-Net v2 in DIR, its nnUNet_raw: NIfTI files and dataset.json",
    "classification": "SSL3D classification: Blosc2 files, labelsTr.json and splits_final.json",
}

LEVELS = {"monai": 4, "nnunet": 4, "classification": 8}
"""How hard each format compresses where nothing else is asked for."""


def make_format(name: str, level: int | None = None) -> Format:
    """A format by its name, which compresses at a level from 0 to 9. Raises `LookupError` for another name."""
    from fdif_dsl.runtime.datasets.classification import Classification
    from fdif_dsl.runtime.datasets.decathlon import Decathlon
    from fdif_dsl.runtime.datasets.nifti import Nifti
    from fdif_dsl.runtime.datasets.nnunet import NnUnet

    level = LEVELS[name] if level is None else level
    if name == "monai":
        return Decathlon(Nifti(level))
    if name == "nnunet":
        return NnUnet(Nifti(level))
    return Classification(level)
