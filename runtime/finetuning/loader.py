"""The batches of a run: patches of cases, or whole volumes of MedMNIST, augmented. What is in a batch depends on the
seed alone."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from monai.transforms.utils import generate_label_classes_crop_centers
from torch.nn import functional
from torch.utils.data import IterableDataset

from fdif_dsl.runtime.finetuning.augmentation import augmentation
from fdif_dsl.runtime.finetuning.data.medmnist import MedMnist
from fdif_dsl.runtime.finetuning.data.normalisation import Scaling, scaled, schemes
from fdif_dsl.runtime.finetuning.data.preprocessing import CUT, Prepared
from fdif_dsl.runtime.finetuning.recipe import Augment, FinetuneRecipe
from fdif_dsl.runtime.streams.turns import place_of

Patch = tuple[int, int, int]
_BACKGROUND = 1 / 3
"""The share of patches whose middle is background; the middles of the others are shared out evenly to the classes."""


def random_of(number: int, seed: int) -> np.random.RandomState:
    """What all that is random about number `number` of a run is drawn from."""
    return np.random.RandomState(np.random.SeedSequence((seed, number)).generate_state(4))


@dataclass(frozen=True)
class Source:
    """A case to cut patches from, what is done to its grey levels, and the chance of each class to be in the middle."""

    case: Prepared
    levels: tuple[Scaling, ...]

    @property
    def chances(self) -> list[float]:
        there = [len(its) > 0 for its in self.case.places]
        each = (1 - _BACKGROUND) / max(1, sum(there[1:]))
        return [_BACKGROUND * there[0], *(each * here for here in there[1:])]


class Patches(IterableDataset):  # type: ignore[type-arg, misc, unused-ignore]
    """Batches {"image", "label", "number"}; `number` counts the patches of a run. Every case comes once before any
    comes again. Batches are made by `workers` threads ahead of who takes them; 0 makes each when it is asked for."""

    def __init__(self, sources: Sequence[Source], patch: Patch, batch: int, augment: Augment, seed: int,
                 workers: int = 0) -> None:
        super().__init__()
        self.sources, self.patch, self.batch, self.seed, self.workers = sources, patch, batch, seed, workers
        self._own = threading.local()
        self._augment = augment

    def __iter__(self) -> Iterator[dict[str, Any]]:
        numbers = (range(first, first + self.batch) for first in itertools.count(0, self.batch))
        if not self.workers:
            yield from map(self.make, numbers)
            return
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="fdif-patches")
        try:
            begun = deque(pool.submit(self.make, next(numbers)) for _ in range(self.workers + 1))
            while True:
                batch = begun.popleft().result()
                begun.append(pool.submit(self.make, next(numbers)))
                yield batch
        finally:
            pool.shutdown(cancel_futures=True)

    def make(self, numbers: Sequence[int]) -> dict[str, Any]:
        parts = [self.patch_of(number) for number in numbers]
        return {"image": torch.stack([p["image"] for p in parts]),
                "label": torch.stack([p["label"] for p in parts]).long(), "number": list(numbers)}

    def patch_of(self, number: int) -> dict[str, torch.Tensor]:
        """Patch `number` of the run: image float32 (c, *patch) and label (1, *patch)."""
        source = self.sources[place_of(number, len(self.sources), self.seed)]
        random = random_of(number, self.seed)
        case = source.case
        shape = case.label.shape[1:]
        sides = [min(side, n) for side, n in zip(self.patch, shape, strict=True)]
        middle = generate_label_classes_crop_centers(sides, 1, shape, list(case.places), source.chances, random,
                                                     warn=False)[0]
        cut = (slice(None), *(slice(int(m) - side // 2, int(m) - side // 2 + side)
                              for m, side in zip(middle, sides, strict=True)))
        image, label = scaled(case.image[cut], source.levels), case.label[cut].float()
        # What a small case lacks is 0 at both ends, as where patches slide over it. At one end only, it would tell the
        # network which way round a flipped patch is.
        lacking = [side - n for side, n in zip(self.patch[::-1], sides[::-1], strict=True)]
        ends = [end for n in lacking for end in (n // 2, n - n // 2)]
        out: dict[str, torch.Tensor] = self.augment(random)(
            {"image": functional.pad(image, ends), "label": functional.pad(label, ends)})
        return out

    def augment(self, random: np.random.RandomState) -> Any:
        """The changes, which draw from `random`; MONAI's hold what they have drawn, so each thread has its own."""
        if not hasattr(self._own, "changes"):
            self._own.changes = augmentation(self._augment, label=True)
        self._own.changes.set_random_state(state=random)
        return self._own.changes


class Volumes(IterableDataset):  # type: ignore[type-arg, misc, unused-ignore]
    """Batches {"image", "label", "number"} of the images `which`; every image comes once before any comes again."""

    def __init__(self, data: MedMnist, which: list[int], patch: Patch, recipe: FinetuneRecipe,
                 seed: int) -> None:
        super().__init__()
        self.data, self.which, self.patch, self.seed = data, which, patch, seed
        self.batch, self.how = recipe.train.batch, scheme(recipe)
        self.augment = augmentation(recipe.augment, label=False)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        first = 0
        while True:
            numbers = list(range(first, first + self.batch))
            places = [self.which[place_of(number, len(self.which), self.seed)] for number in numbers]
            yield {"image": torch.stack([self._seen(number, i) for number, i in zip(numbers, places, strict=True)]),
                   "label": torch.as_tensor(self.data.train.labels[places]), "number": numbers}
            first += self.batch

    def _seen(self, number: int, image: int) -> torch.Tensor:
        self.augment.set_random_state(state=random_of(number, self.seed))
        seen = as_seen(self.data.train.images[image], self.patch, self.how)
        out: torch.Tensor = self.augment({"image": seen})["image"]
        return out


def scheme(recipe: FinetuneRecipe) -> str:
    """How whole images are normalised, whose channels have no names."""
    return schemes(recipe.data.normalise, (), 1)[0]


def as_seen(image: np.ndarray, patch: Patch, how: str) -> torch.Tensor:
    """An image (c, D, H, W) as the network sees it: as large as a patch, and normalised on its own: `unit` from its
    lowest to its highest grey level, `keep` not at all, else to mean 0 and deviation 1, `clipped` without outliers."""
    out = torch.as_tensor(image.astype(np.float32))
    if tuple(out.shape[1:]) != patch:
        out = functional.interpolate(out[None], patch, mode="trilinear", align_corners=False)[0]
    flat = out.flatten(1)
    if how == "keep":
        return out
    if how == "clipped":
        low, high = (torch.as_tensor(part, dtype=torch.float32)[:, None]
                     for part in np.percentile(flat.numpy(), CUT, axis=1))
        flat = flat.clamp(low, high)
        out = flat.view_as(out)
    shift, size = (flat.amin(1), flat.amax(1) - flat.amin(1)) if how == "unit" else (
        flat.mean(1), flat.std(1, correction=0))
    scaled: torch.Tensor = (out - shift[:, None, None, None]) / size.clamp_min(1e-8)[:, None, None, None]
    return scaled
