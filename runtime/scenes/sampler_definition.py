"""Random scenes in plain Python: the definition of what the compiled sampler draws, and what it leaves to Python."""

from __future__ import annotations

import math
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fdif_dsl.compiler.backends.array import grid_least
from fdif_dsl.compiler.backends.cpu.sampling import FIRST_DRAWS, OWN_DRAWS
from fdif_dsl.compiler.backends.interpret import NUMPY
from fdif_dsl.compiler.ir.exact import SCALARS
from fdif_dsl.compiler.ir.formula import Formula, Quantity
from fdif_dsl.compiler.ir.graph import Node
from fdif_dsl.compiler.ir.grid import Grid
from fdif_dsl.compiler.ir.priors import scanning_slots, scene_quantities
from fdif_dsl.compiler.passes.schedule import Schedule, make_schedule, run_schedule
from fdif_dsl.runtime.recipe import Placement, Recipe, resolve
from fdif_dsl.runtime.scenes.philox import VOLUME, uniforms
from fdif_dsl.runtime.scenes.placing import put_inside
from fdif_dsl.runtime.scenes.scene import Scene, SceneObject

if TYPE_CHECKING:
    from fdif_dsl.compiler.library import Library


def scene_by_definition(lib: Library, seed: int, index: int, recipe: Recipe) -> Scene:
    """What `sample_scene` returns of a recipe without groups, a thousand times slower."""
    choices = resolve(recipe, lib)
    grid = Grid(recipe.grid)
    numbers = np.arange(object_count(recipe, seed, index))
    own = uniforms(seed, index, numbers, 0, OWN_DRAWS)
    affines = seen_closer(_affines(own[:, 3:12], recipe.placement, grid), grid, recipe.placement.grid_scale)
    objects = []
    for i in range(len(numbers)):
        parts = [_pick(options, u) for options, u in zip(
            (choices.shapes, choices.displacements, choices.mappers), own[i], strict=False)]
        params = [{} if part is None else drawn_parameters(
            part, grid, list(uniforms(seed, index, i, FIRST_DRAWS[part.kind], part.draws)[0]), affines[i])
            for part in parts]
        shape, displacement, mapper = parts
        objects.append(SceneObject(
            shape.name, params[0], tuple(map(tuple, affines[i].tolist())), displacement.name if displacement else None,
            mapper.name, *params[1:]))
    scene = Scene(recipe.grid, tuple(objects), f"volume {index} of seed {seed}")
    return put_inside(scene, lib, recipe.placement, seed, index, "interpret") if recipe.placement.inside else scene


def sample_instance(formula: Formula, seed: int, index: int, grid: Grid) -> dict[str, Any]:
    """The parameters of object 0 of scene `index`, were it of this class, displacement or mapper, and upright in the
    middle of the grid."""
    draws = uniforms(seed, index, [0], FIRST_DRAWS[formula.kind], formula.draws)
    return drawn_parameters(formula, grid, list(draws[0]), np.eye(4))


def sample_parameters(formula: Formula, grid: Grid, draws: npt.NDArray[np.float64]) -> dict[str, np.ndarray]:
    """The named quantities of many instances at once, from `draws` (number of draws, N).

    Each comes as (N,), with an axis more for a list and for a vector. Quantities that need a scan of the grid
    are left out, as that depends on where the object lies.
    """
    deep = scanning_slots(formula)
    quantities = [q for q in formula.quantities if q.slots.start not in deep]
    schedule = make_schedule(formula, [d for q in quantities for d in q.definition], frozenset(), drawn=True)
    with np.errstate(all="ignore"):
        values = run_schedule(formula, schedule, {}, grid=grid, draws=list(draws))
    out = {}
    for q in quantities:
        rows = np.stack([np.broadcast_to(values[d], draws.shape[1:]) for d in q.definition], axis=-1)
        shape = (*(() if q.length is None else (q.length,)), *(() if q.width == 1 else (q.width,)))
        out[q.name] = rows.reshape(*draws.shape[1:], *shape)
    return out


def object_count(recipe: Recipe, seed: int, index: int) -> int:
    """How many objects are drawn for a volume."""
    least, most = recipe.object_range
    return least + int(uniforms(seed, index, VOLUME, 0, 1)[0, 0] * (most - least + 1))


