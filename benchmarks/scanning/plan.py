"""What is run: the arms, and how many cases, seeds and steps."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from transferring.plan import ARMS as PHANTOM_ARMS

SCRATCH, MASKED = "scratch", "masked"

_ALIKE = ("train.batch=4", "train.crops=1", 'train.precision="32"', "train.workers=0", "train.patch=grid",
          "train.optimizer=adamw", "train.schedule=cosine", "train.lr=3e-3", "train.clip=1.0",
          "augment.normalise=zscore", "augment.flip=0.5", "monitor.validate=0", "monitor.checkpoint=500")
"""What is the same in every pre-training, beside the network and the size of volumes."""


@dataclass(frozen=True)
class Arm:
    """What an arm is, the recipe that it is pre-trained with, and values that replace the recipe's. `own` says whether
    it learns from a data set's own images, so that it is pre-trained for each."""

    about: str
    recipe: str = ""
    values: tuple[str, ...] = ()
    own: bool = False


ARMS: dict[str, Arm] = {
    SCRATCH: Arm("random weights"),
    "fdif": Arm("FDIF as published: 109 shapes, nine displacements, ten mappers, a class for each shape", "paper",
                ("train.dice=present",)),
    "primgeoseg": Arm("PrimGeoSeg: walls of 32 upright solids, a class for each", "primgeoseg",
                      ("train.dice=present",)),
    "structure": Arm("smooth objects as a scanner shows them: object, middle, distance of borders", "structure"),
    "masked": Arm("a masked auto-encoder on the data set's own training images, without their labels", "structure",
                  ("train.task=masked",), own=True),
    "masked-formula": Arm("a masked auto-encoder on the volumes of `structure`", "structure", ("train.task=masked",)),
    **{name: Arm(f"the paper's ablation: {about.removeprefix('... ')}", "paper", (*values, "train.dice=present"))
       for name, (about, values) in PHANTOM_ARMS.items() if name in ("shapes", "displacements", "ten")},
    "target-object": Arm("`structure`, of which only what is an object is learnt", "structure",
                         ('train.targets=["object"]',)),
    "target-distance": Arm("`structure`, of which only how far borders are is learnt", "structure",
                           ('train.targets=["distance"]',)),
    "classes": Arm("the volumes of `structure`, a class for each shape", "structure",
                   ("train.task=segmentation", "volume.label=shape", "train.dice=present")),
}
"""All arms by name."""
USUAL = (SCRATCH, "fdif", "primgeoseg", "structure", "masked")
"""Those that are run where none is named."""


@dataclass(frozen=True)
class DataSet:
    """A data set of the user's, the voxels (z, y, x), in mm, that the network sees of it, and the sides of a patch of
    them, where it is another than the plan's."""

    path: Path
    spacing: tuple[float, float, float]
    patch: tuple[int, int, int] | None = None

    @property
    def name(self) -> str:
        return self.path.parent.name if self.path.suffix == ".json" else self.path.name

    @classmethod
    def read(cls, text: str) -> DataSet:
        """`PATH@MM` or `PATH@Z,Y,X`, and `:Z,Y,X` for a patch. Raises ValueError for anything else."""
        path, _, sizes = text.rpartition("@")
        sizes, _, sides = sizes.partition(":")
        try:
            numbers = [float(size) for size in sizes.split(",")]
            patch = [int(side) for side in sides.split(",")] if sides else None
        except ValueError:
            numbers, patch = [], None
        if not path or len(numbers) not in (1, 3) or min(numbers) <= 0 or (patch is not None and len(patch) != 3):
            raise ValueError(f"`{text}` does not say which voxels the network sees: write PATH@4 for 4 mm, or "
                             "PATH@3,1,1 for z, y, x; PATH@4:48,32,32 has patches of another size")
        z, y, x = numbers * 3 if len(numbers) == 1 else numbers
        return cls(Path(path), (z, y, x), None if patch is None else (patch[0], patch[1], patch[2]))

    def overrides(self, path: Path) -> tuple[str, ...]:
        return f"data.path={json.dumps(str(path))}", f"data.spacing={list(self.spacing)}"


