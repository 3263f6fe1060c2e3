"""Kernel source to object code, with numba. The only module that loads the compiler.

Numba types and lowers a function; what it makes for callers in Python (argument unpacking, the lock,
error states) is not wanted here. The function is wrapped in plain C, everything else in the module is made
private, and LLVM's own passes do the rest: about 0.3 s and 5 KB a kernel.
"""

from __future__ import annotations

from functools import cache, lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import llvmlite.binding as llvm
from numba.core import compiler, cpu, types
from numba.core.registry import cpu_target

from fdif_dsl.compiler.backends.cpu.level import Level, chosen, target_machine
from fdif_dsl.compiler.backends.store.unit import Unit

# These parts of numba have no annotations, or none that hold.
numba_compiler: Any = compiler
numba_cpu: Any = cpu
pointer_type: Any = types.CPointer

# Letters of a signature: the type in numba and in LLVM. Code that works on float64 is exact: see prelude64.py.
_TYPES: dict[str, tuple[Any, str]] = {
    "f": (pointer_type(types.float32), "ptr"),
    "d": (pointer_type(types.float64), "ptr"),
    "q": (pointer_type(types.int64), "ptr"),
    "n": (types.int64, "i64"),
}


def compile_unit(unit: Unit, source: Path, level: Level) -> bytes:
    """The object code of `unit`, whose text stands in the file `source`, for a kind of processor."""
    machine = target_machine(level)
    return cast(bytes, machine.emit_object(_optimised(unit, source, machine)))


def assembly(unit: Unit, source: Path, level: Level | None = None) -> str:
    """The same as text, to see whether a loop became vector instructions; without a level, for this process."""
    machine = target_machine(level or chosen())
    return cast(str, machine.emit_assembly(_optimised(unit, source, machine)))


def _optimised(unit: Unit, source: Path, machine: Any) -> Any:
    """The LLVM module of the unit, with one public function and everything inlined into it."""
    module = llvm.parse_assembly(_lowered(unit, source))
    for private in (*module.functions, *module.global_variables):
        if private.name != unit.symbol and not private.is_declaration:
            private.linkage = "internal"
    module.triple = machine.triple
    module.data_layout = str(machine.target_data)
    module.verify()
    tuning = llvm.create_pipeline_tuning_options(speed_level=3)
    tuning.loop_vectorization = True
    tuning.slp_vectorization = False  # the loops are already lanes side by side
    builder = llvm.create_pass_builder(machine, tuning)
    builder.getModulePassManager().run(module, builder)
    return module


@lru_cache(maxsize=1)
def _lowered(unit: Unit, source: Path) -> str:
    """The unit as LLVM's text, which is the same for every kind of processor."""
    module, native = _lower(_load(source, unit.function), unit.signature)
    module.link_in(llvm.parse_assembly(_wrapper(unit.symbol, native, unit.signature)))
    return str(module)


def _load(source: Path, function: str) -> Any:
    # Not by an import, which would leave bytecode beside the file. The name serves tracebacks.
    module = ModuleType(f"fdif_dsl_generated_{source.stem}")
    exec(compile(source.read_text(encoding="utf-8"), str(source), "exec"), module.__dict__)
    return getattr(module, function)


@cache
def _flags(exact: bool) -> Any:
    flags = numba_compiler.Flags()
    flags.no_cpython_wrapper = flags.no_cfunc_wrapper = flags.no_compile = flags.no_rewrites = True
    flags.nrt = False
    flags.error_model = "numpy"  # x/0 is a number here
    flags.noalias = True
    # a·b + c in one rounding is the only liberty, for voxels: NaN and infinities keep their meaning.
    flags.fastmath = numba_cpu.FastMathOptions(False if exact else {"contract"})
    return flags


def _lower(function: Any, signature: str) -> tuple[Any, str]:
    """An LLVM module with the function and all that it calls, and the function's name in it."""
    typing, target = cpu_target.typing_context, cpu_target.target_context
    typing.refresh()
    target.refresh()
    arguments = tuple(_TYPES[letter][0] for letter in signature)
    result = numba_compiler.compile_extra(typing, target, function, arguments, types.none, _flags("d" in signature), {})
    module = llvm.parse_assembly(str(result.library._final_module))
    wanted = {f.name for f in module.functions if f.is_declaration}
    for library in result.library._linking_libraries:
        # Numba offers its own runtime too; nothing here uses it.
        helper = library._get_module_for_linking()
        if any(f.name in wanted and not f.is_declaration for f in helper.functions):
            module.link_in(helper, preserve=True)
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
