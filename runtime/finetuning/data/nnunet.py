"""Raw data sets of nnU-Net v2."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError
from fdif_dsl.runtime.finetuning.data.cases import (
    ENDINGS,
    Case,
    DataList,
    Region,
    file_of,
    hidden,
    in_order,
    labels_wrong,
    list_wrong,
)
from fdif_dsl.runtime.finetuning.data.folds import folds_of_nnunet

_IMAGE = re.compile(r"(.+)_(\d{4})")


def read_nnunet(path: Path, table: Mapping[str, Any], renumber: bool) -> DataList:
    """The cases that lie in labelsTr, or that `dataset` in dataset.json lists, with the folds of splits_final.json.

    Raises:
        FdifError: dataset.json lacks something, or says what cannot be used.
    """
    for key in ("channel_names", "labels"):
        if key not in table:
            raise list_wrong(path, f"the list has neither `training` nor `{key}`",
                             "MONAI's lists have the first, nnU-Net's have `channel_names`, `labels` and "
                             "`file_ending`")
    ending, channels = _ending(path, table.get("file_ending")), table["channel_names"]
    if not isinstance(channels, dict) or not channels:
        raise list_wrong(path, "`channel_names` names no channel", hint='write {"0": "CT"}', place="channel_names")
    cases = tuple(_listed(path, table["dataset"]) if "dataset" in table else _found(path, ending, len(channels)))
    labels, regions, ignore = _labels(path, table["labels"], table.get("regions_class_order"), renumber)
    return DataList(path, cases, (), tuple(labels.values()), tuple(map(str, channels.values())), tuple(labels),
                    folds_of_nnunet(path.parent, cases), regions, ignore)


def _ending(path: Path, given: Any) -> str:
    """The ending of all files, `file_ending`."""
    if given in ENDINGS:
        return str(given)
    there = [end for end in ENDINGS if any(not hidden(file) for file in (path.parent / "labelsTr").glob(f"*{end}"))]
    line = f'"file_ending": "{(there or ENDINGS)[0]}"'
    if given is None:
        raise list_wrong(path, "the list has no `file_ending`", "it says how the files of nnU-Net's data sets end",
                         f"add {line}")
    if not isinstance(given, str):
        raise list_wrong(path, "`file_ending` is no text", hint=f"write {line}", place="file_ending")
    meant = f".{given.strip().lower().lstrip('.')}"
    if meant in ENDINGS:
        raise list_wrong(path, f"`file_ending` is `{given}`, and no file's name ends so",
                         hint=f'write "file_ending": "{meant}"', place="file_ending")
    raise FdifError(Diagnostic(
        "E0908", f"files that end in `{given}` cannot be read", where=f"{path}: file_ending",
        why=f"images and labels end in {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}",
        hint="convert them, for example with SimpleITK's ReadImage and WriteImage"))


def _found(path: Path, ending: str, channels: int) -> list[Case]:
    labels, images = path.parent / "labelsTr", path.parent / "imagesTr"
    names, stems = ({file.name.removesuffix(ending) for file in folder.glob(f"*{ending}") if not hidden(file)}
                    for folder in (labels, images))
    parts = [found for found in map(_IMAGE.fullmatch, sorted(stems)) if found]
    beyond = max(parts, key=lambda part: int(part[2]), default=None)
    if beyond is not None and int(beyond[2]) >= channels:
        raise list_wrong(path, f"`channel_names` does not name channel {int(beyond[2])}, and there are files of it",
                         f"{images / beyond[0]}{ending} would not be used",
                         f'add "{int(beyond[2])}" with its name, or take the files away', "channel_names")
    # A case without a label stands in imagesTr alone; it is named, so that nobody misses it in silence.
    alone = {part[1] for part in parts} | {stem for stem in stems if not _IMAGE.fullmatch(stem)}
    return [Case(name, tuple(images / f"{name}_{channel:04d}{ending}" for channel in range(channels)),
                 labels / f"{name}{ending}") for name in sorted(names | alone)]


def _listed(path: Path, entries: Any) -> list[Case]:
    """What nnU-Net takes instead of file names that follow its pattern: {case: {"images": [...], "label": ...}}."""
    try:
        return [Case(str(name), tuple(file_of(path.parent, image) for image in entry["images"]),
                     file_of(path.parent, entry["label"]))
                for name, entry in sorted(entries.items())]
    except (AttributeError, KeyError, TypeError):
        raise list_wrong(path, "`dataset` does not list cases", hint='write {"a": {"images": ["imagesTr/a.nii.gz"], '
                         '"label": "labelsTr/a.nii.gz"}}, or leave it out', place="dataset") from None


def _labels(path: Path, labels: Any, order: Any, renumber: bool,
            ) -> tuple[dict[int, str], tuple[Region, ...], int | None]:
    """The labels and their names, the regions where there are any, and the label of voxels that have no class."""
    if not isinstance(labels, dict):
        raise labels_wrong(path, "they are no object", 'write {"background": 0, "liver": 1}')
    values = dict(labels)
    ignore = values.pop("ignore", None)
    if any(isinstance(value, list) for value in values.values()):
        named, regions = _regions(path, values, order)
    else:
        if not all(_whole(value) for value in values.values()):
            raise labels_wrong(path, "a label is no whole number", 'write {"background": 0, "liver": 1}')
        if len(set(values.values())) < len(values):
            raise labels_wrong(path, "two classes have the same label")
        named, regions = {value: str(name) for name, value in values.items()}, ()
    found = in_order(path, named, '"background": 0', renumber)
    if ignore is not None and (not _whole(ignore) or ignore <= max(found)
                               or (not renumber and ignore != max(found) + 1)):
        raise labels_wrong(path, f"`ignore` is {ignore}, and the greatest other label is {max(found)}",
                           f'voxels without a class have the label after all others: "ignore": {max(found) + 1}')
    return found, regions, ignore


def _regions(path: Path, values: Mapping[str, Any], order: Any) -> tuple[dict[int, str], tuple[Region, ...]]:
    """The labels that regions are made of, and the regions. A label is called as the region that is written so."""
    parts = {str(name): value if isinstance(value, list) else [value] for name, value in values.items()}
    if not all(part and all(map(_whole, part)) for part in parts.values()):
        raise labels_wrong(path, "a region is no list of whole numbers", 'write {"background": 0, "whole": [1, 2]}')
    numbers = sorted({number for part in parts.values() for number in part})
    parts = {name: part for name, part in parts.items() if set(part) != {0}}
    if not isinstance(order, list) or len(order) != len(parts) or not all(_whole(k) and k in numbers for k in order):
        raise list_wrong(
            path, "`regions_class_order` does not give each region its label",
            f"there are {len(parts)} regions: {', '.join(parts)}", "it is a list with the label that is written for "
            "each, in their order; of regions that overlap the later one counts", "regions_class_order")
    regions = tuple(Region(name, tuple(numbers.index(k) for k in sorted(set(part))), number)
                    for (name, part), number in zip(parts.items(), order, strict=True))
    named = {number: "background" if number == 0 else str(number) for number in numbers}
    return named | {region.number: region.name for region in regions}, regions


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
