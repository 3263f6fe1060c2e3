"""From a scene to a labelled volume."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from fdif_dsl.compiler.backends import Backend, Placed, Rendered
from fdif_dsl.compiler.ir.affine import CONDITION
from fdif_dsl.compiler.ir.grid import Grid
from fdif_dsl.compiler.ir.parameters import bind, missing_quantities
from fdif_dsl.compiler.passes.rates import split
from fdif_dsl.compiler.passes.schedule import make_schedule
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError, did_you_mean
from fdif_dsl.runtime.recipe.meaning import Meaning
from fdif_dsl.runtime.scenes.scene import Scene, SceneObject, at_field
from fdif_dsl.runtime.settings import checks

if TYPE_CHECKING:
    from fdif_dsl.compiler.library import Library
    from fdif_dsl.compiler.library.entries import Entry


@dataclass(frozen=True)
class Volume:
    """A rendered scene, in the backend's own arrays: NumPy's, tensors of the backend `torch`, or device arrays of the
    backend `cuda`, which torch and others take without a copy and `numpy.asarray` copies to the host.

    `image`: uint8 (D, H, W), grey levels 0 to 128. `label`: (D, H, W), 0 for background, else the class
    id (place in `lib.shapes` + 1); uint8, or uint16 where there are more than 255 classes. With a meaning its labels
    stand there, and where it has several tasks, (tasks, D, H, W). `counts`: int64, for each object of the scene the
    voxels inside it, also those that a smaller object covers.
    """

    image: Any
    label: Any
    counts: Any


def render(scene: Scene, lib: Library, backend: str = "cpu", meaning: Meaning | None = None) -> Volume:
    """The volume of a scene; the same scene always gives the same volume.

    Labels are class ids of the library, or what a recipe means by them: `resolve(recipe, lib).meaning`.

    Raises `FdifError` with one diagnostic for each name that the library lacks, each parameter that does
    not fit its class and each matrix that cannot be inverted, for a backend that there is not, or where
    the meaning has no label for an object.
    """
    renderer = lib.backend(backend)
    placed = place(scene, lib)
    if meaning is None:
        rendered = _rendered(scene, placed, renderer)
        return Volume(rendered.image, _typed(rendered.label, len(lib.shapes)), rendered.counts)
    table = meaning.table(scene.objects)
    if len(table) > 1:  # several labels of an object do not fit into one volume: there it gets its number
        return labelled(_numbered(scene, placed, renderer), table)
    labels = table[0, 1:].tolist()
    placed = [replace(p, label=label) for p, label in zip(placed, labels, strict=True)]
    rendered = _rendered(scene, placed, renderer)
    return Volume(rendered.image, _typed(rendered.label, meaning.tasks[0].count), rendered.counts)


def render_numbered(scene: Scene, lib: Library, backend: str = "cpu") -> Volume:
    """The same, but a voxel's label is the number of its object in the scene, from 1: what `labelled` takes."""
    renderer = lib.backend(backend)
    return _numbered(scene, place(scene, lib), renderer)


def labelled(volume: Volume, table: np.ndarray) -> Volume:
    """A volume of `render_numbered` with labels in place of numbers, by a table (tasks, 1 + objects) as `Meaning.table`
    makes it."""
    label = _looked_up(table, volume.label)
    return replace(volume, label=label[0] if len(table) == 1 else label)


def class_table(scene: Scene, lib: Library) -> np.ndarray:
    """The table of class ids of the library."""
    ids = [0, *(lib.shapes[o.shape].id for o in scene.objects)]
    return np.array([ids], np.uint8 if len(lib.shapes) <= 255 else np.uint16)


def _numbered(scene: Scene, placed: Sequence[Placed], renderer: Backend) -> Volume:
    rendered = _rendered(scene, [replace(p, label=k) for k, p in enumerate(placed, 1)], renderer)
    return Volume(rendered.image, _typed(rendered.label, len(placed)), rendered.counts)


def _rendered(scene: Scene, placed: Sequence[Placed], renderer: Backend) -> Rendered:
    try:
        return renderer.render(placed, Grid(checks.sides(scene.grid)))
    except FdifError:
        _blame_missing(scene, placed)
        raise


def place(scene: Scene, lib: Library) -> list[Placed]:
    """The scene's objects with the library's formulas in place of names. Raises as `render` does."""
    mistakes: list[Diagnostic] = []
    try:
        checks.sides(scene.grid)
    except checks.Wrong as wrong:
        mistakes.append(at_field(scene.where, "grid", wrong))
    inverses = _inverses(scene.objects)
    placed = [_place(o, i, inverses, scene.where, lib, mistakes) for i, o in enumerate(scene.objects)]
    if mistakes:
        raise FdifError(*mistakes)
    return [p for p in placed if p]


