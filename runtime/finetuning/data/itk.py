"""NRRD, MetaImage and DICOM series, which SimpleITK reads. It comes with the extra `formats`."""

from __future__ import annotations

import locale
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError
from fdif_dsl.runtime.finetuning.data.cases import ITK, hidden

_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""ITK's axes point to the left and to the back, those of NIfTI to the right and to the front."""
_LOOKED_AT = 5  # files of a folder that could be a series
_UNEVEN = 0.1  # of the distance of slices: by how much one may differ from the others
_STRAIGHT = 0.999  # the cosine of the angle between the way from slice to slice and what they are perpendicular to


def reads(path: Path) -> bool:
    """Whether this is how a file of a format of ITK is called, or a folder with a DICOM series."""
    return is_series(path) or (path.name.lower().endswith(ITK) and not path.is_dir())


def is_series(path: Path) -> bool:
    """Whether a path is a folder with DICOM files."""
    if not path.is_dir():
        return False
    files = (file for file in sorted(path.iterdir()) if file.is_file() and not hidden(file))
    return any(_is_dicom(file) for file in islice(files, _LOOKED_AT))


def _is_dicom(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(132)[128:] == b"DICM"


def size(path: Path) -> int:
    """The bytes of the voxels in a file, by its header; of a series 0, as its files are small. Raises what SimpleITK
    does."""
    if path.is_dir():
        return 0
    reader = _simpleitk(path).ImageFileReader()
    reader.SetFileName(str(path))
    with _own_locale():
        reader.ReadImageInformation()
    return int(np.prod([*reader.GetSize(), reader.GetNumberOfComponents(), 4], dtype=np.float64))


def load(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The voxels (x, y, z), or (x, y, z, channels), and the affine from voxel to mm.

    Raises:
        FdifError: SimpleITK is missing, or a folder has no single series whose slices follow each other evenly.
        RuntimeError: the file is damaged.
    """
    sitk = _simpleitk(path)
    with _own_locale():
        image = _series(sitk, path) if path.is_dir() else sitk.ReadImage(str(path))
    n = image.GetDimension()
    voxels = sitk.GetArrayFromImage(image)
    components = image.GetNumberOfComponentsPerPixel() > 1
    voxels = voxels.transpose(*range(n - 1, -1, -1), *([n] if components else []))
    affine = np.eye(4)
    affine[:3, :3] = (np.array(image.GetDirection()).reshape(n, n) * image.GetSpacing())[:3, :3] if n > 2 else 0
    affine[:3, 3] = image.GetOrigin()[:3] if n > 2 else 0
    return voxels, _LPS @ affine


def save(voxels: np.ndarray, affine: np.ndarray, path: Path) -> None:
    """Puts voxels (x, y, z) into a file of the format that its name says."""
    sitk = _simpleitk(path)
    image = sitk.GetImageFromArray(np.ascontiguousarray(voxels.transpose(2, 1, 0)))
    where = _LPS @ affine
    steps = np.sqrt((where[:3, :3] ** 2).sum(0))
    image.SetSpacing(steps.tolist())
    image.SetOrigin(where[:3, 3].tolist())
    image.SetDirection((where[:3, :3] / steps).reshape(-1).tolist())
    path.touch()  # an error of the file system has a better message than SimpleITK's
    with _own_locale():
        sitk.WriteImage(image, str(path), useCompression=True)


def _series(sitk: Any, folder: Path) -> Any:
    found = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
    if len(found) != 1:
        raise _wrong(folder, f"a folder holds {len(found) or 'no'} DICOM series", "an image is one series",
                     "put each series into a folder of its own")
    reader = sitk.ImageSeriesReader()
    files = reader.GetGDCMSeriesFileNames(str(folder), found[0])
    reader.SetFileNames(files)
    reader.MetaDataDictionaryArrayUpdateOn()
    image = reader.Execute()
    _check_slices(folder, [reader.GetMetaData(k, "0020|0032") for k in range(len(files))
                           if reader.HasMetaDataKey(k, "0020|0032")], np.array(image.GetDirection()).reshape(-1))
    return image


def _check_slices(folder: Path, stated: list[str], direction: np.ndarray) -> None:
    """Raises `FdifError` where slices at these places are no even stack: then the image would be squeezed together in
    silence."""
    places = np.array([[float(number) for number in text.split("\\")] for text in stated])
    if len(places) < 2 or len(direction) != 9:
        return
    ways = np.diff(places, axis=0)
    steps = np.sqrt((ways**2).sum(1))
    usual = float(np.median(steps))
    if np.abs(steps - usual).max() > _UNEVEN * usual:
        worst = int(np.abs(steps - usual).argmax())
        raise _wrong(folder, "the slices of a DICOM series are not evenly apart",
                     f"most are {usual:.3g} mm apart, and slices {worst + 1} and {worst + 2} are {steps[worst]:.3g} mm",
                     "a slice may be missing: copy the series again; or resample it evenly")
    normal = direction.reshape(3, 3)[:, 2]
    if (np.abs(ways @ normal) / steps).min() < _STRAIGHT:
        raise _wrong(folder, "the slices of a DICOM series do not lie straight above each other",
                     "the gantry was tilted", "correct the tilt, for example with dcm2niix")


@contextmanager
def _own_locale() -> Iterator[None]:
    """Keeps the process's locale: reading a DICOM series leaves "C" behind, in which text is no longer UTF-8."""
    before = locale.setlocale(locale.LC_ALL)
    try:
        yield
    finally:
        locale.setlocale(locale.LC_ALL, before)


def _wrong(path: Path, title: str, why: str, hint: str) -> FdifError:
    return FdifError(Diagnostic("E0957", title, where=str(path), why=why, hint=hint))


def _simpleitk(path: Path) -> Any:
    if find_spec("SimpleITK") is None:
        raise FdifError(Diagnostic(
            "E0956", "to read or write this format the package `SimpleITK` is needed, which is not installed",
            where=str(path), hint="pip install 'fdif-dsl[formats]'"))
    import SimpleITK

    sitk: Any = SimpleITK
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    return sitk
