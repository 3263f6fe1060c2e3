"""What is run: the sizes of the benchmark, and what its arms are pre-trained on."""

from __future__ import annotations

from dataclasses import dataclass

SCRATCH, FULL, FEW = "scratch", "full", "few"

_ONE_MAPPER = 'classes.mappers=["linear_slope_10.0"]'
_NO_DISPLACEMENT = 'classes.displacements=["none"]'
_TEN = ('classes.shapes=["sphere", "cylinder", "torus", "cone", "octahedron", "square_prism", "hexagon_cone_prism", '
        '"five_star_prism", "onioned_triangle_prism", "five_star_torus"]')
_DEMO = ('classes.shapes=["sphere", "torus"]', _NO_DISPLACEMENT, "volume.label=shape_mapper",
         'classes.mappers=["inverse_cube", "exponential_base_1.5", "linear_slope_10.0", "modular_5", '
         '"sinusoidal_wavelength_1.0"]')

ARMS: dict[str, tuple[str, tuple[str, ...]]] = {
    SCRATCH: ("nothing: random weights", ()),
    "shapes": ("109 shapes, one mapper, no displacement", (_ONE_MAPPER, _NO_DISPLACEMENT)),
    "displacements": ("... plus the paper's displacements", (_ONE_MAPPER,)),
    FULL: ("... plus the paper's mappers: all of FDIF", ()),
    "ten": ("all of FDIF, but 10 shapes", (_TEN,)),
    FEW: ("few classes: the 2 shapes and 5 mappers of the recipe `demo`", _DEMO),
}
"""The arms, in the order of the paper's ablation: what they are, and values of the recipe `paper` that make them."""


@dataclass(frozen=True)
class Run:
    """A fine-tuning of an arm on some cases; `steps` where they are others than the size's."""

    arm: str
    cases: int
    seed: int
    steps: int | None = None

    @property
    def name(self) -> str:
        return f"{self.arm}, {self.cases} cases, seed {self.seed}" + (f", {self.steps} steps" if self.steps else "")


@dataclass(frozen=True)
class Size:
    """How large a benchmark is: the phantom, then values of the recipes `paper` (pre-training) and `small`
    (fine-tuning). Every arm is fine-tuned on `ablation` cases, those of `ladder` on each number of `cases`; on
    `ablation` cases `scratch` and `full` run for `longer` steps too."""

    training: int
    validation: int
    voxel: float
    """Voxels in a slice, in mm."""
    phantom_seed: int
    pretrain: tuple[str, ...]
    finetune: tuple[str, ...]
    jobs: int
    """Processes side by side."""
    longer: int
    cases: tuple[int, ...] = (2, 4, 8, 16)
    ablation: int = 4
    seeds: tuple[int, ...] = (1, 2, 3)
    ladder: tuple[str, ...] = (SCRATCH, FULL, FEW)

    @property
    def runs(self) -> list[Run]:
        """All fine-tunings, seed by seed in each part, so that a benchmark that is cut short can be reported."""
        others = [count for count in self.cases if count != self.ablation]
        return [*(Run(arm, self.ablation, seed) for seed in self.seeds for arm in ARMS),
                *(Run(arm, count, seed) for seed in self.seeds for count in others for arm in self.ladder),
                *(Run(arm, self.ablation, seed, self.longer) for seed in self.seeds for arm in (SCRATCH, FULL))]


_NETWORK = ("train.network=transferring.network:small_resenc", "train.features=12", "train.batch=2",
            "train.accelerator=cpu")

SIZES = {
    "cpu": Size(
        training=16, validation=12, voxel=6.0, phantom_seed=2026, jobs=2, longer=600,
        pretrain=(
            *_NETWORK, "volume.grid=[32, 32, 32]", "volume.objects=[2, 4]", "volume.label=multi_task",
            "placement.translate=0.25", "train.crops=1", "train.dice=present", "train.lr=3e-3", "train.steps=600",
            "train.warmup=40", 'train.precision="32"', "train.workers=0", "augment.normalise=zscore",
            "monitor.validate=600", "monitor.volumes=16", "monitor.checkpoint=200"),
        finetune=(
            *_NETWORK, "data.spacing=[6.0, 6.0, 6.0]", "data.normalise=zscore", "train.patch=[32, 32, 32]",
            "train.lr=6e-3", "train.steps=200", "augment.flip=0", "validate.overlap=0.25", "validate.distance=false")),
    "gpu": Size(
        training=16, validation=24, voxel=2.5, phantom_seed=2026, jobs=1, longer=20000, seeds=(1, 2, 3, 4, 5),
        ladder=(SCRATCH, FULL),
        pretrain=("train.steps=20000", "augment.normalise=zscore", "train.accelerator=gpu", "monitor.validate=2000"),
        finetune=(
            "train.network=swin_unetr", "train.features=48", "train.batch=2", "train.accelerator=gpu",
            "train.precision=16-mixed", "train.workers=4", "data.spacing=[2.5, 2.5, 2.5]", "data.normalise=zscore",
            "train.patch=[96, 96, 96]", "train.lr=2e-4", "train.steps=5000", "train.warmup=100", "augment.flip=0",
            "validate.distance=false")),
}
"""`cpu` ends on two cores within an hour; `gpu` has the paper's SwinUNETR, volumes and labels."""
