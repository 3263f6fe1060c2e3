"""Fits of several masks that mean the same by the same quantity.

A template may meet a mask in several ways: an ellipsoid turned by half, balls in another order, a bend to one side or
the other. Instead of listing what symmetries a template has, all masks are fitted again from the one that was met best,
drawn to its quantities, and once more drawn to the mean of all: so they end up in the same valley. Each is tried
mirrored too, for organs that come in pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fdif_dsl.runtime.fitting.descent import Guess, Plan
from fdif_dsl.runtime.fitting.one import Fit, measured, refit
from fdif_dsl.runtime.fitting.pose import MIRRORED, Pose
from fdif_dsl.runtime.fitting.target import Target
from fdif_dsl.runtime.fitting.template import Template

FIRST = Plan(steps=100, points=512, broad=0.3, prior=1e-4)
LAST = Plan(steps=200, points=1024, broad=0.12, prior=3e-5)
CLEARLY = 0.8
"""A mask is mirrored where that leaves less than this share of the difference."""


def agree(template: Template, fits: Sequence[Fit], seed: int, scaled: bool, mirrored: bool,
          device: str = "cpu") -> list[Fit]:
    """The masks of some fits, fitted again so that their quantities can be compared."""
    best = min(fits, key=lambda f: f.guess.loss)
    base = best.pose.rebased(best.pose.base)
    targets = [f.target for f in fits]
    first = replace(FIRST, scaled=scaled)
    sides = [_from(best, base, target, 1.0) for target in targets]
    plain = refit(template, targets, sides, best.guess.z, seed, first, device)
    if mirrored:
        other = refit(template, targets, [_from(best, base, target, -1.0) for target in targets], best.guess.z, seed,
                      first, device)
        plain = [b if b.loss < CLEARLY * a.loss else a for a, b in zip(plain, other, strict=True)]
    mean = np.mean([g.z for g in plain], axis=0)
    last = refit(template, targets, plain, mean, seed + 1, replace(LAST, scaled=scaled), device)
    return [measured(template, target, guess) for target, guess in zip(targets, last, strict=True)]


def _from(best: Fit, base: Pose, target: Target, mirror: float) -> Guess:
    """The quantities of the mask that was met best, at the middle of another one. A mirrored organ is turned as the
    mirror image of the space around it is."""
    pose = replace(base, shift=np.zeros(3)) if target is not best.target else base
    if mirror < 0:
        pose = replace(pose, turn=pose.turn * MIRRORED[:3], base=pose.base * MIRRORED, mirror=-pose.mirror,
                       shift=pose.shift * [-1, 1, 1])
    return Guess(pose, best.guess.z, best.guess.values)
