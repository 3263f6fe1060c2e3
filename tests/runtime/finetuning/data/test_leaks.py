"""A case is in one list once: what is told apart is what images show, not what their files are called."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.runtime.finetuning import open_data


def copy(folder: Path, old: str, new: str, flip: tuple[int, ...], kind: Any, ending: str) -> None:
    """A case under another name: its axes turned round, of another type of number, packed or not."""
    for part in ("imagesTr", "labelsTr"):
        stored = nibabel.load(folder / part / f"{old}.nii.gz")
        voxels, affine = np.asarray(stored.dataobj).astype(kind), stored.affine.copy()
        for axis in flip:
            affine[:3, 3] += affine[:3, axis] * (voxels.shape[axis] - 1)
            affine[:3, axis] *= -1
        nibabel.save(nibabel.Nifti1Image(np.flip(voxels, flip), affine), folder / part / f"{new}{ending}")


def entry(name: str) -> dict[str, str]:
    return {"image": f"imagesTr/{name}", "label": f"labelsTr/{name}"}


@pytest.mark.parametrize("seed", range(6))
def test_a_copy_in_another_form_is_the_same_case(seed: int, datalist: Any, tiny: Any) -> None:
    random = np.random.default_rng(seed)
    path = datalist(cases=3, held_out=1)
    flip = tuple(axis for axis in range(3) if random.random() < 0.5)
    ending = (".nii", ".nii.gz")[seed % 2]
    copy(path.parent, "case1", "patient7", flip, (np.float32, np.float64)[seed // 2 % 2], ending)
    table = json.loads(path.read_text())
    part = ("training", "validation")[seed // 3]
    table[part].append(entry(f"patient7{ending}"))
    path.write_text(json.dumps(table))
    with pytest.raises(FdifError) as caught:
        open_data(tiny(path))
    (found,) = caught.value.diagnostics
    assert found.where == f"{path}: case1 (training) and patient7 ({part})"
    assert found.title == ("a case stands twice in `training`", "a case is trained on and scored")[seed // 3]
    assert found.why.startswith(f"{path.parent}/imagesTr/case1.nii.gz and {path.parent}/imagesTr/patient7{ending} show")


def test_a_file_listed_in_both_parts_is_refused(datalist: Any, tiny: Any) -> None:
    path = datalist(cases=3, held_out=1, validation=[entry("case0.nii.gz")])
    with pytest.raises(FdifError) as caught:
        open_data(tiny(path))
    assert str(caught.value) == f"""\
error[E0926]: a case is trained on and scored
  --> {path}: imagesTr-case0-0 (training) and imagesTr-case0-3 (validation)
  why: {path.parent}/imagesTr/case0.nii.gz and {path.parent}/imagesTr/case0.nii.gz show the same image; its score \
would be of what the network has seen
  hint: take it off one of the lists"""


def test_cases_that_share_a_channel_are_two(nnunet: Any, tiny: Any) -> None:
    folder = nnunet(cases=3)
    same = (folder / "imagesTr/toy_000_0000.nii.gz").read_bytes()
    (folder / "imagesTr/toy_002_0000.nii.gz").write_bytes(same)
    assert len(open_data(tiny(folder)).data.facts) == 3
    (folder / "imagesTr/toy_002_0001.nii.gz").write_bytes((folder / "imagesTr/toy_000_0001.nii.gz").read_bytes())
    with pytest.raises(FdifError, match="a case stands twice in `training`"):
        open_data(tiny(folder))
