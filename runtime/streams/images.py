"""Patches of a user's own images, without labels, in place of rendered volumes: what self-supervision learns from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError
from fdif_dsl.runtime.recipe import Recipe
from fdif_dsl.runtime.recipe.meaning import Meaning, meaning_of
from fdif_dsl.runtime.settings.checks import Wrong
from fdif_dsl.runtime.settings.places import complain
from fdif_dsl.runtime.streams.turns import place_of

_ENDINGS = (".nii", ".nii.gz")
_CUT = (0.5, 99.5)  # percentiles that become black and white
_KEPT = 2 * 10**9  # bytes of images that stay in memory; what is more is read again


class ImageStream:
    """Pairs {"image", "label"} as `VolumeStream` has them, of the images that `volume.images` names: patches of the
    recipe's grid at random places, 0 around an image that is smaller. There is nothing to label, so labels are 0.

    Every image comes once before any comes again. Pair number n of a seed is always the same. Grey levels go from 0 to
    1 between the image's 0.5th and 99.5th percentile. Of a file with several channels the first is taken.

    Raises:
        FdifError: there are no images, or one cannot be read.
    """

    def __init__(self, recipe: Recipe, seed: int) -> None:
        assert recipe.images is not None
        self.recipe, self.seed = recipe, seed
        self.files = find_images(recipe)
        self.meaning: Meaning = meaning_of("object", (), (), (), 1)
        self._kept: dict[Path, torch.Tensor] = {}
        self._read(self.files[0])  # so that a wrong file shows before a run begins

    def volume(self, index: int) -> dict[str, Any]:
        """The pair number `index`."""
        file = self.files[place_of(index, len(self.files), self.seed)]
        whole, random = self._read(file), np.random.default_rng((self.seed, index))
        ends = []
        for axis, side in enumerate(self.recipe.grid, 1):
            room = whole.shape[axis] - side
            start = int(random.integers(max(room, 0) + 1))
            whole = whole.narrow(axis, start, min(side, whole.shape[axis]))
            ends.append((max(-room, 0) // 2, max(-room, 0) - max(-room, 0) // 2))
        patch = functional.pad(whole.float() / 255, [end for pair in reversed(ends) for end in pair])
        return {"image": patch, "label": torch.zeros(1, *self.recipe.grid, dtype=torch.int64)}

    def volumes(self, indices: Iterable[int]) -> Iterator[dict[str, Any]]:
        """The pairs of these numbers in their order."""
        return map(self.volume, indices)

    def _read(self, file: Path) -> torch.Tensor:
        """An image (1, D, H, W), uint8."""
        if file in self._kept:
            return self._kept[file]
        image = _prepared(file, self.recipe.spacing)
        if sum(its.numel() for its in self._kept.values()) + image.numel() <= _KEPT:
            self._kept[file] = image
        return image


def find_images(recipe: Recipe) -> list[Path]:
    """The files of a folder, of its `imagesTr` if it has one, or those that are trained on in a MONAI data list.

    Raises:
        FdifError: there are none.
    """
    path = Path(str(recipe.images))

    def wrong(title: str, why: str = "") -> FdifError:
        return FdifError(complain(recipe.source, "volume", "images", Wrong(
            title, why, "name a folder of NIfTI files, or a MONAI data list"), code="E0854"))

    if path.is_dir():
        folder = path / "imagesTr" if (path / "imagesTr").is_dir() else path
        files = sorted(file for file in folder.iterdir()
                       if file.name.endswith(_ENDINGS) and not file.name.startswith("."))
        if not files:
            raise wrong(f"there are no images in {folder}", f"it has no file that ends in {' or '.join(_ENDINGS)}")
        return files
    if not path.is_file():
        raise wrong(f"there are no images at {path}", "nothing is there")
    try:
        entries = json.loads(path.read_text(encoding="utf-8-sig"))["training"]
        files = [path.parent / _first(entry["image"] if isinstance(entry, dict) else entry) for entry in entries]
    except (ValueError, KeyError, TypeError, IndexError, RecursionError):
        raise wrong(f"{path} is no list of images", "it has no `training` with an `image` in each entry") from None
    if not files:
        raise wrong(f"there are no images in {path}", "its `training` is empty")
    return files


def _first(image: str | Sequence[str]) -> str:
    return image if isinstance(image, str) else image[0]


def _prepared(file: Path, spacing: str | tuple[float, float, float]) -> torch.Tensor:
    """An image upright, with voxels of that size (z, y, x) in mm, or its own where that is `keep`."""
    from monai.transforms.io.array import LoadImage
    from monai.transforms.spatial.array import Orientation, Spacing

    try:
        image: Any = LoadImage(reader="NibabelReader", image_only=True, ensure_channel_first=True, dtype=np.float32)(
            str(file))[:1]
        image = Orientation("RAS", labels=(("L", "R"), ("P", "A"), ("I", "S")))(image)
        if not isinstance(spacing, str):
            image = Spacing(spacing[::-1], mode="bilinear", dtype=np.float32)(image)
    except Exception as error:  # whatever a damaged file makes of a reader
        raise FdifError(Diagnostic(
            "E0855", "an image cannot be read", where=str(file), why=str(error).partition("\n")[0],
            hint="images are NIfTI files of three axes")) from error
    whole: torch.Tensor = image.as_tensor().permute(0, 3, 2, 1).contiguous()
    if not torch.isfinite(whole).all():
        raise FdifError(Diagnostic("E0855", "an image cannot be read", where=str(file), why="it holds NaN or infinity",
                                   hint="leave it out, or mend it"))
    low, high = np.percentile(whole.numpy(), _CUT)
    scaled = (whole - float(low)) / max(float(high - low), 1e-8)
    return torch.as_tensor((scaled.clamp(0, 1) * 255).round().to(torch.uint8))
