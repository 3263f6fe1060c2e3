"""How rough masks are beyond what their fits say, and the displacement that makes drawn ones as rough.

What is left between the surfaces of a mask and of its fit is taken for noise: its deviation says how high bumps are,
and the distance at which two places of a surface still agree by half says how wide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fdif_dsl.runtime.fitting.one import Fit, occupied
from fdif_dsl.runtime.fitting.template import Template

OCTAVES = 2
_DEVIATION, _HALF = 0.189, 0.374  # of fbm of two octaves, in cells of size 1
_PLACES = 600  # of a surface, of which each pair counts
_FARTHEST = 16  # units between two places


@dataclass(frozen=True)
class Roughness:
    """The greatest `height` of bumps, and the `size` of the cells of noise that they are, in units."""

    height: float
    size: float


def roughness_of(template: Template, fits: Sequence[Fit], seed: int) -> Roughness:
    """The roughness of all masks together."""
    random = np.random.default_rng(seed)
    sums, counts, squares = np.zeros(_FARTHEST), np.zeros(_FARTHEST), []
    for fit in fits:
        target = fit.target
        near = np.flatnonzero((np.abs(target.distance) < target.cell) & target.seen)
        found = occupied(template, target, fit.guess)
        with np.errstate(invalid="ignore", divide="ignore"):  # a template's distance may be steeper than one
            steep = np.linalg.norm(np.gradient(found, target.cell), axis=0)
            left = (found / steep - target.distance).reshape(-1)[near]
        near, left = near[np.isfinite(left)], left[np.isfinite(left)]
        chosen = random.permutation(len(near))[:_PLACES]
        places, left = target.places[near[chosen]], left[chosen] - left.mean()
        squares.append(left**2)
        first, second = np.triu_indices(len(left), 1)
        apart = np.linalg.norm(places[first] - places[second], axis=1).round().astype(int)
        counts += np.bincount(apart, minlength=_FARTHEST)[:_FARTHEST]
        sums += np.bincount(apart, left[first] * left[second], _FARTHEST)[:_FARTHEST]
    variance = float(np.mean(np.concatenate(squares)))
    agreed = sums / np.maximum(counts, 1) / max(variance, 1e-12)
    agreed[0] = 1.0
    below = next((k for k in range(1, _FARTHEST) if agreed[k] < 0.5), _FARTHEST - 1)
    half = below - 1 + float(np.clip((agreed[below - 1] - 0.5) / (agreed[below - 1] - agreed[below] + 1e-12), 0, 1))
    return Roughness(float(np.sqrt(variance)) / _DEVIATION, half / _HALF)


def displacement_text(name: str, rough: Roughness, side: int) -> str:
    """A displacement with these bumps, as parts of a grid whose smallest side is `side`."""
    return ("## Bumps of the surface beside what the shape says, as high and as wide as those of the masks.\n"
            f"displacement {name} {{\n  shift ~ uniform(vec3(-50), vec3(50))\n"
            f"  offset = {rough.height / side:.3g} * grid.min * fbm(p / ({rough.size / side:.3g} * grid.min) + shift, "
            f"{OCTAVES})\n}}\n")
