"""Reading one case: NIfTI files, and by SimpleITK NRRD, MetaImage and DICOM series."""

from __future__ import annotations

import gzip
import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError
from fdif_dsl.runtime.finetuning.data import itk
from fdif_dsl.runtime.finetuning.data.impostors import impostor, missing
from fdif_dsl.runtime.settings.wording import in_bytes
from fdif_dsl.runtime.training.memory import free_memory

NEAR = 1e-3
"""How far a label's value may lie from a whole number: float32 and scale factors of headers leave such traces."""
_LARGEST = 2**31  # the numbers of classes stay below
_FAR = 1e9  # mm that no scanner reaches; its inverse is a size that no voxel has
_DENSEST = 1032  # bytes that one byte of gzip can stand for


@dataclass(frozen=True)
class Grid:
    """The voxels of a file: how many along its axes (x, y, z), and the `affine` from voxel to mm."""

    shape: tuple[int, int, int]
    affine: np.ndarray

    def apart(self, other: Grid) -> float:
        """How far, in mm, the headers of two files with as many voxels put the same corner apart."""
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.shape])).reshape(3, -1)
        places = (self.affine - other.affine)[:3] @ np.vstack([corners, np.ones(8)])
        return float(np.sqrt((places**2).sum(0)).max())


@dataclass(frozen=True)
class Stored:
    """What a file holds: `voxels` (channels, x, y, z) as stored, and the `affine` from voxel to mm."""

    voxels: np.ndarray
    affine: np.ndarray

    @property
    def grid(self) -> Grid:
        x, y, z = (int(n) for n in self.voxels.shape[1:])
        return Grid((x, y, z), self.affine)

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

    @property
    def shape(self) -> tuple[int, int, int]:
        """The voxels along z, y and x."""
        z, y, x = (int(self.voxels.shape[1 + i]) for i in self._axes[0])
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
    """A file of three axes, or of four, the last of which are channels; or the folder of a DICOM series.

    Raises:
        FdifError: it is missing, has none of these formats, is damaged, is larger than the memory, or has another
            number of axes.
    """
    by_itk = itk.reads(path)
    if not path.is_file() and not by_itk:
        raise FdifError(missing(path))
    try:
        with np.errstate(all="ignore"):
            voxels, affine = _load_itk(path) if by_itk else _load(path)
    except FdifError:
        raise
    except Exception as error:  # a damaged header makes nibabel stumble anywhere
        raise FdifError((None if by_itk else impostor(path)) or _cut_off(path, error)) from error
    while voxels.ndim > 4 and 1 in voxels.shape[3:]:
        voxels = voxels.squeeze(3 + voxels.shape[3:].index(1))
    if voxels.ndim == 3:
        voxels = voxels[..., None]
    if voxels.ndim != 4 or 0 in voxels.shape:
        raise FdifError(Diagnostic("E0912", "a file holds no volume", where=str(path),
                                   why=f"its shape is {list(voxels.shape)}",
                                   hint="a volume has three axes, or four, the last of which are channels"))
    if voxels.dtype.kind not in "iufb":
        what, hint = ("complex numbers", "store their magnitude") if voxels.dtype.kind == "c" else (
            "colours", "make grey levels of them, or give each colour as a channel, along a fourth axis")
        raise FdifError(Diagnostic("E0912", f"the voxels of a file are {what}", where=str(path),
                                   why="each voxel of a channel is one number", hint=hint))
    if why := _nowhere(affine):
        raise FdifError(Diagnostic("E0912", "a file does not say where its voxels lie", where=str(path), why=why,
                                   hint="write the header anew, with the size of a voxel in mm"))
    return Stored(np.moveaxis(voxels, 3, 0), affine)


