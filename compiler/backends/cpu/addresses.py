"""Addresses in compiled code: what the scene driver reads, writes and calls through. Imports numba."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types

from fdif_dsl.compiler.backends.cpu.prelude import insert_function, intrinsic

pointer_type: Any = types.CPointer


def _pointer_to(kind: Any) -> Any:
    """An int64 address as a pointer to numbers of this kind."""
    pointer = pointer_type(kind)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], context.get_value_type(pointer))

    return intrinsic(lambda context, address: (pointer(types.int64), generate))


float32_at = _pointer_to(types.float32)
float64_at = _pointer_to(types.float64)
int32_at = _pointer_to(types.int32)
int64_at = _pointer_to(types.int64)
uint8_at = _pointer_to(types.uint8)
uint16_at = _pointer_to(types.uint16)
uint64_at = _pointer_to(types.uint64)


def _pointer_as(kind: Any) -> Any:
    """A pointer to other numbers as one to numbers of this kind."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], context.get_value_type(signature.return_type))

    return intrinsic(lambda context, pointer: (pointer_type(kind)(pointer), generate))


float64_of = _pointer_as(types.float64)
int64_of = _pointer_as(types.int64)
uint8_of = _pointer_as(types.uint8)
uint16_of = _pointer_as(types.uint16)


@intrinsic
def shift(context: Any, pointer: Any, count: Any) -> Any:
    """The pointer moved on by `count` numbers."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.gep(args[0], [args[1]])

    return pointer(pointer, types.int64), generate


@intrinsic
def cycles(context: Any) -> Any:
    """The processor's clock."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(ir.IntType(64), [])
        return builder.call(insert_function(builder.module, kind, "llvm.readcyclecounter"), [])

    return types.int64(), generate


@intrinsic
def take(context: Any, counter: Any, count: Any) -> Any:
    """Raises a counter that threads share; what it was before."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.atomic_rmw("add", *args, "monotonic")

    return types.int64(counter, types.int64), generate


@intrinsic
def fma64(context: Any, a: Any, b: Any, c: Any) -> Any:
    """a·b + c of float64 numbers, rounded once."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fma(*args)

    return types.float64(types.float64, types.float64, types.float64), generate


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
    if pointers == 4:
        return intrinsic(lambda context, address, t, f, low, high, n: (signature, generate))
    if pointers == 5:
        return intrinsic(lambda context, address, x, y, z, f, out, n: (signature, generate))
    return intrinsic(lambda context, address, xl, xh, yl, yh, zl, zh, f, low, high, n: (signature, generate))


@intrinsic
def call_scalars(context: Any, address: Any, given: Any, out: Any) -> Any:
    """Call the scalar kernel at an address."""
    pointer = pointer_type(types.float64)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds = [context.get_value_type(pointer)] * 2
        builder.call(builder.inttoptr(args[0], ir.FunctionType(ir.VoidType(), kinds).as_pointer()), args[1:])
        return context.get_dummy_value()

    return types.void(types.int64, pointer, pointer), generate


call_mapper = _call(3)  # and tile and axis kernels, and shaders
call_range = _call(4)
call_points = _call(5)
call_bounds = _call(9)


# Vectors: LLVM is only sure of those of a power of two of numbers; of odd widths, some processors' code generators
# abort. So a line is done in such pieces, and a word of bits is always 64 voxels.


def _pieces(width: int) -> list[tuple[int, int]]:
    """Where each piece of a line begins, and its width: powers of two, the widest first."""
    found, start = [], 0
    while start < width:
        size = 1 << (width - start).bit_length() - 1
        found.append((start, size))
        start += size
    return found


def _place(builder: Any, row: Any, start: int, vector: Any) -> Any:
    """A pointer to the vector that begins `start` numbers after `row`."""
    there = builder.gep(row, [ir.Constant(ir.IntType(64), start)])
    return builder.bitcast(there, vector.as_pointer())


def _load(builder: Any, row: Any, start: int, vector: Any, align: int) -> Any:
    found = builder.load(_place(builder, row, start, vector))
    found.align = align
    return found


