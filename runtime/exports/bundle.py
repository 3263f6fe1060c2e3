"""A MONAI bundle of a fine-tuned network: its weights, and a configuration that segments new images with it.

    configs/metadata.json    what it is, and what goes into the network and comes out
    configs/inference.json   from image files to label files, as `fdifc predict` does it
    models/model.pt          the weights
    docs/README.md           the commands
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from fdif_dsl.compiler.support.files import claim_directory, write_text
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError
from fdif_dsl.runtime.exports.definitions import DEFINITIONS, as_config
from fdif_dsl.runtime.exports.export import Export
from fdif_dsl.runtime.finetuning.data.normalisation import Levels
from fdif_dsl.runtime.finetuning.data.preprocessing import CUT, ENDS
from fdif_dsl.runtime.predicting.tuned import Tuned, read_tuned
from fdif_dsl.runtime.training.run_folder import on_cpu, save_whole

META, INFERENCE, MODEL, README = "configs/metadata.json", "configs/inference.json", "models/model.pt", "docs/README.md"
SCHEMA = ("https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/"
          "meta_schema_20240725.json")
_NEEDED = ("nibabel", "pytorch-ignite", "einops")


def read(run: Path) -> Tuned:
    """The network of a run of fine-tuning.

    Raises:
        FdifError: it is no run of fine-tuning, has several networks, or one that MONAI cannot make.
    """
    networks = read_tuned(run)
    tuned = networks[0]
    if len(networks) > 1:
        raise FdifError(Diagnostic(
            "E0876", f"{run} has {len(networks)} networks, and a bundle holds one", where="--to monai-bundle",
            hint=f"name one of them, for example {tuned.path.parent}"))
    if tuned.kind not in DEFINITIONS:
        raise FdifError(Diagnostic(
            "E0876", f"a bundle cannot hold `{tuned.kind}`", where=str(tuned.path),
            why="it is a network of your own, which its configuration cannot make",
            hint=f"networks that it can make are {', '.join(DEFINITIONS)}"))
    return tuned


def export_bundle(tuned: Tuned, directory: Path) -> Export:
    """Writes the bundle into a folder of its own, in place of an earlier one.

    Raises:
        FdifError: the folder holds something else.
    """
    weights = on_cpu(tuned.network.state_dict())
    files: dict[str, Callable[[Path], None]] = {
        MODEL: lambda path: save_whole(weights, path),
        META: lambda path: write_text(path, _json(_metadata(tuned))),
        INFERENCE: lambda path: write_text(path, _json(_inference(tuned))),
        README: lambda path: write_text(path, _readme(tuned)),
    }
    new = not directory.exists()
    claim_directory(directory, META)
    try:
        for name, write in files.items():
            (directory / name).parent.mkdir(exist_ok=True)
            write(directory / name)
    except BaseException:
        if new:  # nothing of a failed export stays
            for name in files:
                (directory / name).unlink(missing_ok=True)
                with suppress(OSError):
                    (directory / name).parent.rmdir()
            with suppress(OSError):
                directory.rmdir()
        raise
    notes = () if tuned.channels == 1 else (
        f"images have {tuned.channels} channels: each is one file with four axes, or a list of files in `datalist`",)
    return Export(tuple(directory / name for name in files), notes, _command(directory))


def _command(directory: Path) -> str:
    root = shlex.quote(str(directory))
    return (f"python -m monai.bundle run --config_file {root}/{INFERENCE} --meta_file {root}/{META} "
            f"--bundle_root {root} --dataset_dir IMAGES --output_dir LABELS")


def _metadata(tuned: Tuned) -> dict[str, Any]:
    """What MONAI's schema asks for, and what applications show."""
    packages = [name for name in _NEEDED if _version(name)]
    if tuned.kind in ("resenc_l", "primus_m"):
        packages.append("dynamic_network_architectures")
    image = {"type": "image", "format": "magnitude", "modality": ", ".join(tuned.names) or "unknown",
             "num_channels": tuned.channels, "spatial_shape": list(tuned.patch), "dtype": "float32",
             "value_range": [-5, 5], "is_patch_data": True,
             "channel_def": {str(k): name for k, name in enumerate(tuned.names or ("image",) * tuned.channels)}}
    names = [region.name for region in tuned.regions] or list(tuned.classes)
    pred = {"type": "image", "format": "segmentation", "num_channels": tuned.outputs,
            "spatial_shape": list(tuned.patch), "dtype": "float32", "value_range": [0, max(tuned.numbers)],
            "is_patch_data": True, "channel_def": {str(k): name for k, name in enumerate(names)}}
    return {
        "schema": SCHEMA, "version": "0.1.0", "changelog": {"0.1.0": f"exported by fdif-dsl {version('fdif-dsl')}"},
        "monai_version": version("monai"), "pytorch_version": version("torch").partition("+")[0],
        "numpy_version": version("numpy"),
        "required_packages_version": {name: _version(name) for name in packages},
        "name": f"fdif_{tuned.kind}", "task": f"Segmentation of {', '.join(tuned.classes[1:])}",
        "description": f"A {tuned.kind} that was fine-tuned with fdif-dsl. For research, and no medical device.",
        "authors": "who trained it", "copyright": "of who trained it", "intended_use": "research",
        "data_type": "nibabel",
        "label_classes": ", ".join(f"{number} {name}" for number, name in zip(tuned.numbers, tuned.classes,
                                                                              strict=True)),
        "references": ["FDIF, arXiv 2603.23199"],
        "network_data_format": {"inputs": {"image": image}, "outputs": {"pred": pred}},
    }


