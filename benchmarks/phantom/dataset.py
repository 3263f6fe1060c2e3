"""The phantom as a data set on disk, as a user would have it: NIfTI files and a MONAI data list."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import nibabel
import numpy as np

from phantom.anatomy import LABELS
from phantom.imaging import Case, make_case

LIST = "datalist.json"


def write_phantom(folder: Path, training: int, validation: int, voxel: float, seed: int,
                  spread: Callable[[Callable[[int], str], Iterable[int]], Iterable[str]] = map) -> Path:
    """Writes cases with voxels of about `voxel` mm, half of them CT and half MR, and the list that names them; returns
    the list. A folder that has this data set already is left as it is. `spread` makes cases as `map` does.

    Raises:
        FileExistsError: the folder holds another data set.
    """
    path = folder / LIST
    about = f"seed {seed}, {training} + {validation} cases, voxels of {voxel} mm"
    if path.exists():
        there = json.loads(path.read_text(encoding="utf-8")).get("description")
        if there != about:
            raise FileExistsError(f"{folder} holds another phantom ({there}, not {about}): name another folder")
        return path
    for name in ("imagesTr", "labelsTr"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    names = list(spread(_Writer(folder, seed, voxel), range(training + validation)))
    entries = [{"image": f"imagesTr/{name}.nii.gz", "label": f"labelsTr/{name}.nii.gz"} for name in names]
    table = {"name": "abdominal phantom", "description": about, "modality": {"0": "CT or MR"},
             "labels": {str(label): name for name, label in LABELS.items()}, "numTraining": training,
             "training": entries[:training], "validation": entries[training:]}
    path.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    return path


class _Writer:
    """Writes a case and returns its name; a class, so that it can be sent to another process."""

    def __init__(self, folder: Path, seed: int, voxel: float) -> None:
        self.folder, self.seed, self.voxel = folder, seed, voxel

    def __call__(self, index: int) -> str:
        case = make_case(self.seed, index, self.voxel)
        name = f"{case.modality.lower()}_{index:03d}"
        _save(case, case.image, self.folder / "imagesTr" / f"{name}.nii.gz")
        _save(case, case.label, self.folder / "labelsTr" / f"{name}.nii.gz")
        return name


def _save(case: Case, voxels: np.ndarray, path: Path) -> None:
    affine = np.diag([*case.spacing, 1.0])
    affine[:3, 3] = [-(n - 1) / 2 * step for n, step in zip(voxels.shape, case.spacing, strict=True)]
    image = nibabel.Nifti1Image(voxels, affine)  # x to the right, y to the front, z to the head: RAS
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)
