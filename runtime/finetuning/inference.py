"""What networks make of an image: a class for each voxel of its own file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from fdif_dsl.compiler.support.progress import Progress
from fdif_dsl.runtime.finetuning.data.cases import Region
from fdif_dsl.runtime.finetuning.data.normalisation import Scaling, scaled
from fdif_dsl.runtime.finetuning.data.preprocessing import Seen
from fdif_dsl.runtime.finetuning.own_grid import Box, on_own_grid
from fdif_dsl.runtime.finetuning.sliding_window import Answer, Cut, Part, Three, slide
from fdif_dsl.runtime.training.validation import finest

Keep = Callable[[Box, torch.Tensor, torch.Tensor], None]
"""Called with boxes (x, y, z) of an image's own voxels, what the network says (outputs, ...) there, and which of the
voxels are meant."""

Decide = Callable[[torch.Tensor], torch.Tensor]
"""The class (...) of each voxel, from what the network says (outputs, ...)."""


@dataclass(frozen=True)
class Member:
    """A network, and what is done to each channel of an image before it sees it."""

    network: torch.nn.Module
    levels: Sequence[Scaling]


@dataclass(frozen=True)
class Sliding:
    """How networks look at an image: in patches (D, H, W) that overlap by a share, on a device, with the precision of
    training; with `flips` also mirrored along each axis, and the mean of all eight is taken."""

    patch: Three
    overlap: float
    device: torch.device
    precision: str
    flips: bool = False

    def parts(self, members: Sequence[Member], outputs: int, image: torch.Tensor,
              progress: Progress | None = None) -> Iterator[Part]:
        """The mean of what the members say of an image (channels, D, H, W) with grey levels as stored."""
        d, h, w = image.shape[1:]
        return slide(self._answer(members, image), outputs, (d, h, w), self.patch, self.overlap, progress)

    def _answer(self, members: Sequence[Member], image: torch.Tensor) -> Answer:
        turns = [axes for n in range(4 if self.flips else 1) for axes in combinations((2, 3, 4), n)]
        lacking = [max(0, side - n) for side, n in zip(self.patch, image.shape[1:], strict=True)]
        ends = [end for n in lacking[::-1] for end in (n // 2, n - n // 2)]

        def answer(cut: Cut) -> torch.Tensor:
            inside = tuple(slice(n // 2, n // 2 + its.stop - its.start) for n, its in zip(lacking, cut, strict=True))
            total: Any = 0
            with torch.inference_mode(), half(self.device, self.precision):
                for member in members:
                    seen = functional.pad(scaled(image[(slice(None), *cut)], member.levels), ends)
                    seen = seen[None].to(self.device)
                    for axes in turns:
                        total = total + finest(member.network(seen.flip(axes))).float().flip(axes)[0]
                out: torch.Tensor = (total[(slice(None), *inside)] / (len(members) * len(turns))).cpu()
            return out

        return answer


def half(device: torch.device, precision: str) -> Any:
    """The precision of training, for what is computed outside of it."""
    kind = torch.bfloat16 if precision == "bf16-mixed" else torch.float16
    return torch.autocast(device.type, kind, enabled=device.type == "cuda" and precision != "32")


def classes_of(values: torch.Tensor) -> torch.Tensor:
    """The class (...) of each voxel, from what the network says (outputs, ...): the first with the greatest value."""
    best = values[0].clone()
    found = torch.zeros_like(best, dtype=torch.int16)
    for number, value in enumerate(values[1:], 1):  # argmax over the first axis takes 30 times as long
        found.masked_fill_(value > best, number)
        torch.maximum(best, value, out=best)
    return found


def decision(regions: Sequence[Region], numbers: Sequence[int]) -> Decide:
    """How values become classes. A voxel lies in a region where its value, a logit, is above 0; of regions that overlap
    there the last one's number is written, as nnU-Net does. `numbers` are those of the classes in files."""
    if not regions:
        return classes_of
    places = [numbers.index(region.number) for region in regions]

    def painted(values: torch.Tensor) -> torch.Tensor:
        out = torch.zeros(values.shape[1:], dtype=torch.int16)
        for value, place in zip(values, places, strict=True):
            out[value > 0] = place
        return out

    return painted


def segment(parts: Iterator[Part], seen: Seen, decide: Decide = classes_of, also: Keep | None = None,
            before: torch.Tensor | None = None) -> np.ndarray:
    """The class of each voxel (x, y, z) of an image's own file. Values are brought to its grid and the class taken
    then, so that surfaces are as smooth as they are. `also` is called with the values there; `before` is filled with
    the classes (D, H, W) on the grid that the network sees."""
    found = torch.zeros(seen.grid.shape, dtype=torch.int16)
    d, h, w = seen.image.shape[1:]
    for part in parts:
        if before is not None:
            cut = tuple(slice(start, start + n) for start, n in zip(part.first, part.values.shape[1:], strict=True))
            before[cut] = decide(part.values)
        for box, values, meant in on_own_grid(part, seen.affine, (d, h, w), seen.grid):
            found[box] = torch.where(meant, decide(values), found[box])
            if also is not None:
                also(box, values, meant)
    return found.numpy()
