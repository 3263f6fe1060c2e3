"""The cache of object code: shared by processes, killed, full, read-only, and kept small."""

from __future__ import annotations

import ast
import contextlib
import errno
import multiprocessing
import os
import pty
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from fdif_dsl.compiler.backends.cpu import build, target
from fdif_dsl.compiler.backends.cpu.backend import CpuBackend
from fdif_dsl.compiler.backends.cpu.level import Level
from fdif_dsl.compiler.backends.cpu.target import CPU
from fdif_dsl.compiler.backends.store import cache, objects, store, workers
from fdif_dsl.compiler.backends.store.unit import Unit
from fdif_dsl.compiler.library import Library
from fdif_dsl.compiler.support.locks import attempt

# `units(n)` in a test and in the processes that it starts.
UNITS = '''
from fdif_dsl.compiler.backends.store.unit import Unit
def units(n):
    text = "def kernel(d, f, out, n):\\n    for i in range(n):\\n        out[i] = d[i] + f[%d]\\n"
    return [Unit(f"cached_{k}", text % k, "kernel", "fffn") for k in range(n)]
'''


def units(n: int) -> list[Unit]:
    names: dict[str, Any] = {}
    exec(UNITS, names)
    return list(names["units"](n))


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, for this process and those it starts."""
    monkeypatch.setenv("FDIF_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "_refused", set())
    monkeypatch.setattr(cache, "_spares", [])
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path / "cache"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 KB, which only root can make."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=16k", "none", str(place)]
    try:
        made = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        made = False
    if not made:
        pytest.skip("a file system can only be mounted by root")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def start(code: str, **options: Any) -> subprocess.Popen[str]:
    script = ("import sys, os, time\nfrom fdif_dsl.compiler.backends.cpu.target import CPU\n"
              f"from fdif_dsl.compiler.backends.store import store\n{UNITS}\n{code}")
    return subprocess.Popen([sys.executable, "-P", "-c", script], text=True, stdout=subprocess.PIPE,
                            **{"stderr": subprocess.PIPE} | options)


def finish(process: subprocess.Popen[str]) -> tuple[str, str]:
    out, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    return out, said


def no_compiler(*_: Any) -> Any:
    raise AssertionError("nothing should be compiled")


# Several at once --------------------------------------------------------------------------------


def test_processes_that_start_together_compile_nothing_twice(root: Path, tmp_path: Path) -> None:
    code = ("from pathlib import Path\n"
            "print('ready', flush=True)\n"
            "while not Path(sys.argv[0]).exists(): time.sleep(0.001)\n")
    code = code.replace("sys.argv[0]", repr(str(tmp_path / "go")))
    both = [start(f"{code}print(store.save(CPU, {str(tmp_path / name)!r}, units(8)).compiled)") for name in "ab"]
    for process in both:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    (tmp_path / "go").touch()
    assert sum(int(finish(process)[0]) for process in both) == 8
    assert store.load(CPU, tmp_path / "a") == store.load(CPU, tmp_path / "b")


def test_a_waiting_process_says_so_and_takes_what_arrives(root: Path) -> None:
    wanted = units(2)
    codes = store.build(CPU, wanted)
    objects = {path: path.read_bytes() for path in cache.folder(CPU).glob("*.o")}
    for path in objects:
        path.unlink()
    lock = attempt(cache.folder(CPU) / cache.LOCK)
    assert lock is not None
    process = start("print(sorted(store.build(CPU, units(2))))")
    assert process.stderr is not None
    assert process.stderr.readline() == "fdif-dsl: waiting for another process, which is compiling\n"
    for path, data in objects.items():
        path.write_bytes(data)
    assert finish(process) == (f"{sorted(codes)}\n", "")  # and the lock is still held
    lock.release()


def test_a_killed_process_gives_up_its_turn(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = cache.writable(CPU)
    holder = start(f"from fdif_dsl.compiler.backends.store import cache\n"
                   f"with cache.turn(cache.Path({str(folder)!r}), bool):\n"
                   "    print('held', flush=True)\n"
                   "    time.sleep(600)")
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    assert attempt(folder / cache.LOCK) is None
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    monkeypatch.setattr(cache, "_PATIENCE", 1e9)
    assert len(store.build(CPU, units(1))) == 1


def test_threads_compile_nothing_twice(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []
    compile_unit = build.compile_unit

    def count(unit: Unit, source: Path, level: Level) -> bytes:
        compiled.append(unit.symbol)
        return compile_unit(unit, source, level)

    monkeypatch.setattr(build, "compile_unit", count)
    threads = [threading.Thread(target=store.build, args=(CPU, units(3),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(compiled) == [f"cached_{k}" for k in range(3)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_process_forked_in_the_middle_of_a_turn_gets_its_own(root: Path) -> None:
    store.build(CPU, units(1))
    forked, go = threading.Event(), threading.Event()

    def hold() -> None:
        with cache.turn(cache.folder(CPU), bool):
            go.set()
            forked.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    go.wait()
    child = multiprocessing.get_context("fork").Process(target=store.build, args=(CPU, units(2),))
    child.start()
    forked.set()
    holder.join()
    child.join(60)
    assert child.exitcode == 0
    assert len(cache.find(CPU, (u.symbol for u in units(2)))) == 2


def test_without_locks_it_works_too(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import filelock

    asked = []

    def acquire(self: Any, **_: Any) -> None:
        asked.append(self)
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(filelock.FileLock, "acquire", acquire)
    assert len(store.build(CPU, units(1))) == 1 and asked


def test_a_lock_that_nobody_works_under_is_not_waited_for(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_PATIENCE", 0.3)
    lock = attempt(cache.writable(CPU) / cache.LOCK)
    assert lock is not None
    assert len(store.build(CPU, units(1))) == 1
    lock.release()


# Places that cannot be written ------------------------------------------------------------------

SAVE = "print(*store.save(CPU, os.environ['OUT'], units({})))"


def test_a_read_only_cache_serves_what_it_holds(disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FDIF_CACHE_DIR", str(disk))
    monkeypatch.setenv("OUT", str(tmp_path / "out"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    store.build(CPU, units(1))
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    assert finish(start(SAVE.format(1))) == ("0 1\n", "")
    out, said = finish(start(SAVE.format(2) + "\nstore.build(CPU, units(3))"))
    assert out == "1 1\n"
    assert said == (f"fdif-dsl: kernels cannot be kept in {cache.folder(CPU)} (read-only file system): each process "
                    "compiles them anew; let FDIF_CACHE_DIR name another folder\n")
    assert not list((tmp_path / "tmp").iterdir())


@pytest.mark.parametrize("n", [3, 6], ids=["here", "by workers"])
def test_a_full_disk_is_said_and_worked_around(n: int, disk: Path, tmp_path: Path,
                                               monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FDIF_CACHE_DIR", str(disk))
    monkeypatch.setenv("OUT", str(tmp_path / "out"))
    out, said = finish(start(SAVE.format(n)))
    assert sum(map(int, out.split())) == n and len(store.load(CPU, tmp_path / "out")) == n
    assert said.count("no space left on device") == 1 and "Traceback" not in said
    assert all(objects.read_object(path) for path in disk.rglob("*.o"))
    assert not list(disk.rglob(".[0-9a-f]*-*"))


def test_a_full_disk_everywhere_is_an_error(root: Path, monkeypatch: pytest.MonkeyPatch,
                                            capsys: pytest.CaptureFixture[str]) -> None:
    def write(path: Path, data: bytes, mode: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(store, "write_bytes", write)
    for _ in range(2):
        with pytest.raises(OSError, match="No space left on device"):
            store.build(CPU, units(1))
    assert capsys.readouterr().err.count("\n") == 1


def test_a_cache_that_others_could_write_is_left_alone(root: Path, tmp_path: Path,
                                                       capsys: pytest.CaptureFixture[str]) -> None:
    store.build(CPU, units(1))
    before = {path: path.read_bytes() for path in root.rglob("*.o")}
    assert before and [path for path in root.rglob("*.o") if path.stat().st_mode & 0o022] == []
    root.chmod(0o777)
    for path in before:
        path.write_bytes(b"what would crash if it was called")
    again = store.build(CPU, units(1))
    assert list(again.values()) == [data[:-40] for data in before.values()]
    assert store.build(CPU, units(1)) == again  # from this process's own folder
    assert capsys.readouterr().err == (
        f"fdif-dsl: kernels in {cache.folder(CPU)} are not used, as others could change them: everybody can write to "
        f"`{root}`. Each process compiles them anew; run `chmod go-w {root}`; or, if you trust them, set "
        f"FDIF_TRUST={root}\n")
    assert {path.read_bytes() for path in before} == {b"what would crash if it was called"}


def test_a_file_of_the_cache_that_others_could_write_is_made_anew(root: Path) -> None:
    codes = store.build(CPU, units(1))
    (path,) = root.rglob("*.o")
    path.chmod(0o666)
    assert not cache.find(CPU, codes)
    assert store.build(CPU, units(1)) == codes == cache.find(CPU, codes)


# What stays -------------------------------------------------------------------------------------


def age(path: Path, days: float) -> None:
    then = time.time() - days * 24 * 3600
    os.utime(path, (then, then))


def test_what_nobody_used_for_a_month_goes(root: Path) -> None:
    def make(name: str, days: float) -> Path:
        place = root / "cpu" / name
        place.mkdir(parents=True)
        (place / "kernel.o").touch()
        age(place, days)
        return place

    old, half, recent, foreign = (
        make("0" * 20, 31), make("." + "1" * 20, 0), make("2" * 20, 29), make("measurements", 400))
    store.build(CPU, units(1))
    assert not old.exists() and not half.exists()  # `half` is one whose removal was cut short
    assert recent.exists() and foreign.exists()


def test_use_is_noted(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.build(CPU, units(1))
    age(cache.folder(CPU), 40)
    monkeypatch.setattr(workers, "compile_units", no_compiler)
    store.build(CPU, units(1))
    assert time.time() - cache.folder(CPU).stat().st_mtime < 24 * 3600


def test_halves_of_killed_processes_go(root: Path) -> None:
    place = cache.writable(CPU)
    old, new = place / ".00000000-kernel.o", place / ".11111111-kernel.o"
    for path in (old, new):
        path.touch()
    age(old, 0.1)
    store.build(CPU, units(1))
    assert not old.exists() and new.exists()  # the new one may be somebody's at this moment


# What is said -----------------------------------------------------------------------------------


def test_the_first_use_is_told_in_one_line(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store.build(CPU, units(1))  # too few to tell
    store.build(CPU, units(6), workers=1)
    store.build(CPU, units(6))
    assert capsys.readouterr().err == "fdif-dsl: compiling 5 kernels, once\n"
    told: list[int] = []
    store.build(CPU, units(12), lambda done, total: told.append(total), workers=1)
    assert capsys.readouterr().err == "" and set(told) == {6}


def test_a_terminal_gets_a_bar(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    ours, theirs = pty.openpty()
    process = start("store.build(CPU, units(2))", stderr=theirs)
    os.close(theirs)
    shown = b""
    while True:
        try:
            data = os.read(ours, 4096)
        except OSError:  # the end of a terminal
            data = b""
        if not data:
            break
        shown += data
    os.close(ours)
    process.communicate()
    assert process.returncode == 0 and b"compiling 2 kernels, once" in shown and "━".encode() in shown


# What code depends on ---------------------------------------------------------------------------


def imports(source: str) -> set[Path]:
    """The modules of the package that a text imports, as files; not the `__init__` of the folders they are in."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("fdif_dsl"):
            for name in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names)):
                with contextlib.suppress(ImportError):
                    spec = find_spec(str(name))
                    if spec and spec.origin and not spec.submodule_search_locations:
                        found.add(Path(spec.origin).resolve())
    return found


def test_all_that_kernels_are_made_with_is_in_the_fingerprint(lib: Library) -> None:
    backend = lib.backend("cpu")
    assert isinstance(backend, CpuBackend)
    todo = [Path(build.__file__).read_text(), *{unit.source for unit in backend.units()}]
    # The text of these is part of the symbols of the driver's, the sampler's and the scanner's functions.
    in_symbols = {"layout", "sampling", "scanner"}
    found: set[Path] = set()
    while todo:
        new = {path for path in imports(todo.pop()) if path.stem not in in_symbols} - found
        found |= new
        todo += [path.read_text() for path in new]
    assert {"level", "prelude", "prelude64", "addresses", "elementary"} <= {path.stem for path in found}
    # A unit is what is compiled, and not how; the others say that a level cannot be used.
    apart = {"unit", "diagnostics", "edits", "source"}
    known = {path.resolve() for path in target.ingredients()}
    assert {path.stem for path in found - known} == apart


def test_a_new_file_is_in_the_fingerprint_and_no_old_one_out_of_it() -> None:
    folder = Path(target.__file__).parent
    names = {path.stem for path in folder.glob("*.py")}
    assert names >= target.APART
    assert {p.stem for p in target.ingredients() if p.parent == folder} == names - target.APART
