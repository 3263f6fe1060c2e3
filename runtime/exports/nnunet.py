"""nnU-Net v2: a file for `-pretrained_weights`, or for our trainer."""

from __future__ import annotations

from fdif_dsl.runtime.exports.form import ABOUT, Form, facts, file_stem
from fdif_dsl.runtime.exports.weights import untrained, widened, without
from fdif_dsl.runtime.pretrained import Pretrained

NETWORKS = ("resenc_l", "primus_m")


def form(pretrained: Pretrained, channels: int) -> Form:
    """All weights: nnU-Net wants every one but those of `.seg_layers.`, which it leaves as they are in its network."""
    weights = widened(pretrained, channels)
    name = f"{file_stem(pretrained)}.pth"
    notes = []
    if pretrained.task == "classification":
        notes.append("the network learnt to classify: its encoder is pre-trained, its decoder is as it was made")
        if pretrained.network == "primus_m":  # our trainer does without
            weights = without(weights, untrained(pretrained))
    if pretrained.normalise == "unit":
        notes.append("these weights learnt from grey levels between 0 and 1, and nnU-Net gives most images mean 0 and "
                     "standard deviation 1; augment.normalise=zscore pre-trains for that")
    return Form(
        name, {"network_weights": weights, ABOUT: facts(pretrained, channels)}, _usage(name, pretrained.network),
        lambda path: f"fdifc nnunet-plans PLANS.json --weights {path}", "nnunetv2", tuple(notes))


def _usage(name: str, network: str) -> str:
    how = "" if network == "resenc_l" else """
Primus has a fixed patch, and its last layer a fixed number of classes, so nnU-Net's own `-pretrained_weights` cannot
load it into a network for other ones. The trainer `FdifPrimusTrainer` of fdif-dsl does: the command that is printed
names it and the folder where nnU-Net finds it, `nnUNet_extTrainer`. `nnUNetv2_predict` needs that variable too.
"""
    return f"""\
Plan and preprocess your data set as always, then add a configuration with this network to its plans:

    fdifc nnunet-plans "$nnUNet_preprocessed/Dataset901_Name/nnUNetPlans.json" --weights {name}

It prints the command that trains. What was preprocessed for `3d_fullres` is used again.
{how}"""
