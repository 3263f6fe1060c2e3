"""Objects that a volume does not show because their distance is NaN, which counts as outside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fdif_dsl.compiler.ir.grid import Grid
from fdif_dsl.runtime.scenes.scene import Scene, SceneObject

if TYPE_CHECKING:
    from fdif_dsl.compiler.library import Library

_SIDE = 16  # voxels looked at along an axis


def lost_to_nan(scene: Scene, lib: Library, counts: Sequence[int]) -> tuple[str, ...]:
    """The classes of the objects that have no voxel and whose distance is NaN somewhere, one for each object.

    `counts` has the voxels inside each object, as `Volume.counts`.
    """
    return tuple(o.shape for o, count in zip(scene.objects, counts, strict=True)
                 if not count and _has_nan(scene, lib, o))


def _has_nan(scene: Scene, lib: Library, o: SceneObject) -> bool:
    grid = Grid.of(scene.grid)
    axes = [axis[:: -(-len(axis) // _SIDE)] for axis in (grid.axis("x"), grid.axis("y"), grid.axis("z"))]
    points = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 3)
    distance = lib.shapes[o.shape].distance(points, o.params, o.affine, grid=grid)
    if o.displacement is not None:
        distance = distance + lib.displacements[o.displacement].offset(points, grid, params=o.displacement_params)
    return bool(np.isnan(distance).any())
