"""MONAI's data lists, in the form of the Medical Segmentation Decathlon."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fdif_dsl.runtime.finetuning.cases import (
    Case,
    DataList,
    bare_name,
    class_names,
    labels_wrong,
    list_wrong,
    with_own_names,
)

_ENTRY = 'an entry looks like {"image": "imagesTr/a.nii.gz", "label": "labelsTr/a.nii.gz"}'


def read_decathlon(path: Path, table: Mapping[str, Any]) -> DataList:
    """The cases of the lists `training` and `validation`; files are named from the list's own folder.

    Raises:
        FdifError: entries or labels that cannot be used.
    """
    cases, held_out = (_cases(path, table.get(key, []), key) for key in ("training", "validation"))
    both = with_own_names([*cases, *held_out])
    return DataList(path, both[: len(cases)], both[len(cases):], _classes(path, table.get("labels")),
                    _channels(table.get("modality", table.get("channel_names"))))


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
        found.append(Case(bare_name(images[0]), tuple(path.parent / name for name in images), path.parent / label))
    return found


def _classes(path: Path, labels: Any) -> tuple[str, ...] | None:
    """The names of `labels`, an object from label to name, or from name to label; None where there is none."""
    if not labels:
        return None
    if isinstance(labels, list):
        return class_names(path, dict(enumerate(map(str, labels))))
    if not isinstance(labels, dict):
        raise labels_wrong(path, "they are neither an object nor a list", 'write {"0": "background", "1": "liver"}')
    for one, other in ((labels.keys(), labels.values()), (labels.values(), labels.keys())):
        try:
            named = {int(label): str(name) for label, name in zip(one, other, strict=True)}
        except (ValueError, TypeError):
            continue
        if len(named) == len(labels):
            return class_names(path, named)
    raise labels_wrong(path, "they do not give each label, a whole number, a name",
                       'write {"0": "background", "1": "liver"}')


def _channels(names: Any) -> tuple[str, ...]:
    if isinstance(names, dict):
        return tuple(map(str, names.values()))
    return tuple(map(str, names)) if isinstance(names, list) else (str(names),) if names else ()
