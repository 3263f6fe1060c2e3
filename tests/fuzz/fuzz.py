"""Makes programs and damaged files and looks whether anything breaks.

    python tests/fuzz/fuzz.py --count 100000           so many
    python tests/fuzz/fuzz.py --minutes 60 --seed 9    for so long, others than last time
    python tests/fuzz/fuzz.py --only valid:123         one again, with its text: what a failure prints;
                                                       --share 1 compiles it

Each case has a number, and is the same for it on every machine. A failure is an exception that is not ours, more than
two seconds of processor time, 500 MB more memory than before, or back ends that differ.
"""

from __future__ import annotations

import argparse
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import checks
import damaged
import programs

SECONDS = 2.0  # of processor time, for all but what LLVM compiles
MEMORY = 500  # MB
PROGRAMS = {"valid": programs.valid, "changed": programs.changed, "derived": programs.derived}
# How often each kind comes, and of the valid programs that have a value how many are compiled.
SHARES = {"valid": 30, "changed": 30, "derived": 30, "recipe.toml": 2, "scene.json": 2, "scan.nii": 2, "weights.pt": 1,
          "manifest.jsonl": 2, "artefact": 1}
COMPILED = 1 / 300


class Hang(BaseException):
    """Not an Exception, so that nobody on the way takes it for one of theirs."""


@dataclass
class Report:
    done: Counter[str] = field(default_factory=Counter)
    """How many cases of each kind, and how many of them ended how."""
    failures: list[str] = field(default_factory=list)


def cases_done(report: Report) -> int:
    return sum(report.done[kind] for kind in SHARES)


def cases(seed: int, count: int | None) -> Iterator[tuple[str, int]]:
    """Kinds and numbers of cases, without end where there is no count."""
    rng = random.Random(seed)
    kinds, weights = list(SHARES), list(SHARES.values())
    at = 0
    while count is None or at < count:
        yield rng.choices(kinds, weights)[0], seed * 10**9 + at
        at += 1


def case_rng(kind: str, number: int) -> random.Random:
    return random.Random(number ^ zlib.crc32(kind.encode()) << 64)


def text_of(kind: str, number: int) -> str:
    return PROGRAMS[kind](case_rng(kind, number))


def run(kind: str, number: int, files: damaged.Files, share: float = COMPILED) -> str:
    """What became of a case; of the programs with a value, `share` are compiled too. Raises what is wrong."""
    if kind not in PROGRAMS:
        with watched():
            files.damage(kind, case_rng(kind, number))
        return "read or refused"
    text = text_of(kind, number)
    with watched():
        formulas = checks.read(text)
    if formulas is None:
        return "refused"
    if kind == "derived":
        return "right"
    if case_rng("compiled", number).random() < share:
        checks.agree(formulas, number % 2**32, compiled=True)
        return "compiled"
    with watched():
        checks.agree(formulas, number % 2**32, compiled=False)
    return "evaluated"


@contextmanager
def watched() -> Iterator[None]:
    """Raises where the block needs too much processor time or memory."""
    def stop(*_: object) -> None:
        raise Hang(f"more than {SECONDS:g} s of processor time")

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    old = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, old)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    if grown > MEMORY:
        raise checks.Wrong(f"{grown:.0f} MB more memory")


def fuzz(seed: int, count: int | None, seconds: float | None, folder: Path, *, share: float = COMPILED,
         say: bool = False) -> Report:
    """Runs cases until there were enough, or for so long."""
    report, files, begun = Report(), damaged.Files(folder), time.monotonic()
    damaged.library(folder)  # its compiling is no case's
    for kind, number in cases(seed, count):
        if seconds is not None and time.monotonic() - begun > seconds:
            break
        report.done[kind] += 1
        try:
            report.done[f"{kind}: {run(kind, number, files, share)}"] += 1
        except (Exception, Hang, RecursionError) as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{Path(last.filename).name}:{last.lineno}"
            report.failures.append(f"{type(error).__name__}: {str(error)[:300]} ({place})\n"
                                   f"    again: python tests/fuzz/fuzz.py --only {kind}:{number} --share {share:g}")
            if say:
                print(report.failures[-1], flush=True)
        if say and cases_done(report) % 10_000 == 0:
            print(f"{cases_done(report):,} cases, {len(report.failures)} failures", flush=True)
    return report


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--count", type=int, help="how many cases")
    asked.add_argument("--minutes", type=float, help="for how long; 1 without a count")
    asked.add_argument("--share", type=float, default=COMPILED, help="of the valid programs, how many are compiled")
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--only", metavar="KIND:NUMBER", help="one case, with what it says")
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if given.only:
            kind, _, number = given.only.partition(":")
            if kind in PROGRAMS:
                print(text_of(kind, int(number)))
            files = damaged.Files(Path(folder))
            print(run(kind, int(number), files, given.share))
            return
        minutes = given.minutes or (None if given.count else 1.0)
        report = fuzz(given.seed, given.count, minutes and minutes * 60, Path(folder), share=given.share,
                      say=True)
    for what, many in sorted(report.done.items()):
        print(f"{many:10,}  {what}")
    print(f"{len(report.failures):10,}  failures")
    sys.exit(bool(report.failures))


if __name__ == "__main__":
    main()
