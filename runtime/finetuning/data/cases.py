"""A user's data set as it stands on disk: which files make a case, and what the labels are called."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError

ITK = (".nrrd", ".nhdr", ".mha", ".mhd")
"""The endings of what SimpleITK reads."""
ENDINGS = (".nii.gz", ".nii", *ITK)


@dataclass(frozen=True)
class Case:
    """`images` are the files of its channels, or one file that holds them all."""

    name: str
    images: tuple[Path, ...]
    label: Path


@dataclass(frozen=True)
class Fold:
    """The names of cases that are trained on and held out together."""

    train: frozenset[str]
    held_out: frozenset[str]


@dataclass(frozen=True)
class Folds:
    """The folds that a data set comes with, and where they stand."""

    source: str
    each: tuple[Fold, ...]


@dataclass(frozen=True)
class Region:
    """A region of several classes, which are `places` among all; where the network finds it, files get the `number`."""

    name: str
    places: tuple[int, ...]
    number: int


@dataclass(frozen=True)
class DataList:
    """`cases` can be trained on, `held_out` are what the list itself keeps for validation. `classes` are the names of
    the labels, background first, and `numbers` what files hold for each; None where the list does not say. `channels`
    are the names of the channels, as far as they are known. `folds` are those of the data set, if it has any. Where
    there are `regions`, which may overlap, they are learnt and scored in place of the classes. Voxels with the number
    `ignore`, which is greater than all others, have no class."""

    path: Path
    cases: tuple[Case, ...]
    held_out: tuple[Case, ...]
    classes: tuple[str, ...] | None
    channels: tuple[str, ...]
    numbers: tuple[int, ...] | None = None
    folds: Folds | None = None
    regions: tuple[Region, ...] = ()
    ignore: int | None = None


def bare_name(file: str) -> str:
    """A file's name without folder and ending."""
    name = Path(file.replace("\\", "/")).name
    return next((name[: -len(ending)] for ending in ENDINGS if name.lower().endswith(ending)), name)


def file_of(folder: Path, name: str) -> Path:
    """The file that a list in a folder names; a list that was written on Windows may have backslashes."""
    path = folder / name
    return path if "\\" not in name or path.exists() else folder / name.replace("\\", "/")


def hidden(file: Path) -> bool:
    """Whether a file is no part of a data set, such as the `._a.nii.gz` of a Mac."""
    return file.name.startswith(".")


def with_own_names(cases: Sequence[Case]) -> tuple[Case, ...]:
    """The cases, each with a name of its own: its file's, after the folder's and a number where files share a name."""
    names = [case.name for case in cases]
    return tuple(case if names.count(case.name) == 1 else
                 replace(case, name=f"{case.images[0].parent.name}-{case.name}-{number}")
                 for number, case in enumerate(cases))


def in_order(path: Path, labels: Mapping[int, str], background: str, renumber: bool) -> dict[int, str]:
    """The labels and their names in the order of the labels. `background` is what a list writes for that;
    to `renumber` allows for gaps.

    Raises:
        FdifError: labels do not count 0, 1, 2 and so on, or there is none but background.
    """
    have = f"the labels are {few_of(sorted(labels))}"
    if labels and min(labels) < 0:
        raise labels_wrong(path, have)
    if labels and 0 not in labels:
        raise labels_wrong(path, f"{have}, and 0 is missing", f"0 is background: add {background}")
    missing = sorted(set(range(max(labels, default=0) + 1)) - set(labels))
    if missing and not renumber:
        raise labels_wrong(path, f"{have}, and {missing[0]} is missing", RENUMBER)
    if len(labels) < 2:
        raise labels_wrong(path, "it names background alone" if labels else "it names none")
    return dict(sorted(labels.items()))


RENUMBER = "data.renumber=true numbers the classes anew, and leaves the files as they are"


def labels_wrong(path: Path, why: str, hint: str = "") -> FdifError:
    return FdifError(Diagnostic(
        "E0910", "the classes of the data set cannot be used", where=f"{path}: labels", why=why,
        hint=hint or "labels count 0 (background), 1, 2 and so on: number the classes anew, in the list and in the "
        "files"))


def list_wrong(path: Path, title: str, why: str = "", hint: str = "", place: str = "") -> FdifError:
    return FdifError(Diagnostic("E0909", title, where=f"{path}: {place}" if place else str(path), why=why,
                                hint=hint or "the page on fine-tuning shows what a list looks like"))


def few_of(values: Sequence[Any]) -> str:
    """The first of some values, as a list in a sentence."""
    shown = ", ".join(map(str, values[:12]))
    return shown + (", ..." if len(values) > 12 else "")


def read_json(path: Path, hint: str) -> Any:
    """What stands in a file that belongs to a data set. A mark at its beginning, as editors of Windows write it, is
    none of it. Raises `FdifError`, with that hint, where it is not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        place = f"{path}:{error.lineno}:{error.colno}" if isinstance(error, json.JSONDecodeError) else str(path)
        raise FdifError(Diagnostic("E0908", "the list of the data set is not JSON", where=place,
                                   why=error.msg if isinstance(error, json.JSONDecodeError) else "it is no text",
                                   hint=hint)) from None
