"""What the scanner does to a volume: every number is a function of (seed, volume index).

The numbers come from Philox, as those of scenes do, under object numbers that no object has. So a volume has the same
noise in any worker and any order, and the scene that it is made from has nothing to do with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fdif_dsl.compiler.backends.cpu.scanner import GAUSSIAN_NOISE, RICIAN_NOISE
from fdif_dsl.runtime.recipe import SCANNER_STEPS, Scanner
from fdif_dsl.runtime.scanner.fields import Field, lattice, smooth_field
from fdif_dsl.runtime.scanner.profiles import Profile, blur, thick_slices
from fdif_dsl.runtime.scenes.philox import VOLUME

STEPS, PAINT, TEXTURE, BIAS = VOLUME - 1, VOLUME - 2, VOLUME - 3, VOLUME - 4
"""Object numbers. Of `STEPS`, each step has four draws; of `PAINT`, an object has two, its grey level and
the opacity; `TEXTURE` and `BIAS` have one for each point of their lattices, z first and x last."""
OBJECT_NUMBERS = (STEPS, PAINT, TEXTURE, BIAS, GAUSSIAN_NOISE, RICIAN_NOISE)

_DRAWS = 4  # of a step; the first one decides whether it happens
_BIAS_CELLS = 3  # of the lattice of a bias, along each axis

Uniforms = Callable[[int, int], npt.NDArray[np.float64]]
"""From an object number and a count to so many numbers between 0 and 1, for some seed and index: `philox.uniforms`."""
Grid = tuple[int, int, int]


@dataclass(frozen=True)
class Acquisition:
    """What happens to one volume. None, False, 0 and, for `gamma`, 1 are what changes nothing.

    `paint` is float32 (2, 1 + objects): what the grey levels of each object's voxels are multiplied with, and what is
    added then; the first is background, and the last serves all objects beyond it. `profiles` are those along z, y
    and x.
    """

    seed: int
    index: int
    paint: npt.NDArray[np.float32] | None = None
    texture: Field | None = None
    invert: bool = False
    profiles: tuple[Profile | None, Profile | None, Profile | None] = (None, None, None)
    bias: Field | None = None
    gaussian: float = 0.0
    rician: float = 0.0
    gamma: float = 1.0

    @property
    def by_object(self) -> bool:
        """Whether one object has to be told from another."""
        return self.paint is not None and self.paint.shape[1] > 2


def draw(scanner: Scanner, grid: Grid, objects: int, seed: int, index: int, uniforms: Uniforms) -> Acquisition | None:
    """What happens to a volume with so many objects; None where nothing does."""
    drawn = uniforms(STEPS, _DRAWS * len(SCANNER_STEPS)).reshape(-1, _DRAWS).tolist()
    steps = {step: its[1:] for (step, chance), its in zip(scanner.chances.items(), drawn, strict=True)
             if its[0] < chance}
    if not steps:
        return None
    texture = bias = None
    level, gaussian, rician, gamma = 0.0, 0.0, 0.0, 1.0
    if "background" in steps:
        level, reach, apart = (_within(given, u) for given, u in zip(
            (scanner.background_level, scanner.background_texture, scanner.background_size), steps["background"],
            strict=True))
        if reach:
            points = (apart, apart, apart)
            texture = smooth_field(reach * (2 * _at_points(grid, points, TEXTURE, uniforms) - 1), grid, points)
    if "bias" in steps:
        strength = _within(scanner.bias_strength, steps["bias"][0])
        points = (grid[0] / _BIAS_CELLS, grid[1] / _BIAS_CELLS, grid[2] / _BIAS_CELLS)
        logarithms = strength * (2 * _at_points(grid, points, BIAS, uniforms) - 1)
        # Not by NumPy, whose exponential is not the same on every processor.
        gains = np.array([math.exp(x) for x in logarithms.ravel().tolist()]).reshape(logarithms.shape)
        bias = smooth_field(gains, grid, points)
    if "gaussian" in steps:
        gaussian = _within(scanner.gaussian_sigma, steps["gaussian"][0])
    if "rician" in steps:
        rician = _within(scanner.rician_sigma, steps["rician"][0])
    if "gamma" in steps:
        gamma = _within(scanner.gamma_power, steps["gamma"][0])
    paint = _paint(scanner, objects, level, "paint" in steps, uniforms)
    return Acquisition(seed, index, paint, texture, "invert" in steps, _profiles(scanner, steps, grid), bias, gaussian,
                       rician, gamma)


def _paint(scanner: Scanner, objects: int, background: float, painted: bool,
           uniforms: Uniforms) -> npt.NDArray[np.float32] | None:
    if not painted and not background:
        return None
    places = 1 + (objects if painted else 1)
    keep, add = np.ones(places), np.zeros(places)
    add[0] = background
    if painted:
        level, opacity = (_within(given, u) for given, u in zip(
            (scanner.paint_level, scanner.paint_opacity), uniforms(PAINT, 2 * objects).reshape(-1, 2).T, strict=True))
        keep[1:], add[1:] = 1 - opacity, opacity * level
    return np.array([keep, add], np.float32)


def _profiles(scanner: Scanner, steps: dict[str, list[float]],
              grid: Grid) -> tuple[Profile | None, Profile | None, Profile | None]:
    sigmas = [_within(scanner.blur_sigma, u) for u in steps["blur"]] if "blur" in steps else [0.0, 0.0, 0.0]
    matrices = [blur(side, sigma) if sigma else None for side, sigma in zip(grid, sigmas, strict=True)]
    if "slices" in steps:
        which, how_thick, how_seen = steps["slices"]
        axis = int(3 * which)
        least, most = scanner.slices_thickness
        thickness = least + int(how_thick * (most - least + 1))
        profile = scanner.slices_profile
        if profile == "either":
            profile = ("box", "gaussian")[int(2 * how_seen)]
        matrices[axis] = thick_slices(grid[axis], thickness, profile, sigmas[axis])
    z, y, x = (None if matrix is None else Profile.of(matrix) for matrix in matrices)
    return z, y, x


def _at_points(grid: Grid, apart: tuple[float, float, float], object_number: int,
               uniforms: Uniforms) -> npt.NDArray[np.float64]:
    """A number for each point of a lattice."""
    points = lattice(grid, apart)
    return uniforms(object_number, math.prod(points)).reshape(points)


def _within(given: tuple[float, float], u: float | npt.NDArray[np.float64]) -> float:
    """A number of a uniform distribution, or an array of them."""
    least, most = given
    return least + u * (most - least)  # type: ignore[return-value]
