"""`fdifc fit`, from a stranger's side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

BALL = """
shape ball {
  ## Radius.
  radius ~ normal(0.3, 0.05) * grid.min
  distance = length(p) - radius
}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A template, and balls as masks with images."""
    (tmp_path / "ball.sdf").write_text(BALL)
    axes = np.indices((20, 20, 20)) - 9.5
    for k, radius in enumerate((5.0, 6.0, 7.0)):
        inside = np.linalg.norm(axes, axis=0) < radius
        for kind, voxels in (("masks", 3 * inside), ("images", 100 + 50 * inside)):
            (tmp_path / kind).mkdir(exist_ok=True)
            nibabel.save(nibabel.Nifti1Image(voxels.astype(np.int16), np.eye(4)), tmp_path / kind / f"scan{k}.nii.gz")
    return tmp_path


def test_masks_become_a_formula(fdifc: Any, folder: Path) -> None:
    out = folder / "out/melon.sdf"
    result = fdifc("fit", folder / "masks", "--label", 3, "--images", folder / "images", "--template", "ball",
                   "--library", folder / "ball.sdf", "--no-mirror", "-o", out)
    assert result.exit_code == 0, result.output
    first, *rows, mean, last = result.stdout.splitlines()
    assert first.split() == ["mask", "Dice", "surface", "distance", "(voxels)"]
    assert [row.split()[0] for row in rows] == ["scan0", "scan1", "scan2"] and float(mean.split()[1]) > 0.95
    assert last.endswith(f"pictures in {out.parent / 'report'}")
    text = out.read_text()
    assert "Made by `fdifc fit MASKS" in text
    assert "scan0" not in text and str(folder) not in text and "mapper melon_grey" in text
    assert 'mappers = ["melon_grey", "melon_other"]' in out.with_suffix(".toml").read_text()
    assert (out.parent / "report" / "beside.png").stat().st_size > 5000
    for command in (("check", out), ("fmt", "--check", out)):
        checked = fdifc(*command)
        assert checked.exit_code == 0, checked.output


def test_bad_calls(fdifc: Any, folder: Path) -> None:
    given = ("--template", "ball", "--library", folder / "ball.sdf", "-o", folder / "melon.sdf")
    for wrong, said in ((("--label", "x"), "write whole numbers"), (("--grid", "3,3"), "write three sides"),
                        (("--label", "1", "--labels", "1,2"), "give one of the two")):
        result = fdifc("fit", folder / "masks", *wrong, *given)
        assert result.exit_code == 2 and said in result.output
    result = fdifc("fit", folder / "masks", "--label", 4, *given)
    assert result.exit_code == 1
    assert result.stderr == f"""\
error[E0971]: a mask has no label 4
  --> {folder}/masks/scan0.nii.gz
  why: its labels are 3
  hint: leave it out, or name another label
"""
