"""The layout of SSL3D's classification: an image and its class, for networks that tell one object from another.

    nnUNetResEncUNetLPlans_3d_fullres/case_00000.b2nd    (1, D, H, W) float32, mean 0 and deviation 1, Blosc2
    labelsTr.json                                        the class of each case, from 0
    splits_final.json                                    five folds
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError
from fdif_dsl.runtime.datasets.blosc import b2nd, need_blosc2
from fdif_dsl.runtime.datasets.manifest import count_voxels
from fdif_dsl.runtime.datasets.plan import Plan
from fdif_dsl.runtime.datasets.record import Case, Record
from fdif_dsl.runtime.scenes.render import Volume
from fdif_dsl.runtime.scenes.scene import Scene

FOLDER = "nnUNetResEncUNetLPlans_3d_fullres"
LABELS, SPLITS, CLASSES = "labelsTr.json", "splits_final.json", "classes.json"
FOLDS = 5


@dataclass(frozen=True)
class Classification:
    """`level` is that of Zstandard, 0 to 9."""

    level: int
    name: str = "classification"

    @property
    def options(self) -> Mapping[str, Any]:
        return {"level": self.level}

    def check(self, plan: Plan) -> None:
        least, most = plan.recipe.object_range
        if (least, most) != (1, 1):
            raise FdifError(Diagnostic(
                "E0922", f"a volume of the recipe {plan.name} has {most if least == most else f'{least} to {most}'} "
                "objects", why="the class of an image is that of its one object",
                hint="take --recipe classification, or write objects = 1 into your recipe"))
        if plan.recipe.placement.inside:
            raise FdifError(Diagnostic(
                "E0939", f"a volume of the recipe {plan.name} may be without its object",
                why='with translate = "inside", an object that is too large for the grid is left out',
                hint="write a number for `translate` in [placement], such as 0, the middle of the grid"))
        if len(plan.meaning.tasks) > 1:
            raise FdifError(Diagnostic(
                "E0921", f"an image has one class here, and `{plan.meaning.name}` gives {len(plan.meaning.tasks)}",
                hint="label by `shape_displacement_mapper`, which has a class for each combination"))
        if plan.count < FOLDS:
            raise FdifError(Diagnostic("E0923", f"{plan.count} volumes are too few for {FOLDS} folds",
                                       hint=f"ask for {FOLDS} or more"))
        need_blosc2()

    def about(self, plan: Plan) -> str:
        return f"""\
The layout of SSL3D's classification. Images are Blosc2 files in `{FOLDER}`, float32 of the shape (1, D, H, W), each
with mean 0 and deviation 1. `{LABELS}` has the class of each, from 0, `{CLASSES}` their names, and `{SPLITS}`
{FOLDS} folds.

    import blosc2

    image = blosc2.open("{FOLDER}/case_00000.b2nd", mode="r")[:]
"""

    def folders(self, endings: Sequence[str]) -> list[str]:
        return [FOLDER]

    def files(self, plan: Plan, case: Case, scene: Scene, volume: Volume) -> dict[str, bytes]:
        return {f"{FOLDER}/{case.name}.b2nd": b2nd(z_scored(volume.image)[None], self.level)}

    def lists(self, plan: Plan, records: Sequence[Record]) -> dict[str, str]:
        names = [record.case.name for record in records]
        labels = {record.case.name: record.objects[0][0] - 1 for record in records}
        splits = [{"train": [name for i, name in enumerate(names) if i % FOLDS != fold], "val": names[fold::FOLDS]}
                  for fold in range(FOLDS)]
        # Its first class is background, which no image has.
        classes = dict(enumerate(plan.meaning.tasks[0].classes[1:]))
        return {name: json.dumps(data, indent=1) + "\n"
                for name, data in ((LABELS, labels), (SPLITS, splits), (CLASSES, classes))}


def z_scored(image: np.ndarray) -> np.ndarray:
    """Grey levels (uint8) less their mean, divided by their standard deviation, as float32.

    The moments come from whole numbers, so they are the same on every machine. An image of one grey level is all 0.
    """
    counts = count_voxels(image)
    total = image.size
    first, second = (sum(n * level**power for level, n in counts.items()) for power in (1, 2))
    mean = first / total
    deviation = math.sqrt(total * second - first**2) / total
    scored: np.ndarray = ((np.arange(256) - mean) / max(deviation, 1e-8)).astype(np.float32)
    return np.take(scored, image)