def _place(o: SceneObject, number: int, inverses: np.ndarray | None, where: str, lib: Library,
           mistakes: list[Diagnostic]) -> Placed | None:
    at = f"objects[{number}]"
    shape, mapper = lib.shapes.get(o.shape), lib.mappers.get(o.mapper)
    displacement = None if o.displacement is None else lib.displacements.get(str(o.displacement))

    def lacking(kind: str, name: str, known: Mapping[str, Any], key: str) -> Diagnostic:
        hint = did_you_mean(str(name), known) or f"`fdifc list {kind}s` shows what there is"
        return at_field(where, f"{at}.{key}", checks.Wrong(f"the library has no {kind} `{name}`", hint=hint))

    if shape is None:
        mistakes.append(lacking("shape", o.shape, lib.shapes, "class"))
    if mapper is None:
        mistakes.append(lacking("mapper", o.mapper, lib.mappers, "mapper"))
    if displacement is None and o.displacement is not None:
        mistakes.append(lacking("displacement", str(o.displacement), lib.displacements, "displacement"))
    elif displacement is None and o.displacement_params:
        mistakes.append(at_field(where, f"{at}.displacement", checks.Wrong(
            "parameters of no displacement", hint="name the displacement, or leave its parameters out")))
    inverse = None
    try:
        inverse = np.linalg.inv(checks.affine(o.affine)) if inverses is None else inverses[number]
    except checks.Wrong as wrong:
        mistakes.append(at_field(where, f"{at}.affine", wrong))

    def slots(of: Entry | None, params: Mapping[str, Any], key: str) -> dict[int, float]:
        if of is None or (not params and of is not shape):
            return {}
        try:
            bound = bind(of.formula, params, f"{where}: {at}.{key}")
        except FdifError as error:
            mistakes.extend(error.diagnostics)
            return {}
        return dict(zip(bound, map(float, bound.values()), strict=True))

    own, offset = slots(shape, o.params, "params"), slots(displacement, o.displacement_params, "displacement.params")
    shade = slots(mapper, o.mapper_params, "mapper.params")
    if shape is None or mapper is None or inverse is None:
        return None
    return Placed(shape.formula, own, inverse, displacement.formula if displacement else None, mapper.formula,
                  shape.id, offset, shade)


def _inverses(objects: Sequence[SceneObject]) -> np.ndarray | None:
    """The inverses of all affines (n, 4, 4), where each is beyond doubt what `checks.affine` asks for; None where
    they have to be looked at one by one."""
    affines = [o.affine for o in objects]
    rows = list(chain.from_iterable(a for a in affines if type(a) is tuple and len(a) == 4))
    numbers = list(chain.from_iterable(r for r in rows if type(r) is tuple and len(r) == 4))
    if len(numbers) != 16 * len(affines) or {*map(type, numbers)} != {float}:
        return None
    matrices = np.array(numbers).reshape(-1, 4, 4)
    with np.errstate(all="ignore"):
        try:
            inverses = np.linalg.inv(matrices)
        except np.linalg.LinAlgError:
            return None
        # The product of the Frobenius norms is no less than the condition number.
        squares = (matrices[:, :3, :3] ** 2).sum((1, 2)) * (inverses[:, :3, :3] ** 2).sum((1, 2))
    sure = (squares < (CONDITION / 1000) ** 2).all() and (matrices[:, 3] == (0, 0, 0, 1)).all()
    return inverses if sure and np.isfinite(matrices).all() else None


def _blame_missing(scene: Scene, placed: Sequence[Placed]) -> None:
    """Raises the error for missing parameters with the place of the object, which a backend cannot know."""
    for i, o in enumerate(placed):
        for formula, slots in o.parts:
            values = split(formula.result, world_is_axis=False).values
            missing = make_schedule(formula, values, frozenset(slots)).missing
            if missing:
                key = "" if formula.kind == "shape" else f".{formula.kind}"
                raise missing_quantities(formula, missing, f"{scene.where}: objects[{i}]{key}.params", named=bool(key))


def _typed(label: Any, classes: int) -> Any:
    """The labels in the smallest type that holds every class."""
    if isinstance(label, np.ndarray):
        return label.astype(np.uint8 if classes <= 255 else np.uint16, copy=False)
    if hasattr(label, "byte"):
        return label.byte() if classes <= 255 else label
    return label  # the backend `cuda` writes what is wanted


def _looked_up(table: np.ndarray, numbers: Any) -> Any:
    """The labels of each task, (tasks, D, H, W), from the objects' numbers (D, H, W)."""
    if isinstance(numbers, np.ndarray):
        return table.take(numbers, axis=1)
    found = as_tensor(numbers)
    return as_tensor(table).to(found.device)[:, found.long()]


def as_tensor(array: Any) -> Any:
    """What a backend rendered as a tensor, without a copy where there need not be one."""
    import torch

    there = isinstance(array, torch.Tensor) or hasattr(array, "__cuda_array_interface__")
    return torch.as_tensor(array if there else np.asarray(array))
