"""The configuration that is added to nnU-Net's plans: what is in it, when nothing is added, and what is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.runtime.exports.configuration import add_configuration
from fdif_dsl.runtime.exports.nnunet_weights import Weights, read_weights

RESENC_L = Weights(Path("fdif_resenc_l.pth"), "resenc_l", (96, 96, 96), "zscore", 1)
PRIMUS_M = Weights(Path("fdif_primus_m.pth"), "primus_m", (96, 96, 96), "zscore", 1)


def test_a_configuration_inherits_3d_fullres(plans: Any) -> None:
    path = plans()
    before = json.loads(path.read_text())
    added = add_configuration(path, RESENC_L, batch=3)
    after = json.loads(path.read_text())
    mine = after["configurations"].pop("3d_fdif")
    assert after == before
    assert (mine["inherits_from"], mine["patch_size"], mine["batch_size"]) == ("3d_fullres", [96, 96, 96], 3)
    assert mine["architecture"]["network_class_name"].endswith("unet.ResidualEncoderUNet")
    assert set(mine["architecture"]["_kw_requires_import"]) <= mine["architecture"]["arch_kwargs"].keys()
    assert (added.changed, added.notes) == (True, ())
    assert added.next == ("nnUNetv2_train Dataset012_Organs 3d_fdif 0 -p nnUNetPlans "
                          "-pretrained_weights fdif_resenc_l.pth")


def test_twice_is_once(plans: Any) -> None:
    path = plans()
    add_configuration(path, RESENC_L)
    before = path.read_bytes(), path.stat().st_mtime_ns
    assert not add_configuration(path, RESENC_L).changed
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


def test_plans_of_another_name(plans: Any, tmp_path: Path) -> None:
    path, other = plans(), tmp_path / "fdifPlans.json"
    before = path.read_bytes()
    for name in ("3d_fdif", "3d_large"):
        added = add_configuration(path, RESENC_L, other, name, (128, 128, 128) if name == "3d_large" else None)
    assert path.read_bytes() == before and "-p fdifPlans" in added.next
    found = json.loads(other.read_text())
    assert found["plans_name"] == "fdifPlans"
    assert list(found["configurations"]) == ["2d", "3d_fullres", "3d_fdif", "3d_large"]


def test_primus_trains_with_our_trainer(plans: Any) -> None:
    path = plans(normalization_schemes=["ZScoreNormalization"] * 2)
    added = add_configuration(path, PRIMUS_M)
    mine = json.loads(path.read_text())["configurations"]["3d_fdif"]
    assert mine["pretrained_weights"] == str(PRIMUS_M.path.resolve())
    variable, *words = added.next.split()
    assert words[0] == "nnUNetv2_train" and words[-2:] == ["-tr", "FdifPrimusTrainer"]
    assert (Path(variable.removeprefix("nnUNet_extTrainer=")) / "fdif_primus_trainer.py").is_file()


@pytest.mark.parametrize(("changed", "weights", "said"), [
    ({"normalization_schemes": ["CTNormalization"]}, RESENC_L, []),
    ({"normalization_schemes": ["NoNormalization"]}, RESENC_L,
     ["the weights learnt from grey levels of mean 0 and standard deviation 1, and these plans normalise otherwise "
      "(NoNormalization), so they may help less"]),
    ({"normalization_schemes": ["RescaleTo01Normalization"]},
     Weights(RESENC_L.path, "resenc_l", (96, 96, 96), "unit", 1), []),
    ({"spacing": [5.0, 0.75, 0.75]}, RESENC_L,
     ["voxels of these plans measure 5 x 0.75 x 0.75 mm, and the weights learnt from shapes that are alike along all "
      "axes, so they may help less"]),
    ({"median_image_size_in_voxels": [20, 320.0, 320.0]}, RESENC_L,
     ["most images have no more than 20 x 320 x 320 voxels, and are padded to the patch, 96 x 96 x 96; --patch names "
      "another"]),
], ids=["fits", "raw grey levels", "fits too", "thick slices", "small images"])
def test_what_differs_is_said(plans: Any, changed: dict[str, Any], weights: Weights, said: list[str]) -> None:
    assert list(add_configuration(plans(**changed), weights).notes) == said


def message(path: Path, weights: Weights = RESENC_L, output: Path | None = None, **options: Any) -> str:
    before = path.read_bytes()
    with pytest.raises(FdifError) as caught:
        add_configuration(path, weights, output, **options)
    assert path.read_bytes() == before
    return str(caught.value).replace(f"{path.parent}/", "")


HINT = "  hint: they are nnUNetPlans.json, or nnUNetResEncUNetLPlans.json, in $nnUNet_preprocessed/DatasetXXX_NAME"


@pytest.mark.parametrize(("text", "why"), [
    ("not JSON", "it is no JSON: Expecting value: line 1 column 1 (char 0)"),
    ("[1]", "it has no plans_name, dataset_name and configurations"),
    ('{"channel_names": {"0": "CT"}}', "it has no plans_name, dataset_name and configurations"),
    ('{"plans_name": "a", "dataset_name": "b", "configurations": {"3d_fullres": 3}}',
     "it has no plans_name, dataset_name and configurations"),
])
def test_files_that_are_no_plans(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "dataset.json"
    path.write_text(text)
    assert message(path) == f"""\
