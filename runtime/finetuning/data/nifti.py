"""Reading one case from NIfTI files."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError


@dataclass(frozen=True)
class Stored:
    """What a NIfTI file holds: `voxels` (channels, x, y, z) as stored, and the `affine` from voxel to mm."""

    voxels: np.ndarray
    affine: np.ndarray

    @property
    def steps(self) -> tuple[float, float, float]:
        """The size of a voxel along the axes of the file, in mm."""
        i, j, k = (float(v) for v in np.sqrt((self.affine[:3, :3] ** 2).sum(0)))
        return i, j, k

    @property
    def spacing(self) -> tuple[float, float, float]:
        """The size of a voxel, in mm, from feet to head, from back to front and from left to right (z, y, x)."""
        z, y, x = (self.steps[i] for i in self._axes[0])
        return z, y, x

    def upright(self) -> np.ndarray:
        """The voxels (channels, z, y, x), up to the head, to the front and to the right, however they are stored."""
        order, backwards = self._axes
        turned = self.voxels.transpose(0, *(1 + i for i in order))
        return turned[(slice(None), *(slice(None, None, -1 if back else 1) for back in backwards))]

    @property
    def _axes(self) -> tuple[list[int], list[bool]]:
        """The axes of the file that lie along z, y and x, and whether each runs backwards."""
        from nibabel.orientations import io_orientation

        turned: Any = io_orientation(self.affine)  # type: ignore[no-untyped-call]
        along = turned[:, 0].astype(int).tolist()
        order = [along.index(axis) for axis in (2, 1, 0)]
        return order, [bool(turned[i, 1] < 0) for i in order]


@contextmanager
def unsaid() -> Iterator[None]:
    """Keeps nibabel's notes about odd headers off the terminal."""
    logger = logging.getLogger("nibabel.global")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def read_volume(path: Path) -> Stored:
    """A file of three axes, or of four, the last of which are channels.

    Raises:
        FdifError: it is missing, is no NIfTI file, is damaged, or has another number of axes.
    """
    import nibabel
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError

    if not path.is_file():
        raise FdifError(Diagnostic("E0911", "a file is missing", where=str(path), why="the data set names it",
                                   hint="put it there, or take its case off the list"))
    try:
        with np.errstate(all="ignore"):
            loaded: Any = nibabel.load(path)  # type: ignore[attr-defined]
            voxels, affine = np.asanyarray(loaded.dataobj), np.asarray(loaded.affine, np.float64)
    except (ImageFileError, HeaderDataError, OSError, EOFError, ValueError, ArithmeticError, MemoryError,
            zlib.error) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FdifError(Diagnostic("E0912", "a file cannot be read", where=str(path), why=why.replace(str(path), "it"),
                                   hint="it may have been cut off while it was copied; copy it again")) from error
    while voxels.ndim > 4 and 1 in voxels.shape[3:]:
        voxels = voxels.squeeze(3 + voxels.shape[3:].index(1))
    if voxels.ndim == 3:
        voxels = voxels[..., None]
    if voxels.ndim != 4 or 0 in voxels.shape or voxels.dtype.kind not in "iufb":
        what = f"its voxels are {voxels.dtype}" if voxels.ndim == 4 else f"its shape is {list(voxels.shape)}"
        raise FdifError(Diagnostic("E0912", "a file holds no volume", where=str(path), why=what,
                                   hint="a volume has three axes, or four, the last of which are channels"))
    if not np.isfinite(affine).all() or np.linalg.matrix_rank(affine[:3, :3]) < 3:
        raise FdifError(Diagnostic("E0912", "a file does not say where its voxels lie", where=str(path),
                                   why="the affine in its header cannot be inverted",
                                   hint="write the header anew, with the size of a voxel in mm"))
    return Stored(np.moveaxis(voxels, 3, 0), affine)
