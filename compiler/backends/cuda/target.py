"""A kind of GPU as a target: PTX, and the machine code that is made from it without a GPU. Never imports numba."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fdif_dsl.compiler.backends.store.origin import check_compiler, digest_of, versions_of
from fdif_dsl.compiler.backends.store.unit import Unit
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError

_FOLDER = Path(__file__).parent
# The modules of this folder that kernels are made with; the text of a kernel is in its symbol.
_INGREDIENTS = ("build", "layout", "scene_kernels", "words", "words64")
INSTALL = "pip install 'fdif-dsl[cuda]'"
_LENGTH = 8  # bytes in which the length of the PTX stands before it


@dataclass(frozen=True)
class CudaTarget:
    """See `target.Target`: GPUs of a compute capability, such as (9, 0) for the H100 and H200. A code is the PTX and
    the machine code, see `pack`."""

    capability: tuple[int, int]

    @classmethod
    def parse(cls, text: str) -> CudaTarget:
        """The target that is written `sm_90`, with or without what names the folder.

        Raises:
            FdifError: for anything else.
        """
        found = re.fullmatch(r"(?:cuda[:-])?sm_?(\d+)(\d)", text.strip())
        if found is None:
            raise FdifError(Diagnostic("E0846", f"`{text}` is no kind of GPU", where="--target",
                                       why="a kind of GPU is written sm_ and its compute capability without the point",
                                       hint="cuda:sm_90 is the H100 and H200, cuda:sm_80 the A100"))
        capability = int(found[1]), int(found[2])
        return cls(capability)

    @property
    def name(self) -> str:
        return f"cuda-sm_{self.capability[0]}{self.capability[1]}"

    def fingerprint(self) -> str:
        return hashlib.sha256(json.dumps([self.name, compiler_digest(), versions()]).encode()).hexdigest()[:20]

    def compile(self, unit: Unit, source: Path) -> bytes:
        from fdif_dsl.compiler.backends.cuda.build import machine_code, ptx  # loads numba

        text = ptx(unit, source, self.capability)
        return pack(text.encode(), machine_code(text, self.capability)[0])

    def files(self, symbol: str, code: bytes) -> dict[str, bytes]:
        text, binary = unpack(code)
        return {f"{symbol}.ptx": text, f"{symbol}.cubin": binary}

    def code(self, files: Mapping[str, bytes]) -> bytes:
        by_kind = {Path(name).suffix: data for name, data in files.items()}
        return pack(by_kind[".ptx"], by_kind[".cubin"])

    def facts(self) -> dict[str, Any]:
        return {"compiler": compiler_digest(), "capability": list(self.capability), **versions()}

    def check(self, facts: Mapping[str, Any], directory: Path) -> None:
        check_compiler(facts, compiler_digest(), directory)


def pack(text: bytes, binary: bytes) -> bytes:
    """PTX and machine code as one."""
    return len(text).to_bytes(_LENGTH, "little") + text + binary


def unpack(code: bytes) -> tuple[bytes, bytes]:
    """The PTX and the machine code."""
    end = _LENGTH + int.from_bytes(code[:_LENGTH], "little")
    return code[_LENGTH:end], code[end:]


def runs_on(target: tuple[int, int], device: tuple[int, int]) -> bool:
    """Whether machine code for a capability runs on a device: within a generation, on the same or a later one."""
    return target[0] == device[0] and target[1] <= device[1]


def require_compiler(target: CudaTarget) -> None:
    """Raises `FdifError` where the packages that compile for a GPU are missing, or know nothing of that kind."""
    require_packages("compiling for a GPU", "--target")
    from cuda.pathfinder import DynamicLibNotFoundError, load_nvidia_dynamic_lib

    for name in ("nvvm", "nvJitLink", "nvrtc"):
        try:
            load_nvidia_dynamic_lib(name)
        except DynamicLibNotFoundError:
            raise FdifError(Diagnostic("E0617", f"compiling for a GPU needs the library {name}, which is not installed",
                                       where="--target", hint=INSTALL)) from None
    from numba.cuda.cudadrv.nvrtc import get_supported_ccs

    known = get_supported_ccs()
    if target.capability not in known:
        names = ", ".join(f"sm_{major}{minor}" for major, minor in known)
        raise FdifError(Diagnostic("E0618", f"the installed CUDA compiler knows no {target.name[5:]}",
                                   where="--target", why=f"it knows {names}",
                                   hint="a GPU runs what was compiled for an earlier one of its generation"))


def require_packages(what: str, where: str) -> None:
    """Raises `FdifError` where the packages that drive a GPU and compile for one are not installed."""
    if find_spec("numba_cuda") is None or find_spec("cuda") is None:
        raise FdifError(Diagnostic("E0611", f"{what} needs packages that are not installed", where=where,
                                   hint=INSTALL))


@cache
def compiler_digest() -> str:
    """What changes when the code that makes kernels changes."""
    return digest_of([*(_FOLDER / f"{name}.py" for name in _INGREDIENTS), _FOLDER.parent / "elementary.py",
                      _FOLDER.parent / "words32.py",
                      *(_FOLDER.parent.parent / "ir" / name for name in ("fields.py", "lattice.py", "ops.py"))])


@cache
def versions() -> dict[str, str]:
    # The compiler and the assembler, as the wheels of CUDA 13 and of 12 call them.
    return versions_of("numba", "numba-cuda", "nvidia-nvvm", "nvidia-nvjitlink", "nvidia-cuda-nvcc-cu12",
                       "nvidia-nvjitlink-cu12")