def _spread(builder: Any, number: Any, vector: Any) -> Any:
    nothing = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(nothing, number, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, nothing, ir.Constant(ir.VectorType(ir.IntType(32), vector.count), None))


# Lines: a few numbers side by side, each a vector instruction or two. As loops, LLVM would spread them over whole
# tiles and gather.


def copy_line(width: int) -> Any:
    """A function (out, row): copies a line of `width` numbers of any one kind."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = signature.args[0].dtype
        element, size = context.get_value_type(kind), kind.bitwidth // 8
        out, row = args
        for start, count in _pieces(width):
            vector = ir.VectorType(element, count)
            found = _load(builder, row, start, vector, size)
            builder.store(found, _place(builder, out, start, vector), align=size)
        return context.get_dummy_value()

    return intrinsic(lambda context, out, row: (types.void(out, out), generate))


def fill_line(width: int) -> Any:
    """A function (out, number): sets a line of `width` float32 numbers."""
    pointer = pointer_type(types.float32)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        out, number = args
        for start, count in _pieces(width):
            vector = ir.VectorType(ir.FloatType(), count)
            builder.store(_spread(builder, number, vector), _place(builder, out, start, vector), align=4)
        return context.get_dummy_value()

    return intrinsic(lambda context, out, number: (types.void(pointer, types.float32), generate))


def ramp_line(width: int) -> Any:
    """A function (out, start, step, row): start + step · row, rounded once, for a line of float32 numbers."""
    pointer = pointer_type(types.float32)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        out, first, step, row = args
        for start, count in _pieces(width):
            vector = ir.VectorType(ir.FloatType(), count)
            name = f"llvm.fma.v{count}f32"
            fma = insert_function(builder.module, ir.FunctionType(vector, [vector] * 3), name)
            found = builder.call(fma, [_spread(builder, step, vector), _load(builder, row, start, vector, 4),
                                       _spread(builder, first, vector)])
            builder.store(found, _place(builder, out, start, vector), align=4)
        return context.get_dummy_value()

    number = types.float32
    return intrinsic(lambda context, out, start, step, row: (types.void(pointer, number, number, pointer), generate))


# A bit for each voxel: the words in which a tile keeps where an object is.

_WORD = 64


@intrinsic
def inside_word(context: Any, distance: Any, word: Any) -> Any:
    """Set the bits of a word where its 64 distances are <= 0, and make those that are no number infinity, which is
    nowhere; how many bits are set."""
    number, vector = types.float32, ir.VectorType(ir.FloatType(), _WORD)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        out, word = args
        distance = _load(builder, out, 0, vector, 4)
        infinity = ir.Constant(vector, [float("inf")] * _WORD)
        # Not a selection: LLVM would make a masked store of it, which takes some processors ten times as long.
        minimum = insert_function(builder.module, ir.FunctionType(vector, [vector] * 2), f"llvm.minnum.v{_WORD}f32")
        known = builder.call(minimum, [distance, infinity])
        builder.store(known, _place(builder, out, 0, vector), align=4)
        inside = builder.fcmp_ordered("<=", distance, ir.Constant(vector, [0.0] * _WORD))
        bits = builder.bitcast(inside, ir.IntType(_WORD))
        builder.store(bits, word)
        return builder.ctpop(bits)

    return types.int64(pointer_type(number), pointer_type(types.uint64)), generate


@intrinsic
def paint_word(context: Any, labels: Any, word: Any, label: Any) -> Any:
    """Set those of 64 labels, whole numbers of any one kind, whose bit in the word is set."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        out, word, label = args
        kind = signature.args[2]
        vector, size = ir.VectorType(context.get_value_type(kind), _WORD), kind.bitwidth // 8
        inside = builder.bitcast(builder.load(word), ir.VectorType(ir.IntType(1), _WORD))
        painted = builder.select(inside, _spread(builder, label, vector), _load(builder, out, 0, vector, size))
        builder.store(painted, _place(builder, out, 0, vector), align=size)
        return context.get_dummy_value()

    return types.void(labels, pointer_type(types.uint64), labels.dtype), generate
