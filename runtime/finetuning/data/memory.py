"""Whether the cases fit in memory, found out before any of them is prepared: one header that says 30 mm where others
say 0.7 makes a case a hundred thousand times as large."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager

import numpy as np

from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError
from fdif_dsl.runtime.finetuning.data.cases import Case
from fdif_dsl.runtime.finetuning.data.fingerprint import Checked, Facts, raise_first
from fdif_dsl.runtime.finetuning.data.nifti import Stored
from fdif_dsl.runtime.settings.wording import in_bytes
from fdif_dsl.runtime.training.memory import free_memory, shortage

Three = tuple[float, float, float]
_FAR_LARGER = 10
"""So many times the data set's median is worth a warning."""
# Bytes for each voxel beside those of grey levels, measured with prepare and with what scores a case: the grid on which
# MONAI samples, the label, the places of classes.
_PREPARING, _SCORING = 36, 64
_ANSWERS, _LAYER = 2_500_000_000, 128
"""What a network says of a case is kept for a few layers at a time, see `sliding_window.slide`: so many bytes, or, of
many classes, two blocks of so many voxels in height and depth."""


def resampled(facts: Facts | Stored, spacing: Three | None) -> tuple[int, int, int]:
    """The voxels (z, y, x) of a case once they have that size, in mm; None keeps its own."""
    if spacing is None:
        return facts.shape
    z, y, x = (max(1, round(n * its / wanted))
               for n, its, wanted in zip(facts.shape, facts.spacing, spacing, strict=True))
    return z, y, x


def check_memory(data: Checked, spacing: Three | None, train: Sequence[Case], held_out: Sequence[Case], *, room: int,
                 drawn: int, ready: Set[str] = frozenset()) -> tuple[Diagnostic, ...]:
    """Warnings of cases that are far larger than the others, as resampled to voxels of that `spacing`. Of `train` so
    many are `drawn`, and all of `held_out` are scored. `room` bytes are for cases that stay in memory; those that are
    `ready` do so already, or wait in files.

    Raises:
        FdifError: to prepare, to keep or to score them would take more memory than is free.
    """
    free = free_memory()
    cases = [*train, *held_out]
    shapes = {case.name: resampled(data.facts[case.name], spacing) for case in cases}
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    median = float(np.median([float(size) for size in sizes.values()]))
    usual = _by([round(float(np.median([float(shape[axis]) for shape in shapes.values()]))) for axis in range(3)])
    channels, classes = data.channels, data.outputs

    def told(case: Case) -> tuple[str, str]:
        """A case's size and the data set's, and what can be done about it."""
        its = data.facts[case.name].spacing
        size = f"it has {_by(shapes[case.name])} voxels (z, y, x)"
        if spacing is None:
            return f"{size}, and the median case {usual}", "check its header"
        return (f"resampled to voxels of {_by(spacing)} mm {size}, and the median case {usual}",
                f"by its header its own voxels are {_by(its)} mm: mend that, or choose other voxels with data.spacing")

    def too_large(case: Case, need: int, doing: str) -> Diagnostic:
        size, hint = told(case)
        return Diagnostic("E0927", "a case is larger than the memory that is free", where=str(case.images[0]),
                          why=f"{size}; {doing} takes {in_bytes(need)}, and {in_bytes(free or 0)} are free", hint=hint)

    need = {case.name: (sizes[case.name] * (4 * channels + _PREPARING), "preparing it") for case in cases}
    for case in held_out:
        answers = max(_ANSWERS, 8 * classes * _LAYER**2 * shapes[case.name][2])
        score = (min(4 * classes * sizes[case.name], answers) + sizes[case.name] * (8 * channels + _SCORING)
                 + math.prod(data.facts[case.name].shape) * _SCORING, f"scoring its {classes} classes")
        need[case.name] = max(need[case.name], score)
    if free is not None:
        raise_first([too_large(case, *need[case.name]) for case in cases if need[case.name][0] > free])
        some = sorted((sizes[case.name] for case in train if case.name not in ready), reverse=True)[:drawn]
        kept = min(room, (sum(some) + sum(sizes[case.name] for case in held_out if case.name not in ready))
                   * (4 * channels + 1))
        most = max(need.values())[0]
        if kept + most > free:
            raise FdifError(Diagnostic(
                "E0927", "the prepared cases are larger than the memory that is free", where=str(data.list.path),
                why=f"{in_bytes(kept)} are to stay in memory, the largest case takes {in_bytes(most)} while it is "
                    f"prepared or scored, and {in_bytes(free)} are free",
                hint=f"data.memory={(free - most) / 2e9:.1f} keeps fewer gigabytes; the other cases wait in temporary "
                     "files"))
    larger = [case for case in cases if sizes[case.name] > _FAR_LARGER * median]
    return tuple(Diagnostic("E0929", "a case is far larger than the others", where=str(case.images[0]), why=size,
                            hint=hint, warning=True) for case in larger for size, hint in [told(case)])


def to_prepare(image: Stored, channels: int, spacing: Three | None, where: str) -> Diagnostic | None:
    """What is said of a single image that takes more memory than is free once its voxels have that `spacing`."""
    shape, free = resampled(image, spacing), free_memory()
    need = math.prod(shape) * (4 * channels + _PREPARING)
    if free is None or need <= free:
        return None
    return Diagnostic(
        "E0927", "an image is larger than the memory that is free", where=where,
        why=f"with voxels of {_by(spacing or image.spacing)} mm it has {_by(shape)} (z, y, x); preparing it takes "
            f"{in_bytes(need)}, and {in_bytes(free)} are free",
        hint=f"by its header its own voxels are {_by(image.spacing)} mm: mend that if it is wrong")


@contextmanager
def within_memory(doing: str, hint: str) -> Iterator[None]:
    """Turns what libraries raise for want of memory in the block into a diagnostic: memory ran out while `doing`."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if shortage(error) is None:
            raise
        free = free_memory()
        raise FdifError(Diagnostic("E0927", f"memory ran out while {doing}", hint=hint,
                                   why="" if free is None else f"{in_bytes(free)} are free")) from error


def _by(sides: Sequence[float]) -> str:
    return " x ".join(f"{side}" if isinstance(side, int) else f"{side:.3g}" for side in sides)
