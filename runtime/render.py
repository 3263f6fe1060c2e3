"""From a scene to a labelled volume."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fdif_dsl.compiler.backends import Placed
from fdif_dsl.compiler.grid import Grid
from fdif_dsl.compiler.parameters import bind, missing_quantities
from fdif_dsl.compiler.passes.rates import split
from fdif_dsl.compiler.schedule import make_schedule
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError, did_you_mean
from fdif_dsl.runtime import checks
from fdif_dsl.runtime.scene import Scene, SceneObject, at_field

if TYPE_CHECKING:
    from fdif_dsl.compiler.library import Library


@dataclass(frozen=True)
class Volume:
    """A rendered scene, in the backend's own arrays (NumPy, or tensors of the backend `torch`).

    `image`: uint8 (D, H, W), grey levels 0 to 128. `label`: (D, H, W), 0 for background, else the class
    id (place in `lib.shapes` + 1); uint8, or uint16 where the library has more than 255 classes. `counts`:
    int64, for each object of the scene the voxels inside it, also those that a smaller object covers.
    """

    image: Any
    label: Any
    counts: Any


def render(scene: Scene, lib: Library, backend: str = "cpu") -> Volume:
    """The volume of a scene; the same scene always gives the same volume.

    Raises `FdifError` with one diagnostic for each name that the library lacks, each parameter that does
    not fit its class and each matrix that cannot be inverted, or for a backend that there is not.
    """
    renderer = lib.backend(backend)
    placed = place(scene, lib)
    try:
        rendered = renderer.render(placed, Grid(checks.sides(scene.grid)))
    except FdifError:
        _blame_missing(scene, placed)
        raise
    return Volume(rendered.image, _narrow(rendered.label, len(lib.shapes)), rendered.counts)


def place(scene: Scene, lib: Library) -> list[Placed]:
    """The scene's objects with the library's formulas in place of names. Raises as `render` does."""
    mistakes: list[Diagnostic] = []
    try:
        checks.sides(scene.grid)
    except checks.Wrong as wrong:
        mistakes.append(at_field(scene.where, "grid", wrong))
    placed = [_place(o, f"objects[{i}]", scene.where, lib, mistakes) for i, o in enumerate(scene.objects)]
    if mistakes:
        raise FdifError(*mistakes)
    return [p for p in placed if p]


def _place(o: SceneObject, at: str, where: str, lib: Library, mistakes: list[Diagnostic]) -> Placed | None:
    def find(name: str, known: Mapping[str, Any], kind: str, key: str) -> Any:
        if name in known:
            return known[name]
        wrong = checks.Wrong(f"the library has no {kind} `{name}`", hint=did_you_mean(str(name), known)
                             or f"`fdifc list {kind}s` shows what there is")
        mistakes.append(at_field(where, f"{at}.{key}", wrong))
        return None

    shape = find(o.shape, lib.shapes, "shape", "class")
    mapper = find(o.mapper, lib.mappers, "mapper", "mapper")
    none = o.displacement is None
    displacement = None if none else find(str(o.displacement), lib.displacements, "displacement", "displacement")
    inverse, slots = None, dict[int, float]()
    try:
        inverse = np.linalg.inv(checks.affine(o.affine))
    except checks.Wrong as wrong:
        mistakes.append(at_field(where, f"{at}.affine", wrong))
    if shape is not None:
        try:
            bound = bind(shape.formula, o.params, f"{where}: {at}.params")
            slots = {slot: float(value) for slot, value in bound.items()}
        except FdifError as error:
            mistakes.extend(error.diagnostics)
    if shape is None or mapper is None or inverse is None:
        return None
    return Placed(shape.formula, slots, inverse, displacement.formula if displacement else None, mapper.formula,
                  shape.id)


def _blame_missing(scene: Scene, placed: list[Placed]) -> None:
    """Raises the error for missing parameters with the place of the object, which a backend cannot know."""
    for i, o in enumerate(placed):
        missing = make_schedule(o.shape, split(o.shape.result).values, frozenset(o.slots)).missing
        if missing:
            raise missing_quantities(o.shape, missing, f"{scene.where}: objects[{i}].params")


def _narrow(label: Any, classes: int) -> Any:
    """The labels in the smallest type that holds every class of the library."""
    if classes > 255:
        return label
    return label.astype(np.uint8) if isinstance(label, np.ndarray) else label.byte()