def _inference(tuned: Tuned) -> dict[str, Any]:
    """From image files to label files. Arrays are (channels, z, y, x), as in training."""
    definition = DEFINITIONS[tuned.kind](tuned.features, tuned.patch, tuned.channels, tuned.outputs)
    turn = {"_target_": "Orientationd", "keys": "image", "axcodes": tuned.orientation[::-1],
            "labels": [list(ends) for ends in ENDS]}
    resample = [] if tuned.spacing is None else [
        {"_target_": "Spacingd", "keys": "image", "pixdim": list(tuned.spacing), "mode": "bilinear",
         "dtype": "$np.float32"}]
    apart = {} if _alike(tuned) else {"levels": [
        {"_target_": "Compose", "transforms": _scheme(how, levels)} for how, levels in tuned.normalise]}
    return {
        "imports": ["$import glob", "$import numpy as np", "$import torch"],
        "bundle_root": ".",
        "dataset_dir": "$@bundle_root + '/images'",
        "output_dir": "$@bundle_root + '/eval'",
        "datalist": "$[{'image': file} for file in sorted(glob.glob(@dataset_dir + '/*.nii.gz'))]",
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        **as_config(definition),
        "network": "$@network_def.to(@device)",
        **apart,
        "preprocessing": {"_target_": "Compose", "transforms": [
            {"_target_": "LoadImaged", "keys": "image"}, {"_target_": "EnsureChannelFirstd", "keys": "image"},
            turn, *resample, *_levels(tuned)]},
        "dataset": {"_target_": "Dataset", "data": "@datalist", "transform": "@preprocessing"},
        "dataloader": {"_target_": "DataLoader", "dataset": "@dataset", "batch_size": 1, "shuffle": False,
                       "num_workers": 0},
        "inferer": {"_target_": "SlidingWindowInferer", "roi_size": list(tuned.patch), "sw_batch_size": 1,
                    "overlap": tuned.overlap, "mode": "gaussian"},
        "postprocessing": {"_target_": "Compose", "transforms": [
            {"_target_": "Invertd", "keys": "pred", "transform": "@preprocessing", "orig_keys": "image",
             "nearest_interp": False, "to_tensor": True},
            *_numbers(tuned),
            {"_target_": "SaveImaged", "keys": "pred", "output_dir": "@output_dir", "output_postfix": "",
             "separate_folder": False, "resample": False,
             "output_dtype": "$np.uint8" if max(tuned.numbers) < 256 else "$np.int32"}]},
        "handlers": [{"_target_": "CheckpointLoader", "load_path": f"$@bundle_root + '/{MODEL}'",
                      "load_dict": {"model": "@network"}, "map_location": "@device"}],
        "evaluator": {"_target_": "SupervisedEvaluator", "device": "@device", "val_data_loader": "@dataloader",
                      "network": "@network", "inferer": "@inferer", "postprocessing": "@postprocessing",
                      "val_handlers": "@handlers", "amp": False},
        "run": ["$@evaluator.run()"],
    }


