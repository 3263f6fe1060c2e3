"""A user's data set as it stands on disk: which files make a case, and what the labels are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError

ENDINGS = (".nii.gz", ".nii")


@dataclass(frozen=True)
class Case:
    """`images` are the files of its channels, or one file that holds them all."""

    name: str
    images: tuple[Path, ...]
    label: Path


@dataclass(frozen=True)
class DataList:
    """`cases` can be trained on, `held_out` are what the list itself keeps for validation. `classes` are the names of
    the labels, background first; None where the list does not say. `channels` are the names of the channels, as far as
    they are known."""

    path: Path
    cases: tuple[Case, ...]
    held_out: tuple[Case, ...]
    classes: tuple[str, ...] | None
    channels: tuple[str, ...]


def bare_name(file: str) -> str:
    """A file's name without folder and ending."""
    name = Path(file).name
    return next((name.removesuffix(ending) for ending in ENDINGS if name.endswith(ending)), name)


def with_own_names(cases: Sequence[Case]) -> tuple[Case, ...]:
    """The cases, each with a name of its own: its file's, after the folder's and a number where files share a name."""
    names = [case.name for case in cases]
    return tuple(case if names.count(case.name) == 1 else
                 replace(case, name=f"{case.images[0].parent.name}-{case.name}-{number}")
                 for number, case in enumerate(cases))


def class_names(path: Path, labels: Mapping[int, str]) -> tuple[str, ...]:
    """The names in the order of their labels.

    Raises:
        FdifError: labels do not count 0, 1, 2 and so on, or there is none but background.
    """
    missing = sorted(set(range(max(labels, default=0) + 1)) - set(labels))
    if missing or min(labels, default=0) < 0:
        raise labels_wrong(path, f"the labels are {_few(sorted(labels))}" + (
            f", and {missing[0]} is missing" if missing else ""))
    if len(labels) < 2:
        raise labels_wrong(path, "it names background alone" if labels else "it names none")
    return tuple(labels[value] for value in sorted(labels))


def labels_wrong(path: Path, why: str, hint: str = "") -> FdifError:
    return FdifError(Diagnostic(
        "E0910", "the classes of the data set cannot be used", where=f"{path}: labels", why=why,
        hint=hint or "labels count 0 (background), 1, 2 and so on: number the classes anew, in the list and in the "
        "files"))


def list_wrong(path: Path, title: str, why: str = "", hint: str = "", place: str = "") -> FdifError:
    return FdifError(Diagnostic("E0909", title, where=f"{path}: {place}" if place else str(path), why=why,
                                hint=hint or "the page on fine-tuning shows what a list looks like"))


def _few(values: Sequence[Any]) -> str:
    shown = ", ".join(map(str, values[:12]))
    return shown + (", ..." if len(values) > 12 else "")
