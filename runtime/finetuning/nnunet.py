"""Raw data sets of nnU-Net v2."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError
from fdif_dsl.runtime.finetuning.cases import ENDINGS, Case, DataList, class_names, labels_wrong, list_wrong


def read_nnunet(path: Path, table: Mapping[str, Any]) -> DataList:
    """The cases that lie in labelsTr, or that `dataset` in dataset.json lists.

    Raises:
        FdifError: dataset.json lacks something, or says what cannot be used.
    """
    for key in ("channel_names", "labels", "file_ending"):
        if key not in table:
            raise list_wrong(path, f"the list has neither `training` nor `{key}`",
                             "MONAI's lists have the first, nnU-Net's have `channel_names`, `labels` and "
                             "`file_ending`")
    ending, channels = table["file_ending"], table["channel_names"]
    if ending not in ENDINGS:
        raise FdifError(Diagnostic(
            "E0908", f"files that end in `{ending}` cannot be read", where=f"{path}: file_ending",
            why=f"images and labels are NIfTI files, {' or '.join(ENDINGS)}",
            hint="convert them, for example with SimpleITK's ReadImage and WriteImage"))
    if not isinstance(channels, dict) or not channels:
        raise list_wrong(path, "`channel_names` names no channel", hint='write {"0": "CT"}', place="channel_names")
    cases = _listed(path, table["dataset"]) if "dataset" in table else _found(path.parent, ending, len(channels))
    return DataList(path, tuple(cases), (), _classes(path, table["labels"]), tuple(map(str, channels.values())))


def _found(folder: Path, ending: str, channels: int) -> list[Case]:
    names = sorted(file.name.removesuffix(ending) for file in (folder / "labelsTr").glob(f"*{ending}")
                   if not file.name.startswith("."))
    images = {file.name for file in (folder / "imagesTr").glob(f"*{ending}")}
    # A case without a label stands in imagesTr alone; it is named, so that nobody misses it in silence.
    alone = sorted({re.sub(r"_\d{4}$", "", name.removesuffix(ending)) for name in images} - set(names))
    return [Case(name, tuple(folder / "imagesTr" / f"{name}_{channel:04d}{ending}" for channel in range(channels)),
                 folder / "labelsTr" / f"{name}{ending}") for name in sorted([*names, *alone])]


def _listed(path: Path, entries: Any) -> list[Case]:
    """What nnU-Net takes instead of file names that follow its pattern: {case: {"images": [...], "label": ...}}."""
    try:
        return [Case(str(name), tuple(path.parent / image for image in entry["images"]), path.parent / entry["label"])
                for name, entry in sorted(entries.items())]
    except (AttributeError, KeyError, TypeError):
        raise list_wrong(path, "`dataset` does not list cases", hint='write {"a": {"images": ["imagesTr/a.nii.gz"], '
                         '"label": "labelsTr/a.nii.gz"}}, or leave it out', place="dataset") from None


def _classes(path: Path, labels: Any) -> tuple[str, ...]:
    if not isinstance(labels, dict):
        raise labels_wrong(path, "they are no object", 'write {"background": 0, "liver": 1}')
    if any(isinstance(value, list) for value in labels.values()):
        raise labels_wrong(path, "a class is a region made of several labels, which overlap",
                           "give each label a class of its own")
    if "ignore" in labels:
        raise labels_wrong(path, "voxels labelled `ignore` have no class",
                           "make them background, or leave these cases out")
    if not all(isinstance(value, int) and not isinstance(value, bool) for value in labels.values()):
        raise labels_wrong(path, "a label is no whole number", 'write {"background": 0, "liver": 1}')
    if len(set(labels.values())) < len(labels):
        raise labels_wrong(path, "two classes have the same label")
    return class_names(path, {value: str(name) for name, value in labels.items()})
