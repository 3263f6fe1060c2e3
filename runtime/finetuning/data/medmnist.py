"""MedMNIST's 3-D data sets: .npz files of small volumes, each of one class."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError

_MOST = 1000  # classes
_HINT = "MedMNIST's files have train_images, train_labels, and the same for test"
_VOLUMES = "only the 3-D sets have volumes, (n, D, H, W)"


@dataclass(frozen=True)
class Images:
    """`images` (n, channels, D, H, W) as stored, and the class of each, `labels` (n,) int64."""

    images: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class MedMnist:
    """What is trained on, what is scored, and the number of classes."""

    path: Path
    train: Images
    test: Images
    classes: int

    @property
    def channels(self) -> int:
        return int(self.train.images.shape[1])

    @property
    def size(self) -> tuple[int, int, int]:
        d, h, w = self.train.images.shape[2:]
        return d, h, w


def read_medmnist(path: Path) -> MedMnist:
    """The parts `train` and `test` of a file; its `val` is for choosing among networks, and nothing is chosen here.

    Raises:
        FdifError: there is no such file, or it is something else.
    """
    if not path.is_file():
        raise FdifError(Diagnostic("E0907", f"there is no data set {path}",
                                   hint="MedMNIST's files are at medmnist.com; give the path of one"))
    try:
        with np.load(path, allow_pickle=False) as stored:
            names = [f"{part}_{what}" for part in ("train", "test") for what in ("images", "labels")]
            missing = [name for name in names if name not in stored]
            if missing:
                raise _wrong(path, f"it has no `{missing[0]}`")
            train_images, train_labels, test_images, test_labels = (stored[name] for name in names)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise _wrong(path, str(error).splitlines()[0] if str(error) else "it is damaged") from None
    train, test = _part(path, "train", train_images, train_labels), _part(path, "test", test_images, test_labels)
    if train.images.shape[1:] != test.images.shape[1:]:
        raise _wrong(path, f"images of `train` are {_by(train.images)}, and those of `test` {_by(test.images)}")
    classes = set(train.labels.tolist())
    gaps = sorted(set(range(max(classes) + 1)) - classes)
    if gaps or len(classes) < 2:
        raise _wrong(path, f"no image of `train` has class {gaps[0]}" if gaps else "all images have the same class")
    unknown = sorted(set(test.labels.tolist()) - classes)
    if unknown:
        raise _wrong(path, f"an image of `test` has class {unknown[0]}, and none of `train` has")
    return MedMnist(path, train, test, len(classes))


def _part(path: Path, name: str, images: np.ndarray, labels: np.ndarray) -> Images:
    if images.ndim == 4 and images.shape[3] <= 4:  # no volume is so thin
        raise _wrong(path, f"`{name}_images` has shape {list(images.shape)}: pictures in colour", _VOLUMES)
    if images.ndim == 4:
        images = images[:, None]
    elif images.ndim == 5 and images.shape[4] <= 4:  # colours stand last
        images = np.moveaxis(images, 4, 1)
    if images.ndim != 5 or images.dtype.kind not in "iuf" or 0 in images.shape:
        raise _wrong(path, f"`{name}_images` has shape {list(images.shape)}", _VOLUMES)
    if images.dtype.kind == "f" and not np.isfinite(images).all():
        raise _wrong(path, f"`{name}_images` holds voxels that are no numbers")
    if labels.ndim == 2 and labels.shape[1] > 1:
        raise _wrong(path, f"`{name}_labels` has {labels.shape[1]} columns", "an image can have one class only")
    labels = labels.reshape(-1)
    if len(labels) != len(images):
        raise _wrong(path, f"`{name}` has {len(images)} images and {len(labels)} labels")
    if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() > _MOST:
        raise _wrong(path, f"`{name}_labels` are no classes", "they are whole numbers from 0")
    return Images(images, labels.astype(np.int64))


def _wrong(path: Path, why: str, hint: str = _HINT) -> FdifError:
    return FdifError(Diagnostic("E0946", "the file is no 3-D data set of MedMNIST", where=str(path), why=why,
                                hint=hint))


def _by(images: np.ndarray) -> str:
    return " x ".join(map(str, images.shape[2:]))
