"""An image as a network wants to see it."""

from __future__ import annotations

import numpy as np

from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError
from fdif_dsl.runtime.finetuning.data.memory import to_prepare
from fdif_dsl.runtime.finetuning.data.nifti import read_volume
from fdif_dsl.runtime.finetuning.data.preprocessing import Seen, see
from fdif_dsl.runtime.predicting.images import Image
from fdif_dsl.runtime.predicting.tuned import Tuned
from fdif_dsl.runtime.settings.wording import counted

_APART = 0.5  # voxels that channels may lie apart, as for the cases of a data set


def see_image(image: Image, tuned: Tuned) -> Seen:
    """The image on the grid that the network sees.

    Raises:
        FdifError: a file cannot be read or used, the channels are other ones than those of the network's training, do
            not fit each other, or take more memory than is free.
    """
    channels = [read_volume(path) for path in image.files]
    there = sum(len(its.voxels) for its in channels)
    if there != tuned.channels:
        its_own = f": {', '.join(tuned.names)}" if tuned.names else ""
        raise FdifError(Diagnostic(
            "E0954", f"an image has {counted(there, 'channel')}, and the network was trained on {tuned.channels}",
            where=str(image.files[0]), why=f"its input is {counted(tuned.channels, 'channel')}{its_own}",
            hint="give an image with these channels: one file with four axes, or a file for each, NAME_0000.nii.gz, "
            "NAME_0001.nii.gz and so on" if tuned.channels > 1 else "give the file of one channel, with three axes"))
    first = channels[0]
    for path, its in zip(image.files, channels, strict=True):
        if its.voxels.dtype.kind == "f" and not np.isfinite(its.voxels).all():
            raise FdifError(Diagnostic(
                "E0915", "an image holds voxels that are no numbers", where=str(path),
                hint="replace them, for example by the lowest grey level of the image"))
        if its.grid.shape != first.grid.shape or first.grid.apart(its.grid) > _APART * min(first.steps):
            raise FdifError(Diagnostic(
                "E0913", "the channels of an image do not lie in the same place", where=str(path),
                why=f"it has {_by(its.grid.shape)} voxels, and {image.files[0]} has {_by(first.grid.shape)}"
                if its.grid.shape != first.grid.shape else
                f"the same voxel of {image.files[0]} is up to {first.grid.apart(its.grid):.3g} mm away",
                hint="resample them to one grid"))
    if short := to_prepare(first, there, tuned.spacing, str(image.files[0])):
        raise FdifError(short)
    return see(channels, tuned.spacing, tuned.orientation)


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
