"""Makes a data set, or a shard of it: what is missing is rendered and written, then the lists."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from fdif_dsl.compiler.support.files import write_text
from fdif_dsl.compiler.support.progress import Progress
from fdif_dsl.runtime.datasets.card import CARD, card
from fdif_dsl.runtime.datasets.case import Job
from fdif_dsl.runtime.datasets.folder import Folder
from fdif_dsl.runtime.datasets.manifest import digest
from fdif_dsl.runtime.datasets.pictures import OVERVIEW, PICTURE, draw_summary, draw_volumes
from fdif_dsl.runtime.datasets.plan import Plan
from fdif_dsl.runtime.datasets.record import Case, Record
from fdif_dsl.runtime.datasets.room import check_room
from fdif_dsl.runtime.datasets.shard import WHOLE, Shard
from fdif_dsl.runtime.datasets.summary import SUMMARY, summarise
from fdif_dsl.runtime.scenes.sampler_definition import object_count
from fdif_dsl.runtime.streams.ahead import ahead

Engine = Callable[[Job, Iterable[Case]], Iterable[Record]]
"""Makes cases, in any order."""
Bar = Callable[[str], AbstractContextManager[Progress]]
"""Shows how far some work is, by its name."""


@contextmanager
def silent(what: str) -> Iterator[Progress]:
    """Shows nothing."""
    yield lambda done, total: None


@dataclass(frozen=True)
class Outcome:
    """What a run did: cases that were there, cases made, and in how many seconds; how many of the whole data set are
    still missing, which other shards are to make; whether it is whole, with its lists; and of the cases made, how many
    objects of each class have no voxel since their distance is NaN, how many objects were drawn, and how many of those
    found no place."""

    kept: int
    made: int
    seconds: float
    missing: int
    whole: bool
    lost: Mapping[str, int]
    drawn: int
    left_out: int


def on_threads(job: Job, cases: Iterable[Case]) -> Iterator[Record]:
    """Makes several cases at a time in this process, each on one thread: one renders while another one compresses."""
    return ahead(job.make, cases)


def write(plan: Plan, directory: Path, *, shard: Shard = WHOLE, overwrite: bool = False,
          engine: Engine = on_threads, bar: Bar = silent) -> Outcome:
    """Makes the cases of a shard that the folder lacks, and what is damaged; whoever makes the last writes the lists.

    A case is kept where its files have the checksums that were noted when they were written.

    Raises:
        FdifError: where the plan does not fit its format, or the folder is taken or holds something else.
        OSError: where the folder cannot be written; what is there then is whole, and another run goes on from it.
    """
    plan.form.check(plan)  # a mistake is told before anything is touched
    check_room(plan, directory, shard)
    job = Job(plan, directory)
    with Folder(directory, plan, shard) as folder:
        records = folder.begin(overwrite)
        count = shard.size(plan.count)
        sound = _sound(job, shard, records, bar)
        # One by one, so that no list grows with a count.
        missing = (case for place, case in enumerate(plan.cases()) if shard.has(place) and case not in sound)
        for name in plan.folders():
            (directory / name).mkdir(exist_ok=True)
        start, lost, drawn, placed = time.monotonic(), Counter[str](), 0, 0
        with bar("volumes") as advance:
            done = len(sound)
            advance(done, count)
            for record in engine(job, missing) if done < count else ():
                folder.note(record)
                lost.update(record.lost)
                drawn += object_count(plan.recipe, plan.seed, record.case.index)
                placed += len(record.objects)
                done += 1
                advance(done, count)
        seconds = time.monotonic() - start
        left, whole = folder.finish(lambda all_records: _write_lists(plan, directory, all_records))
    return Outcome(len(sound), count - len(sound), seconds, left, whole, lost, drawn, drawn - placed)


def _sound(job: Job, shard: Shard, records: Mapping[Case, Record], bar: Bar) -> set[Case]:
    """The cases of a shard that are there, as they were written."""
    places = {case: job.plan.place(case) for case in records}
    there = [case for case, place in places.items() if place is not None and shard.has(place)]
    sound = set()
    if there:
        with bar("checking") as advance:
            for done, (case, lacks) in enumerate(ahead(lambda c: (c, job.lacks(records[c])), there)):
                if not lacks:
                    sound.add(case)
                advance(done + 1, len(there))
    return sound


def _write_lists(plan: Plan, directory: Path, records: Sequence[Record]) -> dict[str, str]:
    """Writes what belongs to the data set as a whole, and returns the checksums. The lists of the format come last,
    since a reader who finds them takes the data set for whole."""
    found = summarise(plan, records)
    draw_volumes(plan, directory / OVERVIEW)
    draw_summary(plan, found, directory / PICTURE)
    texts = {SUMMARY: found.to_json(), CARD: card(plan, found), **plan.sources, **plan.form.lists(plan, records)}
    for name, text in texts.items():
        write_text(directory / name, text)
    return {name: digest((directory / name).read_bytes()) for name in (OVERVIEW, PICTURE, *texts)}
