"""nnU-Net, run as its users run it, on a data set that it has planned and preprocessed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from filelock import FileLock

from fdif_dsl.cli import cli
from fdif_dsl.runtime.training.extra import mend_torchvision

mend_torchvision()  # before a test imports MONAI or timm

DATA = "Dataset901_FDIF"
# Its own entry point; only that torchvision, where it does not fit torch, is mended before.
_PROGRAM = """\
import sys
from fdif_dsl.runtime.training.extra import mend_torchvision
mend_torchvision()
from {module} import {entry}
sys.exit({entry}())
"""

RECIPE = """\
[volume]
grid = [36, 40, 44]
objects = 2
[classes]
shapes = ["ball"]
displacements = []
mappers = ["glow"]
"""

Run = Callable[..., str]


@pytest.fixture(scope="session")
def small_recipe() -> str:
    """Volumes of `small_shapes` that nnU-Net plans in a moment."""
    return RECIPE


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where nnU-Net's folders are, for all workers of a test run."""
    base = tmp_path_factory.getbasetemp()
    path = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "nnunet"
    path.mkdir(exist_ok=True)
    return path


@pytest.fixture(scope="session")
def nnunet(folder: Path) -> Run:
    """`nnunet("nnunetv2.run.run_training", "run_training_entry", "Dataset901_FDIF", ...)` runs a program of nnU-Net and
    gives what it said."""
    missing = [name for name in ("nnunetv2", "cc3d", "fft_conv_pytorch", "seaborn", "sklearn") if not find_spec(name)]
    if missing:
        pytest.skip(f"nnU-Net needs {', '.join(missing)}; CONTRIBUTING says how to install it")

    def run(module: str, entry: str, *words: str, **variables: str) -> str:
        environment = os.environ | {f"nnUNet_{name}": str(folder / name)
                                    for name in ("raw", "preprocessed", "results")} | variables
        done = subprocess.run([sys.executable, "-c", _PROGRAM.format(module=module, entry=entry), *words], cwd=folder,
                              env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    return run


@pytest.fixture(scope="session")
def preprocessed(nnunet: Run, folder: Path, small_shapes: str) -> Path:
    """The folder of a small data set that `fdifc generate` made and nnU-Net planned and preprocessed."""
    made = folder / "preprocessed" / DATA
    with FileLock(folder / "lock"):
        if not made.exists():
            (folder / "shapes.sdf").write_text(small_shapes)
            (folder / "small.toml").write_text(RECIPE)
            words = ["generate", "--recipe", str(folder / "small.toml"), "--library", str(folder / "shapes.sdf"),
                     "--format", "nnunet", "--count", "3", "-o", str(folder / "raw")]
            assert CliRunner().invoke(cli, words, prog_name="fdifc").exit_code == 0
            nnunet("nnunetv2.experiment_planning.plan_and_preprocess_entrypoints", "plan_and_preprocess_entry", "-d",
                   "901", "-npfp", "1", "-np", "1", "-c", "3d_fullres")
    return made


@pytest.fixture
def plans(tmp_path: Path) -> Callable[..., Path]:
    """`plans()` writes the plans of a small data set, as nnU-Net writes them, and gives their path; keys of
    `3d_fullres` can be replaced."""

    def write_plans(**changed: Any) -> Path:
        fullres = {"data_identifier": "nnUNetPlans_3d_fullres", "batch_size": 2, "patch_size": [128, 128, 128],
                   "median_image_size_in_voxels": [120.0, 200.0, 200.0], "spacing": [1.0, 0.8, 0.8],
                   "normalization_schemes": ["ZScoreNormalization"], "use_mask_for_norm": [False]}
        path = tmp_path / "nnUNetPlans.json"
        path.write_text(json.dumps({
            "dataset_name": "Dataset012_Organs", "plans_name": "nnUNetPlans", "image_reader_writer": "SimpleITKIO",
            "configurations": {"2d": {"patch_size": [256, 256]}, "3d_fullres": fullres | changed}}, indent=4))
        return path

    return write_plans
