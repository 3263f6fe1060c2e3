"""What the two array backends share: the walk through a formula and the composition of a scene.

A backend is an array module (NumPy or torch) and a rule for making its values; the order of the
work is written once, here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from fdif_dsl.compiler.backends import Placed, Rendered
from fdif_dsl.compiler.ir.formula import Formula
from fdif_dsl.compiler.ir.graph import Node
from fdif_dsl.compiler.ir.grid import Grid
from fdif_dsl.compiler.ir.ops import ArrayRule, Op
from fdif_dsl.compiler.ir.parameters import missing_grid, missing_quantities
from fdif_dsl.compiler.passes.rates import split
from fdif_dsl.compiler.passes.schedule import Value, make_schedule, run_schedule, run_voxels

# Points evaluated at once. Every intermediate of a formula is kept until its end, so a polygon of nine
# corners (some 300 operations) holds 80 MB at this size; more points gain nothing, they leave the cache.
POINTS = 1 << 15

XYZ = tuple[Value, Value, Value]


@dataclass(frozen=True)
class Arrays:
    """One array module: `rule` is which function of a row of the op table it uses, `convert` makes its values out of
    numbers and arrays, `frozen` is the context in which no gradient is recorded."""

    xp: Any
    rule: Callable[[Op], ArrayRule]
    convert: Callable[[Any], Value]
    frozen: Callable[[], AbstractContextManager[Any]] = nullcontext


def object_stage(arrays: Arrays, formula: Formula, slots: Mapping[int, Any], grid: Grid | None,
                 inverse: Any) -> dict[Node, Value]:
    """Everything about an object that does not depend on the point.

    Raises `FdifError` when a random quantity is needed and not given, or the grid is.
    """
    roots = split(formula.result, world_is_axis=False).values
    schedule = make_schedule(formula, roots, frozenset(slots))
    if schedule.missing:
        raise missing_quantities(formula, schedule.missing)
    if schedule.needs_grid and grid is None:
        raise missing_grid(formula)
    return run_schedule(
        formula, schedule, {s: arrays.convert(v) for s, v in slots.items()},
        xp=arrays.xp, rule=arrays.rule, grid=grid, convert=arrays.convert,
        reduce=lambda node, values: grid_least(arrays, node.args[0], values, grid, inverse),
    )


def voxel_stage(arrays: Arrays, result: Node, values: dict[Node, Value], inputs: Mapping[str, Value]) -> Value:
    """`result` at points; may come back as a single number when it depends on no point."""
    return run_voxels(result, values, inputs, xp=arrays.xp, rule=arrays.rule, convert=arrays.convert)


def to_object(arrays: Arrays, inverse: Any, world: XYZ) -> dict[str, Value]:
    """The input leaves of a shape: `inverse` (4 x 4, world to object; None is the identity) times points."""
    if inverse is None:
        return dict(zip(("p.x", "p.y", "p.z"), world, strict=True))
    x, y, z = world
    out = {}
    for name, row in zip(("p.x", "p.y", "p.z"), inverse, strict=False):
        a, b, c, shift = (arrays.convert(row[i]) for i in range(4))
        out[name] = a * x + b * y + c * z + shift
    return out


def voxel_chunks(arrays: Arrays, grid: Grid) -> Iterator[tuple[slice, XYZ]]:
    """World coordinates of the voxels in C order, `POINTS` at a time, with their flat range."""
    d, h, w = grid.shape
    for start in range(0, grid.voxels, POINTS):
        part = slice(start, min(start + POINTS, grid.voxels))
        z, y, x = np.unravel_index(np.arange(part.start, part.stop), grid.shape)
        yield part, (arrays.convert(x - w / 2), arrays.convert(y - h / 2), arrays.convert(z - d / 2))


def grid_least(arrays: Arrays, field: Node, values: dict[Node, Value], grid: Grid | None, inverse: Any) -> Value:
    """The least value of `field` over all voxels; NaN is passed over, and +inf where nothing is left.

    The scan records no gradient. The field is then evaluated once more where it is least: by the
    envelope theorem the slope of a minimum is the slope of the function at the place of the minimum.
    """
    assert grid is not None, "object_stage checks it"
    best, place = np.inf, None
    with arrays.frozen():
        for _, world in voxel_chunks(arrays, grid):
            found = voxel_stage(arrays, field, values, to_object(arrays, inverse, world))
            found = known(arrays, found, world[0])
            at = int(found.argmin())
            if float(found[at]) < best:
                best, place = float(found[at]), tuple(float(c[at]) for c in world)
    if place is None:
        return arrays.convert(np.inf)
    x, y, z = (arrays.convert(c) for c in place)
    return voxel_stage(arrays, field, values, to_object(arrays, inverse, (x, y, z)))


def known(arrays: Arrays, field: Value, like: Value, instead: float = np.inf) -> Value:
    """`field` as one value for each point of `like`, with `instead` for every NaN."""
    field = arrays.xp.broadcast_to(field, like.shape)
    return arrays.xp.where(field == field, field, arrays.convert(instead))  # NaN differs from itself


def compose(arrays: Arrays, objects: Sequence[Placed], grid: Grid) -> Rendered:
    """A volume, as the reference says; the result is NumPy whatever the module.

    A distance that is NaN is outside, an intensity that is NaN adds nothing, a total that is NaN
    (infinities of both signs) is 0.
    """
    shapes = [object_stage(arrays, o.shape, o.slots, grid, o.inverse) for o in objects]
    offsets = [object_stage(arrays, o.displacement, o.displacement_slots, grid, None) if o.displacement else {}
               for o in objects]
    mappers = [object_stage(arrays, o.mapper, o.mapper_slots, grid, None) for o in objects]
    image = np.zeros(grid.voxels, np.uint8)
    counts = np.zeros(len(objects), np.int64)
    # The order of painting is known only at the end, so which voxels are inside is kept, a bit each.
    insides: list[list[np.ndarray]] = []
    for part, world in voxel_chunks(arrays, grid):
        total = arrays.xp.zeros_like(world[0])
        insides.append([])
        for i, o in enumerate(objects):
            at = to_object(arrays, o.inverse, world) | dict(zip(("w.x", "w.y", "w.z"), world, strict=True))
            distance = voxel_stage(arrays, o.shape.result, shapes[i], at)
            if o.displacement is not None:
                distance = distance + voxel_stage(arrays, o.displacement.result, offsets[i], at)
            distance = known(arrays, distance, world[0])
            inside = _numpy(distance <= 0)
            counts[i] += np.count_nonzero(inside)
            insides[-1].append(np.packbits(inside))
            intensity = voxel_stage(arrays, o.mapper.result, mappers[i], {**at, "d": distance})
            total = total + known(arrays, intensity, world[0], 0.0)
        grey = arrays.xp.trunc(arrays.xp.clip(known(arrays, total, world[0], 0.0), 0.0, 128.0))
        image[part] = _numpy(grey).astype(np.uint8)
    return Rendered(image.reshape(grid.shape), paint(objects, counts, insides, grid), counts)


def paint(objects: Sequence[Placed], counts: np.ndarray, insides: list[list[np.ndarray]], grid: Grid) -> np.ndarray:
    """The label volume: objects from the most voxels to the fewest, a later one over an earlier."""
    label = np.zeros(grid.voxels, np.uint16)
    order = np.argsort(-counts, kind="stable")  # stable: of two equals the later object lies on top
    for chunk, bits in enumerate(insides):
        view = label[chunk * POINTS : (chunk + 1) * POINTS]
        for i in order:
            view[np.unpackbits(bits[i], count=len(view)).astype(bool)] = objects[i].label
    return label.reshape(grid.shape)


def _numpy(values: Value) -> np.ndarray:
    return np.asarray(values if isinstance(values, np.ndarray) else values.cpu().numpy())
