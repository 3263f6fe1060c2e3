"""Shapes come back from masks and meshes as they went in. They are made here, with distances that are known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from fdif_dsl.compiler.fields import bake as baking
from fdif_dsl.compiler.fields.bake import bake
from fdif_dsl.compiler.fields.sources import Request, find
from fdif_dsl.compiler.fields.surface import surface_of
from fdif_dsl.compiler.ir import fields
from fdif_dsl.compiler.ir.fields import Baked, of_arrays

Distance = Callable[[np.ndarray], np.ndarray]
SIDE = 64


def ball(p: np.ndarray) -> np.ndarray:
    return np.linalg.norm(p, axis=-1) - 20.3


def torus(p: np.ndarray) -> np.ndarray:
    return np.hypot(np.hypot(p[..., 0], p[..., 1]) - 18, p[..., 2]) - 7.3


def blob(p: np.ndarray) -> np.ndarray:
    """Two balls that run into each other, as a liver's lobes do."""
    a, b = np.linalg.norm(p - [-8, 0, 0], axis=-1) - 15, np.linalg.norm(p - [10, 3, 2], axis=-1) - 10
    part = np.clip(0.5 + (b - a) / 8, 0, 1)
    return b + (a - b) * part - 4 * part * (1 - part)


SHAPES: dict[str, Distance] = {"ball": ball, "torus": torus, "blob": blob}


def voxels(distance: Distance, side: int = SIDE) -> np.ndarray:
    """The mask (x, y, z) of a shape in the middle of a grid."""
    axis = np.arange(side) - (side - 1) / 2
    return distance(np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)) < 0


def write_mask(path: Path, mask: np.ndarray, affine: np.ndarray | None = None) -> None:
    """A NIfTI file, written by another library than the one that reads it."""
    nib.save(nib.Nifti1Image(mask.astype(np.uint8), np.eye(4) if affine is None else affine), path)


def torus_mesh(rings: int = 72, points: int = 36) -> tuple[np.ndarray, np.ndarray]:
    """The torus as triangles whose corners lie on it."""
    u, v = np.meshgrid(np.arange(rings) * 2 * np.pi / rings, np.arange(points) * 2 * np.pi / points, indexing="ij")
    reach = 18 + 7.3 * np.cos(v)
    vertices = np.stack([reach * np.cos(u), reach * np.sin(u), 7.3 * np.sin(v)], axis=-1).reshape(-1, 3)
    i, j = np.meshgrid(np.arange(rings), np.arange(points), indexing="ij")
    a, b = i * points + j, (i + 1) % rings * points + j
    c, d = (i + 1) % rings * points + (j + 1) % points, i * points + (j + 1) % points
    return vertices, np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])


