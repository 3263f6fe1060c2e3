"""nnU-Net itself takes the exports: by `-pretrained_weights`, and by our trainer for Primus-M."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch

from fdif_dsl.runtime.exports.configuration import add_configuration
from fdif_dsl.runtime.exports.export import export
from fdif_dsl.runtime.exports.nnunet_weights import read_weights
from fdif_dsl.runtime.training.pretrained import Pretrained

TRAIN = ("nnunetv2.run.run_training", "run_training_entry")

# One step, and then what the network was before it is compared with the file.
QUICK = """
import json
import os
from pathlib import Path

import torch
from {module} import {trainer}


class Quick({trainer}):
    def __init__(self, plans, configuration, fold, dataset_json, device=torch.device("cuda")):
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.num_epochs = self.num_iterations_per_epoch = self.num_val_iterations_per_epoch = 1

    def on_train_start(self):
        super().on_train_start()
        weights = torch.load(os.environ["WEIGHTS"], weights_only=True)["network_weights"]
        state = self.network.state_dict()
        fresh = [name for name, tensor in state.items() if not torch.equal(tensor, weights[name])]
        Path(os.environ["REPORT"]).write_text(json.dumps([len(state), fresh]))

    def perform_actual_validation(self, save_probabilities=False):
        pass
"""


def quick_trainer(folder: Path, module: str, trainer: str) -> str:
    folder.mkdir()
    (folder / "quick.py").write_text(QUICK.format(module=module, trainer=trainer))
    return str(folder)


@pytest.mark.slow  # ResEnc-L has 102 million weights
def test_nnunet_loads_resenc_l_into_a_network_with_other_classes(a_run: Any, tmp_path: Path, plans: Any) -> None:
    pytest.importorskip("nnunetv2")
    from nnunetv2.run.load_pretrained_weights import load_pretrained_weights
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    done = export(Pretrained.read(a_run("resenc_l")), "nnunet", tmp_path / "out")
    file = done.files[0]
    assert file.stat().st_size <= 420e6
    path = plans()
    assert add_configuration(path, read_weights(file)).changed
    configuration = PlansManager(str(path)).get_configuration("3d_fdif")
    assert configuration.data_identifier == "nnUNetPlans_3d_fullres"  # what was preprocessed is used again
    network = get_network_from_plans(
        configuration.network_arch_class_name, configuration.network_arch_init_kwargs,
        configuration.network_arch_init_kwargs_req_import, 1, 7, deep_supervision=True)
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    load_pretrained_weights(network, str(file))
    stored = torch.load(file, weights_only=True)["network_weights"]
    after = network.state_dict()
    assert len(after) == 956
    for key, tensor in after.items():
        assert torch.equal(tensor, before[key] if ".seg_layers." in key else stored[key]), key
    assert len({tensor.untyped_storage().data_ptr() for tensor in stored.values()}) < len(stored) / 2


@pytest.mark.slow  # the same network
def test_resenc_l_for_several_channels(a_run: Any, tmp_path: Path) -> None:
    pytest.importorskip("dynamic_network_architectures")
    pretrained = Pretrained.read(a_run("resenc_l"))
    file = export(pretrained, "nnunet", tmp_path / "out", 3).files[0]
    assert file.stat().st_size <= 420e6
    stored = torch.load(file, weights_only=True)
    weights = stored["network_weights"]
    wide = [name for name, tensor in weights.items() if tensor.shape != pretrained.weights[name].shape]
    assert len(wide) == 4 and len({weights[name].data_ptr() for name in wide}) == 1  # one tensor by four names
    torch.testing.assert_close(weights[wide[0]].sum(1, keepdim=True), pretrained.weights[wide[0]])
    assert stored["fdif"]["channels"] == read_weights(tmp_path / "out").channels == 3


@pytest.mark.slow  # the same network, a step of it, and nnU-Net's start
def test_nnunet_trains_from_resenc_l(a_run: Any, nnunet: Any, preprocessed: Path, tmp_path: Path) -> None:
    file = export(Pretrained.read(a_run("resenc_l")), "nnunet", tmp_path / "out").files[0]
    plans = preprocessed / "nnUNetPlans.json"
    added = add_configuration(plans, read_weights(file), preprocessed / "resenc.json", batch=1)
    program, *words = shlex.split(added.next)
    assert program == "nnUNetv2_train"
    words[words.index("0")] = "all"  # three cases are too few for five folds
    folder = quick_trainer(tmp_path / "trainers", "nnunetv2.training.nnUNetTrainer.nnUNetTrainer", "nnUNetTrainer")
    said = nnunet(*TRAIN, *words, "-tr", "Quick", "-device", "cpu", "--disable_checkpointing", nnUNet_n_proc_DA="0",
                  nnUNet_extTrainer=folder, WEIGHTS=str(file), REPORT=str(tmp_path / "report.json"))
    assert "Loading pretrained weights from file" in said and "Training done" in said
    count, fresh = json.loads((tmp_path / "report.json").read_text())
    assert count == 956 and all(".seg_layers." in key for key in fresh) and len(fresh) == 10


@pytest.mark.slow  # Primus-M has 147 million weights
def test_our_trainer_trains_from_primus_m(a_run: Any, nnunet: Any, preprocessed: Path, tmp_path: Path) -> None:
    file = export(Pretrained.read(a_run("primus_m", "volume.grid=[16, 24, 32]")), "nnunet", tmp_path / "out").files[0]
    added = add_configuration(preprocessed / "nnUNetPlans.json", read_weights(file), preprocessed / "primus.json",
                              patch=(32, 32, 32))
    variable, program, *words = shlex.split(added.next)
    assert program == "nnUNetv2_train" and words[-2:] == ["-tr", "FdifPrimusTrainer"]
    name, _, trainers = variable.partition("=")
    assert name == "nnUNet_extTrainer" and (Path(trainers) / "fdif_primus_trainer.py").is_file()
    words = [{"0": "all", "FdifPrimusTrainer": "Quick"}.get(word, word) for word in words]
    folder = quick_trainer(tmp_path / "trainers", "fdif_primus_trainer", "FdifPrimusTrainer")
    said = nnunet(*TRAIN, *words, "-device", "cpu", "--disable_checkpointing", nnUNet_n_proc_DA="0",
                  PYTHONPATH=trainers, nnUNet_extTrainer=folder, WEIGHTS=str(file),
                  REPORT=str(tmp_path / "report.json"))
    assert "374 of 384 tensors are pre-trained" in said and "Training done" in said
    count, fresh = json.loads((tmp_path / "report.json").read_text())
    assert count == 384
    assert {name.partition(".")[0] for name in fresh} == {"up_projection", "eva"}
    assert [name for name in fresh if name.startswith("eva")] == ["eva.pos_embed"]  # fitted to another patch
