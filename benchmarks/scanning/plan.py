"""What is run: the arms, and how many cases, seeds and steps."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

SCRATCH = "scratch"
LEAST = 8
"""Steps of a fine-tuning that is scored after an eighth of them."""

_ALIKE = ("train.batch=4", "train.crops=1", 'train.precision="32"', "train.workers=0", "train.patch=grid",
          "train.optimizer=adamw", "train.schedule=cosine", "train.lr=3e-3", "train.clip=1.0",
          "augment.normalise=zscore", "augment.flip=0.5", "monitor.validate=0", "monitor.checkpoint=500")
"""What is the same in every pre-training, beside the network and the size of volumes."""
_PRESENT = ("train.dice=present",)
_ONE_MAPPER = 'classes.mappers=["linear_slope_10.0"]'
_TEN = ('classes.shapes=["sphere", "cylinder", "torus", "cone", "octahedron", "square_prism", "hexagon_cone_prism", '
        '"five_star_prism", "onioned_triangle_prism", "five_star_torus"]')


@dataclass(frozen=True)
class Arm:
    """What an arm is, the recipe that it is pre-trained with, and values that replace the recipe's. `own` says whether
    it learns from a data set's own images, so that it is pre-trained for each; `weights` are some that there are
    already, by their name."""

    about: str
    recipe: str = ""
    values: tuple[str, ...] = ()
    own: bool = False
    weights: str = ""


ARMS: dict[str, Arm] = {
    SCRATCH: Arm("random weights"),
    "fdif": Arm("FDIF as published: 109 shapes, nine displacements, ten mappers, a class for each shape", "paper",
                _PRESENT),
    "primgeoseg": Arm("PrimGeoSeg: walls of 32 upright solids, a class for each", "primgeoseg", _PRESENT),
    "structure": Arm("the recipe `laptop`: smooth objects as a scanner shows them; object, middle, distance of borders",
                     "laptop"),
    "laptop": Arm("the weights that come with the package: that recipe at its own length", weights="laptop"),
    "masked": Arm("a masked auto-encoder on the data set's own training images, without their labels", "laptop",
                  ("train.task=masked",), own=True),
    "masked-formula": Arm("a masked auto-encoder on the volumes of `laptop`", "laptop", ("train.task=masked",)),
    "shapes": Arm("the paper's ablation: 109 shapes, one mapper, no displacement", "paper",
                  (*_PRESENT, _ONE_MAPPER, 'classes.displacements=["none"]')),
    "displacements": Arm("the paper's ablation: these with displacements", "paper", (*_PRESENT, _ONE_MAPPER)),
    "ten": Arm("the paper's ablation: all of FDIF, but 10 shapes", "paper", (*_PRESENT, _TEN)),
    "target-object": Arm("`structure`, of which only what is an object is learnt", "laptop",
                         ('train.targets=["object"]',)),
    "target-distance": Arm("`structure`, of which only how far borders are is learnt", "laptop",
                           ('train.targets=["distance"]',)),
    "classes": Arm("the volumes of `structure`, a class for each shape", "laptop",
                   ("train.task=segmentation", "volume.label=shape", *_PRESENT)),
}
"""All arms by name."""
USUAL = (SCRATCH, "fdif", "primgeoseg", "structure", "masked")
"""Those that are run where none is named."""
PRETRAINED = "pretrained"
"""All arms but `scratch`, where values are for some arms."""
_STEPS = "train.steps="


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
class Value:
    """KEY=VALUE of the recipe `small`, and the arm and the data set whose runs have it: empty is all of them."""

    text: str
    arm: str = ""
    data: str = ""

    @classmethod
    def read(cls, text: str) -> Value:
        """KEY=VALUE, ARM:KEY=VALUE, @DATA:KEY=VALUE or ARM@DATA:KEY=VALUE, where all arms but `scratch` are
        `pretrained`. Raises ValueError for an arm that there is not, and for steps that are too few to be scored."""
        scope, colon, _ = text.partition("=")[0].rpartition(":")
        value = text.removeprefix(f"{scope}{colon}")
        arm, _, data = scope.partition("@")
        if arm and arm not in (PRETRAINED, *ARMS):
            raise ValueError(f"there is no arm `{arm}` in `{text}`: arms are {', '.join((PRETRAINED, *ARMS))}")
        if value.startswith(_STEPS) and not (value.removeprefix(_STEPS).isdecimal()
                                             and int(value.removeprefix(_STEPS)) >= LEAST):
            raise ValueError(f"`{text}` is no number of steps from {LEAST} on")
        return cls(value, arm, data)

    def holds(self, data: str, arm: str) -> bool:
        return self.data in ("", data) and (self.arm in ("", arm) or (self.arm == PRETRAINED and arm != SCRATCH))

    def __str__(self) -> str:
        scope = self.arm + (f"@{self.data}" if self.data else "")
        return f"{scope}:{self.text}" if scope else self.text


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
    """`steps` are those of a fine-tuning, `pretrain` those of every pre-training, whose volumes are as large as
    `patch`; so are the patches of a fine-tuning, where the data set has no size of its own. `values` replace those of
    the recipe `small`, for all runs or for some of them, see `Value`."""

    data: tuple[DataSet, ...]
    part: str
    arms: tuple[str, ...]
    cases: tuple[int, ...] = (1, 2, 4, 8, 0)
    seeds: tuple[int, ...] = (1, 2, 3, 4, 5)
    steps: int = 600
    pretrain: int = 10_000
    network: str = "unet"
    features: int = 16
    patch: tuple[int, int, int] = (32, 32, 32)
    values: tuple[Value, ...] = ()
    jobs: int = 2

    def steps_of(self, data: str, arm: str) -> int:
        """The steps of a fine-tuning."""
        given = [value for value in self._values_of(data, arm) if value.startswith(_STEPS)]
        return int(given[-1].removeprefix(_STEPS)) if given else self.steps

    def at(self, data: str, arm: str) -> tuple[int, ...]:
        """The steps after which a fine-tuning is scored: an eighth, a quarter and half of all, and all."""
        return tuple(self.steps_of(data, arm) // 2**i for i in range(3, -1, -1))

    def of(self, data: str) -> DataSet:
        """A data set by its name."""
        return next(its for its in self.data if its.name == data)

    @property
    def fixed(self) -> dict[str, Any]:
        """What may not change between calls that share a folder; the rest says which runs there are."""
        kept = {key: value for key, value in asdict(self).items()
                if key in ("part", "steps", "pretrain", "network", "features", "patch", "values")}
        return {**kept, "arms": {name: asdict(arm) for name, arm in ARMS.items() if arm.recipe}}

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
                "train.accelerator=auto")

    def pretrain_values(self, arm: str, images: Path) -> tuple[str, ...]:
        """Values of the arm's recipe; `images` is the data list of unlabelled images, where it learns from such."""
        own = (f"volume.images={json.dumps(str(images))}",) if ARMS[arm].own else ()
        return (*self._both, *_ALIKE, f"volume.grid={list(self.patch)}", f"train.steps={self.pretrain}",
                f"train.warmup={min(40, self.pretrain // 10)}",
                *ARMS[arm].values, *own)

    def finetune_values(self, run: Run) -> tuple[str, ...]:
        """Values of the recipe `small`."""
        at = self.at(run.data, run.arm)
        return (*self._both, f"train.patch={list(self.of(run.data).patch or self.patch)}",
                f"{_STEPS}{at[-1]}", f"train.warmup={min(20, at[-1] // 10)}", f"validate.at={list(at)}",
                "validate.distance=false", "data.validation=list",
                *self._values_of(run.data, run.arm), f"data.cases={run.cases}", f"train.seeds=[{run.seed}]")

    def _values_of(self, data: str, arm: str) -> list[str]:
        """In the order in which they are given: the last one of a key counts."""
        return [value.text for value in self.values if value.holds(data, arm)]
