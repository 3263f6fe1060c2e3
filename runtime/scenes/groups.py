"""Objects that come together: the parts of an organ, each with a label and grey levels of its own.

A group is a list of classes that draw the same quantities: instances of one template, `shape ventricle = heart(0)` and
`shape muscle = heart(1)`. Where a recipe draws the first, the others come with it, at the same place and with the same
numbers, since each takes the draws of the same object. They follow after all objects that were drawn, so those stay
what they are.
"""

from __future__ import annotations

import numpy as np

from fdif_dsl.compiler.backends.cpu.sampling import FIRST_DRAWS, OWN_DRAWS
from fdif_dsl.compiler.ir.grid import Grid
from fdif_dsl.runtime.recipe import Choices
from fdif_dsl.runtime.scenes.philox import uniforms
from fdif_dsl.runtime.scenes.sampler_definition import drawn_parameters
from fdif_dsl.runtime.scenes.scene import Scene, SceneObject


def with_groups(scene: Scene, choices: Choices, seed: int, index: int) -> Scene:
    """A scene with the other parts of each group whose first part it has."""
    grid, objects = Grid(scene.grid), list(scene.objects)
    for i, first in enumerate(scene.objects):
        for part in choices.groups.get(first.shape, ()):
            number = len(objects)
            draws = uniforms(seed, index, [i], FIRST_DRAWS["shape"], part.draws)[0]
            affine = np.array(first.affine)
            params = drawn_parameters(part, grid, list(draws), affine)
            chance = uniforms(seed, index, [number], 0, OWN_DRAWS)[0, 2]
            mapper = choices.mappers[int(chance * len(choices.mappers))]
            shades = uniforms(seed, index, [number], FIRST_DRAWS["mapper"], mapper.draws)[0]
            objects.append(SceneObject(
                part.name, params, first.affine, first.displacement, mapper.name, first.displacement_params,
                drawn_parameters(mapper, grid, list(shades), affine)))
    return Scene(scene.grid, tuple(objects), scene.where)