def _levels(tuned: Tuned) -> list[dict[str, Any]]:
    """What brings grey levels to what the network knows. Channels that are not all treated alike are taken apart."""
    if _alike(tuned):
        return [{**step, "_target_": f"{step['_target_']}d", "keys": "image"} for step in _scheme(*tuned.normalise[0])]
    apart = "torch.cat([how(image[k : k + 1]) for k, how in enumerate(each)])"
    return [{"_target_": "Lambdad", "keys": "image", "func": f"$(lambda each: lambda image: {apart})(@levels)"}]


def _alike(tuned: Tuned) -> bool:
    """Whether all channels are treated alike."""
    each = [_scheme(how, levels) for how, levels in tuned.normalise]
    return all(steps == each[0] for steps in each)


def _scheme(how: str, levels: Levels) -> list[dict[str, Any]]:
    """The array transforms of MONAI for a scheme of `normalisation.scaling`."""
    low, high = CUT
    clip = {"_target_": "ClipIntensityPercentiles", "lower": low, "upper": high, "channel_wise": True}
    normal = {"_target_": "NormalizeIntensity", "channel_wise": True}
    if how == "zscore":
        return [normal]
    if how == "clipped":
        return [clip, normal]
    if how == "unit":
        return [{"_target_": "ScaleIntensityRangePercentiles", "lower": low, "upper": high, "b_min": 0.0, "b_max": 1.0,
                 "clip": True, "channel_wise": True}]
    if how == "ct":
        size = max(levels.deviation, 1e-8)
        return [{"_target_": "ScaleIntensityRange", "a_min": levels.low, "a_max": levels.high,
                 "b_min": (levels.low - levels.mean) / size, "b_max": (levels.high - levels.mean) / size, "clip": True}]
    return []


def _numbers(tuned: Tuned) -> list[dict[str, Any]]:
    """What makes of the network's answer the numbers that files have."""
    if tuned.regions:  # of those that overlap the last counts
        code = "torch.zeros_like(pred[:1])"
        for k, region in enumerate(tuned.regions):
            code = f"torch.where(pred[{k}:{k + 1}] > 0, {region.number}, {code})"
        return [{"_target_": "Lambdad", "keys": "pred", "func": f"$lambda pred: {code}"}]
    steps: list[dict[str, Any]] = [{"_target_": "AsDiscreted", "keys": "pred", "argmax": True}]
    if tuned.numbers != tuple(range(len(tuned.numbers))):
        steps.append({"_target_": "MapLabelValued", "keys": "pred", "orig_labels": list(range(len(tuned.numbers))),
                      "target_labels": list(tuned.numbers)})
    return steps


def _readme(tuned: Tuned) -> str:
    labels = "\n".join(f"| {number} | {name} |" for number, name in zip(tuned.numbers, tuned.classes, strict=True))
    return f"""\
# {tuned.kind}, fine-tuned with fdif-dsl

Segments images of {tuned.channels} channel{"s" if tuned.channels > 1 else ""}\
{f" ({', '.join(tuned.names)})" if tuned.names else ""}. For research, and no medical device.

| label | class |
| --- | --- |
{labels}

All `*.nii.gz` in a folder, from the folder above this bundle; `pip install 'monai[ignite,nibabel,einops,fire]'`:

    {_command(Path("BUNDLE"))}

It does what `fdifc predict` does, and keeps what the network says of a whole image in memory. Another `--datalist`
names other files. Who made it and what it may be used for is to be filled in: `authors`, `copyright` and `data_source`
in {META}, and a licence.
"""


def _json(value: Any) -> str:
    return json.dumps(value, indent=2) + "\n"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