def write_stl(path: Path, vertices: np.ndarray, triangles: np.ndarray) -> None:
    record = np.zeros(len(triangles), [("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("more", "<u2")])
    record["corners"] = vertices[triangles]
    path.write_bytes(bytes(80) + np.uint32(len(triangles)).tobytes() + record.tobytes())


def baked(folder: Path, text: str, **options: object) -> Baked:
    return bake(Request(find(folder, text), **options))  # type: ignore[arg-type]


def voxel_distance(found: Baked, longest: float, points: np.ndarray, sample: int = 0) -> np.ndarray:
    """The distances of a baked field at points, for an object whose longest side is this many voxels, computed as the
    definition does."""
    key = f"{abs(hash(found)):x}"
    fields.declare(key, lambda: found)
    return longest * of_arrays(np, np.sqrt, key, np.float64(sample), *(points / longest).T)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is found baked."""
    monkeypatch.setenv("FDIF_CACHE_DIR", str(tmp_path / "cache"))


def agreement(found: np.ndarray, wanted: np.ndarray) -> tuple[float, float]:
    """How far 99 % of the surface is off, and the share of right signs two voxels away from it."""
    surface, away = np.abs(wanted) < 0.5, np.abs(wanted) > 2
    return (float(np.percentile(np.abs(found - wanted)[surface], 99)),
            float(np.mean((found < 0)[away] == (wanted < 0)[away])))


def points() -> np.ndarray:
    axis = np.arange(SIDE) - (SIDE - 1) / 2
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)[::3]


@pytest.mark.parametrize("name", SHAPES)
def test_a_mask_gives_the_shape_that_it_was_made_of(name: str, tmp_path: Path) -> None:
    mask = voxels(SHAPES[name])
    write_mask(tmp_path / "a.nii.gz", mask)
    sides = [np.ptp(np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {a})))) for a in range(3)]
    middle = [np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {a})))[[0, -1]].mean() - (SIDE - 1) / 2 for a in range(3)]
    found = voxel_distance(baked(tmp_path, "a.nii.gz", cells=64), max(sides) + 1, points() - middle)
    off, right = agreement(found, SHAPES[name](points()))
    assert off < 0.5 and right > 0.999


def test_a_mesh_gives_the_shape_that_it_was_made_of_holes_or_not(tmp_path: Path) -> None:
    vertices, triangles = torus_mesh()
    write_stl(tmp_path / "whole.stl", vertices, triangles)
    holes = np.random.default_rng(0).random(len(triangles)) > 0.05
    write_stl(tmp_path / "holes.stl", vertices, triangles[holes])
    whole = voxel_distance(baked(tmp_path, "whole.stl", cells=64, bits=32), 50.6, points())
    off, right = agreement(whole, torus(points()))
    assert off < 0.2 and right == 1
    holed = voxel_distance(baked(tmp_path, "holes.stl", cells=64), 50.6, points())
    assert np.mean((holed < 0) == (torus(points()) < 0)) > 0.99


def test_spacing_and_orientation_are_those_of_the_file(tmp_path: Path) -> None:
    """A box that is long along z in mm, though not in voxels, with a knob towards the left."""
    mask = np.zeros((30, 20, 12), bool)
    mask[5:15, 5:15, 1:11] = True
    mask[15:25, 8:12, 4:8] = True  # towards higher x of the file, which is the left
    write_mask(tmp_path / "a.nii", mask, np.diag([-1.0, 1.0, 4.0, 1.0]))
    found = baked(tmp_path, "a.nii", cells=32)
    x, y, z = (side - 1 - 4 for side in found.sides)
    assert (x, y, z) == pytest.approx((20 / 40 * 27, 10 / 40 * 27, 27), abs=1.5)
    inside = found.numbers[0] < 0
    assert inside[:, :, : found.sides[0] // 2].sum() < 0.6 * inside[:, :, found.sides[0] // 2 :].sum()


def test_samples_share_a_grid_and_the_longest_side_of_each_is_1(tmp_path: Path) -> None:
    for name, side in (("a", 10), ("b", 20)):
        mask = np.zeros((30, 30, 30), bool)
        mask[2 : 2 + side, 2 : 2 + side // 2, 2:7] = True
        write_mask(tmp_path / f"{name}.nii.gz", mask)
    found = baked(tmp_path, "*.nii.gz", cells=32)
    assert found.samples == 2
    for k in (0, 1):
        along = np.flatnonzero((found.numbers[k] < 0).any(axis=(0, 1)))
        assert np.ptp(along) * found.cell == pytest.approx(1, abs=0.1)
    assert [origin["file"] for origin in found.origins] == ["a.nii.gz", "b.nii.gz"]


def test_a_surface_inside_of_another_one_is_passed_over(tmp_path: Path) -> None:
    """Two balls that cut each other, as one mesh."""
    vertices, triangles = surface_of(voxels(lambda p: np.linalg.norm(p, axis=-1) - 9, 24))
    two = np.concatenate([vertices, vertices + np.array([8, 0, 0])])
    write_stl(tmp_path / "two.stl", two, np.concatenate([triangles, triangles + len(vertices)]))
    found = baked(tmp_path, "two.stl", cells=32)
    z, y, x = (n // 2 for n in found.numbers.shape[1:])
    depth = found.numbers[0, z, y, x - 3 : x + 4] * np.ptp(two[:, 0])
    assert (depth < -6).all()  # and not 0 where one ball's surface runs through the other


def test_a_field_is_baked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_mask(tmp_path / "a.nii.gz", voxels(SHAPES["ball"], 48)[::2, ::2, ::2])
    first = baked(tmp_path, "a.nii.gz", cells=24)
    monkeypatch.delattr(baking, "_computed")
    again = baked(tmp_path, "a.nii.gz", cells=24)
    assert np.array_equal(first.numbers, again.numbers)
    assert again.slope == first.slope and again.origins == first.origins
