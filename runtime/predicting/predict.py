"""`predict`: fine-tuned networks on new images, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fdif_dsl.compiler.support.locks import hold
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError
from fdif_dsl.runtime.finetuning.data.fingerprint import raise_first
from fdif_dsl.runtime.finetuning.data.memory import within_memory
from fdif_dsl.runtime.finetuning.data.nifti import unsaid
from fdif_dsl.runtime.finetuning.data.writing import ending_of, write_classes
from fdif_dsl.runtime.pictures.colour_tables import write_colour_tables
from fdif_dsl.runtime.predicting.formulas import read_of_formulas
from fdif_dsl.runtime.predicting.images import Image, find_images
from fdif_dsl.runtime.predicting.record import Record
from fdif_dsl.runtime.predicting.tuned import Tuned, read_tuned
from fdif_dsl.runtime.settings.wording import counted
from fdif_dsl.runtime.training.extra import require

if TYPE_CHECKING:
    from fdif_dsl.runtime.finetuning.inference import Sliding

PROBABILITIES = "probabilities"


@dataclass(frozen=True)
class Hooks:
    """What is called on the way: `on_start` with what is about to happen, once all is checked; `progress` with the name
    of an image, how many patches of it are done, and of how many; `on_image` with the file of each image's classes."""

    on_start: Callable[[str], None] | None = None
    progress: Callable[[str, int, int], None] | None = None
    on_image: Callable[[Path], None] | None = None


def predict(run: str | Path, images: str | Path | Sequence[str | Path], directory: str | Path, *, flips: bool = False,
            probabilities: bool = False, overlap: float | None = None, accelerator: str = "auto",
            overwrite: bool = False, classes: Mapping[str, int] | None = None, spacing: float | Sequence[float] = 1.0,
            hooks: Hooks | None = None) -> list[Path]:
    """Segments images with the networks of a run of fine-tuning, and leaves in `directory`::

        NAME.nii.gz              for each image a label on its own grid, with the numbers of the data set; in the
                                 image's format
        probabilities/NAME.nii   where they are wanted: float32 (x, y, z, classes)
        labels-itksnap.txt       names and colours of the numbers, for ITK-SNAP
        labels-slicer.ctbl       the same for 3D Slicer
        predictions.json         what the files were made with, and what the numbers mean

    `run` is the folder of a run of `fdifc finetune`, whose networks are averaged, or one weights.pt of it; `images` are
    files, or folders of them. Patches `overlap` by a share, that of the run's recipe where it is None; with `flips`
    each is seen mirrored along every axis too, which takes eight times as long. `accelerator` is `auto`, `cpu` or
    `gpu`. What an earlier call with the same run and settings has finished is kept, unless `overwrite`.

    With `classes`, the run is one of `fdifc pretrain` whose formulas are what is looked for: the number of each class
    that is written, where all else is background; images are seen in voxels of `spacing` mm, one number or (z, y, x).

    Returns:
        The label files, in the order of the images.

    Raises:
        FdifError: the run or an image does not do, or the folder holds something else. Of images that cannot be used
            it is said after the others are done.
    """
    z, y, x = (spacing,) * 3 if isinstance(spacing, int | float) else spacing
    networks = [read_of_formulas(Path(run), classes, (z, y, x))] if classes else read_tuned(Path(run))
    tuned = networks[0]
    found = find_images([Path(images)] if isinstance(images, str | Path) else [Path(path) for path in images],
                        tuned.channels)
    sliding = _sliding(tuned, overlap, flips, accelerator)
    folder, hooks = Path(directory), hooks or Hooks()
    record = Record.of(Path(run), networks, sliding)
    with hold(folder, lambda: record.check(folder, found, overwrite)):
        record.begin(folder, overwrite)
        if hooks.on_start is not None:
            hooks.on_start(_told(Path(run), networks, found))
        write_colour_tables(folder, dict(zip(tuned.numbers, tuned.classes, strict=True)))
        for network in networks:
            network.network.to(sliding.device)
        mistakes: list[Diagnostic] = []
        out = []
        for image in found:
            path = folder / f"{image.name}{ending_of(image.files[0])}"
            chances = folder / PROBABILITIES / f"{image.name}.nii" if probabilities else None
            if not record.has(folder, image) or (chances is not None and not chances.is_file()):
                try:
                    _one(image, networks, sliding, path, chances, hooks)
                except FdifError as error:
                    mistakes += error.diagnostics
                    continue
                record.add(folder, image, path)
            out.append(path)
            if hooks.on_image is not None:
                hooks.on_image(path)
        raise_first(mistakes)
    return out


def _one(image: Image, networks: Sequence[Tuned], sliding: Sliding, path: Path, chances: Path | None,
         hooks: Hooks) -> None:
    from fdif_dsl.runtime.finetuning.data.normalisation import scaling
    from fdif_dsl.runtime.finetuning.inference import Member, decision, segment
    from fdif_dsl.runtime.predicting.probabilities import Probabilities
    from fdif_dsl.runtime.predicting.reading import see_image

    tuned = networks[0]

    def progress(done: int, total: int) -> None:
        if hooks.progress is not None:
            hooks.progress(image.name, done, total)

    with unsaid(), within_memory(f"{image.name} was predicted", "free some memory; on a GPU a run with a smaller "
                                 "train.patch needs less"):
        seen = see_image(image, tuned)
        members = [Member(its.network, scaling(seen, [how for how, _ in its.normalise],
                                               [levels for _, levels in its.normalise])) for its in networks]
        decide = decision(tuned.regions, tuned.numbers)
        parts = sliding.parts(members, tuned.outputs, seen.image, progress)
        if chances is None:
            found = segment(parts, seen, decide)
        else:
            with Probabilities(chances, seen.grid, tuned.outputs, overlap=bool(tuned.regions)) as kept:
                found = segment(parts, seen, decide, kept.keep)
    write_classes(np.asarray(tuned.numbers)[found], seen.grid.affine, path)


def _sliding(tuned: Tuned, overlap: float | None, flips: bool, accelerator: str) -> Sliding:
    """How the networks look at an image. Raises `FdifError` where a GPU is wanted and there is none."""
    require("monai.inferers")
    import torch

    from fdif_dsl.runtime.finetuning.inference import Sliding

    gpu = torch.cuda.is_available()
    if accelerator == "gpu" and not gpu:
        raise FdifError(Diagnostic("E0955", "there is no GPU that torch can use", hint="--accelerator cpu predicts on "
                                   "the processor"))
    device = torch.device("cuda" if gpu and accelerator != "cpu" else "cpu")
    return Sliding(tuned.patch, tuned.overlap if overlap is None else overlap, device, tuned.precision, flips)


def _told(run: Path, networks: Sequence[Tuned], images: Sequence[Image]) -> str:
    tuned = networks[0]
    mean = f", the mean of {len(networks)} networks" if len(networks) > 1 else ""
    return (f"predicting {counted(len(images), 'image')} with {tuned.kind} of {run}{mean}: "
            + ", ".join(f"{number} {name}" for number, name in sorted(dict(zip(
                tuned.numbers, tuned.classes, strict=True)).items())))