def read_label(path: Path, numbers: Sequence[int] | None = None) -> Stored:
    """A file of one class a voxel, as whole numbers: those that it holds, or, where `numbers` are given, the place of
    each among them.

    Raises:
        FdifError: as `read_volume`; and it has several channels, or voxels further than 1e-3 from a whole number.
    """
    stored = read_volume(path)
    voxels = stored.voxels

    def wrong(title: str, why: str, hint: str) -> FdifError:
        return FdifError(Diagnostic("E0916", title, where=str(path), why=why, hint=hint))

    if len(voxels) != 1:
        raise wrong("a label has several channels", f"it has {len(voxels)}", "give a file with one class a voxel")
    if voxels.dtype.kind == "b":
        voxels = voxels.astype(np.uint8)
    elif voxels.dtype.kind == "f":
        whole = np.rint(voxels)
        # What is NaN fails both.
        odd = voxels[~((np.abs(voxels - whole) <= NEAR) & (np.abs(whole) < _LARGEST))]
        if odd.size:
            raise wrong("a label holds values that are no classes", f"{odd[0]} is no whole number"
                        if not abs(odd[0]) >= _LARGEST else f"{odd[0]} is no number of a class",
                        "labels are whole numbers from 0; resample labels by nearest neighbour")
        voxels = whole.astype(np.int32)
    if numbers is not None and list(numbers) != list(range(len(numbers))):
        voxels = np.searchsorted(np.asarray(numbers), voxels).astype(np.int16)
    return replace(stored, voxels=voxels)


def _load_itk(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The voxels and the affine of a file or of a series. Raises whatever SimpleITK does."""
    if not path.exists():
        raise FdifError(missing(path))
    _check_room(path, itk.size(path))
    return itk.load(path)


def _load(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The voxels and the affine of a file. Raises whatever nibabel does."""
    import nibabel

    loaded: Any = nibabel.load(path)  # type: ignore[attr-defined]
    packed = path.name.lower().endswith(".nii.gz")
    _check_size(path, loaded, packed)
    if not packed:
        return np.asanyarray(loaded.dataobj), np.asarray(loaded.affine, np.float64)
    # nibabel stops at the last voxel, and the checksum stands behind it.
    with gzip.open(path) as stream:
        loaded = type(loaded).from_stream(stream)
        voxels, affine = np.asanyarray(loaded.dataobj), np.asarray(loaded.affine, np.float64)
        while stream.read(2**20):
            pass
    return voxels, affine


def _check_size(path: Path, loaded: Any, packed: bool) -> None:
    """Raises `FdifError` where the voxels that a header tells of cannot be in the file, or not in the memory."""
    count = math.prod(int(n) for n in loaded.shape)
    there = count * loaded.get_data_dtype().itemsize
    size = path.stat().st_size
    if path.name.lower().endswith((".nii", ".nii.gz")) and there > size * (_DENSEST if packed else 1):
        raise FdifError(_cut_off(path, f"by its header it holds {in_bytes(there)} of voxels, and the file has "
                                       f"{in_bytes(size)}"))
    # Scaled voxels are float64.
    _check_room(path, there + (8 * count if getattr(loaded.dataobj, "slope", 1) != 1 else 0))


def _check_room(path: Path, there: int) -> None:
    """Raises `FdifError` where so many bytes of voxels are more than what is free."""
    free = free_memory()
    if free is not None and there > free:
        raise FdifError(Diagnostic(
            "E0927", "a file is larger than the memory that is free", where=str(path),
            why=f"by its header it holds {in_bytes(there)} of voxels, and {in_bytes(free)} are free",
            hint="check its header, or give it on coarser voxels"))


def _nowhere(affine: np.ndarray) -> str:
    """Why an affine does not tell where voxels lie, or an empty text."""
    steps = np.sqrt((affine[:3, :3] ** 2).sum(0))
    if not np.isfinite(affine).all() or steps.min() == 0 or np.linalg.matrix_rank(affine[:3, :3] / steps, 1e-6) < 3:
        return "the affine in its header cannot be inverted"
    if steps.min() < 1 / _FAR or np.abs(affine).max() > _FAR:
        return f"by its header its voxels are {steps.min():.3g} mm, or {np.abs(affine).max():.3g} mm away"
    return ""


def _cut_off(path: Path, error: object) -> Diagnostic:
    why = str(error).splitlines()[0] if str(error) else type(error).__name__
    if why.startswith("Exception thrown in SimpleITK"):  # what follows is about its own source
        why = "it is damaged, or a part of it is missing"
    if isinstance(error, OSError) and error.strerror:
        why = error.strerror.lower()
    return Diagnostic("E0912", "a file cannot be read", where=str(path), why=why.replace(str(path), "it"),
                      hint="it may have been cut off while it was copied; copy it again")