@dataclass(frozen=True)
class Run:
    """A fine-tuning of an arm on some cases of a data set; 0 is all."""

    data: str
    arm: str
    cases: int
    seed: int

    @property
    def name(self) -> str:
        return f"{self.data}, {self.arm}, {self.cases or 'all'} cases, seed {self.seed}"


@dataclass(frozen=True)
class Plan:
    """`steps` are those of a fine-tuning, `at` those after which it is scored, `pretrain` those of every pre-training,
    whose volumes are as large as `patch`; so are the patches of a fine-tuning, where the data set has no size of its
    own. `values` replace those of the recipe `small`, for every arm alike, or, written ARM:KEY=VALUE, for one."""

    data: tuple[DataSet, ...]
    part: str
    arms: tuple[str, ...]
    cases: tuple[int, ...] = (1, 2, 4, 8, 0)
    seeds: tuple[int, ...] = (1, 2, 3, 4, 5)
    steps: int = 600
    pretrain: int = 10_000
    network: str = "resunet"
    features: int = 8
    patch: tuple[int, int, int] = (32, 32, 32)
    values: tuple[str, ...] = ()
    jobs: int = 2

    @property
    def at(self) -> tuple[int, ...]:
        """An eighth, a quarter and half of all steps, and all."""
        return tuple(self.steps // 2**i for i in range(3, -1, -1))

    @property
    def fixed(self) -> dict[str, Any]:
        """What may not change between calls that share a folder; the rest says which runs there are."""
        kept = {key: value for key, value in asdict(self).items()
                if key in ("part", "steps", "pretrain", "network", "features", "patch", "values")}
        return {**kept, "arms": {name: asdict(arm) for name, arm in ARMS.items()}}

    @property
    def runs(self) -> list[Run]:
        """All fine-tunings, seed by seed, so that a benchmark that is cut short can be reported."""
        return [Run(data.name, arm, cases, seed)
                for seed in self.seeds for cases in self.cases for data in self.data for arm in self.arms]

    def pretraining(self, arm: str, data: str) -> str | None:
        """What the pre-training of an arm is called, for a data set; None where there is none."""
        if not ARMS[arm].recipe:
            return None
        return f"pre-training, {arm}" + (f", {data}" if ARMS[arm].own else "")

    @property
    def _both(self) -> tuple[str, ...]:
        """What is the same before and after."""
        return (f"train.network={json.dumps(self.network)}", f"train.features={self.features}",
                "train.accelerator=cpu")

    def pretrain_values(self, arm: str, images: Path) -> tuple[str, ...]:
        """Values of the arm's recipe; `images` is the data list of unlabelled images, where it learns from such."""
        own = (f"volume.images={json.dumps(str(images))}",) if ARMS[arm].own else ()
        return (*self._both, *_ALIKE, f"volume.grid={list(self.patch)}", f"train.steps={self.pretrain}",
                f"train.warmup={min(40, self.pretrain // 10)}",
                *ARMS[arm].values, *own)

    def finetune_values(self, run: Run) -> tuple[str, ...]:
        """Values of the recipe `small`."""
        patch = next(data.patch for data in self.data if data.name == run.data) or self.patch
        return (*self._both, f"train.patch={list(patch)}", f"train.steps={self.steps}",
                f"train.warmup={min(20, self.steps // 10)}",
                f"validate.at={list(self.at)}", "validate.distance=false", "data.validation=list",
                *self._values_of(run.arm), f"data.cases={run.cases}", f"train.seeds=[{run.seed}]")

    def _values_of(self, arm: str) -> list[str]:
        """Those of all arms, then its own."""
        return [*(value for value in self.values if value.partition(":")[0] not in ARMS),
                *(value.removeprefix(f"{arm}:") for value in self.values if value.startswith(f"{arm}:"))]
