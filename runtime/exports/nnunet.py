"""nnU-Net v2: a file for `-pretrained_weights`, or for our trainer."""

from __future__ import annotations

import shlex

from fdif_dsl.runtime.exports.form import Form, facts, file_stem
from fdif_dsl.runtime.exports.weights import widened
from fdif_dsl.runtime.training.pretrained import Pretrained
from fdif_dsl.runtime.training.weights_file import ABOUT

NETWORKS = ("resenc_l", "primus_m")


def form(pretrained: Pretrained, channels: int) -> Form:
    """All weights: nnU-Net wants every one but those of `.seg_layers.`, which it leaves as they are in its network."""
    name = f"{file_stem(pretrained)}.pth"
    notes = []
    if pretrained.task == "classification":
        notes.append("the network learnt to classify: its encoder is pre-trained, its decoder is as it was made")
    if pretrained.normalise == "unit":
        notes.append("these weights learnt from grey levels between 0 and 1, and nnU-Net gives most images mean 0 and "
                     "standard deviation 1; augment.normalise=zscore pre-trains for that")
    stored = {"network_weights": widened(pretrained, channels), ABOUT: facts(pretrained, channels)}
    return Form(
        name, stored, _usage(name, pretrained.network),
        lambda path: f"fdifc nnunet-plans PLANS.json --weights {shlex.quote(str(path))}", "nnunetv2", tuple(notes))


def _usage(name: str, network: str) -> str:
    how = "" if network == "resenc_l" else """
The shapes of Primus depend on the patch, the channels and the number of classes, so nnU-Net's own `-pretrained_weights`
cannot load it into a network for other ones. The trainer `FdifPrimusTrainer` of fdif-dsl does: the command that is
printed names it and the folder where nnU-Net finds it, `nnUNet_extTrainer`. `nnUNetv2_predict` needs that variable too.
"""
    return f"""\
Plan and preprocess your data set as always, then add a configuration with this network to its plans:

    fdifc nnunet-plans "$nnUNet_preprocessed/Dataset901_Name/nnUNetPlans.json" --weights {name}

It prints the command that trains. What was preprocessed for `3d_fullres` is used again.
{how}"""
