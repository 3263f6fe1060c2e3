"""The folds that a data set comes with, so that scores can be compared with those of others."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.runtime.finetuning.data.cases import Case, Fold, Folds, few_of, list_wrong, read_json

SPLITS = "splits_final.json"
_SPLITS_HINT = ('it is a list with {"train": ["a", "b"], "val": ["c"]} for each fold; without the file the cases are '
                "dealt")


def folds_of_keys(path: Path, cases: Sequence[Case], entries: Sequence[dict[str, Any]]) -> Folds | None:
    """Those of the keys `fold` in the entries of MONAI's lists, one entry for each case; None where there are none. An
    entry without one is always trained on.

    Raises:
        FdifError: they do not count 0, 1, 2 and so on.
    """
    keys = [entry.get("fold") for entry in entries]
    for number, key in enumerate(keys):
        if key is not None and (isinstance(key, bool) or not isinstance(key, int) or key < 0):
            raise _keys_wrong(path, f"`fold` is {key!r}" if not isinstance(key, dict | list) else "`fold` is no number",
                              f"training[{number}]")
    there = {key for key in keys if key is not None}
    if not there:
        return None
    missing = sorted(set(range(max(there))) - there)
    if missing:
        raise _keys_wrong(path, f"entries have `fold` {few_of(sorted(there))}, and none has {missing[0]}", "training")
    names = frozenset(case.name for case in cases)
    held_out = [frozenset(case.name for case, key in zip(cases, keys, strict=True) if key == k)
                for k in range(max(there) + 1)]
    return Folds(f"the `fold` keys of {path}", tuple(Fold(names - its, its) for its in held_out))


def folds_of_nnunet(folder: Path, cases: Sequence[Case]) -> Folds | None:
    """Those of splits_final.json, beside dataset.json or among what nnU-Net has prepared (`nnUNet_preprocessed`); None
    where there is no such file.

    Raises:
        FdifError: it is no list of folds, or these name other cases, or a case twice.
    """
    prepared = os.environ.get("nnUNet_preprocessed")  # noqa: SIM112
    places = [folder, *([Path(prepared) / folder.resolve().name] if prepared else [])]
    path = next((place / SPLITS for place in places if (place / SPLITS).is_file()), None)
    if path is None:
        return None
    splits = read_json(path, _SPLITS_HINT)
    try:
        each = tuple(Fold(*(_names(split[part]) for part in ("train", "val"))) for split in splits)
    except (TypeError, KeyError):
        each = ()
    if not each:
        raise _splits_wrong(path, "the file does not list folds")
    known = {case.name for case in cases}
    for number, fold in enumerate(each):
        place = f"[{number}]"
        if strange := sorted((fold.train | fold.held_out) - known):
            raise _splits_wrong(path, f"a fold names `{strange[0]}`, and no case is called that", place)
        if both := sorted(fold.train & fold.held_out):
            raise _splits_wrong(path, f"`{both[0]}` is trained on and held out in the same fold", place)
        if not fold.train or not fold.held_out:
            raise _splits_wrong(path, f"a fold has no case {'to train on' if not fold.train else 'that is held out'}",
                                place)
    return Folds(str(path), each)


def _names(names: Any) -> frozenset[str]:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise TypeError
    return frozenset(names)


def _keys_wrong(path: Path, title: str, place: str) -> FdifError:
    return list_wrong(path, title, "folds count 0, 1, 2 and so on",
                      "number them anew, or take the keys `fold` out: then the cases are dealt", place)


def _splits_wrong(path: Path, title: str, place: str = "") -> FdifError:
    return list_wrong(path, title, "nnU-Net trains on `train` and scores `val` of each fold", _SPLITS_HINT, place)
