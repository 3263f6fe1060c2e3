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
    smoke: tuple[str, ...] = ()

    @property
    def runs(self) -> list[tuple[str, int, int]]:
        """The fine-tunings (arm, cases, seed); the number of cases of the ablation comes first, seed by seed, so that
        a benchmark that is cut short has complete seeds."""
        first = [(arm, self.ablation, seed) for seed in self.seeds for arm in ARMS]
        others = [count for count in self.cases if count != self.ablation]
        return first + [(arm, count, seed) for count in others for seed in self.seeds for arm in (SCRATCH, FULL)]
