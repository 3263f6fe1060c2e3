"""Object code into memory. Never imports numba."""

from __future__ import annotations

import ctypes.util
import os
import threading
from functools import cache
from typing import Any

import llvmlite.binding as llvm
import numpy as np

from fdif_dsl.compiler.backends.cpu.level import host, target_machine

_lock = threading.Lock()
_addresses: dict[str, int] = {}
_provided: dict[str, np.ndarray] = {}


def _renew_lock() -> None:
    # Another thread may have held the lock when this process was forked.
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


@cache
def _engine() -> Any:
    """One engine a process; code that was loaded stays, as addresses may be in use anywhere."""
    machine = target_machine(host())
    library = ctypes.util.find_library("m")
    if library:
        llvm.load_library_permanently(library)  # sinf and friends
    return llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)


def provide(symbol: str, memory: np.ndarray) -> None:
    """Have code find numbers under a symbol; they stay in memory, as code may be in use anywhere."""
    with _lock:
        if symbol not in _provided:
            _provided[symbol] = memory
            llvm.add_symbol(symbol, memory.ctypes.data)


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