error[E0870]: dataset.json holds no plans of nnU-Net
  --> dataset.json
  why: {why}
{HINT}"""


def test_plans_without_volumes(plans: Any) -> None:
    path = plans()
    found = json.loads(path.read_text())
    del found["configurations"]["3d_fullres"]
    path.write_text(json.dumps(found))
    assert message(path) == """\
error[E0871]: these plans have no configuration `3d_fullres`
  --> nnUNetPlans.json
  why: they have 2d; the weights are for volumes
  hint: nnUNetv2_plan_and_preprocess plans it for data sets of volumes"""


def test_another_configuration_of_that_name(plans: Any) -> None:
    path = plans()
    add_configuration(path, RESENC_L)
    assert message(path, batch=4) == """\
error[E0872]: these plans have another configuration `3d_fdif`
  --> nnUNetPlans.json
  why: nnU-Net may have trained with it
  hint: give the new one another name with --name"""
    assert "have another configuration `3d_fullres`" in message(path, name="3d_fullres")


def test_other_channels(plans: Any) -> None:
    assert message(plans(normalization_schemes=["ZScoreNormalization"] * 4)) == """\
error[E0873]: the weights are for 1 input channel, and the data set has 4
  --> nnUNetPlans.json
  hint: `fdifc export CHECKPOINT --to nnunet --channels 4` fits them"""


def test_plans_of_another_data_set(plans: Any, tmp_path: Path) -> None:
    path, other = plans(), tmp_path / "other.json"
    other.write_text(path.read_text().replace("Dataset012_Organs", "Dataset013_Vessels"))
    assert message(path, output=other) == """\
error[E0874]: other.json holds the plans of another data set
  why: of Dataset013_Vessels, and not Dataset012_Organs
  hint: name another file with -o"""


def test_a_patch_that_the_network_cannot_have(plans: Any) -> None:
    assert message(plans(), patch=(40, 128, 128)) == """\
error[E0812]: `resenc_l` cannot take patches of 40 x 128 x 128 voxels
  --> --patch
  why: each side must be a multiple of 32 and at least 64
  hint: the nearest patch that it takes is 64 x 128 x 128"""


def test_weights_of_a_network_that_nnunet_has_not(a_run: Any) -> None:
    folder = a_run("unet", "train.features=4", "volume.grid=[16, 16, 16]")
    with pytest.raises(FdifError) as caught:
        read_weights(folder)
    assert str(caught.value).replace(f"{folder}/", "") == """\
error[E0866]: nnU-Net has no network `unet`
  --> weights.pt
  why: it takes resenc_l and primus_m
  hint: pre-train one of these"""
