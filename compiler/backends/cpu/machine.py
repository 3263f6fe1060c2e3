"""Object code: where it is kept, how missing code is built, how it is loaded. Never imports numba.

A `Unit` is one function to compile. Its object code depends on its source, on the code that compiles
it and on this machine; the first is in the unit's symbol, the others are in the `fingerprint`, and
the cache has one folder a fingerprint. A cached file ends with the checksum of the rest, so a damaged
one is noticed and built again (and it is still an object file to `objdump`).
"""

from __future__ import annotations

import contextlib
import ctypes
import ctypes.util
import hashlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import platformdirs

from fdif_dsl.compiler.files import write_bytes
from fdif_dsl.compiler.progress import Progress
from fdif_dsl.compiler.refusal import refusal

_MAGIC = b"FDIFOBJ1"
_FOOTER = len(_MAGIC) + hashlib.sha256().digest_size
READY = "fdif-dsl worker is ready"
_INDEX = "kernels.json"
_FORMAT = 1
# Fewer missing kernels than this are built at once; for more it pays to start workers.
_ALONE = 4
_FOLDER = Path(__file__).parent
_INGREDIENTS = (_FOLDER / "prelude.py", _FOLDER / "build.py", _FOLDER / "machine.py", _FOLDER / "layout.py",
                _FOLDER / "addresses.py",
                _FOLDER.parent.parent / "ops.py")


@dataclass(frozen=True)
class Unit:
    """One function to compile: `function` in the module text `source`, with the C signature
    `signature` (a letter a parameter, see build.py), under the name `symbol`."""

    symbol: str
    source: str
    function: str
    signature: str


# What code depends on ---------------------------------------------------------------------------


@cache
def host() -> tuple[str, str, str]:
    """This machine as LLVM sees it: triple, CPU name, features."""
    return llvm.get_process_triple(), llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()


@cache
def compiler_digest() -> str:
    """What changes when the code that makes kernels changes."""
    digest = hashlib.sha256()
    for path in _INGREDIENTS:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def versions() -> dict[str, str]:
    def version(package: str) -> str:
        try:
            return metadata.version(package)
        except metadata.PackageNotFoundError:
            return "none"

    return {"python": ".".join(map(str, sys.version_info[:3])), "numba": version("numba"),
            "llvmlite": version("llvmlite")}


@cache
def fingerprint() -> str:
    text = json.dumps([host(), compiler_digest(), versions()])
    return hashlib.sha256(text.encode()).hexdigest()[:20]


@cache
def target_machine() -> Any:
    """LLVM's code generator for this CPU."""
    _initialise()
    triple, cpu, features = host()
    # Objects are loaded anywhere in memory. On x86 that wants absolute 64-bit addresses: the loader of
    # MCJIT gets the large position-independent model wrong when there are many objects.
    reloc = "static" if triple.startswith(("x86_64", "i686")) else "default"
    return llvm.Target.from_triple(triple).create_target_machine(
        cpu=cpu, features=features, opt=3, reloc=reloc, codemodel="jitdefault", jit=True)


@cache
def _initialise() -> None:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    llvm.initialize_native_asmparser()


# Files ------------------------------------------------------------------------------------------


def write_object(path: Path, code: bytes) -> None:
    write_bytes(path, code + _MAGIC + hashlib.sha256(code).digest())


