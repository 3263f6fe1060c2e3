"""The folder of a data set: what lies in it, and what a run adds.

    manifest.jsonl                  what the data set is, and what was there when a run last began or ended
    .fdif/part-003-of-016.jsonl     what the run of that shard has written since
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

from fdif_dsl.compiler.support.files import LOCK, remove_leftovers
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError
from fdif_dsl.runtime.datasets.holding import Holding, part
from fdif_dsl.runtime.datasets.manifest import MANIFEST, Manifest, read_manifest, read_part
from fdif_dsl.runtime.datasets.plan import Plan
from fdif_dsl.runtime.datasets.record import Case, Record
from fdif_dsl.runtime.datasets.shard import Shard

INSIDE = ".fdif"
_SHOWN = 60  # characters of a value in a message


class Folder:
    """The folder of a plan, for the run of one shard. Used as a context, it gives up what it holds at the end."""

    def __init__(self, directory: Path, plan: Plan, shard: Shard) -> None:
        self.directory, self.plan = directory, plan
        self._inside = directory / INSIDE
        self._holding = Holding(directory, self._inside, shard)
        self._part = part(self._inside, shard, "jsonl")
        self._notes: TextIO | None = None

    def __enter__(self) -> Folder:
        return self

    def __exit__(self, *_: object) -> None:
        if self._notes is not None:
            with suppress(OSError):  # what could not be written has been told
                self._notes.close()
        self._holding.release()

    def begin(self, overwrite: bool) -> Mapping[Case, Record]:
        """Takes the folder for this run and returns what it holds. A list of fewer cases than planned goes.

        Raises:
            FdifError: where another run works on it, or it holds something else or more.
            OSError: where it cannot be written.
        """
        _claim(self.directory)
        self._inside.mkdir(parents=True, exist_ok=True)
        with self._holding.alone():
            others = self._holding.take()
            try:
                return self._take_over(overwrite, bool(others))
            except BaseException:
                self._holding.leave()
                raise

    def note(self, record: Record) -> None:
        """Writes down that a case lies there."""
        try:
            if self._notes is None:
                self._notes = self._part.open("a", encoding="utf-8")
                if self._notes.tell():  # a run before this one may have ended within a line
                    self._notes.write("\n")
            self._notes.write(record.line() + "\n")
            self._notes.flush()
        except OSError as error:
            error.filename = str(self._part)
            raise

    def finish(self, write_lists: Callable[[Sequence[Record]], Mapping[str, str]]) -> tuple[int, bool]:
        """Ends the run. Returns how many cases of the plan are missing, and whether the data set is whole.

        Where none is missing and nobody else is at work, it becomes so: `write_lists` writes what names all cases, and
        returns its checksums.
        """
        with self._holding.alone():
            self._holding.leave()
            records = self._records(read_manifest(self.directory))
            missing = self.plan.count - len(records)
            whole = missing == 0 and not self._holding.others()
            if whole:
                self._tidy()
                lists = write_lists([records[case] for case in self.plan.cases()])
                Manifest(self.plan.identity(), self.plan.counts, records, lists).write(self.directory)
                self._forget_parts()
                self._holding.clear()
            return missing, whole

    def _take_over(self, overwrite: bool, others: bool) -> Mapping[Case, Record]:
        """Makes one of what earlier runs left, unless others are at work on it."""
        if overwrite:
            self._empty()
        found = read_manifest(self.directory)
        if found is not None:
            self._compare(found, others)
        records = self._records(found)
        if others:
            return records
        self._tidy()
        grows = found is None or found.counts != self.plan.counts
        if found is not None and grows:
            self._remove(found.lists or ())
        if found is None or grows or _parts(self._inside):
            lists = None if found is None or grows else found.lists
            Manifest(self.plan.identity(), self.plan.counts, records, lists).write(self.directory)
        self._forget_parts()
        return records

    def _records(self, found: Manifest | None) -> dict[Case, Record]:
        return _all_records(self._inside, found)

    def _forget_parts(self) -> None:
        for path in _parts(self._inside):
            path.unlink()

    def _compare(self, found: Manifest, others: bool) -> None:
        """Raises `FdifError` unless this run goes on with what is there."""
        theirs, ours = _flat(found.identity), _flat(self.plan.identity())
        different = [key for key in {**theirs, **ours} if theirs.get(key) != ours.get(key)]
        if different:
            key = different[0]
            more = f"; and {len(different) - 1} more" if len(different) > 1 else ""
            raise FdifError(Diagnostic(
                "E0881", f"{self.directory} holds another data set",
                why=f"{key} is {_shown(theirs.get(key))} there, and here {_shown(ours.get(key))}{more}",
                hint="name another folder, or make it anew with --overwrite"))
        for split, count in self.plan.counts.items():
            if found.counts.get(split, 0) > count:
                raise FdifError(Diagnostic(
                    "E0882", f"{self.directory} is to have {found.counts[split]} volumes for {split}, not {count}",
                    why="an earlier run was asked for so many", hint="ask for as many or more, name another folder, or "
                    "make it anew with --overwrite"))
        if others and found.counts != self.plan.counts:
            raise FdifError(Diagnostic(
                "E0882", f"{self.directory} is to have {sum(found.counts.values())} volumes, not {self.plan.count}",
                why="other runs are at work on it", hint="ask for the same volumes in each shard"))

    def _tidy(self) -> None:
        """Removes what runs, and workers of this one, were about to write when they were killed."""
        for folder in (self.directory, *(p for p in self.directory.iterdir() if p.is_dir())):
            remove_leftovers(folder, seconds=0)

    def _empty(self) -> None:
        """Removes what an earlier data set put there."""
        try:
            found = read_manifest(self.directory)
        except FdifError:
            found = None
        cases = {path for record in self._records(found).values() for path in record.files}
        # Where there is no manifest to say it, what has the names of cases.
        cases.update(path.relative_to(self.directory).as_posix() for folder in self.plan.folders()
                     for path in (self.directory / folder).glob("case_*"))
        self._remove([*cases, *(found.lists or () if found else ()), MANIFEST])
        self._forget_parts()
        for folder in {path.partition("/")[0] for path in cases}:
            with suppress(OSError):  # not empty
                (self.directory / folder).rmdir()

    def _remove(self, paths: Iterable[str]) -> None:
        for path in paths:
            (self.directory / path).unlink(missing_ok=True)


def read_folder(directory: Path) -> Manifest:
    """All that a data set has, with what runs have added that did not end.

    Raises:
        FdifError: where there is no data set.
    """
    found = read_manifest(directory)
    if found is None:
        inside = sorted(p.parent.name for p in directory.glob(f"*/{MANIFEST}"))
        raise FdifError(Diagnostic(
            "E0886", f"{directory} holds no data set of fdifc", why=f"it has no {MANIFEST}",
            hint=f"there is one in {directory / inside[0]}" if inside else "name the folder of a data set"))
    return replace(found, records=_all_records(directory / INSIDE, found))


def _all_records(inside: Path, found: Manifest | None) -> dict[Case, Record]:
    records = dict(found.records) if found else {}
    for path in _parts(inside):
        records |= read_part(path)
    return records


def _parts(inside: Path) -> list[Path]:
    return sorted(inside.glob("part-*.jsonl"))


def _claim(directory: Path) -> None:
    """Raises `FdifError` where something else lies in the folder."""
    if directory.exists() and not directory.is_dir():
        raise FdifError(Diagnostic("E0803", f"{directory} is a file, and a folder is to go there",
                                   hint="name another folder with -o"))
    if directory.is_dir() and not (directory / INSIDE).is_dir() and any(p.name != LOCK for p in directory.iterdir()):
        raise FdifError(Diagnostic(
            "E0804", f"{directory} holds files of something else", why="it is not empty, and no data set of fdifc",
            hint="name a new or empty folder with -o"))


def _flat(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested tables as one, with names like `placement.shear`."""
    out: dict[str, Any] = {}
    for key, value in data.items():
        out |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return out


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN - 3]}..."
