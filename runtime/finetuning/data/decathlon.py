"""MONAI's data lists, in the form of the Medical Segmentation Decathlon."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count, takewhile
from pathlib import Path
from typing import Any

from fdif_dsl.runtime.finetuning.data.cases import (
    ENDINGS,
    Case,
    DataList,
    bare_name,
    file_of,
    in_order,
    labels_wrong,
    list_wrong,
    with_own_names,
)
from fdif_dsl.runtime.finetuning.data.folds import folds_of_keys

_ENTRY = 'an entry looks like {"image": "imagesTr/a.nii.gz", "label": "labelsTr/a.nii.gz"}'


def read_decathlon(path: Path, table: Mapping[str, Any], renumber: bool) -> DataList:
    """The cases of the lists `training` and `validation`; files are named from the list's own folder. A key `fold` of
    an entry says with which fold it is held out.

    Raises:
        FdifError: entries or labels that cannot be used.
    """
    cases, its_own = (_cases(path, table.get(key, []), key) for key in ("training", "validation"))
    both = with_own_names([*cases, *its_own])
    train, held_out = both[: len(cases)], both[len(cases):]
    labels = _labels(path, table.get("labels"), renumber)
    return DataList(path, train, held_out, None if labels is None else tuple(labels.values()),
                    _channels(table.get("modality", table.get("channel_names"))),
                    None if labels is None else tuple(labels), folds_of_keys(path, train, table["training"]))


def _cases(path: Path, entries: Any, key: str) -> list[Case]:
    if not isinstance(entries, list):
        raise list_wrong(path, f"`{key}` is not a list", hint=_ENTRY, place=key)
    found = []
    for number, entry in enumerate(entries):
        place = f"{key}[{number}]"
        if not isinstance(entry, dict):
            raise list_wrong(path, "an entry is no object", hint=_ENTRY, place=place)
        missing = [name for name in ("image", "label") if name not in entry]
        if missing:
            raise list_wrong(path, f"an entry has no `{missing[0]}`", "each case needs its image and its label", _ENTRY,
                             place)
        images, label = entry["image"], entry["label"]
        images = images if isinstance(images, list) else [images]
        label = label[0] if isinstance(label, list) and len(label) == 1 else label
        if isinstance(label, list):
            raise list_wrong(path, "an entry has several labels", "each voxel gets one class",
                             "give the file of one of them", place)
        if not images or not all(isinstance(name, str) and name for name in [*images, label]):
            raise list_wrong(path, "an entry does not name files", hint=_ENTRY, place=place)
        files = [file_of(path.parent, name) for name in images]
        found.append(Case(bare_name(images[0]), tuple(_channels_of(files[0]) if len(files) == 1 else files),
                          file_of(path.parent, label)))
    return found


def _channels_of(image: Path) -> list[Path]:
    """The file itself, or, where nnU-Net's first version wrote the list and there is none of that name, those of its
    channels: a_0000.nii.gz and so on for a.nii.gz."""
    ending = next((end for end in ENDINGS if image.name.endswith(end)), None)
    if ending is None or image.exists():
        return [image]
    bare = image.name.removesuffix(ending)
    files = (image.with_name(f"{bare}_{channel:04d}{ending}") for channel in count())
    return list(takewhile(Path.exists, files)) or [image]


def _labels(path: Path, labels: Any, renumber: bool) -> dict[int, str] | None:
    """The labels and their names, from an object from label to name, or from name to label; None where there is
    none."""
    if not labels:
        return None
    if isinstance(labels, list):
        return in_order(path, dict(enumerate(map(str, labels))), "", renumber)
    if not isinstance(labels, dict):
        raise labels_wrong(path, "they are neither an object nor a list", 'write {"0": "background", "1": "liver"}')
    for one, other, background in ((labels.keys(), labels.values(), '"0": "background"'),
                                   (labels.values(), labels.keys(), '"background": 0')):
        try:
            named = {int(label): str(name) for label, name in zip(one, other, strict=True)}
        except (ValueError, TypeError):
            continue
        if len(named) == len(labels):
            return in_order(path, named, background, renumber)
    raise labels_wrong(path, "they do not give each label, a whole number, a name",
                       'write {"0": "background", "1": "liver"}')


def _channels(names: Any) -> tuple[str, ...]:
    if isinstance(names, dict):
        return tuple(map(str, names.values()))
    return tuple(map(str, names)) if isinstance(names, list) else (str(names),) if names else ()