def read_object(path: Path) -> bytes | None:
    """The object code in a file; None where there is none or it is damaged."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    code, foot = data[:-_FOOTER], data[-_FOOTER:]
    return code if foot == _MAGIC + hashlib.sha256(code).digest() else None


def cache_folder() -> Path:
    """The folder of this fingerprint's kernels, made if need be.

    `FDIF_CACHE_DIR` names another root than the user's cache; where neither can be written, a
    temporary folder serves this process.
    """
    root = os.environ.get("FDIF_CACHE_DIR") or platformdirs.user_cache_dir("fdif-dsl")
    folder = Path(root) / "cpu" / fingerprint()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        return _temporary_folder()


@cache
def _temporary_folder() -> Path:
    folder = tempfile.TemporaryDirectory(prefix="fdif-dsl-")
    _kept.append(folder)  # removed when the process ends
    return Path(folder.name)


_kept: list[Any] = []


# Building ---------------------------------------------------------------------------------------


def build(units: Iterable[Unit], progress: Progress | None = None, workers: int | None = None) -> dict[str, bytes]:
    """The object code of each unit, from the cache or compiled into it.

    `progress(done, total)` is told about missing units; it is not called when there are none.
    """
    folder = cache_folder()
    wanted = {unit.symbol: unit for unit in units}
    found = {symbol: read_object(folder / f"{symbol}.o") for symbol in wanted}
    missing = [wanted[symbol] for symbol, code in found.items() if code is None]
    if missing:
        for unit in missing:
            write_bytes(folder / f"{unit.symbol}.py", unit.source.encode())
        found.update(_compile(missing, folder, progress or (lambda done, total: None), workers))
    return {symbol: code for symbol, code in found.items() if code is not None}


def _compile(units: Sequence[Unit], folder: Path, progress: Progress, workers: int | None) -> dict[str, bytes]:
    if workers is None:
        workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = min(workers, len(units) // 2)
    progress(0, len(units))
    if len(units) < _ALONE or workers < 2 or not sys.executable:
        from fdif_dsl.compiler.backends.cpu.build import compile_unit  # loads numba

        built: dict[str, bytes] = {}
        for done, unit in enumerate(units, 1):
            code = built[unit.symbol] = compile_unit(unit, folder / f"{unit.symbol}.py")
            write_object(folder / f"{unit.symbol}.o", code)
            progress(done, len(units))
        return built
    # The longest sources first, so that no worker is left with a long one at the end.
    tasks: queue.SimpleQueue[Unit] = queue.SimpleQueue()
    for unit in sorted(units, key=lambda u: -len(u.source)):
        tasks.put(unit)
    answers: queue.SimpleQueue[str | Exception] = queue.SimpleQueue()
    stop = threading.Event()
    threads = [threading.Thread(target=_feed, args=(tasks, answers, folder, stop), daemon=True) for _ in range(workers)]
    for thread in threads:
        thread.start()
    try:
        for done in range(1, len(units) + 1):
            answer = answers.get()
            if isinstance(answer, Exception):
                raise answer
            progress(done, len(units))
    finally:
        stop.set()  # on an error or an interrupt the others stop after the unit at hand
        for thread in threads:
            thread.join()
    codes = {unit.symbol: read_object(folder / f"{unit.symbol}.o") for unit in units}
    if None in codes.values():
        raise RuntimeError(f"compiled CPU kernels have vanished from {folder}")
    return {symbol: code for symbol, code in codes.items() if code is not None}


def _feed(tasks: queue.SimpleQueue[Unit], answers: queue.SimpleQueue[str | Exception], folder: Path,
          stop: threading.Event) -> None:
    """One worker process and its share of the tasks."""
    try:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
        command = [sys.executable, "-P", "-m", "fdif_dsl.compiler.backends.cpu.build"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8",
                              env=environment) as worker:
            assert worker.stdin is not None and worker.stdout is not None
            while (line := worker.stdout.readline()) and line.strip() != READY:
                pass  # something that every interpreter prints here
            while not stop.is_set():
                try:
                    unit = tasks.get_nowait()
                except queue.Empty:
                    break
                task = {"symbol": unit.symbol, "source": unit.source, "function": unit.function,
                        "signature": unit.signature, "path": str(folder / f"{unit.symbol}.o")}
                answer: dict[str, str] = {"error": "the process ended"}
                with contextlib.suppress(BrokenPipeError):
                    print(json.dumps(task), file=worker.stdin, flush=True)
                    answer = json.loads(worker.stdout.readline() or json.dumps(answer))
                if "error" in answer:
                    raise RuntimeError(f"cannot compile the CPU kernel {unit.symbol}: {answer['error']}")
                answers.put(unit.symbol)
    except Exception as error:  # goes to the caller's thread
        answers.put(error)


# Loading ----------------------------------------------------------------------------------------

_lock = threading.Lock()
_addresses: dict[str, int] = {}


def _renew_lock() -> None:
    # Another thread may have held the lock when this process was forked.
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


@cache
def _engine() -> Any:
    """One engine a process; code that was loaded stays, as addresses may be in use anywhere."""
    machine = target_machine()
    library = ctypes.util.find_library("m")
    if library:
        llvm.load_library_permanently(library)  # sinf and friends
    return llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)


def address(symbol: str, code: bytes) -> int:
    """The address of the function `symbol` of an object file, loaded at most once."""
    with _lock:
        found = _addresses.get(symbol)
        if found is None:
            engine = _engine()
            engine.add_object_file(llvm.ObjectFileRef.from_data(code))
            engine.finalize_object()
            found = _addresses[symbol] = engine.get_function_address(symbol)
            if not found:
                raise RuntimeError(f"the object file lacks the function {symbol}")
        return found


# Artefacts --------------------------------------------------------------------------------------


def save(directory: Path | str, units: Sequence[Unit], progress: Progress | None = None) -> None:
    """Write the units' object code, their sources and an index into `directory`, building what is
    missing. The index comes last: a folder without one is not an artefact."""
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    codes = build(units, progress)
    (directory / _INDEX).unlink(missing_ok=True)
    kernels = {}
    for unit in units:
        code = codes[unit.symbol]
        write_bytes(directory / f"{unit.symbol}.py", unit.source.encode())
        write_bytes(directory / f"{unit.symbol}.o", code)
        kernels[unit.symbol] = {"bytes": len(code), "sha256": hashlib.sha256(code).hexdigest()}
    triple, cpu, features = host()
    index = {"format": _FORMAT, "compiler": compiler_digest(), "triple": triple, "cpu": cpu,
             "features": features, **versions(), "kernels": kernels}
    write_bytes(directory / _INDEX, json.dumps(index, indent=1, sort_keys=True).encode())


def load(directory: Path | str) -> dict[str, bytes]:
    """The object code by symbol of a folder that `save` wrote, each piece checked. Compiles nothing.

    What comes from there runs as machine code: load only what you trust.
    """
    directory = Path(directory)
    try:
        index = json.loads((directory / _INDEX).read_bytes())
        stored_format, kernels = index["format"], index["kernels"]
        digest, triple, features = index["compiler"], index["triple"], index["features"]
        if stored_format == _FORMAT:
            expected = {str(symbol): str(entry["sha256"]) for symbol, entry in kernels.items()}
    except FileNotFoundError:
        raise refusal(directory, "E0701", "holds no compiled CPU kernels") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise refusal(directory / _INDEX, "E0701", "is damaged", repr(error)) from None
    if stored_format != _FORMAT or digest != compiler_digest():
        raise refusal(directory, "E0703", "was compiled by another version of fdif-dsl")
    lacking = _features(features) - _features(host()[2])
    if triple != host()[0] or lacking:
        why = f"it uses {', '.join(sorted(lacking))}" if lacking else f"it is code for {triple}"
        raise refusal(directory, "E0702", "was compiled for another kind of CPU", why)
    codes = {}
    for symbol, checksum in expected.items():
        path = directory / f"{symbol}.o"
        try:
            code = path.read_bytes()
        except OSError:
            raise refusal(path, "E0701", "lacks one of its files") from None
        if hashlib.sha256(code).hexdigest() != checksum:
            raise refusal(path, "E0701", "is damaged", "its checksum is not the one in the index")
        codes[symbol] = code
    return codes


def _features(text: str) -> set[str]:
    return {feature[1:] for feature in text.split(",") if feature.startswith("+")}
