"""This machine: what object code depends on, and how it is loaded. Never imports numba.

The object code of a unit depends on its source, on the code that compiles it and on this machine; the first is in the
unit's symbol, the others are in the `fingerprint`.
"""

from __future__ import annotations

import ctypes.util
import hashlib
import json
import os
import sys
import threading
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm

from fdif_dsl.compiler.backends.store.origin import check_compiler, digest_of, versions_of
from fdif_dsl.compiler.backends.store.refusal import refusal
from fdif_dsl.compiler.backends.store.unit import Unit

_FOLDER = Path(__file__).parent
# The modules of this folder that write no object code: they make the text of kernels, which is in their
# symbols, or call what is compiled. Any other may change object code.
APART = frozenset({
    "__init__", "backend", "codegen", "driver", "driver_kernels", "layout", "objects", "sampling",
    "sampling_kernels", "scalars"})
# Settings of numba that change how it works, and not what it makes for a CPU.
_IDLE = frozenset({"NUMBA_CACHE_DIR", "NUMBA_ENABLE_CUDASIM", "NUMBA_NUM_THREADS", "NUMBA_THREADING_LAYER"})


# What code depends on ---------------------------------------------------------------------------


@cache
def host() -> tuple[str, str, str]:
    """This machine as LLVM sees it: triple, CPU name, features."""
    return llvm.get_process_triple(), llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()


def ingredients() -> list[Path]:
    """The files of this package that make object code what it is."""
    return [*sorted(path for path in _FOLDER.glob("*.py") if path.stem not in APART),
            _FOLDER.parent / "elementary.py", _FOLDER.parent.parent / "ir" / "ops.py"]


@cache
def compiler_digest() -> str:
    """What changes when the code that makes kernels changes."""
    return digest_of(ingredients())


def versions() -> dict[str, str]:
    return {"python": ".".join(map(str, sys.version_info[:3])), **versions_of("numba", "llvmlite")}


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


# The target -------------------------------------------------------------------------------------


class CpuTarget:
    """See `target.Target`: the processor of this machine."""

    name = "cpu"

    def fingerprint(self) -> str:
        return fingerprint()

    def compile(self, unit: Unit, source: Path) -> bytes:
        from fdif_dsl.compiler.backends.cpu.build import compile_unit  # loads numba

        return compile_unit(unit, source)

    def files(self, symbol: str, code: bytes) -> dict[str, bytes]:
        return {f"{symbol}.o": code}

    def code(self, files: Mapping[str, bytes]) -> bytes:
        (code,) = files.values()
        return code

    def facts(self) -> dict[str, Any]:
        triple, cpu, features = host()
        return {"compiler": compiler_digest(), "triple": triple, "cpu": cpu, "features": features, **versions()}

    def check(self, facts: Mapping[str, Any], directory: Path) -> None:
        check_compiler(facts, compiler_digest(), directory)
        lacking = _features(facts["features"]) - _features(host()[2])
        if facts["triple"] != host()[0] or lacking:
            why = f"it uses {', '.join(sorted(lacking))}" if lacking else f"it is code for {facts['triple']}"
            raise refusal(directory, "E0702", "was compiled for another kind of CPU", why)


CPU = CpuTarget()


def _features(text: str) -> set[str]:
    return {feature[1:] for feature in text.split(",") if feature.startswith("+")}


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
