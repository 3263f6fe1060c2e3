"""Kernel source to PTX and machine code, with numba-cuda. The only module that runs the compiler; it needs no GPU."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from numba import cuda
from numba.cuda import dispatcher, types

from fdif_dsl.compiler.backends.store.unit import Unit

pointer_type: Any = types.CPointer

# Letters of a signature.
_TYPES: dict[str, Any] = {
    "f": pointer_type(types.float32),
    "d": pointer_type(types.float64),
    "i": pointer_type(types.int32),
    "q": pointer_type(types.int64),
    "u": pointer_type(types.uint32),
    "b": pointer_type(types.uint8),
    "h": pointer_type(types.uint16),
    "n": types.int32,
}
_ENTRY = re.compile(r"^\.(?:visible|weak) \.entry ([\w$]+)\(", re.MULTILINE)


def ptx(unit: Unit, source: Path, capability: tuple[int, int]) -> str:
    """The PTX of `unit`, whose text stands in the file `source`, for a compute capability. Its entry is the unit's
    symbol."""
    arguments = types.void(*(_TYPES[letter] for letter in unit.signature))
    with _device(capability):
        text, _ = cuda.compile(load(source, unit.function), arguments, device=False, abi="numba", cc=capability)
    (entry,) = _ENTRY.findall(text)
    return str(text).replace(entry, unit.symbol)


def load(source: Path, function: str) -> Any:
    # Not by an import, which would leave bytecode beside the file. The name serves tracebacks.
    module = ModuleType(f"fdif_dsl_generated_{source.stem}")
    exec(compile(source.read_text(encoding="utf-8"), str(source), "exec"), module.__dict__)
    return getattr(module, function)


@contextmanager
def _device(capability: tuple[int, int]) -> Iterator[None]:
    """numba-cuda asks the present GPU what an inlined function is compiled for, where there need not be one."""
    found = dispatcher.get_current_device
    dispatcher.get_current_device = lambda: SimpleNamespace(compute_capability=capability)
    try:
        yield
    finally:
        dispatcher.get_current_device = found


def machine_code(text: str, capability: tuple[int, int]) -> tuple[bytes, str]:
    """The machine code (cubin) of PTX, and what the assembler says of registers and spills."""
    from cuda.core import Linker, LinkerOptions, ObjectCode

    options = LinkerOptions(arch=f"sm_{capability[0]}{capability[1]}", verbose=True, ptxas_options=["-v"])
    linker = Linker(ObjectCode.from_ptx(text.encode()), options=options)
    code = linker.link("cubin").code
    return bytes(code), str(linker.get_info_log())
