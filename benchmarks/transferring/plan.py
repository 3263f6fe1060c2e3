"""What is run: the sizes of the benchmark, and what its arms are pre-trained on."""

from __future__ import annotations

from dataclasses import dataclass

SCRATCH, FULL = "scratch", "full"

_ONE_MAPPER = 'classes.mappers=["linear_slope_10.0"]'
_NO_DISPLACEMENT = 'classes.displacements=["none"]'
_TEN = ("sphere", "cylinder", "torus", "cone", "octahedron", "square_prism", "hexagon_cone_prism", "five_star_prism",
        "onioned_triangle_prism", "five_star_torus")

ARMS: dict[str, tuple[str, tuple[str, ...]]] = {
    SCRATCH: ("random weights", ()),
    "shapes": ("109 shapes, one mapper, no displacement", (_ONE_MAPPER, _NO_DISPLACEMENT)),
    "displacements": ("... plus the paper's displacements", (_ONE_MAPPER,)),
    FULL: ("... plus the paper's mappers: all of FDIF", ()),
    "ten": ("all of FDIF, with 10 shapes for 109", (f"classes.shapes={list(_TEN)}".replace("'", '"'),)),
}
"""The arms: what they are, and the values of the recipe `paper` that make them. In the order of the paper's ablation."""


@dataclass(frozen=True)
class Size:
    """How large a run is: the phantom, then values of the recipes `paper` (pre-training) and `small` (fine-tuning).
    Every arm is fine-tuned on `ablation` cases, `scratch` and `full` on each number of `cases`."""

    training: int
    validation: int
    voxel: float
    """Voxels in a slice, in mm."""
    phantom_seed: int
    cases: tuple[int, ...]
    ablation: int
    seeds: tuple[int, ...]
    jobs: int
    """Processes side by side."""
    pretrain: tuple[str, ...]
    finetune: tuple[str, ...]

    @property
    def runs(self) -> list[tuple[str, int, int]]:
        """The fine-tunings (arm, cases, seed); the number of cases of the ablation comes first, seed by seed, so that
        a benchmark that is cut short has complete seeds."""
        first = [(arm, self.ablation, seed) for seed in self.seeds for arm in ARMS]
        others = [count for count in self.cases if count != self.ablation]
        return first + [(arm, count, seed) for count in others for seed in self.seeds for arm in (SCRATCH, FULL)]


SIZES = {
    "cpu": Size(
        training=16, validation=12, voxel=6.0, phantom_seed=2026, cases=(2, 4, 8, 16), ablation=4, seeds=(1, 2, 3, 4, 5),
        jobs=2,
        pretrain=(
            "volume.grid=[32, 32, 32]", "volume.objects=[4, 8]", "train.network=transferring.network:small_unet",
            "train.features=12", "train.batch=2", "train.crops=1", "train.dice=present", "train.lr=4e-3",
            "train.steps=1000", "train.warmup=30", 'train.precision="32"', "train.accelerator=cpu", "train.workers=0",
            "augment.normalise=zscore", "monitor.validate=1000", "monitor.checkpoint=250"),
        finetune=(
            "data.spacing=[6.0, 6.0, 6.0]", "data.normalise=zscore", "train.network=transferring.network:small_unet",
            "train.features=12", "train.patch=[32, 32, 32]", "train.batch=2", "train.steps=300", "train.lr=5e-3",
            "train.accelerator=cpu", "augment.flip=0", "validate.overlap=0.25", "validate.distance=false")),
    "gpu": Size(
        training=16, validation=24, voxel=2.5, phantom_seed=2026, cases=(2, 4, 8, 16), ablation=4, seeds=(1, 2, 3, 4, 5),
        jobs=1,
        pretrain=("train.steps=20000", "augment.normalise=zscore", "train.accelerator=gpu", "monitor.validate=2000"),
        finetune=(
            "data.spacing=[2.5, 2.5, 2.5]", "data.normalise=zscore", "train.network=swin_unetr", "train.features=48",
            "train.patch=[96, 96, 96]", "train.batch=2", "train.steps=5000", "train.warmup=100", "train.lr=2e-4",
            "train.precision=16-mixed", "train.accelerator=gpu", "train.workers=4", "augment.flip=0",
            "validate.distance=false")),
}
"""`cpu` ends on two cores within an hour; `gpu` has the networks, volumes and steps of the paper's order."""
