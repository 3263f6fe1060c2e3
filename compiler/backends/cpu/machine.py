"""This machine: what object code depends on, how a file of it is checked, how it is loaded. Never imports numba.

A `Unit` is one function to compile. Its object code depends on its source, on the code that compiles
it and on this machine; the first is in the unit's symbol, the others are in the `fingerprint`.
"""

from __future__ import annotations

import ctypes.util
import hashlib
import json
import os
import sys
import threading
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm

from fdif_dsl.compiler.files import write_bytes

_MAGIC = b"FDIFOBJ1"
_FOOTER = len(_MAGIC) + hashlib.sha256().digest_size
READY = "fdif-dsl worker is ready"
_FOLDER = Path(__file__).parent
# The modules of this folder that write no object code: they make the text of kernels, which is in their
# symbols, or call, keep and fetch what is compiled. Any other may change object code.
APART = frozenset({
    "__init__", "backend", "cache", "codegen", "driver", "driver_kernels", "layout", "objects", "sampling",
    "sampling_kernels", "scalars", "store", "workers"})
# Settings of numba that change how it works, and not what it makes.
_IDLE = frozenset({"NUMBA_CACHE_DIR", "NUMBA_NUM_THREADS", "NUMBA_THREADING_LAYER"})


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


def ingredients() -> list[Path]:
    """The files of this package that make object code what it is."""
    return [*sorted(path for path in _FOLDER.glob("*.py") if path.stem not in APART), _FOLDER.parent.parent / "ops.py"]


@cache
def compiler_digest() -> str:
    """What changes when the code that makes kernels changes."""
    digest = hashlib.sha256()
    for path in ingredients():
        digest.update(hashlib.sha256(path.read_bytes()).digest())
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
    """What object code depends on, besides its source: two that differ share no code."""
    settings = sorted((k, v) for k, v in os.environ.items() if k.startswith("NUMBA_") and k not in _IDLE)
    text = json.dumps([host(), compiler_digest(), versions(), settings])
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
    """The code and its checksum, so that damage is noticed. It is still an object file to `objdump`."""
    write_bytes(path, code + _MAGIC + hashlib.sha256(code).digest())


def read_object(path: Path) -> bytes | None:
    """The object code in a file; None where there is none or it is damaged."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    code, foot = data[:-_FOOTER], data[-_FOOTER:]
    return code if foot == _MAGIC + hashlib.sha256(code).digest() else None


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
