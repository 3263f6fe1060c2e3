"""nnU-Net's main branch fine-tunes from our export by its own commands, which release 2.8.1 has not.

    git clone https://github.com/MIC-DKFZ/nnUNet.git
    FDIF_NNUNET_MAIN=$PWD/nnUNet make test TESTS='-m long tests/runtime/exports/test_nnunet_main.py'
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from fdif_dsl.cli import cli
from fdif_dsl.runtime.exports.export import export
from fdif_dsl.runtime.training.pretrained import Pretrained

MAIN = os.environ.get("FDIF_NNUNET_MAIN", "")
pytestmark = [
    pytest.mark.long,  # it plans, preprocesses, and makes a step with networks of 102 and 147 million weights
    pytest.mark.skipif(not MAIN, reason="FDIF_NNUNET_MAIN names no clone of nnU-Net's main branch"),
]
# Its own entry point. A training is one step, and says before it which tensors of stem and encoder are the file's.
PROGRAM = """\
import json, os, sys
from fdif_dsl.runtime.training.extra import mend_torchvision
mend_torchvision()
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

start = nnUNetTrainer.on_train_start

def on_train_start(self):
    self.num_epochs = self.num_iterations_per_epoch = self.num_val_iterations_per_epoch = 1
    start(self)
    weights = torch.load(os.environ["WEIGHTS"], weights_only=True)["network_weights"]
    state = self.network.state_dict()
    body = [name for name in state if name.startswith((self.network.key_to_encoder, self.network.key_to_stem))]
    same = [name for name in body if name in weights and torch.equal(state[name], weights[name])]
    fitting = [name for name in body if name in weights and state[name].shape == weights[name].shape]
    with open(os.environ["REPORT"], "w") as file:
        json.dump({"body": len(body), "same": same, "fitting": fitting}, file)

nnUNetTrainer.on_train_start = on_train_start
nnUNetTrainer.perform_actual_validation = lambda *_, **__: None
from MODULE import ENTRY
sys.exit(ENTRY())
"""
PLANNING = "experiment_planning.plan_and_preprocess_entrypoints"
COMMANDS = {
    "nnUNetv2_plan_and_preprocess": (PLANNING, "plan_and_preprocess_entry"),
    "nnUNetv2_plan_experiment": (PLANNING, "plan_experiment_entry"),
    "nnUNetv2_plan_like_dynamic": ("experiment_planning.like_nnssl", "plan_like_dynamic_entrypoint"),
    "nnUNetv2_preprocess_like_nnssl": ("experiment_planning.like_nnssl", "preprocess_like_nnssl_entrypoint"),
    "nnUNetv2_train_pretrained": ("run.run_training_from_pretrained", "train_pretrained_entrypoint"),
}

Run = Callable[..., str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("nnunet")


@pytest.fixture(scope="module")
def main(folder: Path, small_shapes: str, small_recipe: str) -> Run:
    """`main("nnUNetv2_plan_experiment -d 901 ...")` runs a command of the main branch, in folders where a small data
    set is planned by its usual planner and by that of ResEnc-L."""

    def run(line: str, **variables: str) -> str:
        command, *words = shlex.split(line)
        module, entry = COMMANDS[command]
        program = PROGRAM.replace("MODULE", f"nnunetv2.{module}").replace("ENTRY", entry)
        environment = os.environ | {f"nnUNet_{name}": str(folder / name)
                                    for name in ("raw", "preprocessed", "results")} | variables
        done = subprocess.run([sys.executable, "-c", program, *words], cwd=folder, capture_output=True, text=True,
                              env=environment | {"PYTHONPATH": MAIN}, check=False)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    (folder / "shapes.sdf").write_text(small_shapes)
    (folder / "small.toml").write_text(small_recipe)
    words = ["generate", "--recipe", str(folder / "small.toml"), "--library", str(folder / "shapes.sdf"),
             "--format", "nnunet", "--count", "3", "-o", str(folder / "raw")]
    assert CliRunner().invoke(cli, words, prog_name="fdifc").exit_code == 0
    run("nnUNetv2_plan_and_preprocess -d 901 -npfp 1 -np 1 -c 3d_fullres")
    run("nnUNetv2_plan_experiment -d 901 -pl nnUNetPlannerResEncL")
    return run


def train(main: Run, plans: str, trainer: str, weights: Path, report: Path) -> dict[str, Any]:
    said = main(f"nnUNetv2_train_pretrained 901 3d_fullres all -p {plans} -tr {trainer} -device cpu "
                "--disable_checkpointing", nnUNet_n_proc_DA="0", WEIGHTS=str(weights), REPORT=str(report))
    assert "Training done" in said and "FDIF" in said  # it prints whom to cite
    found: dict[str, Any] = json.loads(report.read_text())
    return found


@pytest.mark.parametrize(("network", "trainers", "options"), [
    ("resenc_l", ["PretrainedTrainer"], ()),
    ("primus_m", ["PretrainedTrainer_Primusx", "PretrainedTrainer_Primus"], ("volume.grid=[32, 32, 32]",))])
def test_its_network_is_built_like_ours(main: Run, a_run: Any, tmp_path: Path, network: str, trainers: list[str],
                                        options: tuple[str, ...]) -> None:
    done = export(Pretrained.read(a_run(network, *options)), "nnssl", tmp_path / "out")
    main(done.next.replace("DATASET_ID", "901") + " -np 1")
    plans = f"ptPlans__fdif_{network}____Spacing__1.00_1.00_1.00___Norm__Z"
    for trainer in trainers:
        found = train(main, plans, trainer, done.files[0], tmp_path / "report.json")
        assert len(found["same"]) == found["body"] > 100


def test_resenc_l_in_an_architecture_that_nnunet_plans(main: Run, a_run: Any, tmp_path: Path) -> None:
    done = export(Pretrained.read(a_run("resenc_l")), "nnssl", tmp_path / "out")
    main(f"nnUNetv2_plan_like_dynamic -d 901 -n fdif -pc {done.files[0]} -pl nnUNetResEncUNetLPlans -np 1")
    found = train(main, "ptPlans_dynamic__fdif", "DynamicPretrainedTrainer", done.files[0], tmp_path / "report.json")
    assert found["same"] == found["fitting"] and len(found["same"]) > 50
