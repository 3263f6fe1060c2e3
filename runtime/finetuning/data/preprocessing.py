"""Cases on the grid that the network sees, made when they are first asked for and kept.

Files hold voxels along x, y, z. Here arrays are (channels, z, y, x), as everywhere in fdif-dsl.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from fdif_dsl.compiler.support.progress import Progress
from fdif_dsl.grammar.diagnostics import Diagnostic
from fdif_dsl.runtime.finetuning.data.cache import Cache
from fdif_dsl.runtime.finetuning.data.cases import Case
from fdif_dsl.runtime.finetuning.data.datalists import read_list
from fdif_dsl.runtime.finetuning.data.fingerprint import Checked, examine
from fdif_dsl.runtime.finetuning.data.memory import check_memory, within_memory
from fdif_dsl.runtime.finetuning.data.nifti import Grid, Stored, read_label, read_volume, unsaid
from fdif_dsl.runtime.finetuning.recipe import FinetuneRecipe
from fdif_dsl.runtime.training.extra import require

CUT = (0.5, 99.5)
"""The percentiles beyond which grey levels are taken for outliers."""
ENDS = (("L", "R"), ("P", "A"), ("I", "S"))
"""What MONAI calls the ends of axes."""
_SAMPLED = 10_000
"""Voxels of each class of a case that are remembered, spread evenly: patches are placed on these."""


@dataclass(frozen=True)
class Seen:
    """An image as the network sees it, but for its grey levels: `image` float32 (channels, D, H, W) with these as
    stored, `affine` from voxel to mm. `grid` is that of its own file."""

    image: Any
    affine: np.ndarray
    grid: Grid

    @cached_property
    def moments(self) -> list[tuple[float, float]]:
        """The mean and the standard deviation of each channel."""
        return [(float(channel.mean()), float(channel.std(correction=0))) for channel in self.image]

    @cached_property
    def clipped_moments(self) -> list[tuple[float, float]]:
        """The same of each channel once it is cut to its outer percentiles."""
        cut = [channel.clamp(low, high) for channel, (low, high) in zip(self.image, self.percentiles, strict=True)]
        return [(float(channel.mean()), float(channel.std(correction=0))) for channel in cut]

    @cached_property
    def percentiles(self) -> list[tuple[float, float]]:
        """The outer percentiles of each channel."""
        return [(float(low), float(high)) for low, high in (np.percentile(channel, CUT) for channel in self.image)]


@dataclass(frozen=True)
class Prepared(Seen):
    """A case: its image, its `label` (1, D, H, W) on the same grid, as many as there are classes where a
    voxel has none; `places` has for each class flat indices of its
    voxels."""

    label: Any
    places: tuple[np.ndarray, ...]

    @property
    def foreground(self) -> np.ndarray:
        """Grey levels (channels, n) of voxels of the classes."""
        places = np.concatenate(self.places[1:])
        flat = self.image.flatten(1).numpy()
        return np.asarray(flat[:, places])


class Bank:
    """The cases of a data set, for any number of runs. `spacing` is that of the voxels (z, y, x) in mm, or None where
    each case keeps its own; `gigabytes` of them are kept in memory."""

    def __init__(self, data: Checked, spacing: str | tuple[float, float, float], orientation: str, gigabytes: float,
                 renumber: bool = False) -> None:
        self.data, self.wanted, self.orientation, self.renumber = data, spacing, orientation, renumber
        self._cache = Cache(gigabytes)
        self.spacing: tuple[float, float, float] | None = None
        if isinstance(spacing, tuple):
            self.spacing = spacing
        elif spacing == "median":
            z, y, x = np.median([facts.spacing for facts in data.facts.values()], axis=0).tolist()
            self.spacing = z, y, x
        self._kept: dict[str, Prepared] = {}

    def __getitem__(self, case: Case) -> Prepared:
        if case.name not in self._kept:
            with unsaid(), within_memory(f"{case.name} was prepared", "a smaller data.memory keeps fewer cases, and "
                                         "coarser voxels make them smaller: data.spacing"):
                made = prepare(case, self.spacing, self.orientation, self.data.numbers)
                self._kept[case.name] = replace(made, image=self._cache.keep(made.image),
                                                label=self._cache.keep(made.label))
        return self._kept[case.name]

    def check_memory(self, train: Sequence[Case], held_out: Sequence[Case], drawn: int) -> tuple[Diagnostic, ...]:
        """See `memory.check_memory`: whether these cases fit."""
        return check_memory(self.data, self.spacing, train, held_out, room=self._cache.room, drawn=drawn,
                            ready=self._kept.keys())

    def label(self, case: Case) -> Stored:
        """The class of each voxel of a case's own file."""
        with unsaid():
            return read_label(case.label, self.data.numbers)

    def fits(self, recipe: FinetuneRecipe) -> bool:
        """Whether it is what the recipe wants."""
        wanted = recipe.data
        return (self.wanted, self.orientation, self.renumber) == (
            wanted.spacing, wanted.orientation, wanted.renumber) and (
            Path(wanted.path) in (self.data.list.path, self.data.list.path.parent))


def open_data(recipe: FinetuneRecipe, progress: Progress | None = None) -> Bank:
    """The recipe's data set; every case is looked at. Raises `FdifError` for all that is wrong with it."""
    wanted = recipe.data
    checked = examine(read_list(Path(wanted.path), wanted.renumber), progress, wanted.renumber)
    return Bank(checked, wanted.spacing, wanted.orientation, wanted.memory, wanted.renumber)


def prepare(case: Case, spacing: Sequence[float] | None, orientation: str, numbers: Sequence[int]) -> Prepared:
    """A case with its axes turned to the orientation and its voxels resampled: the image as `see` does, the label by
    nearest neighbour. `numbers` are what its file holds for each class."""
    import torch

    seen = see([read_volume(path) for path in case.images], spacing, orientation)
    transforms = require("monai.transforms")
    label = _upright(read_label(case.label, numbers).voxels, seen.grid.affine, orientation)
    if spacing is not None:  # exactly the image's grid, whatever rounding does to sizes
        label = transforms.SpatialResample(mode="nearest", dtype=np.float32)(
            label, dst_affine=seen.affine, spatial_size=seen.image.shape[1:])
    classes = len(numbers)
    label = label.as_tensor().contiguous().to(torch.uint8 if classes < 256 else torch.int16)
    places = require("monai.transforms.utils").map_classes_to_indices(label, classes, max_samples_per_class=_SAMPLED)
    return Prepared(seen.image, seen.affine, seen.grid, label, tuple(np.asarray(its) for its in places))


def see(images: Sequence[Stored], spacing: Sequence[float] | None, orientation: str) -> Seen:
    """The channels of an image with its axes turned to the orientation and its voxels resampled linearly; without a
    spacing they stay as they are. All channels lie where the first does."""
    grid = images[0].grid
    image = _upright(np.concatenate([its.voxels for its in images]) if len(images) > 1 else images[0].voxels,
                     grid.affine, orientation)
    if spacing is not None:
        image = require("monai.transforms").Spacing(spacing, mode="bilinear", dtype=np.float32)(image)
    return Seen(image.as_tensor().contiguous(), image.affine.numpy().astype(np.float64), grid)


def _upright(voxels: np.ndarray, affine: np.ndarray, orientation: str) -> Any:
    """Voxels (channels, x, y, z) as float32 with their axes (z, y, x) turned to the orientation."""
    image = require("monai.data").MetaTensor(voxels.astype(np.float32), affine=affine)
    axes = require("monai.transforms").Orientation(orientation[::-1], labels=ENDS)
    return axes(image)
