"""Every key that nnssl's fork of nnU-Net reads is there and means what it takes it for.

The fork is no package that could be installed here. What it reads stands in its `experiment_planning/like_nnssl.py` and
`nnUNetTrainer/pretraining/` (branch nnssl_finetuning_inclusion); `as_the_fork` does the same.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.runtime.exports.export import export
from fdif_dsl.runtime.exports.nnssl import adaptation_plan, form
from fdif_dsl.runtime.training.pretrained import Pretrained

PATCH = [64, 96, 128]
# Where a value is a type, anything of that type will do; else it is the value that the fork needs.
KEYS: dict[str, Any] = {
    "architecture_plans": {"arch_class_name": str, "arch_kwargs": object, "arch_kwargs_requiring_import": object},
    "pretrain_plan": {
        "dataset_name": str, "plans_name": str, "original_median_spacing_after_transp": [1, 1, 1],
        "image_reader_writer": "SimpleITKIO", "transpose_forward": [0, 1, 2], "transpose_backward": [0, 1, 2],
        "experiment_planner_used": str,
        "configurations": {"onemmiso": {
            "data_identifier": str, "preprocessor_name": "DefaultPreprocessor", "spacing_style": "onemmiso",
            "normalization_schemes": ["ZScoreNormalization"], "use_mask_for_norm": [False],
            "resampling_fn_data": "resample_data_or_seg_to_shape",
            "resampling_fn_data_kwargs": {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None},
            "resampling_fn_mask": "resample_data_or_seg_to_shape",
            "resampling_fn_mask_kwargs": {"is_seg": True, "order": 1, "order_z": 0, "force_separate_z": None},
            "spacing": [1, 1, 1], "patch_size": PATCH}}},
    "pretrain_num_input_channels": 1,
    "recommended_downstream_patchsize": PATCH,
    "key_to_encoder": str, "key_to_stem": str, "keys_to_in_proj": list, "key_to_lpe": object, "trainer_name": str,
}


def of(network: str) -> Pretrained:
    return Pretrained(Path("weights.pt"), {}, network, 48, (64, 96, 128), (), "segmentation", "shape",
                      {"shape": ("background", "ball")}, {"train": {"steps": 3}, "augment": {"normalise": "zscore"}},
                      "abc", 7, 3, "0.1.0")


def check(found: Any, wanted: Any, place: str = "plan") -> None:
    if isinstance(wanted, dict):
        assert found.keys() == wanted.keys(), place
        for key, value in wanted.items():
            check(found[key], value, f"{place}.{key}")
    elif isinstance(wanted, type):
        assert isinstance(found, wanted), place
    else:
        assert found == wanted and type(found) is type(wanted), place


@pytest.mark.parametrize(("network", "name"), [("resenc_l", "ResEncL"), ("primus_m", "PrimusM")])
def test_the_plan_has_every_key(network: str, name: str) -> None:
    plan = adaptation_plan(of(network))
    check(plan, KEYS)
    assert plan["architecture_plans"]["arch_class_name"] == name
    assert json.loads(json.dumps(plan)) == plan  # plain values, and lists: the fork compares patches with those of JSON


def as_the_fork(stored: Any, network: Any, channels: int) -> None:
    """Takes the stem and the encoder, strictly, as the fork's trainers do; the patches are the same."""
    plan, weights = stored["nnssl_adaptation_plan"], stored["network_weights"]
    assert plan["key_to_stem"] not in weights  # else the fork looks for the stem in the encoder
    for key, part in (("key_to_stem", network.key_to_stem), ("key_to_encoder", network.key_to_encoder)):
        taken = {name: tensor for name, tensor in weights.items() if name.startswith(plan[key])}
        if key == "key_to_stem" and channels > plan["pretrain_num_input_channels"]:
            wide = taken[plan["keys_to_in_proj"][0] + ".weight"].repeat(1, channels, 1, 1, 1) / channels
            taken |= {f"{name}.weight": wide for name in plan["keys_to_in_proj"]}
        bare = {name.replace(plan[key], "").removeprefix("."): tensor for name, tensor in taken.items()}
        network.get_submodule(part).load_state_dict(bare)
    if plan["key_to_lpe"] is not None:
        [positions] = [tensor for name, tensor in weights.items() if name.startswith(plan["key_to_lpe"])]
        assert network.get_parameter(network.key_to_lpe).shape == positions.shape


