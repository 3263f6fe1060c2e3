"""`export` and `nnunet-plans`, as a user sees them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch


@pytest.fixture
def run(a_run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder `run` in the current one."""
    made = a_run("unet", "train.features=4", "volume.grid=[16, 16, 16]")
    monkeypatch.chdir(tmp_path)
    Path("run").mkdir()
    Path("run/weights.pt").write_bytes((made / "weights.pt").read_bytes())
    return Path("run")


def test_export(fdifc: Any, run: Path) -> None:
    result = fdifc("export", "run", "--to", "monai")
    assert (result.exit_code, result.stderr) == (0, "")
    size = (run / "monai" / "fdif_unet.pt").stat().st_size / 1e6
    assert result.stdout == f"""\
unet of step 30, from run/weights.pt
wrote run/monai/fdif_unet.pt ({size:.1f} MB), and beside it config.json, README.md
next: network.load_state_dict(torch.load("run/monai/fdif_unet.pt", weights_only=True), strict=False)
"""
    assert fdifc("export", run / "weights.pt", "--to", "monai", "-o", "out", "--channels", 2).exit_code == 0
    weights = torch.load("out/fdif_unet.pt", weights_only=True)
    assert weights["model.0.conv.unit0.conv.weight"].shape[1] == 2


def test_export_of_what_is_no_run(fdifc: Any, run: Path) -> None:
    result = fdifc("export", "runs", "--to", "monai")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == """\
error[E0960]: there are no weights `runs`
  why: no such file or folder is there, and with fdif-dsl come laptop
  hint: did you mean `run`?
"""
    assert fdifc("export", "run", "--to", "nnunet").stderr.startswith("error[E0866]: nnU-Net has no network `unet`")
    assert not (run / "nnunet").exists()


def test_nnunet_plans(fdifc: Any, run: Path) -> None:
    stored = torch.load(run / "weights.pt", weights_only=True)
    torch.save(stored | {"network": "resenc_l", "patch": [64, 64, 64]}, "weights.pt")  # what it reads of them
    Path("nnUNetPlans.json").write_text(json.dumps({
        "dataset_name": "Dataset001_A", "plans_name": "nnUNetPlans",
        "configurations": {"3d_fullres": {"normalization_schemes": ["ZScoreNormalization"]}}}))
    result = fdifc("nnunet-plans", "nnUNetPlans.json", "--weights", "weights.pt", "--patch", 64, 96, 96)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == """\
added the configuration 3d_fdif to nnUNetPlans.json
note: the weights learnt from grey levels between 0 and 1, and these plans normalise otherwise (ZScoreNormalization), \
so they may help less
next: nnUNetv2_train Dataset001_A 3d_fdif 0 -p nnUNetPlans -pretrained_weights weights.pt
"""
    again = fdifc("nnunet-plans", "nnUNetPlans.json", "--weights", "weights.pt", "--patch", 64, 96, 96)
    assert again.stdout.startswith("nnUNetPlans.json has the configuration 3d_fdif already\n")
    assert fdifc("nnunet-plans", "gone.json", "--weights", "weights.pt").stderr == (
        "error[E0801]: gone.json: no such file or directory\n")
    wrong = fdifc("nnunet-plans", "nnUNetPlans.json", "--weights", "weights.pt", "-o", "plans")
    assert wrong.exit_code == 2 and "nnU-Net finds plans by names that end in .json" in wrong.stderr
