"""Looking at every case before training starts, so that a mistake costs minutes and not a night."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b

import numpy as np

from fdif_dsl.compiler.support.progress import Progress
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError
from fdif_dsl.runtime.finetuning.data.cases import Case, DataList, labels_wrong
from fdif_dsl.runtime.finetuning.data.nifti import Stored, read_volume, unsaid
from fdif_dsl.runtime.streams.ahead import ahead

MOST = 1024
"""The most classes of a data set; more, and the label is rather a picture than classes."""
_SHOWN = 10  # mistakes


@dataclass(frozen=True)
class Facts:
    """`channels` of a case, the `spacing` of its voxels (z, y, x) in mm and the voxels of each of its labels; cases
    whose images show the same have the same `content`."""

    channels: int
    spacing: tuple[float, float, float]
    voxels: Mapping[int, int]
    content: bytes = b""


@dataclass(frozen=True)
class Checked:
    """A data list whose every case was read. `facts` has each of them by name; `classes` are all named."""

    list: DataList
    facts: Mapping[str, Facts]

    @property
    def classes(self) -> tuple[str, ...]:
        assert self.list.classes is not None
        return self.list.classes

    @property
    def channels(self) -> int:
        return next(iter(self.facts.values())).channels


def examine(data: DataList, progress: Progress | None = None) -> Checked:
    """Reads every case.

    Raises:
        FdifError: files are missing or cannot be read, do not fit each other, or hold no numbers or other labels than
            the list has; a diagnostic for each, and of many the first ten.
    """
    cases = [*data.cases, *data.held_out]
    if not cases:
        raise FdifError(Diagnostic("E0909", "the data set has no cases", where=str(data.path),
                                   hint="list them, or put their files into imagesTr and labelsTr"))
    known = None if data.classes is None else len(data.classes)
    facts: dict[str, Facts] = {}
    mistakes: list[Diagnostic] = []
    with unsaid():
        looks = ahead(lambda case: _look(case, known), cases)
        for done, (case, found) in enumerate(zip(cases, looks, strict=True), 1):
            if isinstance(found, Facts):
                facts[case.name] = found
            else:
                mistakes.extend(found)
            if progress is not None:
                progress(done, len(cases))
    if not mistakes:
        mistakes.extend(_together(data, facts))
    _raise_first(mistakes)
    if data.classes is None:
        last = max(max(f.voxels) for f in facts.values())
        data = replace(data, classes=("background", *map(str, range(1, last + 1))))
    return Checked(data, facts)


def _raise_first(mistakes: Sequence[Diagnostic]) -> None:
    if len(mistakes) > _SHOWN:
        more = len(mistakes) - _SHOWN
        mistakes = [*mistakes[:_SHOWN], Diagnostic(
            "E0949", f"and {more} more {'mistake' if more == 1 else 'mistakes'} in this data set",
            hint="mend these first; the others may have the same cause")]
    if mistakes:
        raise FdifError(*mistakes)


def _look(case: Case, classes: int | None) -> Facts | list[Diagnostic]:
    """What a case is like, or all that is wrong with it."""
    mistakes: list[Diagnostic] = []

    def attempt(read: Callable[[], Stored]) -> Stored | None:
        try:
            return read()
        except FdifError as error:
            mistakes.extend(error.diagnostics)
            return None

    label = attempt(lambda: read_volume(case.label))
    spacing, channels = (1.0, 1.0, 1.0), 0
    content = blake2b(digest_size=16)
    for path in case.images:
        image = attempt(lambda path=path: read_volume(path))  # type: ignore[misc]
        if image is None:
            continue
        spacing, channels = image.spacing, channels + len(image.voxels)
        if image.voxels.dtype.kind == "f" and not np.isfinite(image.voxels).all():
            bad = int((~np.isfinite(image.voxels)).sum())
            mistakes.append(Diagnostic(
                "E0915", "an image holds voxels that are no numbers", where=str(path),
                why=f"{bad} of {image.voxels.size} are NaN or infinite", hint="replace them, for example by the lowest "
                "grey level of the image"))
        if label is not None:
            mistakes.extend(_fit(case, str(path), image, label))
        for channel in image.upright():
            content.update(repr(channel.shape).encode())
            content.update(np.ascontiguousarray(channel, np.float32).tobytes())
    counts: Mapping[int, int] = {}
    if label is not None:
        counts, wrong = _labels(str(case.label), label.voxels, classes)
        mistakes.extend(wrong)
    return mistakes or Facts(channels, spacing, counts, content.digest())


def _fit(case: Case, path: str, image: Stored, label: Stored) -> list[Diagnostic]:
    """What keeps an image and its label from being one case."""
    shape, wanted = image.voxels.shape[1:], label.voxels.shape[1:]
    if shape != wanted:
        return [Diagnostic("E0913", "an image and its label differ in shape", where=path,
                           why=f"the image has {_by(shape)} voxels, and {case.label} has {_by(wanted)}",
                           hint="give the label that was drawn on this image")]
    # How far the affines put the same corner apart, in voxels.
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in shape])).reshape(3, -1)
    apart = (image.affine - label.affine)[:3] @ np.vstack([corners, np.ones(8)])
    farthest = float(np.sqrt((apart**2).sum(0)).max())
    if farthest > 0.5 * min(image.spacing):
        return [Diagnostic("E0914", "an image and its label lie in different places", where=path,
                           why=f"by their headers, the same voxel of {case.label} is up to {farthest:.3g} mm away",
                           hint="if the voxels do belong together, copy the header of the image into the label")]
    return []


def _labels(path: str, voxels: np.ndarray, classes: int | None) -> tuple[dict[int, int], list[Diagnostic]]:
    """How many voxels each label has, and what is wrong with them."""

    def wrong(title: str, why: str, hint: str) -> tuple[dict[int, int], list[Diagnostic]]:
        return {}, [Diagnostic("E0916", title, where=path, why=why, hint=hint)]

    if len(voxels) != 1:
        return wrong("a label has several channels", f"it has {len(voxels)}", "give a file with one class a voxel")
    flat = voxels.reshape(-1)
    if flat.dtype.kind == "f":
        odd = flat[~np.isfinite(flat) | (flat != np.rint(flat))]
        if odd.size:
            return wrong("a label holds values that are no classes", f"{odd[0]:g} is no whole number",
                         "labels are whole numbers from 0; resample labels by nearest neighbour")
    most = MOST if classes is None else classes - 1
    low, high = int(flat.min()), int(flat.max())
    if low < 0 or high > most:
        have = f"the list has classes 0 to {most}" if classes is not None else f"classes are 0 to {most}"
        return wrong("a label holds a class that the data set does not have",
                     f"it holds {high if high > most else low}, and {have}",
                     "add the class to the list, or correct the label")
    counts = np.bincount(flat.astype(np.int64))
    return {int(value): int(counts[value]) for value in np.flatnonzero(counts)}, []


def _together(data: DataList, facts: Mapping[str, Facts]) -> list[Diagnostic]:
    """What is wrong with cases that are each in order."""
    mistakes = _twice(data, facts)
    counts = [f.channels for f in facts.values()]
    usual = max(set(counts), key=counts.count)
    mistakes += [Diagnostic(
        "E0917", f"a case has {f.channels} {'channel' if f.channels == 1 else 'channels'}, and others have {usual}",
        where=f"{data.path}: {name}", why="the network's input has one number of channels",
        hint="give each case all of its channels, in the same order")
        for name, f in facts.items() if f.channels != usual]
    there = {value for f in facts.values() for value in f.voxels if value}
    if not there:
        mistakes.append(Diagnostic("E0918", "no case has a label", where=str(data.path),
                                   why="every voxel of every label file is 0, background",
                                   hint="check that the list names the labels, and not other files"))
    elif data.classes is None:
        gaps = sorted(set(range(1, max(there))) - there)
        if gaps:
            mistakes += labels_wrong(data.path, f"the files hold labels up to {max(there)}, and none holds {gaps[0]}; "
                                     "the list does not name them", "number the classes anew, or name all of them in "
                                     'the list: "labels": {"0": "background", "1": "liver"}').diagnostics
    return mistakes


def _twice(data: DataList, facts: Mapping[str, Facts]) -> list[Diagnostic]:
    """Cases whose images show the same, whatever their files are called and however they are stored."""
    mistakes = []
    first: dict[bytes, tuple[Case, str]] = {}
    parts = [*((case, "training") for case in data.cases), *((case, "validation") for case in data.held_out)]
    for case, part in parts:
        before, its = first.setdefault(facts[case.name].content, (case, part))
        if before is case:
            continue
        title, why, hint = (
            ("a case is trained on and scored", "its score would be of what the network has seen", "take it off one of "
             "the lists") if its != part else
            (f"a case stands twice in `{part}`", "one of the two could be trained on and the other scored", "take one "
             "of them off the list"))
        mistakes.append(Diagnostic(
            "E0926", title, where=f"{data.path}: {before.name} ({its}) and {case.name} ({part})",
            why=f"{before.images[0]} and {case.images[0]} show the same image; {why}", hint=hint))
    return mistakes


def _by(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))
