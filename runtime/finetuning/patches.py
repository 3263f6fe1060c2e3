"""The batches of a run: patches of the training cases, augmented. What is in a batch depends on the seed alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from monai.data.meta_obj import get_track_meta, set_track_meta
from monai.transforms.utils import generate_label_classes_crop_centers
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from fdif_dsl.runtime.finetuning.recipe import Augment
from fdif_dsl.runtime.stream import use_one_thread
from fdif_dsl.runtime.training.extra import require

Patch = tuple[int, int, int]
_BACKGROUND = 1 / 3
"""The share of patches whose middle is background; the middles of the others are shared out evenly to the classes."""


@dataclass(frozen=True)
class Source:
    """A case to cut patches from: image (c, D, H, W) as the network sees it, label (1, D, H, W), the places of each
    class, and the chance of each to be the middle of a patch."""

    image: torch.Tensor
    label: torch.Tensor
    places: tuple[np.ndarray, ...]
    chances: tuple[float, ...]


def source(image: torch.Tensor, label: torch.Tensor, places: Sequence[np.ndarray], patch: Patch) -> Source:
    """A case that is at least as large as a patch: what is missing is filled up with 0, at the far ends."""
    shape = tuple(label.shape[1:])
    lacking = [max(0, side - n) for n, side in zip(shape, patch, strict=True)]
    if any(lacking):
        ends = [end for more in reversed(lacking) for end in (0, more)]
        image, label = (torch.nn.functional.pad(part, ends) for part in (image, label))
        larger = tuple(label.shape[1:])
        places = [np.ravel_multi_index(np.unravel_index(its, shape), larger) for its in places]
    there = [len(its) > 0 for its in places[1:]]
    chances = (_BACKGROUND * (len(places[0]) > 0), *((1 - _BACKGROUND) / max(1, sum(there)) * here for here in there))
    return Source(image, label, tuple(places), chances)


class Patches(IterableDataset):  # type: ignore[type-arg, misc, unused-ignore]
    """Batches {"image", "label", "number"}; `number` counts the patches of a run. Every case comes once before any
    comes again."""

    def __init__(self, sources: Sequence[Source], patch: Patch, batch: int, augment: Augment, seed: int) -> None:
        super().__init__()
        self.sources, self.patch, self.batch, self.seed = sources, patch, batch, seed
        self.augment = changes(augment)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        info = get_worker_info()
        first, step = (info.id, info.num_workers) if info else (0, 1)  # a loader takes from its workers in turn
        number = first
        while True:
            yield self.make(range(number * self.batch, (number + 1) * self.batch))
            number += step

    def make(self, numbers: Sequence[int]) -> dict[str, Any]:
        tracked = get_track_meta()
        set_track_meta(False)  # nobody asks where a patch came from, and keeping it takes longer than cutting it
        try:
            parts = [self.patch_of(number) for number in numbers]
        finally:
            set_track_meta(tracked)
        return {"image": torch.stack([p["image"] for p in parts]),
                "label": torch.stack([p["label"] for p in parts]).long(), "number": list(numbers)}

    def patch_of(self, number: int) -> dict[str, torch.Tensor]:
        """Patch `number` of the run."""
        turn, place = divmod(number, len(self.sources))
        case = self.sources[np.random.default_rng((self.seed, turn)).permutation(len(self.sources))[place]]
        random = np.random.RandomState(np.random.SeedSequence((self.seed, number)).generate_state(4))
        middle = generate_label_classes_crop_centers(
            self.patch, 1, case.label.shape[1:], list(case.places), list(case.chances), random, warn=False)[0]
        cut = (slice(None), *(slice(int(m) - side // 2, int(m) - side // 2 + side)
                              for m, side in zip(middle, self.patch, strict=True)))
        self.augment.set_random_state(state=random)
        out: dict[str, torch.Tensor] = self.augment({"image": case.image[cut], "label": case.label[cut].float()})
        return out


def changes(settings: Augment) -> Any:
    """The changes of a recipe, those that have a chance."""
    transforms = require("monai.transforms")
    both = ("image", "label")
    turn = np.deg2rad(settings.degrees)
    smooth = {"mode": ("bilinear", "nearest"), "padding_mode": "border"}
    steps: list[tuple[float, list[Any]]] = [
        (settings.flip, [transforms.RandFlipd(both, settings.flip, spatial_axis=axis) for axis in range(3)]),
        (settings.rotate, [transforms.RandRotated(both, turn, turn, turn, prob=settings.rotate, **smooth)]),
        (settings.zoom, [transforms.RandZoomd(both, settings.zoom, 1 - settings.zoom_by, 1 + settings.zoom_by,
                                              mode=("trilinear", "nearest"), padding_mode="edge")]),
        (settings.noise, [transforms.RandGaussianNoised("image", settings.noise, std=settings.noise_by)]),
        (settings.contrast, [transforms.RandScaleIntensityd("image", settings.contrast_by, settings.contrast)]),
        (settings.shift, [transforms.RandShiftIntensityd("image", settings.shift_by, prob=settings.shift)]),
    ]
    return transforms.Compose([step for chance, those in steps if chance > 0 for step in those])


def loader(patches: Patches, workers: int) -> Any:
    """The batches as Lightning takes them, made by `workers` processes, or by the training process where that is 0."""
    return DataLoader(patches, batch_size=None, num_workers=workers,
                      pin_memory=workers > 0 and torch.cuda.is_available(),
                      multiprocessing_context="spawn" if workers else None,
                      worker_init_fn=_start_worker if workers else None)


def _start_worker(worker: int) -> None:
    use_one_thread()
