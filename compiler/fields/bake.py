"""All samples of a field on grids of one shape, computed once and kept in the user's cache folder."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import platformdirs

from fdif_dsl.compiler.fields import stored
from fdif_dsl.compiler.fields.bundles import Bundle
from fdif_dsl.compiler.fields.distance import TooLarge, signed_distance
from fdif_dsl.compiler.fields.masks import read_mask
from fdif_dsl.compiler.fields.meshes import Mesh, checked, read_mesh
from fdif_dsl.compiler.fields.problems import problem, too_large
from fdif_dsl.compiler.fields.sources import MASKS, MOST_NUMBERS, File, Request, ending
from fdif_dsl.compiler.fields.surface import surface_of
from fdif_dsl.compiler.ir.fields import Baked, steepest
from fdif_dsl.compiler.support.progress import Progress, bar

MARGIN = 2
"""Voxels between a sample and the border of its grid, at least."""


def place_of(key: str) -> Path:
    """Where a baked field is kept."""
    root = os.environ.get("FDIF_CACHE_DIR") or platformdirs.user_cache_dir("fdif-dsl")
    return Path(root) / "fields" / f"{key}.field"


def bake(request: Request, progress: Progress | None = None) -> Baked:
    """The field of a request: from the cache, or baked into it.

    Raises:
        FdifError: a file cannot be used, or is another one than when the text was read.
    """
    place = place_of(request.key)
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        # Other files of the same contents may have been baked before.
        return replace(stored.read(place), origins=request.origins)
    with bar(f"baking {request.files[0].name}") if progress is None else contextlib.nullcontext(progress) as advance:
        found = _computed(request, advance)
    with contextlib.suppress(OSError):  # what cannot be kept is baked again
        place.parent.mkdir(parents=True, exist_ok=True)
        stored.write(place, found)
        found = replace(found, path=place)
    return found


def _computed(request: Request, progress: Progress) -> Baked:
    samples = _Samples(request)
    boxes = []
    for mesh, _ in samples:
        sides = np.ptp(mesh.vertices, axis=0)
        boxes.append(sides / sides.max())
    longest = np.max(boxes, axis=0)  # of each axis; each sample's longest side is 1
    cell = 1 / (request.cells - 1 - 2 * MARGIN)
    x, y, z = (math.ceil(side / cell - 1e-9) + 1 + 2 * MARGIN for side in longest)
    if len(samples) * x * y * z > MOST_NUMBERS:
        raise too_large(request.files[0].name, f"{len(samples)} samples of {x} x {y} x {z} voxels are {MOST_NUMBERS} "
                        "numbers or more", "write fewer `cells`, or name fewer samples")
    numbers = np.empty((len(samples), z, y, x), np.float16 if request.bits == 16 else np.float32)
    for k, (mesh, where) in enumerate(samples):
        progress(k, len(samples))
        low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
        scale = 1 / ((high - low).max() * cell)
        vertices = (mesh.vertices - (low + high) / 2) * scale + (np.array([x, y, z]) - 1) / 2
        try:
            found = signed_distance(vertices, mesh.triangles, (x, y, z))
        except TooLarge:
            raise too_large(where, "its triangles lie over each other so often that their area is out of proportion",
                            "repair the mesh, for example with MeshLab") from None
        if not (found < 0).any():
            raise problem("E0327", where, "the surface has no inside", "no voxel of the grid lies in it",
                          "close its holes, write more `cells`, or make what is thin thicker")
        numbers[k] = (found * cell).transpose(2, 1, 0)
    if any(file.changed() for file in request.files):
        raise problem("E0330", request.files[0].name, "the file changed while it was baked",
                      "what was baked would not be what its checksum says", "try again when nobody writes to it")
    progress(len(samples), len(samples))
    return Baked(numbers, cell, steepest(numbers, cell), request.origins)


class _Samples:
    """The meshes of a request, one after the other, each with what messages call it."""

    def __init__(self, request: Request) -> None:
        self._request = request
        file = request.files[0]
        self._bundle = Bundle(file.path, file.name, request.organ) if request.bundled else None

    def __len__(self) -> int:
        return len(self._request.files) if self._bundle is None else len(self._bundle)

    def __iter__(self) -> Iterator[tuple[Mesh, str]]:
        if self._bundle is not None:
            for k in range(len(self._bundle)):
                yield self._bundle.mesh(k), f"{self._request.files[0].name}: sample {k}"
            return
        for file in self._request.files:
            yield _mesh(file, self._request.label), file.name


def _mesh(file: File, label: int) -> Mesh:
    if ending(file.name) not in MASKS:
        return read_mesh(file.path, file.name)
    mask, affine = read_mask(file.path, file.name, label)
    vertices, triangles = surface_of(mask)
    if np.linalg.det(affine[:3, :3]) < 0:
        triangles = triangles[:, ::-1]
    return checked(Mesh(vertices @ affine[:3, :3].T + affine[:3, 3], triangles), file.name)
