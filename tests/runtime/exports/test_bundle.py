"""A bundle of a fine-tuned network: MONAI's own commands verify it, and run it to the labels that `predict` gives."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch

import fdif_dsl as fd
from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.runtime.exports import bundle as module
from fdif_dsl.runtime.exports.bundle import export_bundle, read
from fdif_dsl.runtime.finetuning import FinetuneRecipe
from fdif_dsl.runtime.training.extra import mend_torchvision
from fdif_dsl.runtime.training.networks import NETWORKS

mend_torchvision()  # before MONAI is imported
for package in ("monai", "ignite", "jsonschema", "fire"):
    pytest.importorskip(package)

from monai.bundle import run, verify_metadata, verify_net_in_out  # noqa: E402

# What MONAI's schema of 2024-07-25 asks for. FDIF_MONAI_SCHEMA may name that file itself, which is not ours to keep.
_TEXTS = ("schema", "version", "monai_version", "pytorch_version", "numpy_version", "task", "description", "authors",
          "copyright")
_TENSOR = {"type": "object", "required": ["type", "format", "num_channels", "spatial_shape", "dtype", "value_range"],
           "properties": {"num_channels": {"type": "integer"}, "value_range": {"items": {"type": "number"}}}}
_TENSORS = {"type": "object", "additionalProperties": _TENSOR, "minProperties": 1}
SCHEMA = {"type": "object", "required": [*_TEXTS, "required_packages_version", "network_data_format"],
          "properties": {**{name: {"type": "string"} for name in _TEXTS}, "changelog": {"type": "object"},
                         "required_packages_version": {"type": "object"},
                         "network_data_format": {"type": "object", "required": ["inputs", "outputs"],
                                                 "properties": {"inputs": _TENSORS, "outputs": _TENSORS}}}}
SMALL = {"unet": (4, 16), "resunet": (4, 32), "vnet": (16, 32), "unetr": (4, 32)}
LEVELS = {"low": -30.0, "high": 260.0, "mean": 110.0, "deviation": 60.0}


def a_run(folder: Path, name: str = "unet", features: int = 4, side: int = 16, channels: int = 1,
          **changed: Any) -> Path:
    """What `finetune` leaves of a network as it was made, that segments three classes."""
    torch.manual_seed(3)
    row = NETWORKS[name]
    network = row.build(features, 3, (side,) * 3, channels)
    folder.mkdir(parents=True)
    torch.save({"network_weights": network.state_dict(), "network": name, "features": features, "patch": [side] * 3,
                "head": list(row.head), "task": "segmentation", "label": "classes",
                "classes": ["background", "liver", "tumour"], "tasks": {"classes": ["background", "liver", "tumour"]},
                "recipe": FinetuneRecipe.load("small").to_dict(), "labels": [0, 1, 2], "channels": channels,
                "channel_names": ["CT", "T1"][:channels], "spacing": [2.0, 1.25, 1.25], "orientation": "RAS",
                "normalise": [["clipped", LEVELS]] * channels, "trained_on": ["a"], "fdif_dsl": "0", **changed},
               folder / "weights.pt")
    return folder


def images(folder: Path, channels: int) -> Path:
    """Two images of odd sizes, stored in different directions, on an oblique grid."""
    folder.mkdir()
    for number, name in enumerate("ab"):
        random = np.random.default_rng(number)
        voxels = random.normal(100, 50, (30, 26, 14, channels)).astype(np.float32)
        voxels[5:20, 8:20, 3:9] += 150
        affine = np.diag([-1.0 if number else 1.0, 1.1, 2.5, 1.0])
        affine[:3, 3] = (-3, 20, 100 * number)
        nibabel.save(nibabel.Nifti1Image(voxels.squeeze(-1) if channels == 1 else voxels, affine),
                     folder / f"{name}.nii.gz")
    return folder


def voxels_of(path: Path) -> np.ndarray:
    return np.asarray(nibabel.load(path).dataobj)


@pytest.mark.parametrize("network", SMALL)
def test_monai_verifies_it(tmp_path: Path, network: str) -> None:
    folder = tmp_path / "bundle"
    done = export_bundle(read(a_run(tmp_path / "run", network, *SMALL[network])), folder)
    schema = Path(os.environ.get("FDIF_MONAI_SCHEMA", tmp_path / "schema.json"))
    if not schema.exists():
        schema.write_text(json.dumps(SCHEMA))
    meta, inference = (str(folder / "configs" / name) for name in ("metadata.json", "inference.json"))
    verify_metadata(meta_file=meta, filepath=str(schema))
    verify_net_in_out(net_id="network_def", meta_file=meta, config_file=inference, device="cpu")
    assert [str(path.relative_to(folder)) for path in done.files] == [
        "models/model.pt", "configs/metadata.json", "configs/inference.json", "docs/README.md"]
    assert done.next == (f"python -m monai.bundle run --config_file {inference} --meta_file {meta} "
                         f"--bundle_root {folder} --dataset_dir IMAGES --output_dir LABELS")


CASES: Mapping[str, dict[str, Any]] = {
    "one channel": {},
    "ct, other numbers": {"normalise": [["ct", LEVELS]], "labels": [0, 40, 2035]},
    "own voxels": {"spacing": None, "normalise": [["zscore", LEVELS]], "orientation": "LPS"},
    "channels of two kinds": {"channels": 2, "normalise": [["unit", LEVELS], ["keep", LEVELS]]},
    "regions": {"regions": [["whole", [1, 2], 1], ["tumour", [2], 2], ["rim", [1], 1]], "labels": [0, 1, 2]},
}


@pytest.mark.parametrize("case", CASES)
def test_it_gives_the_labels_that_predict_gives(tmp_path: Path, case: str) -> None:
    tuned = a_run(tmp_path / "run", **CASES[case])
    scans = images(tmp_path / "images", CASES[case].get("channels", 1))
    expected = fd.predict(tuned, scans, tmp_path / "expected", accelerator="cpu")
    folder, out = tmp_path / "bundle", tmp_path / "out"
    export_bundle(read(tuned), folder)
    run(config_file=str(folder / "configs/inference.json"), meta_file=str(folder / "configs/metadata.json"),
        bundle_root=str(folder), dataset_dir=str(scans), output_dir=str(out), device="$torch.device('cpu')")
    for path in expected:
        right, found = voxels_of(path), voxels_of(out / path.name)
        assert right.shape == found.shape and len(np.unique(right)) > 1
        assert (right == found).mean() > 0.999
        np.testing.assert_allclose(nibabel.load(out / path.name).affine, nibabel.load(path).affine, atol=1e-4)


def message(run_folder: Path) -> str:
    with pytest.raises(FdifError) as caught:
        read(run_folder)
    return str(caught.value).replace(f"{run_folder.parent}/", "")


def test_what_is_no_run_of_fine_tuning(tmp_path: Path, weights: Any) -> None:
    assert message(weights()).endswith("""\
  why: it knows classes of formulas, and none of yours
  hint: fine-tune it on labelled images first: fdifc finetune small --data ... --weights ...""")
    for seed in (1, 2):
        a_run(tmp_path / f"tuned/scratch-seed-{seed}")
    (tmp_path / "tuned/finetune.toml").touch()
    (tmp_path / "tuned/run.json").touch()
    assert message(tmp_path / "tuned") == """\
error[E0876]: tuned has 2 networks, and a bundle holds one
  --> --to monai-bundle
  hint: name one of them, for example tuned/scratch-seed-1"""


def test_an_earlier_bundle_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    tuned = read(a_run(tmp_path / "run"))
    export_bundle(tuned, tmp_path / "bundle")
    export_bundle(replace(tuned, classes=("background", "spleen", "tumour")), tmp_path / "bundle")
    assert "spleen" in (tmp_path / "bundle/docs/README.md").read_text()
    (tmp_path / "other").mkdir()
    (tmp_path / "other/mine.txt").touch()
    with pytest.raises(FdifError, match="holds files of something else"):
        export_bundle(tuned, tmp_path / "other")


def test_nothing_of_a_failed_bundle_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tuned = read(a_run(tmp_path / "run"))

    def full(path: Path, text: str) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(module, "write_text", full)
    with pytest.raises(OSError, match="No space left"):
        export_bundle(tuned, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()
