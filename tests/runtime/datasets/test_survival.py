"""Kills, full disks, lost workers and two runs at once: what comes out is the same, or there is one clear message."""

from __future__ import annotations

import errno
import io
import os
import re
import signal
import time
import tracemalloc
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fdif_dsl.compiler.support import files
from fdif_dsl.compiler.support.locks import attempt
from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.runtime.datasets import distributed
from fdif_dsl.runtime.datasets.case import Job
from fdif_dsl.runtime.datasets.shard import Shard
from fdif_dsl.runtime.datasets.write import write

COUNT = 120


def wait_for_cases(out: Path, cases: int, process: Any) -> bool:
    """Whether so many cases were there before the process ended."""
    while process.poll() is None:
        folder = out / "labelsTr"
        if folder.is_dir() and sum(p.name.startswith("case") for p in folder.iterdir()) >= cases:
            return True
        time.sleep(0.001)
    return False


def test_killed_at_any_moment_and_resumed(fdifc: Any, plan: Any, contents: Any, tmp_path: Path) -> None:
    write(plan("monai", COUNT), tmp_path / "whole")
    kills = np.random.default_rng(int.from_bytes(os.urandom(4))).integers(0, COUNT, 4)
    for at in [*sorted(kills.tolist()), None]:
        process = fdifc("--count", COUNT, "-o", tmp_path / "set")
        if at is not None and wait_for_cases(tmp_path / "set", at, process):
            process.kill()
        _, said = process.communicate(timeout=120)
        assert process.returncode in (-signal.SIGKILL, 0), said
    assert process.returncode == 0 and contents(tmp_path / "set") == contents(tmp_path / "whole"), kills


def test_a_note_that_was_cut_off(plan: Any, contents: Any, tmp_path: Path) -> None:
    """What a kill or a full disk may leave: half a line, a file without a note, a temporary file."""
    write(plan("monai", 5), tmp_path / "whole")
    out = tmp_path / "set"
    write(plan("monai", 5), out, shard=Shard(1, 2))
    part = out / ".fdif" / "part-001-of-002.jsonl"
    part.write_text(part.read_text()[:-40])
    (out / "labelsTr" / ".0123abcd-case_00001.nii.gz").write_bytes(b"half")
    (out / ".0123abcd-manifest.jsonl").write_bytes(b"half")
    (out / ".fdif" / "part-001-of-002.lock").touch()
    outcome = write(plan("monai", 5), out)
    assert (outcome.kept, outcome.made, outcome.missing) == (2, 3, 0)
    assert contents(out) == contents(tmp_path / "whole")


def test_a_note_that_was_cut_off_while_another_shard_is_at_work(plan: Any, contents: Any, tmp_path: Path) -> None:
    """Then notes are not joined to the manifest, and the shard's go on behind the half line."""
    write(plan("monai", 6), tmp_path / "whole")
    out = tmp_path / "set"
    write(plan("monai", 6), out, shard=Shard(1, 2))
    part = out / ".fdif" / "part-001-of-002.jsonl"
    part.write_text(part.read_text()[:-40])
    lock = attempt(out / ".fdif" / "part-002-of-002.lock")
    assert lock is not None
    assert write(plan("monai", 6), out, shard=Shard(1, 2)).missing == 3
    lock.release()
    assert write(plan("monai", 6), out, shard=Shard(2, 2)).missing == 0
    assert contents(out) == contents(tmp_path / "whole")


def test_a_worker_that_was_killed_within_a_file(plan: Any, contents: Any, tmp_path: Path) -> None:
    """Another one makes the case, and what the first one left goes."""
    write(plan("monai", 3), tmp_path / "whole")
    out = tmp_path / "set"

    def engine(job: Job, cases: Any) -> Iterator[Any]:
        (out / "labelsTr" / ".0123abcd-case_00001.nii.gz").write_bytes(b"half")
        yield from map(job.make, cases)

    assert write(plan("monai", 3), out, engine=engine).whole
    assert contents(out) == contents(tmp_path / "whole")


