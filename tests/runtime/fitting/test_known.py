"""Shapes that the language has drawn itself, as masks: they are found again, and so are the priors that they are of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import fdif_dsl as fd
from fdif_dsl.compiler.ir.grid import Grid
from fdif_dsl.runtime.fitting.one import fit_one
from fdif_dsl.runtime.fitting.target import Target, make_target, read_stored
from fdif_dsl.runtime.fitting.template import Template
from fdif_dsl.runtime.scenes.sampler_definition import sample_instance

from .conftest import Write, turned, voxels_of

CLASSES = ("sphere", "cylinder", "torus", "cone", "octahedron")


def target_of(lib: fd.Library, name: str, index: int, side: int, write: Write) -> Target | None:
    """An instance as a mask, turned and moved; None where it reaches beyond the grid or has hardly a voxel."""
    params = sample_instance(lib.shapes[name].formula, 7, index, Grid((side, side, side)))
    affine = turned(37 * index, index % 3) @ turned(20 * index, (index + 1) % 3)
    affine[:3, 3] = np.random.default_rng(index).uniform(-2, 2, 3)
    voxels = voxels_of(lib.shapes[name], params, side, affine)
    wide = np.pad(voxels[1:-1, 1:-1, 1:-1], 1)
    if voxels.sum() < 100 or wide.sum() < voxels.sum():
        return None
    path = write(f"{name}{index}", voxels)
    return make_target(path.name, path, read_stored(path), (1,), 1.0)


@pytest.mark.parametrize("name", ["torus"])
def test_a_standard_class_is_found_again(name: str, write_mask: Write) -> None:
    lib = fd.load_library()
    target = next(t for t in (target_of(lib, name, k, 24, write_mask) for k in range(20)) if t is not None)
    assert fit_one(Template(lib, name, 24), target, 0, scaled=False).dice > 0.93


@pytest.mark.long
@pytest.mark.parametrize("name", CLASSES)
def test_twenty_of_a_standard_class_are_found_again(name: str, write_mask: Write) -> None:
    lib = fd.load_library()
    template = Template(lib, name, 48)
    targets = [t for t in (target_of(lib, name, k, 48, write_mask) for k in range(200)) if t is not None][:20]
    dice = [fit_one(template, target, k, scaled=False).dice for k, target in enumerate(targets)]
    assert len(dice) == 20 and np.mean(np.array(dice) >= 0.95) >= 0.9


@pytest.mark.long
def test_a_known_prior_is_found_again(egg: Path, write_mask: Write) -> None:
    shape = fd.load_library(egg).shapes["egg"]
    masks, axes = [], []
    for k in range(50):
        params = sample_instance(shape.formula, 3, k, Grid((32, 32, 32)))
        axes.append(params["axes"])
        masks.append(write_mask(f"m{k:02d}", voxels_of(shape, params, affine=turned(3 * (k % 7) - 9, k % 3))))
    found = fd.fit(masks, egg.parent / "out/found.sdf", "egg", library=egg, grid=(32, 32, 32))
    wanted = np.array(axes) / 32
    assert np.abs(found.spread.mean[:3] / wanted.mean(0) - 1).max() < 0.1
    assert np.abs(found.spread.deviation[:3] / wanted.std(0, ddof=1) - 1).max() < 0.25
