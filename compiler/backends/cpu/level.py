"""What a processor can do: this machine's own, or one of the levels that kernels can be compiled for by name.

A library is compiled for the machine that it is used on. `FDIF_CPU` names a lower level instead: for nodes of a cluster
that differ, to compare machines, and to test here what others run. Never imports numba.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from typing import Any

import llvmlite.binding as llvm

from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError, did_you_mean

SETTING = "FDIF_CPU"
_V2 = ("cx16", "popcnt", "sahf", "sse3", "sse4.1", "sse4.2", "ssse3")
_V3 = (*_V2, "avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe", "xsave")
_V4 = (*_V3, "avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl")
_NEEDS = {"x86-64-v2": _V2, "x86-64-v3": _V3, "x86-64-v4": _V4, "aarch64": ()}
"""What a processor of each level has, in LLVM's words: those of the x86-64 psABI, and ARM's 64 bits with NEON."""
NAMES = tuple(_NEEDS)


@dataclass(frozen=True)
class Level:
    """A kind of processor as LLVM is told of it. `needs` are the features that code for it may use."""

    name: str
    triple: str
    cpu: str
    features: str
    needs: frozenset[str]


@cache
def host() -> Level:
    """This machine."""
    features = llvm.get_host_cpu_features()
    return Level("", llvm.get_process_triple(), llvm.get_host_cpu_name(), features.flatten(),
                 frozenset(name for name, there in features.items() if there))


def level(name: str, where: str = SETTING) -> Level:
    """The level of a name, which stands `where`; its triple is this machine's where that is of the same family.

    Raises:
        FdifError: there is no such level.
    """
    if name not in _NEEDS:
        raise FdifError(Diagnostic(
            "E0707", f"there is no kind of CPU called `{name}`", where=where, why=f"there are {', '.join(NAMES)}",
            hint=did_you_mean(name, NAMES) or "without a name, kernels are compiled for this machine"))
    family = "aarch64" if name == "aarch64" else "x86_64"
    mine = host().triple
    triple = mine if _family(mine) == family else f"{family}-unknown-linux-gnu"
    return Level(name, triple, "generic" if name == "aarch64" else name, "", frozenset(_NEEDS[name]))


def chosen() -> Level:
    """What this process compiles for and runs: the level that `FDIF_CPU` names, else this machine's own.

    Raises:
        FdifError: there is no such level, or this machine cannot run it.
    """
    name = os.environ.get(SETTING, "").strip()
    if not name:
        return host()
    wanted = level(name)
    if why := hindrance(wanted.triple, wanted.needs, host()):
        raise FdifError(Diagnostic("E0708", f"this machine cannot run code for {name}", where=SETTING, why=why,
                                   hint=f"without {SETTING}, kernels are compiled for this machine"))
    return wanted


def hindrance(triple: str, needs: frozenset[str], on: Level) -> str:
    """Why code for a triple that uses these features cannot run there; nothing where it can."""
    if triple != on.triple:
        return f"it is code for {triple}"
    lacking = ", ".join(sorted(needs - on.needs))
    return f"it uses {lacking}" if lacking else ""


@cache
def target_machine(of: Level) -> Any:
    """LLVM's code generator for a kind of processor."""
    _initialise()
    # Objects are loaded anywhere in memory. On x86 that wants absolute 64-bit addresses: the loader of
    # MCJIT gets the large position-independent model wrong when there are many objects.
    reloc = "static" if of.triple.startswith(("x86_64", "i686")) else "default"
    return llvm.Target.from_triple(of.triple).create_target_machine(
        cpu=of.cpu, features=of.features, opt=3, reloc=reloc, codemodel="jitdefault", jit=True)


@cache
def _initialise() -> None:
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    llvm.initialize_native_asmparser()


def _family(triple: str) -> str:
    """The processor's family, as a triple begins; Apple says arm64 for aarch64."""
    return {"arm64": "aarch64", "amd64": "x86_64"}.get(word := triple.partition("-")[0], word)
