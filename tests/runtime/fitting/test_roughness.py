"""Bumps of a known height and width on balls, found again beside what a smooth ball says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import fdif_dsl as fd
from fdif_dsl.compiler.ir.grid import Grid
from fdif_dsl.runtime.fitting.one import fit_one
from fdif_dsl.runtime.fitting.roughness import Roughness, displacement_text, roughness_of
from fdif_dsl.runtime.fitting.target import make_target, read_stored
from fdif_dsl.runtime.fitting.template import Template
from fdif_dsl.runtime.scenes.sampler_definition import sample_instance

from .conftest import Write, voxels_of

TEXT = """
use std
shape ball {
  radius ~ uniform(0.2, 0.4) * grid.min
  distance = length(p) - radius
}
shape bumpy {
  shift ~ uniform(vec3(-50), vec3(50))
  distance = length(p) - 12 + HEIGHT * fbm(p / SIZE + shift, 2)
}
"""
SIDE = 40


@pytest.mark.parametrize(("height", "size"), [(4, 8), (6, 14)])
def test_bumps_are_as_high_and_as_wide(height: float, size: float, tmp_path: Path, write_mask: Write) -> None:
    path = tmp_path / "bumpy.sdf"
    path.write_text(TEXT.replace("HEIGHT", str(height)).replace("SIZE", str(size)))
    lib = fd.load_library(path)
    template, fits = Template(lib, "ball", SIDE), []
    for k in range(6):
        params = sample_instance(lib.shapes["bumpy"].formula, 1, k, Grid((SIDE, SIDE, SIDE)))
        mask = write_mask(f"m{k}", voxels_of(lib.shapes["bumpy"], params, SIDE))
        fits.append(fit_one(template, make_target(mask.name, mask, read_stored(mask), (1,), 1.0), 0, scaled=False))
    found = roughness_of(template, fits, 0)
    assert found.height == pytest.approx(height, rel=0.25) and found.size == pytest.approx(size, rel=0.25)


def test_a_displacement_says_them_as_parts_of_the_grid(tmp_path: Path) -> None:
    path = tmp_path / "rough.sdf"
    path.write_text("use std\nshape ball { distance = length(p) - 5 }\n"
                    + displacement_text("rough", Roughness(3.0, 10.0), 50))
    its = fd.load_library(path).displacements["rough"]
    points = np.random.default_rng(0).uniform(-24, 24, (4000, 3))
    low, high = (its.offset(points * k, (side,) * 3, "interpret", {"shift": [1.0, 2.0, 3.0]})
                 for k, side in ((1, 50), (2, 100)))
    assert np.abs(low).max() > 0.5 and np.allclose(2 * low, high, atol=1e-3)
