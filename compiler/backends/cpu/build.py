"""Kernel source to object code, with numba. The only module that loads the compiler.

Numba types and lowers a function; what it makes for callers in Python (argument unpacking, the lock,
error states) is not wanted here. The function is wrapped in plain C, everything else in the module is made
private, and LLVM's own passes do the rest: about 0.3 s and 5 KB a kernel.

Run as a program it is a worker: one unit as a line of JSON comes in, one line goes out when it is done. A worker
is a fresh interpreter, not a fork or a `spawn`, so that it works from a script without a
`__main__` guard, from a notebook and beside a running thread pool.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import traceback
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
from numba.core import types
from numba.core.compiler import Flags, compile_extra
from numba.core.cpu import FastMathOptions
from numba.core.registry import cpu_target
from numba.extending import intrinsic  # noqa: F401  (loads numba's own registries)

from fdif_dsl.compiler.backends.cpu.machine import Unit, target_machine, write_object

# Letters of a signature: the type in numba and in LLVM.
_TYPES: dict[str, tuple[Any, str]] = {
    "f": (types.CPointer(types.float32), "ptr"),
    "q": (types.CPointer(types.int64), "ptr"),
    "n": (types.int64, "i64"),
}


def compile_unit(unit: Unit, source: Path) -> bytes:
    """The object code of `unit`, whose text stands in the file `source`."""
    function = _load(source, unit.function)
    module, native = _lower(function, unit.signature)
    wrapper = llvm.parse_assembly(_wrapper(unit.symbol, native, unit.signature))
    module.link_in(wrapper)
    for private in (*module.functions, *module.global_variables):
        if private.name != unit.symbol and not private.is_declaration:
            private.linkage = "internal"
    machine = target_machine()
    module.data_layout = str(machine.target_data)
    module.verify()
    tuning = llvm.create_pipeline_tuning_options(speed_level=3)
    tuning.loop_vectorization = True
    tuning.slp_vectorization = False  # the loops are already lanes side by side
    builder = llvm.create_pass_builder(machine, tuning)
    builder.getModulePassManager().run(module, builder)
    return machine.emit_object(module)


def _load(source: Path, function: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"fdif_dsl_generated_{source.stem}", source)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, function)


@cache
def _flags() -> Flags:
    flags = Flags()
    flags.no_cpython_wrapper = flags.no_cfunc_wrapper = flags.no_compile = flags.no_rewrites = True
    flags.nrt = False
    flags.error_model = "numpy"  # x/0 is a number here
    flags.noalias = True
    # a·b + c in one rounding is the only liberty: NaN and infinities keep their meaning.
    flags.fastmath = FastMathOptions({"contract"})
    return flags


def _lower(function: Any, signature: str) -> tuple[Any, str]:
    """An LLVM module with the function and all that it calls, and the function's name in it."""
    typing, target = cpu_target.typing_context, cpu_target.target_context
    typing.refresh()
    target.refresh()
    arguments = tuple(_TYPES[letter][0] for letter in signature)
    result = compile_extra(typing, target, function, arguments, types.none, _flags(), {})
    module = llvm.parse_assembly(str(result.library._final_module))
    for library in result.library._linking_libraries:
        module.link_in(library._get_module_for_linking(), preserve=True)
    return module, result.fndesc.llvm_func_name


def _wrapper(symbol: str, native: str, signature: str) -> str:
    """A C function around numba's calling convention (pointers to a result and an error come first;
    neither is used, as nothing here returns or raises)."""
    kinds = [_TYPES[letter][1] for letter in signature]
    names = [f"%a{k}" for k in range(len(kinds))]
    declared = ", ".join(f"{k} noalias {n}" if k == "ptr" else f"{k} {n}" for k, n in zip(kinds, names, strict=True))
    passed = ", ".join(f"{k} {n}" for k, n in zip(kinds, names, strict=True))
    return f"""
    declare i32 @"{native}"({", ".join(["ptr", "ptr", *kinds])})
    define void @"{symbol}"({declared}) {{
      %result = alloca ptr
      %error = alloca ptr
      %status = call i32 @"{native}"(ptr %result, ptr %error, {passed}) alwaysinline
      ret void
    }}
    """


def main() -> None:
    """Compile units until the input ends."""
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        task = json.loads(line)
        unit = Unit(task["symbol"], task["source"], task["function"], task["signature"])
        try:
            path = Path(task["path"])
            write_object(path, compile_unit(unit, path.with_suffix(".py")))
            answer = {"done": unit.symbol}
        except Exception:  # whatever it was, the parent shows it
            answer = {"error": traceback.format_exc()}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
