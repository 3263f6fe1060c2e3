"""Looking at every case before training starts, so that a mistake costs minutes and not a night."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b

import numpy as np

from fdif_dsl.compiler.support.progress import Progress
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError
from fdif_dsl.runtime.finetuning.data.cases import RENUMBER, Case, DataList, few_of, labels_wrong
from fdif_dsl.runtime.finetuning.data.nifti import Stored, read_label, read_volume, unsaid
from fdif_dsl.runtime.streams.ahead import ahead

MOST = 1024
"""The most classes of a data set; more, and the label is rather a picture than classes."""
_SHOWN = 10  # mistakes
_APART, _NOTICED = 0.5, 0.01
"""How far, in voxels, an image and its label may be apart; and from where on that is worth a warning. Programs write
numbers of headers with five or six digits, which makes thousandths of a voxel."""


@dataclass(frozen=True)
class Facts:
    """`channels` of a case, its `shape` in voxels and their `spacing` in mm (z, y, x), and how many `voxels` each label
    has, as files number them; cases whose images show the same have the same `content`. By their headers, image and
    label are `apart` by so many voxels."""

    channels: int
    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    voxels: Mapping[int, int]
    content: bytes = b""
    apart: float = 0.0


@dataclass(frozen=True)
class Checked:
    """A data list whose every case was read. `facts` has each of them by name; `classes` are all named. `warnings` are
    of what works and is hardly meant."""

    list: DataList
    facts: Mapping[str, Facts]
    warnings: tuple[Diagnostic, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        assert self.list.classes is not None
        return self.list.classes

    @property
    def numbers(self) -> tuple[int, ...]:
        """What files hold for each class."""
        assert self.list.numbers is not None
        return self.list.numbers

    @property
    def renumbered(self) -> bool:
        """Whether files number the classes in another way than the network."""
        return self.numbers != tuple(range(len(self.numbers)))

    @property
    def groups(self) -> tuple[tuple[int, ...], ...]:
        """The places among the classes of all that is learnt and scored: of each region, or of each class alone."""
        return tuple(region.places for region in self.list.regions) or tuple((k,) for k in range(1, len(self.classes)))

    @property
    def scored(self) -> tuple[str, ...]:
        """The names of these."""
        return tuple(region.name for region in self.list.regions) or self.classes[1:]

    @property
    def outputs(self) -> int:
        """How many numbers the network says of a voxel."""
        return len(self.list.regions) or len(self.classes)

    @property
    def channels(self) -> int:
        return next(iter(self.facts.values())).channels


def examine(data: DataList, progress: Progress | None = None, renumber: bool = False) -> Checked:
    """Reads every case. To `renumber` allows for gaps among labels that the list does not name.

    Raises:
        FdifError: files are missing or cannot be read, do not fit each other, or hold no numbers or other labels than
            the list has; a diagnostic for each, and of many the first ten.
    """
    cases = [*data.cases, *data.held_out]
    if not cases:
        raise FdifError(Diagnostic("E0909", "the data set has no cases", where=str(data.path),
                                   hint="list them, or put their files into imagesTr and labelsTr"))
    facts: dict[str, Facts] = {}
    mistakes: list[Diagnostic] = []
    with unsaid():
        looks = ahead(lambda case: _look(case, data.numbers, data.ignore, renumber), cases)
        for done, (case, found) in enumerate(zip(cases, looks, strict=True), 1):
            if isinstance(found, Facts):
                facts[case.name] = found
            else:
                mistakes.extend(found)
            if progress is not None:
                progress(done, len(cases))
    if not mistakes:
        mistakes.extend(_together(data, facts, renumber))
    raise_first(mistakes)
    if data.classes is None:
        numbers = sorted({0}.union(*(f.voxels for f in facts.values())))
        data = replace(data, classes=("background", *map(str, numbers[1:])), numbers=tuple(numbers))
    return Checked(data, facts, _doubtful(cases, facts))


def raise_first(mistakes: Sequence[Diagnostic]) -> None:
    """Raises `FdifError` for mistakes in a data set, if there are any, and of many for the first ten."""
    if len(mistakes) > _SHOWN:
        more = len(mistakes) - _SHOWN
        mistakes = [*mistakes[:_SHOWN], Diagnostic(
            "E0949", f"and {more} more {'mistake' if more == 1 else 'mistakes'} in this data set",
            hint="mend these first; the others may have the same cause")]
    if mistakes:
        raise FdifError(*mistakes)


def _look(case: Case, numbers: Sequence[int] | None, ignore: int | None, renumber: bool) -> Facts | list[Diagnostic]:
    """What a case is like, or all that is wrong with it."""
    mistakes: list[Diagnostic] = []

    def attempt(read: Callable[[], Stored]) -> Stored | None:
        try:
            return read()
        except FdifError as error:
            mistakes.extend(error.diagnostics)
            return None

    label = attempt(lambda: read_label(case.label))
    shape, spacing, channels, apart = (1, 1, 1), (1.0, 1.0, 1.0), 0, 0.0
    content = blake2b(digest_size=16)
    for path in case.images:
        image = attempt(lambda path=path: read_volume(path))  # type: ignore[misc]
        if image is None:
            continue
        shape, spacing, channels = image.shape, image.spacing, channels + len(image.voxels)
        if image.voxels.dtype.kind == "f" and not np.isfinite(image.voxels).all():
            bad = int((~np.isfinite(image.voxels)).sum())
            mistakes.append(Diagnostic(
                "E0915", "an image holds voxels that are no numbers", where=str(path),
                why=f"{bad} of {image.voxels.size} are NaN or infinite", hint="replace them, for example by the lowest "
                "grey level of the image"))
        if label is not None:
            away, wrong = _fit(case, str(path), image, label)
            mistakes.extend(wrong)
            apart = max(apart, away)
        for channel in image.upright():
            content.update(repr(channel.shape).encode())
            content.update(np.ascontiguousarray(channel, np.float32).tobytes())
    counts: Mapping[int, int] = {}
    if label is not None:
        counts, wrong = _labels(str(case.label), label.voxels, numbers, ignore, renumber)
        mistakes.extend(wrong)
    return mistakes or Facts(channels, shape, spacing, counts, content.digest(), apart)


def _fit(case: Case, path: str, image: Stored, label: Stored) -> tuple[float, list[Diagnostic]]:
    """How many voxels an image and its label are apart, and what keeps them from being one case."""
    shape, wanted = image.voxels.shape[1:], label.voxels.shape[1:]
    if shape != wanted:
        return 0.0, [Diagnostic("E0913", "an image and its label differ in shape", where=path,
                                why=f"the image has {_by(shape)} voxels, and {case.label} has {_by(wanted)}",
                                hint="give the label that was drawn on this image")]
    farthest = image.grid.apart(label.grid)
    apart = farthest / min(image.spacing)
    if apart > _APART:
        return apart, [Diagnostic(
            "E0914", "an image and its label lie in different places", where=path,
            why=f"by their headers, the same voxel of {case.label} is up to {farthest:.3g} mm away",
            hint="if the voxels do belong together, copy the header of the image into the label")]
    return apart, []


def _labels(path: str, voxels: np.ndarray, numbers: Sequence[int] | None, ignore: int | None, renumber: bool,
            ) -> tuple[dict[int, int], list[Diagnostic]]:
    """How many voxels each label has, and what is wrong with them. `numbers` are the labels that the list names; voxels
    with the label `ignore` have no class."""
    low, high = int(voxels.min()), int(voxels.max())
    if low >= 0 and high < 2**16:
        counts = np.bincount(voxels.reshape(-1).astype(np.int64))
        found = {int(value): int(counts[value]) for value in np.flatnonzero(counts)}
    else:  # a table of all numbers could be huge
        found = {int(value): int(count) for value, count in zip(*np.unique(voxels, return_counts=True), strict=True)}
    if ignore is not None:
        found.pop(ignore, None)
    if numbers is not None:
        most, strange = max(numbers), sorted(found.keys() - set(numbers))
        counted = list(numbers) == list(range(len(numbers)))
        have = f"the list has classes {f'0 to {most}' if counted else few_of(numbers)}"
    else:
        most = 2**31 - 1 if renumber else MOST
        strange = [value for value in found if not 0 <= value <= most]
        have = f"classes are 0 to {most}"
    if strange:
        return {}, [Diagnostic(
            "E0916", "a label holds a class that the data set does not have", where=path,
            why=f"it holds {strange[-1] if strange[-1] > most else strange[0]}, and {have}",
            hint="add the class to the list, or correct the label" if numbers is not None or renumber or low < 0 else
            "name the classes in the list, or number them anew with data.renumber=true")]
    if len(found) > MOST:
        return {}, [Diagnostic("E0916", "a label holds too many classes", where=path,
                               why=f"it has {len(found)}, and a data set at most {MOST}",
                               hint="check that the list names the label, and not an image")]
    return found, []


def _doubtful(cases: Sequence[Case], facts: Mapping[str, Facts]) -> tuple[Diagnostic, ...]:
    """Warnings of cases that can be used."""
    apart = [case for case in cases if facts[case.name].apart > _NOTICED]
    if not apart:
        return ()
    worst = max(apart, key=lambda case: facts[case.name].apart)
    its = facts[worst.name]
    among = f", in {len(apart)} of {len(cases)} cases" if len(apart) > 1 else ""
    return (Diagnostic(
        "E0928", "the headers of an image and its label differ", where=f"{worst.images[0]} and {worst.label}",
        why=f"they put the same voxel up to {its.apart:.2g} of a voxel apart, {its.apart * min(its.spacing):.2g} mm"
            f"{among}; the image's is used",
        hint="if that is no rounding, the label may have been drawn on another image", warning=True),)


def _together(data: DataList, facts: Mapping[str, Facts], renumber: bool) -> list[Diagnostic]:
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
    elif data.classes is None and len(there) >= MOST:
        mistakes += labels_wrong(data.path, f"the files hold {len(there)} different labels, and a data set has at most "
                                 f"{MOST} classes", "check that the list names the labels, and not images").diagnostics
    elif data.classes is None and not renumber:
        gaps = sorted(set(range(1, max(there))) - there)
        if gaps:
            mistakes += labels_wrong(data.path, f"the files hold labels up to {max(there)}, and none holds {gaps[0]}; "
                                     "the list does not name them", f"{RENUMBER}; or name all of them in the list: "
                                     '"labels": {"0": "background", "1": "liver"}').diagnostics
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
