"""nnssl: a checkpoint with its adaptation plan, from which nnU-Net's main branch, and its fork, fine-tune."""

from __future__ import annotations

import json
import shlex
from typing import Any

from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError
from fdif_dsl.runtime.exports.form import Form, facts, file_stem
from fdif_dsl.runtime.exports.weights import untrained, without
from fdif_dsl.runtime.training.pretrained import Pretrained
from fdif_dsl.runtime.training.weights_file import ABOUT

NETWORKS = ("resenc_l", "primus_m")

_NAME = "checkpoint_final.pth"  # what the fork downloads by, beside the two texts
_ARCHITECTURES: dict[str, dict[str, Any]] = {
    "resenc_l": {
        "arch_class_name": "ResEncL", "arch_kwargs": None, "arch_kwargs_requiring_import": None},
    "primus_m": {
        "arch_class_name": "PrimusM",
        "arch_kwargs": {"embed_dim": 864, "patch_embed_size": [8, 8, 8], "encoder_eva_depth": 16,
                        "encoder_eva_numheads": 12, "init_values": 0.1, "scale_attn_inner": True},
        "arch_kwargs_requiring_import": []},
}
_KEYS: dict[str, dict[str, Any]] = {
    "resenc_l": {
        "key_to_encoder": "encoder.stages", "key_to_stem": "encoder.stem",
        "keys_to_in_proj": ["encoder.stem.convs.0.conv", "encoder.stem.convs.0.all_modules.0"], "key_to_lpe": None},
    "primus_m": {
        "key_to_encoder": "eva", "key_to_stem": "down_projection", "keys_to_in_proj": ["down_projection.proj"],
        "key_to_lpe": "eva.pos_embed"},
}
# The fork calls that for Primus PretrainedTrainer_Primus.
_TRAINERS = {"resenc_l": "PretrainedTrainer", "primus_m": "PretrainedTrainer_Primusx"}
_CITATIONS = [
    {"type": "Pretraining Method", "name": "FDIF", "apa_citations": ["arXiv:2603.23199"]},
    {"type": "Framework", "name": "fdif-dsl", "apa_citations": []},
]


def form(pretrained: Pretrained, channels: int) -> Form:
    """Weights and plan; nnU-Net takes the stem and the encoder of the weights."""
    if channels != 1:
        raise FdifError(Diagnostic(
            "E0867", "nnU-Net fits weights of nnssl's form to the channels itself", where="--channels",
            why="it wants them for one channel, as they were pre-trained", hint="leave out --channels"))
    plan = adaptation_plan(pretrained)
    notes = []
    if pretrained.normalise != "zscore":
        notes.append("these weights learnt from grey levels between 0 and 1, and nnU-Net gives every image mean 0 and "
                     "standard deviation 1; augment.normalise=zscore pre-trains for that")
    stem = file_stem(pretrained)
    return Form(
        _NAME,
        {"network_weights": without(pretrained.weights, untrained(pretrained)), "nnssl_adaptation_plan": plan,
         "citations": _CITATIONS, ABOUT: facts(pretrained, 1)},
        _usage(stem, pretrained.network),
        lambda path: f"nnUNetv2_preprocess_like_nnssl -d DATASET_ID -n {stem} -pc {shlex.quote(str(path))} "
                     "-am like_pretrained", "nnssl",
        tuple(notes),
        {"adaptation_plan.json": json.dumps(plan | {"citations": _CITATIONS}, indent=4) + "\n",
         "config.json": json.dumps({"description": "Counted by Hugging Face as a download."}, indent=4) + "\n"})


def adaptation_plan(pretrained: Pretrained) -> dict[str, Any]:
    """What tells nnU-Net which network it is, how its data were preprocessed, and where its parts are."""
    patch = list(pretrained.patch)
    resampling = {"order_z": 0, "force_separate_z": None}
    return {
        "architecture_plans": dict(_ARCHITECTURES[pretrained.network]),
        "pretrain_plan": {
            "dataset_name": "FDIF", "plans_name": "nnsslPlans", "original_median_spacing_after_transp": [1, 1, 1],
            "image_reader_writer": "SimpleITKIO", "transpose_forward": [0, 1, 2], "transpose_backward": [0, 1, 2],
            "configurations": {"onemmiso": {
                "data_identifier": "nnsslPlans_onemmiso", "preprocessor_name": "DefaultPreprocessor",
                "spacing_style": "onemmiso", "normalization_schemes": ["ZScoreNormalization"],
                "use_mask_for_norm": [False],
                "resampling_fn_data": "resample_data_or_seg_to_shape",
                "resampling_fn_data_kwargs": {"is_seg": False, "order": 3, **resampling},
                "resampling_fn_mask": "resample_data_or_seg_to_shape",
                "resampling_fn_mask_kwargs": {"is_seg": True, "order": 1, **resampling},
                "spacing": [1, 1, 1], "patch_size": patch}},
            "experiment_planner_used": "FixedResEncUNetPlanner"},
        "pretrain_num_input_channels": 1, "recommended_downstream_patchsize": patch, **_KEYS[pretrained.network],
        "trainer_name": "fdif-dsl",
    }


def _usage(name: str, network: str) -> str:
    kept = "" if network != "resenc_l" else f"""
Or keep the ResEnc architecture that nnU-Net plans for your data, and have what fits of the weights put into it:

    nnUNetv2_plan_and_preprocess -d 901 -pl nnUNetPlannerResEncL
    nnUNetv2_plan_like_dynamic -d 901 -n {name} -pc {_NAME} -pl nnUNetResEncUNetLPlans
    nnUNetv2_train_pretrained 901 3d_fullres 0 -p ptPlans_dynamic__{name} -tr DynamicPretrainedTrainer
"""
    return f"""\
With [nnU-Net](https://github.com/MIC-DKFZ/nnUNet) of its main branch, which release 2.8.1 is older than:

    nnUNetv2_plan_and_preprocess -d 901 --no_pp
    nnUNetv2_preprocess_like_nnssl -d 901 -n {name} -pc {_NAME} -am like_pretrained
    nnUNetv2_train_pretrained 901 3d_fullres 0 -p PLANS -tr {_TRAINERS[network]}

`PLANS` is the name of the plans that the second command writes: it begins with `ptPlans__{name}`. nnU-Net takes the
stem and the encoder, and makes the decoder anew; it fits the stem to the channels of your images, and positional
embeddings to another patch. `--from_scratch` trains with the same plans and without the weights.
{kept}
The files here are those that it downloads from Hugging Face, should you upload them: `-pc` takes the address then.
"""
