"""Labels with gaps: classes are numbered in their order, and files stay as they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unittest.mock import patch

import nibabel
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fdif_dsl.runtime.finetuning import finetune, open_data
from fdif_dsl.runtime.finetuning.data import nifti

GAPS = np.array([0, 40, 2035])


@pytest.fixture
def gaps(datalist: Any) -> Path:
    """A list whose files hold 40 and 2035, and that does not name them."""
    path = datalist(cases=4, labels={})
    for file in (path.parent / "labelsTr").iterdir():
        stored = nibabel.load(file)
        nibabel.save(nibabel.Nifti1Image(GAPS[np.asarray(stored.dataobj)].astype(np.int32), stored.affine), file)
    return path


def test_labels_that_no_list_names(gaps: Path, tiny: Any) -> None:
    bank = open_data(tiny(gaps, "data.renumber=true"))
    assert bank.data.classes == ("background", "40", "2035") and bank.data.numbers == (0, 40, 2035)
    case = bank.data.list.cases[0]
    stored = np.asarray(nibabel.load(case.label).dataobj)
    assert np.array_equal(GAPS[bank.label(case).voxels[0]], stored)
    assert np.unique(bank[case].label).tolist() == [0, 1, 2] and all(len(its) for its in bank[case].places)
    assert not bank.fits(tiny(gaps)) and bank.fits(tiny(gaps, "data.renumber=true"))


@pytest.mark.parametrize("labels", [{"0": "background", "2035": "bright", "40": "dim"},
                                    {"bright": 2035, "background": 0, "dim": 40}])
def test_labels_that_the_list_names(labels: dict[str, Any], gaps: Path, tiny: Any) -> None:
    gaps.write_text(json.dumps(json.loads(gaps.read_text()) | {"labels": labels}))
    data = open_data(tiny(gaps, "data.renumber=true")).data
    assert data.classes == ("background", "dim", "bright") and data.numbers == (0, 40, 2035)


def test_a_run_on_labels_with_gaps(gaps: Path, tiny: Any, tmp_path: Path) -> None:
    recipe = tiny(gaps, "data.renumber=true", "train.steps=1", "validate.predictions=true", "validate.distance=false")
    result = finetune(recipe, tmp_path / "run")
    assert (tmp_path / "run/labels.csv").read_text() == "class,label,name\n0,0,background\n1,40,40\n2,2035,2035\n"
    about = json.loads((tmp_path / "run/run.json").read_text())
    assert (about["classes"], about["labels"]) == (["background", "40", "2035"], [0, 40, 2035])
    assert about["normalise"] == ["clipped"]
    assert torch.load(tmp_path / "run/scratch-seed-1/weights.pt", weights_only=True)["labels"] == [0, 40, 2035]
    # Predictions lie on the labels of the files, number by number.
    found = nibabel.load(tmp_path / f"run/scratch-seed-1/predictions/{result.cases[0]}.nii.gz")
    classes = set(np.unique(np.asarray(found.dataobj)).tolist())
    assert classes <= set(GAPS.tolist()) and len(classes) > 1


def test_labels_that_count_leave_no_table(datalist: Any, tiny: Any, tmp_path: Path) -> None:
    recipe = tiny(datalist(cases=3), "data.renumber=true", "train.steps=1", "validate.distance=false")
    finetune(recipe, tmp_path / "run")
    assert not (tmp_path / "run/labels.csv").exists()
    assert json.loads((tmp_path / "run/run.json").read_text())["labels"] == [0, 1, 2]


@given(st.sets(st.integers(1, 2**31 - 1), min_size=1, max_size=8), st.data())
def test_every_number_finds_its_class(labels: set[int], data: Any) -> None:
    numbers = [0, *sorted(labels)]
    drawn = data.draw(st.lists(st.integers(0, len(numbers) - 1), min_size=8, max_size=8))
    stored = np.array([numbers[k] for k in drawn], np.int32).reshape(2, 2, 2)
    with patch.object(nifti, "read_volume", lambda _: nifti.Stored(stored[None], np.eye(4))):
        assert nifti.read_label(Path("a.nii"), numbers).voxels.reshape(-1).tolist() == drawn
