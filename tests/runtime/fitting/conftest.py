"""Masks of shapes whose quantities are known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import fdif_dsl as fd

EGG = """
## An ellipsoid.
shape egg {
  ## Half-axes.
  axes ~ grid.min * vec3(normal(0.3, 0.03), normal(0.2, 0.02), normal(0.14, 0.015))
  distance = (length(p / axes) - 1) * axes.z
}
shape ball { distance = length(p) - 5 }
"""
SIDE = 32
Write = Callable[..., Path]


@pytest.fixture
def egg(tmp_path: Path) -> Path:
    """A file with a template of three quantities."""
    path = tmp_path / "egg.sdf"
    path.write_text(EGG)
    return path


@pytest.fixture
def write_mask(tmp_path: Path) -> Write:
    """A function that writes voxels (x, y, z) as a mask."""

    def write(name: str, voxels: np.ndarray, affine: np.ndarray | None = None) -> Path:
        (tmp_path / "masks").mkdir(exist_ok=True)
        path = tmp_path / "masks" / f"{name}.nii.gz"
        nib.save(nib.Nifti1Image(voxels.astype(np.uint8), np.eye(4) if affine is None else affine), path)
        return path

    return write


def voxels_of(shape: fd.Library, params: dict, side: int = SIDE, affine: np.ndarray | None = None) -> np.ndarray:  # type: ignore[type-arg,valid-type]
    """The voxels (x, y, z) inside of an instance of a shape."""
    axis = np.arange(side) - side / 2
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    distance = shape.distance(points, params, affine, backend="interpret", grid=(side, side, side))  # type: ignore[attr-defined]
    found: np.ndarray = (distance <= 0).reshape(side, side, side)
    return found


def turned(degrees: float, axis: int, shift: tuple[float, float, float] = (0, 0, 0)) -> np.ndarray:
    """An affine that turns about an axis and moves."""
    angle, (a, b) = np.radians(degrees), [k for k in range(3) if k != axis]
    found = np.eye(4)
    found[a, a] = found[b, b] = np.cos(angle)
    found[a, b], found[b, a] = -np.sin(angle), np.sin(angle)
    found[:3, 3] = shift
    return found
