"""nnU-Net itself takes the data set.

nnunetv2 pulls in timm and torchvision, which do not go with every torch (see CONTRIBUTING). So it may be in an
environment of its own: `FDIF_NNUNET` is then the folder of its programs.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fdif_dsl.runtime.datasets.case import draw
from fdif_dsl.runtime.datasets.nnunet import place
from fdif_dsl.runtime.datasets.write import write

PROGRAM = shutil.which("nnUNetv2_plan_and_preprocess", path=os.environ.get("FDIF_NNUNET") or os.fspath(
    Path(sys.executable).parent))


@pytest.mark.slow  # nnU-Net starts processes, which import torch one by one
@pytest.mark.skipif(PROGRAM is None, reason="nnunetv2 is not installed; CONTRIBUTING says how to")
def test_nnunet_verifies_and_preprocesses_it(plan: Any, tmp_path: Path) -> None:
    assert PROGRAM is not None
    raw, preprocessed = tmp_path / "raw", tmp_path / "preprocessed"
    folder = place(raw, 901, "FDIF")
    made = plan("nnunet", 3, title=folder.name, grid=(24, 28, 32), label="shape_mapper")
    write(made, folder)
    environment = os.environ | {"nnUNet_raw": str(raw), "nnUNet_preprocessed": str(preprocessed),
                                "nnUNet_results": str(tmp_path / "results")}
    done = subprocess.run([PROGRAM, "-d", "901", "--verify_dataset_integrity", "-npfp", "1", "-np", "1", "-c",
                           "3d_fullres"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "verify_dataset_integrity Done. \nIf you didn't see any error messages" in done.stdout
    found = preprocessed / "Dataset901_FDIF"
    plans = json.loads((found / "nnUNetPlans.json").read_text())
    assert plans["original_median_spacing_after_transp"] == [1.0, 1.0, 1.0]
    assert plans["configurations"]["3d_fullres"]["normalization_schemes"] == ["ZScoreNormalization"]
    fingerprint = json.loads((found / "dataset_fingerprint.json").read_text())
    assert len(fingerprint["spacings"]) == 3
    blosc2 = pytest.importorskip("blosc2")
    for case in made.cases():
        # What it preprocesses is cropped to where the image is not black.
        volume = draw(made, case)[1]
        seen = np.argwhere(volume.image)
        box = tuple(slice(low, high + 1) for low, high in zip(seen.min(0), seen.max(0), strict=True))
        label = blosc2.open(str(found / "nnUNetPlans_3d_fullres" / f"{case.name}_seg.b2nd"), mode="r")[:][0]
        assert np.array_equal(np.maximum(label, 0), volume.label[box])
