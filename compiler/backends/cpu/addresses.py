"""Addresses in compiled code: what the scene driver reads, writes and calls through. Imports numba."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types

from fdif_dsl.compiler.backends.cpu.prelude import intrinsic

pointer_type: Any = types.CPointer


def _pointer_to(kind: Any) -> Any:
    """An int64 address as a pointer to numbers of this kind."""
    pointer = pointer_type(kind)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], context.get_value_type(pointer))

    return intrinsic(lambda context, address: (pointer(types.int64), generate))


float32_at = _pointer_to(types.float32)
float64_at = _pointer_to(types.float64)
int64_at = _pointer_to(types.int64)
uint8_at = _pointer_to(types.uint8)
uint16_at = _pointer_to(types.uint16)
uint32_at = _pointer_to(types.uint32)


@intrinsic
def shift(context: Any, pointer: Any, count: Any) -> Any:
    """The pointer moved on by `count` numbers."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.gep(args[0], [args[1]])

    return pointer(pointer, types.int64), generate


def _call(pointers: int) -> Any:
    """Call the kernel at an address with so many float32 pointers and a count."""
    pointer = pointer_type(types.float32)
    signature = types.void(types.int64, *[pointer] * pointers, types.int64)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds = [context.get_value_type(pointer)] * pointers + [ir.IntType(64)]
        function = builder.inttoptr(args[0], ir.FunctionType(ir.VoidType(), kinds).as_pointer())
        builder.call(function, args[1:])
        return context.get_dummy_value()

    if pointers == 3:
        return intrinsic(lambda context, address, d, f, out, n: (signature, generate))
    return intrinsic(lambda context, address, x, y, z, f, out, n: (signature, generate))


call_mapper = _call(3)
call_points = _call(5)