def _pick(options: Sequence[Any], u: float) -> Any:
    return options[int(u * len(options))]


def _affines(u: npt.NDArray[np.float64], placement: Placement, grid: Grid) -> npt.NDArray[np.float64]:
    """Object-to-world matrices T R S (n, 4, 4) from nine draws each: shift, R = Rz Ry Rx, symmetric shear."""
    centred = 2 * u - 1
    angles = (math.radians(placement.rotation) * centred[:, 3:6]).ravel().tolist()
    sines = np.array([math.sin(a) for a in angles]).reshape(-1, 3)
    cosines = np.array([math.cos(a) for a in angles]).reshape(-1, 3)
    (sx, sy, sz), (cx, cy, cz) = sines.T, cosines.T
    rotation = np.array([
        [cz * cy, cz * sy * sx - sz * cx, cz * sy * cx + sz * sx],
        [sz * cy, sz * sy * sx + cz * cx, sz * sy * cx - cz * sx],
        [-sy, cy * sx, cy * cx],
    ])  # (3, 3, n)
    a, b, c = (placement.shear * centred[:, 6:9]).T
    one = np.ones_like(a)
    shear = np.array([[one, a, b], [a, one, c], [b, c, one]])
    out = np.zeros((len(u), 4, 4))
    # Written out, as a matrix product would add in an order of the processor's own.
    product = sum(rotation[:, k, None] * shear[None, k] for k in range(3))
    out[:, :3, :3] = np.moveaxis(product, -1, 0)
    out[:, :3, 3] = placement.shift * centred[:, :3] * grid.size
    out[:, 3, 3] = 1
    return out


def seen_closer(affines: npt.NDArray[np.float64], grid: Grid, scale: float) -> npt.NDArray[np.float64]:
    """Affines (n, 4, 4) such that the voxels 0 to N - 1 of an axis see what lay from -s N/2 to s N/2, in even steps.

    With a scale of 1 they are what they were: there, voxel i sees i - N/2.
    """
    if scale == 1:
        return affines
    out = affines.copy()
    for row, side in enumerate(grid.size):
        # One voxel alone sees the lower end.
        factor, lower = ((side - 1) / (side * scale), 0.5) if side > 1 else (1 / scale, 0.0)
        out[:, row] *= factor
        out[:, row, 3] -= lower
    return out


@dataclass(frozen=True)
class _Plan:
    """How to draw the parameters of a class that a scene holds."""

    quantities: tuple[Quantity, ...]
    schedule: Schedule


def _make_plan(formula: Formula) -> _Plan:
    quantities = scene_quantities(formula)
    roots = [d for q in quantities for d in q.definition]
    return _Plan(quantities, make_schedule(formula, roots, frozenset(), drawn=True))


# By identity, as a formula is too large to hash; an entry goes when its formula does.
_plans: dict[int, tuple[weakref.ref[Formula], _Plan]] = {}


def _plan(formula: Formula) -> _Plan:
    found = _plans.get(id(formula))
    if found is None:
        key = id(formula)
        found = _plans[key] = weakref.ref(formula, lambda _: _plans.pop(key, None)), _make_plan(formula)
    return found[1]


def drawn_parameters(formula: Formula, grid: Grid, draws: list[Any], affine: npt.NDArray[np.float64]) -> dict[str, Any]:
    """What a scene holds of a class, displacement or mapper, from its draws and the place of the object. The latter
    two are a plain name, without parameters, where they have no random quantities."""
    plan = _plan(formula)
    if formula.kind != "shape" and not plan.quantities:
        return {}
    with np.errstate(all="ignore"):
        values = run_schedule(
            formula, plan.schedule, {}, xp=SCALARS, grid=grid, draws=draws,
            # Only a prior that itself depends on a scan comes here.
            reduce=lambda node, known: grid_least(NUMPY, node.args[0], known, grid, np.linalg.inv(affine)))
    return {**formula.integers, **{q.name: _nested(q, values) for q in plan.quantities}}


def _nested(q: Quantity, values: dict[Node, Any]) -> Any:
    """A quantity's value as JSON has it."""
    flat = [float(values[d]) for d in q.definition]
    rows = flat if q.width == 1 else [flat[i : i + q.width] for i in range(0, len(flat), q.width)]
    return rows[0] if q.length is None else rows
