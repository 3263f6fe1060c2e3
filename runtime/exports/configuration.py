"""A configuration for pre-trained weights in the plans of an nnU-Net data set."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fdif_dsl.compiler.support.files import write_text
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError
from fdif_dsl.runtime.exports.nnunet_weights import Weights
from fdif_dsl.runtime.exports.plans import PARENT, read_plans, resolved, three
from fdif_dsl.runtime.training.networks import Patch, check_size, find_network, shown
from fdif_dsl.runtime.training.nnunet_networks import NAMED, PRIMUS_M, RESENC_L

NAME = "3d_fdif"
_TRAINERS = Path(__file__).parent / "trainers"
_ARCHITECTURES: dict[str, dict[str, Any]] = {
    "resenc_l": {
        "network_class_name": "dynamic_network_architectures.architectures.unet.ResidualEncoderUNet",
        "arch_kwargs": RESENC_L, "_kw_requires_import": NAMED},
    # Our trainer builds it; nnU-Net's default one fails on this rather than to train another network.
    "primus_m": {
        "network_class_name": "dynamic_network_architectures.architectures.primus.PrimusM",
        "arch_kwargs": PRIMUS_M, "_kw_requires_import": []},
}
_FITTING = {"unit": {"RescaleTo01Normalization"}, "zscore": {"ZScoreNormalization", "CTNormalization"}}
_GREY = {"unit": "grey levels between 0 and 1", "zscore": "grey levels of mean 0 and standard deviation 1"}


@dataclass(frozen=True)
class Added:
    """Whether the plans were changed, what to know, and the command that trains."""

    changed: bool
    notes: tuple[str, ...]
    next: str


def add_configuration(plans_path: Path, weights: Weights, output: Path | None = None, name: str = NAME,
                      patch: Patch | None = None, batch: int = 2) -> Added:
    """Adds to the plans in a file a configuration `name` that inherits `3d_fullres`, and with it what was preprocessed,
    and has the network of the weights, patches (D, H, W) of that size (None: as pre-trained) and so many of them in a
    batch.

    The plans go to `output`, under its name, or are changed in their place. Where `output` is there, it is added to.
    Done twice, it changes nothing.

    Raises:
        FdifError: the file has no plans with `3d_fullres`, or another configuration of that name; or the weights do
            not fit the patch or the data set's channels; or `output` has plans of another data set.
    """
    patch = patch or weights.patch
    _check_patch(weights, patch)
    target = output or plans_path
    plans = read_plans(plans_path)
    if target != plans_path and target.exists():
        plans = _same_data(read_plans(target), plans, target)
    parent = resolved(plans, PARENT)
    _check_channels(weights, parent, plans_path)
    configuration: dict[str, Any] = {"inherits_from": PARENT, "patch_size": list(patch), "batch_size": batch,
                                     "architecture": _ARCHITECTURES[weights.network]}
    if weights.network == "primus_m":
        configuration["pretrained_weights"] = str(weights.path.resolve())
    known = plans["configurations"].get(name)
    if known is not None and known != configuration:
        raise FdifError(Diagnostic(
            "E0872", f"these plans have another configuration `{name}`", where=str(target),
            why="nnU-Net may have trained with it", hint="give the new one another name with --name"))
    if known is None:
        plans["configurations"][name] = configuration
        if output is not None:
            plans["plans_name"] = output.stem
        write_text(target, json.dumps(plans, indent=4) + "\n")
    return Added(known is None, tuple(_notes(weights, parent, patch)), _next(plans, target, name, weights))


def _same_data(found: dict[str, Any], plans: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The plans that were found where some are to be written, if they are of the same data set."""
    if found["dataset_name"] != plans["dataset_name"]:
        raise FdifError(Diagnostic("E0874", f"{path} holds the plans of another data set",
                                   why=f"of {found['dataset_name']}, and not {plans['dataset_name']}",
                                   hint="name another file with -o"))
    return found


def _check_patch(weights: Weights, patch: Patch) -> None:
    try:
        check_size(find_network(weights.network, str(weights.path)), 1, patch, "")
    except FdifError as error:
        raise FdifError(*(replace(d, where="--patch") for d in error.diagnostics)) from error


def _check_channels(weights: Weights, parent: Mapping[str, Any], plans_path: Path) -> None:
    channels = len(parent.get("normalization_schemes", ())) or weights.channels
    if weights.network != "primus_m" and channels != weights.channels:  # our trainer fits them
        raise FdifError(Diagnostic(
            "E0873", f"the weights are for {weights.channels} input channel{'s' if weights.channels > 1 else ''}, and "
            f"the data set has {channels}", where=str(plans_path),
            hint=f"`fdifc export CHECKPOINT --to nnunet --channels {channels}` fits them"))


def _notes(weights: Weights, parent: Mapping[str, Any], patch: Patch) -> list[str]:
    notes = []
    schemes = sorted({*map(str, parent.get("normalization_schemes", ()))} - _FITTING.get(weights.normalise, set()))
    if schemes:
        notes.append(f"the weights learnt from {_GREY.get(weights.normalise, weights.normalise)}, and these plans "
                     f"normalise otherwise ({', '.join(schemes)}), so they may help less")
    spacing = three(parent, "spacing")
    if spacing and max(spacing) > 3 * min(spacing):
        notes.append(f"voxels of these plans measure {' x '.join(f'{side:.2g}' for side in spacing)} mm, and the "
                     "weights learnt from shapes that are alike along all axes, so they may help less")
    median = three(parent, "median_image_size_in_voxels")
    if any(side > size for side, size in zip(patch, median, strict=False)):
        notes.append(f"most images have no more than {' x '.join(f'{side:.0f}' for side in median)} voxels, and are "
                     f"padded to the patch, {shown(patch)}; --patch names another")
    return notes


def _next(plans: Mapping[str, Any], target: Path, name: str, weights: Weights) -> str:
    command = shlex.join(["nnUNetv2_train", str(plans["dataset_name"]), name, "0", "-p", target.stem])
    if weights.network == "primus_m":
        return f"nnUNet_extTrainer={shlex.quote(str(_TRAINERS))} {command} -tr FdifPrimusTrainer"
    return f"{command} -pretrained_weights {shlex.quote(str(weights.path))}"
