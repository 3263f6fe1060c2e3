"""The CPU as a target: what object code depends on. Never imports numba.

The object code of a unit depends on its source, on the code that compiles it and on the kind of processor; the first is
in the unit's symbol, the others are in the `fingerprint`.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from fdif_dsl.compiler.backends.cpu.level import NAMES, Level, chosen, hindrance, level
from fdif_dsl.compiler.backends.store.origin import check_compiler, digest_of, versions_of
from fdif_dsl.compiler.backends.store.refusal import refusal
from fdif_dsl.compiler.backends.store.unit import Unit

_FOLDER = Path(__file__).parent
# The modules of this folder that write no object code: they make the text of kernels, which is in their
# symbols, or call what is compiled. Any other may change object code.
APART = frozenset({
    "__init__", "backend", "codegen", "driver", "driver_kernels", "layout", "loader", "objects", "prepared", "sampling",
    "sampling_kernels", "scalars", "scanner", "scanner_kernels", "textures"})
# Settings of numba that change how it works, and not what it makes for a CPU.
_IDLE = frozenset({"NUMBA_CACHE_DIR", "NUMBA_ENABLE_CUDASIM", "NUMBA_NUM_THREADS", "NUMBA_THREADING_LAYER"})


def ingredients() -> list[Path]:
    """The files of this package that make object code what it is."""
    return [*sorted(path for path in _FOLDER.glob("*.py") if path.stem not in APART),
            _FOLDER.parent / "elementary.py", _FOLDER.parent / "words32.py",
            *(_FOLDER.parent.parent / "ir" / name for name in ("fields.py", "lattice.py", "ops.py"))]


@cache
def compiler_digest() -> str:
    """What changes when the code that makes kernels changes."""
    return digest_of(ingredients())


def versions() -> dict[str, str]:
    return {"python": ".".join(map(str, sys.version_info[:3])), **versions_of("numba", "llvmlite")}


@cache
def fingerprint(of: Level) -> str:
    """What object code depends on, besides its source: two that differ share no code."""
    settings = sorted((k, v) for k, v in os.environ.items() if k.startswith("NUMBA_") and k not in _IDLE)
    text = json.dumps([[of.triple, of.cpu, of.features], compiler_digest(), versions(), settings])
    return hashlib.sha256(text.encode()).hexdigest()[:20]


@dataclass(frozen=True)
class CpuTarget:
    """See `target.Target`: processors of a level, see `level.NAMES`. Without one it is what this process runs, see
    `level.chosen`."""

    named: str = ""

    @property
    def name(self) -> str:
        return f"cpu-{self.named}" if self.named else "cpu"

    @property
    def level(self) -> Level:
        """What it compiles for. Raises `FdifError` for no level, or one that cannot run where it has to."""
        return level(self.named) if self.named else chosen()

    def fingerprint(self) -> str:
        return fingerprint(self.level)

    def compile(self, unit: Unit, source: Path) -> bytes:
        from fdif_dsl.compiler.backends.cpu.build import compile_unit  # loads numba

        return compile_unit(unit, source, self.level)

    def files(self, symbol: str, code: bytes) -> dict[str, bytes]:
        return {f"{symbol}.o": code}

    def code(self, files: Mapping[str, bytes]) -> bytes:
        (code,) = files.values()
        return code

    def facts(self) -> dict[str, Any]:
        of = self.level
        return {"compiler": compiler_digest(), "triple": of.triple, "cpu": of.cpu,
                "features": ",".join(f"+{name}" for name in sorted(of.needs)), **versions()}

    def check(self, facts: Mapping[str, Any], directory: Path) -> None:
        check_compiler(facts, compiler_digest(), directory)
        uses = frozenset(feature[1:] for feature in facts["features"].split(",") if feature.startswith("+"))
        if why := hindrance(facts["triple"], uses, chosen()):
            raise refusal(directory, "E0702", "was compiled for another kind of CPU", why)


CPU = CpuTarget()


def best(folder: Path) -> Path | None:
    """The folder, of those that an artefact holds for CPUs, whose code is to run here: its maker's own kind, else the
    highest level that can. None where it holds nothing for CPUs.

    Raises:
        FdifError: nothing of it can run here.
    """
    if (folder / CPU.name).is_dir():
        return folder / CPU.name
    there = [CpuTarget(name) for name in NAMES if (folder / CpuTarget(name).name).is_dir()]
    hindrances = {target: hindrance(target.level.triple, target.level.needs, chosen()) for target in there}
    usable = [target for target, why in hindrances.items() if not why]
    if there and not usable:
        raise refusal(folder, "E0702", "was compiled for another kind of CPU", hindrances[there[0]])
    return folder / usable[-1].name if usable else None