def resenc_l(plan: dict[str, Any], channels: int) -> Any:
    from dynamic_network_architectures.architectures.unet import ResidualEncoderUNet

    assert plan["architecture_plans"]["arch_class_name"] == "ResEncL"  # by this name the fork builds:
    return ResidualEncoderUNet(
        channels, 6, [32, 64, 128, 256, 320, 320], torch.nn.Conv3d, [[3, 3, 3]] * 6, [[1, 1, 1]] + [[2, 2, 2]] * 5,
        [1, 3, 4, 6, 6, 6], 4, [1] * 5, conv_bias=True, norm_op=torch.nn.InstanceNorm3d,
        norm_op_kwargs={"eps": 1e-5, "affine": True}, nonlin=torch.nn.LeakyReLU, nonlin_kwargs={"inplace": True},
        deep_supervision=False)


def primus_m(plan: dict[str, Any], channels: int) -> Any:
    from dynamic_network_architectures.architectures.primus import Primus

    given = plan["architecture_plans"]["arch_kwargs"]
    return Primus(channels, given["embed_dim"], given["patch_embed_size"], 4, given["encoder_eva_depth"],
                  given["encoder_eva_numheads"], plan["recommended_downstream_patchsize"], drop_path_rate=0.2,
                  scale_attn_inner=given["scale_attn_inner"], init_values=given["init_values"])


@pytest.mark.slow  # networks of 102 and 147 million weights
@pytest.mark.parametrize(("network", "channels", "options"), [
    ("resenc_l", 2, ()), ("primus_m", 1, ("volume.grid=[32, 32, 32]",))])
def test_the_fork_takes_stem_and_encoder(a_run: Any, tmp_path: Path, network: str, channels: int,
                                         options: tuple[str, ...]) -> None:
    pytest.importorskip("dynamic_network_architectures")
    pytest.importorskip("timm")
    pretrained = Pretrained.read(a_run(network, *options))
    done = export(pretrained, "nnssl", tmp_path / "out")
    assert [path.name for path in done.files] == ["checkpoint_final.pth", "adaptation_plan.json", "config.json",
                                                  "README.md"]
    stored = torch.load(done.files[0], weights_only=True)
    build = resenc_l if network == "resenc_l" else primus_m
    target = build(stored["nnssl_adaptation_plan"], channels)
    as_the_fork(stored, target, channels)
    state = target.state_dict()
    mine = {name for name in state if name.startswith((target.key_to_encoder, target.key_to_stem))}
    same = {name for name in mine if torch.equal(state[name], pretrained.weights[name])}
    assert mine - same == (set() if channels == 1 else {
        name + ".weight" for name in stored["nnssl_adaptation_plan"]["keys_to_in_proj"]})
    beside = json.loads(done.files[1].read_text())
    assert beside.pop("citations") == stored["citations"] and beside == stored["nnssl_adaptation_plan"]
    for citation in stored["citations"]:
        check(citation, {"type": str, "name": str, "apa_citations": list})


def test_only_what_was_trained_is_exported() -> None:
    names = ["encoder.stem.a", "encoder.stages.a", "decoder.encoder.stem.a", "decoder.stages.a", "decoder.seg_layers.a"]
    pretrained = replace(of("resenc_l"), weights={name: torch.ones(1) for name in names}, task="classification")
    assert list(form(pretrained, 1).stored["network_weights"]) == names[:3]
    assert list(form(replace(pretrained, task="segmentation"), 1).stored["network_weights"]) == names


def test_channels_are_the_forks_business(tmp_path: Path) -> None:
    with pytest.raises(FdifError) as caught:
        export(of("resenc_l"), "nnssl", tmp_path / "out", 2)
    assert str(caught.value) == """\
error[E0867]: nnU-Net fits weights of nnssl's form to the channels itself
  --> --channels
  why: it wants them for one channel, as they were pre-trained
  hint: leave out --channels"""