def test_a_full_disk(plan: Any, contents: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, out = tmp_path / "whole", tmp_path / "set"
    write(plan("monai", 6), whole)

    class Full(io.FileIO):
        """Half of it finds room."""

        def write(self, data: Any) -> int:
            super().write(data[: len(data) // 2])
            raise OSError(errno.ENOSPC, "No space left on device", str(self.name))

    def opened(path: Path, mode: str, **more: Any) -> Any:
        if path.name.endswith("case_00003.nii.gz"):
            return Full(path, mode)
        return open(path, mode, **more)  # noqa: PTH123 (Path.open knows no opener)

    monkeypatch.setenv("FDIF_THREADS", "2")
    with monkeypatch.context() as patch:
        patch.setattr(files, "open", opened, raising=False)
        with pytest.raises(OSError) as caught:
            write(plan("monai", 6), out)
    assert caught.value.filename == str(out / "imagesTr" / "case_00003.nii.gz")  # as the user knows it
    left = contents(out)
    assert all(left[path] == there for path, there in contents(whole).items() if path in left and "case" in path)
    assert not [path for path in left if path.rpartition("/")[2].startswith(".") or path == "datalist.json"]
    write(plan("monai", 6), out)
    assert contents(out) == contents(whole)


def test_more_volumes_than_there_is_room_for(fdifc: Any, plan: Any, tmp_path: Path) -> None:
    """It is said at once what they need, by the size of the first, and nothing is written."""
    out = tmp_path / "deep" / "set"
    run = fdifc("--count", 10**12, "-o", out)
    _, said = run.communicate(timeout=60)
    title, where, why, hint = said.splitlines()
    write(plan("monai", 1), tmp_path / "one")
    size = sum(p.stat().st_size for p in (tmp_path / "one").rglob("case_*"))
    assert run.returncode == 1
    assert re.fullmatch(rf"error\[E0888\]: 1000000000000 volumes need about {size / 1e3:.1f} PB, and "
                        rf"{re.escape(str(tmp_path))} has [0-9.]+ [TGM]B free", title)
    assert (where, why) == (f"  --> {out}", f"  why: the first of them has {size / 1e3:.1f} kB")
    assert hint == "  hint: ask for fewer volumes, free some space, or name a folder elsewhere with -o"
    assert not out.parent.exists()


@pytest.mark.parametrize("shard", [Shard(), Shard(2, 3)])
def test_a_plan_does_not_grow_with_its_count(
        plan: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shard: Shard) -> None:
    monkeypatch.setattr("fdif_dsl.runtime.datasets.write.check_room", lambda *_: None)
    made: list[str] = []

    def engine(job: Job, cases: Any) -> Iterator[Any]:
        for case in cases:
            if len(made) == 3:
                raise KeyboardInterrupt
            made.append(case.name)
            yield job.make(case)

    for first in (0, 3):  # the second run goes on from the first
        made.clear()
        tracemalloc.start()
        try:
            with pytest.raises(KeyboardInterrupt):
                write(plan("monai", 10**9), tmp_path / "set", shard=shard, engine=engine)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert made == [f"case_{shard.number - 1 + shard.of * i:05d}" for i in range(first, first + 3)]
        assert peak < 50e6


def test_two_runs_at_once(fdifc: Any, plan: Any, contents: Any, tmp_path: Path) -> None:
    out = tmp_path / "set"
    first = fdifc("--count", 5000, "-o", out)
    try:
        assert wait_for_cases(out, 1, first)
        for shard in (Shard(), Shard(1, 2)):
            with pytest.raises(FdifError) as caught:
                write(plan("monai", 5000), out, shard=shard)
            assert str(caught.value) == f"""\
error[E0883]: another run is writing into {out}
  hint: wait until it ends; or give each of several runs its share of the volumes, with --shard"""
        assert first.poll() is None, "it went on"
    finally:
        first.kill()
        first.communicate()


def test_shards_at_once(fdifc: Any, plan: Any, contents: Any, tmp_path: Path) -> None:
    """Whoever ends last writes the lists, and exactly one does."""
    write(plan("monai", 40), tmp_path / "whole")
    out = tmp_path / "set"
    runs = [fdifc("--count", 40, "-o", out, "--shard", f"{k}/3") for k in (1, 2, 3)]
    said = [run.communicate(timeout=120) for run in runs]
    assert [run.returncode for run in runs] == [0, 0, 0], said
    assert contents(out) == contents(tmp_path / "whole")


def test_a_shard_that_is_at_work_elsewhere(plan: Any, tmp_path: Path) -> None:
    out = tmp_path / "set"
    write(plan("monai", 6), out, shard=Shard(1, 2))
    lock = attempt(out / ".fdif" / "part-001-of-002.lock")
    assert lock is not None
    try:
        for shard, count in ((Shard(1, 2), 6), (Shard(2, 3), 6), (Shard(), 6)):
            with pytest.raises(FdifError, match="another run is writing"):
                write(plan("monai", count), out, shard=shard)
        with pytest.raises(FdifError) as caught:
            write(plan("monai", 8), out, shard=Shard(2, 2))
        assert str(caught.value) == f"""\
error[E0882]: {out} is to have 6 volumes, not 8
  why: other runs are at work on it
  hint: ask for the same volumes in each shard"""
        # The other half is made meanwhile, but the lists wait for the one that is at work.
        outcome = write(plan("monai", 6), out, shard=Shard(2, 2))
        assert (outcome.missing, outcome.whole) == (0, False)
        assert not (out / "datalist.json").exists()
    finally:
        lock.release()
    assert write(plan("monai", 6), out, shard=Shard(1, 2)).whole
    assert (out / "datalist.json").exists()


def test_one_shard_goes_on_from_another_division(plan: Any, contents: Any, tmp_path: Path) -> None:
    write(plan("monai", 9), tmp_path / "whole")
    out = tmp_path / "set"
    write(plan("monai", 9), out, shard=Shard(2, 3))
    write(plan("monai", 9), out, shard=Shard(1, 2))
    outcome = write(plan("monai", 9), out)
    assert (outcome.kept, outcome.made) == (7, 2)  # cases 1, 4, 7 and 0, 2, 4, 6, 8 were there
    assert contents(out) == contents(tmp_path / "whole")


def test_several_workers_make_the_same(fdifc: Any, plan: Any, contents: Any, tmp_path: Path) -> None:
    """A cluster of two processes, one of which is killed on the way."""
    psutil = pytest.importorskip("psutil")
    pytest.importorskip("distributed")
    count = 400
    write(plan("monai", count), tmp_path / "whole")
    out = tmp_path / "set"
    run = fdifc("--count", count, "-o", out, "--scheduler", "local", "--workers", 2)
    assert wait_for_cases(out, count // 4, run), run.communicate()
    workers = [p for p in psutil.Process(run.pid).children(recursive=True) if "spawn_main" in " ".join(p.cmdline())]
    assert len(workers) == 2
    workers[0].kill()
    said, complaints = run.communicate(timeout=120)
    assert run.returncode == 0, complaints
    assert complaints == "" and said.startswith(f"{count} volumes in {out}: {count} made, ")
    assert contents(out) == contents(tmp_path / "whole")


@pytest.mark.parametrize("engine", [[], ["--scheduler", "local", "--workers", 2]], ids=["threads", "cluster"])
def test_ctrl_c(engine: list[Any], fdifc: Any, tmp_path: Path) -> None:
    """It reaches every process, and there is one line about it."""
    pytest.importorskip("distributed")
    out = tmp_path / "set"
    run = fdifc("--count", 5000, "-o", out, *engine)
    assert wait_for_cases(out, 1, run), run.communicate()
    os.killpg(run.pid, signal.SIGINT)
    said = run.communicate(timeout=60)
    assert (run.returncode, *said) == (130, "", "interrupted\n")
    assert not list(out.rglob(".????????-*"))


def test_no_scheduler_there(fdifc: Any, tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    run = fdifc("--count", 3, "-o", tmp_path / "set", "--scheduler", "lokal")
    assert run.communicate(timeout=60)[1] == """\
error[E0931]: no scheduler answers at lokal
  --> --scheduler
  why: missing port number in address 'lokal'
  hint: give the address that `dask scheduler` printed, such as tcp://10.0.0.1:8786, or `local`
"""
    assert not (tmp_path / "set").exists()


@pytest.fixture
def client() -> Iterator[Any]:
    """A cluster of threads of this process."""
    dask = pytest.importorskip("distributed")
    with dask.LocalCluster(n_workers=1, threads_per_worker=1, processes=False,
                           dashboard_address="127.0.0.1:0") as local, dask.Client(local) as one:
        yield one


def test_a_worker_that_does_not_see_the_folder(client: Any, plan: Any, tmp_path: Path) -> None:
    made = plan("monai", 3)
    with pytest.raises(FdifError) as caught:
        list(distributed._make(client, Job(made, tmp_path / "elsewhere"), list(made.cases())))
    said = str(caught.value)
    assert said.startswith(f"error[E0933]: a worker of the cluster does not see {tmp_path / 'elsewhere'}\n  why: ")
    assert said.endswith("\n  hint: put the data set on a file system that all of them share")


def test_workers_that_end_again_and_again(
        client: Any, plan: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from distributed.scheduler import KilledWorker

    def die(job: Job, case: Any) -> Any:
        raise KilledWorker(f"task of {case.name}", SimpleNamespace(address="tcp://10.0.0.2:5000"), 3)

    monkeypatch.setattr(distributed, "_one", die)
    made = plan("monai", 1)
    with pytest.raises(FdifError) as caught:
        list(distributed._make(client, Job(made, tmp_path), list(made.cases())))
    assert str(caught.value) == """\
error[E0932]: workers of the cluster end again and again
  why: task of case_00000
  hint: their logs say why; too little memory is the usual reason. What is done is kept: the same command goes on"""


@pytest.mark.parametrize(("theirs", "said"), [("0.0.9", "fdif-dsl 0.0.9"), (None, "no fdif-dsl")])
def test_workers_of_another_version(theirs: str | None, said: str) -> None:
    versions = {"workers": {"tcp://10.0.0.2:5000": {"packages": {"fdif_dsl": theirs}}}}
    with pytest.raises(FdifError) as caught:
        distributed._compare_versions(SimpleNamespace(get_versions=lambda packages: versions))
    assert str(caught.value) == f"""\
error[E0934]: the worker at tcp://10.0.0.2:5000 has {said}
  why: this is fdif-dsl {version("fdif-dsl")}
  hint: install the same version in the environment of the workers"""


def test_workers_of_the_same_version(client: Any) -> None:
    distributed._compare_versions(client)


def test_without_dask(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(FdifError) as caught, distributed.cluster("local"):
        pass
    assert str(caught.value) == """\
error[E0930]: --scheduler needs the package distributed, which is not installed
  hint: pip install 'fdif-dsl[distributed]'"""
