"""One mask: several starts, of which the best go on, and how well the template meets the mask in the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fdif_dsl.compiler.fields.distance import TooLarge, signed_distance
from fdif_dsl.compiler.fields.surface import surface_of
from fdif_dsl.runtime.fitting.descent import Guess, Plan, descend, pool_of
from fdif_dsl.runtime.fitting.pose import Pose, of_matrix, rotations, to_template
from fdif_dsl.runtime.fitting.target import Target
from fdif_dsl.runtime.fitting.template import Template

STARTS = 12
COARSE = Plan(steps=60, points=384)
FINE = Plan(steps=320, points=1024, broad=0.15, prior=2e-5)
KEPT = 4
_UPRIGHT = np.array([0.0, 0.0, 0.0, 1.0])


@dataclass(frozen=True)
class Fit:
    """A template where it lies over a mask; `dice`, and the mean distance between the surfaces in units."""

    target: Target
    guess: Guess
    dice: float
    surface: float

    @property
    def pose(self) -> Pose:
        return self.guess.pose


def fit_one(template: Template, target: Target, seed: int, scaled: bool, device: str = "cpu") -> Fit:
    """The best of several starts: along the axes of the mask either way round, upright, and at random."""
    pool = pool_of(target, seed)
    guesses = starts(template, target, seed)
    coarse = _run(template, pool, target, guesses, replace(COARSE, scaled=scaled), seed, device)
    best = sorted(coarse, key=lambda g: g.loss)[:KEPT]
    fine = _run(template, pool, target, best, replace(FINE, scaled=scaled), seed + 1, device)
    return measured(template, target, min(fine, key=lambda g: g.loss))


def refit(template: Template, targets: Sequence[Target], guesses: Sequence[Guess], pull: np.ndarray, seed: int,
          plan: Plan, device: str = "cpu") -> list[Guess]:
    """Masks fitted together, each from its guess and drawn to the same quantities."""
    pools = [pool_of(target, seed + k) for k, target in enumerate(targets)]
    return descend(template, pools, [t.reach for t in targets], guesses, plan, seed, device,
                   np.broadcast_to(pull, (len(targets), len(pull))))


def _run(template: Template, pool: tuple[np.ndarray, np.ndarray], target: Target, guesses: Sequence[Guess], plan: Plan,
         seed: int, device: str) -> list[Guess]:
    return descend(template, [pool] * len(guesses), [target.reach] * len(guesses), guesses, plan, seed, device)


def starts(template: Template, target: Target, seed: int) -> list[Guess]:
    """Where the fit of a mask begins."""
    random = np.random.default_rng(seed)
    instances = template.instances(STARTS, seed)
    middle = template.values_of(np.zeros(len(template.slots)))
    axes = _axes(target.places[target.inside.reshape(-1)])
    found = []
    for k in range(STARTS):
        values = middle.copy() if k < 6 else instances[k]
        values[template.numbers.steps] = instances[k][template.numbers.steps]
        own = _axes(inner_points(template, values))
        if k in (0, 6):
            base = _UPRIGHT
        elif k in (5, 10, 11) or own is None or axes is None:
            base = _normalised(random.normal(size=4))
        else:
            flip = np.diag([(1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)][k % 4])
            base = of_matrix(axes @ flip @ own.T)
        pose = Pose(np.zeros(3), np.zeros(3), 1.0, base)
        found.append(Guess(pose, template.latent(values), values))
    return found


def inner_points(template: Template, values: np.ndarray) -> np.ndarray:
    """Points inside of an instance, on a coarse grid."""
    import torch

    reach = 0.75 * template.side
    axis = np.linspace(-reach, reach, 25)
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(1, -1, 3)
    with torch.no_grad():
        distance = template.distance(torch.as_tensor(points, dtype=torch.float32),
                                     torch.as_tensor(values[None], dtype=torch.float32))
    inside: np.ndarray = points[0][distance[0].numpy() <= 0]
    return inside


def _axes(points: np.ndarray) -> np.ndarray | None:
    """The main axes of points as the columns of a rotation, the longest first; None where there are too few."""
    if len(points) < 8:
        return None
    _, vectors = np.linalg.eigh(np.cov(points.T))
    found: np.ndarray = vectors[:, ::-1].copy()
    found[:, 2] = np.cross(found[:, 0], found[:, 1])
    return found


def _normalised(q: np.ndarray) -> np.ndarray:
    found: np.ndarray = q / np.linalg.norm(q)
    return found


def occupied(template: Template, target: Target, guess: Guess) -> np.ndarray:
    """The distance of the template, in units, at the cells of a mask."""
    import torch

    pose = guess.pose
    points, values, turn, base, shift = (torch.as_tensor(v[None], dtype=torch.float32) for v in (
        target.places, guess.values, pose.turn, pose.base, pose.shift))
    scale, mirror = torch.tensor([pose.scale]), torch.tensor([pose.mirror])
    with torch.no_grad():
        place = to_template(points, rotations(turn, base), shift, scale, mirror)
        found = template.distance(place, values)[0].numpy() * pose.scale
    distance: np.ndarray = np.nan_to_num(found, nan=np.inf).reshape(target.distance.shape)
    return distance


def measured(template: Template, target: Target, guess: Guess) -> Fit:
    """How well a template meets a mask, where its image is."""
    mine = (occupied(template, target, guess) <= 0) & target.seen
    theirs = target.inside
    dice = 2 * float((mine & theirs).sum()) / max(1, int(mine.sum() + theirs.sum()))
    return Fit(target, guess, dice, _apart(mine, target))


def _apart(mine: np.ndarray, target: Target) -> float:
    """The mean distance between two surfaces, either way, in units; infinite where the template is nowhere."""
    if not mine.any():
        return float("inf")
    vertices, triangles = surface_of(mine)
    sides = (int(mine.shape[0]), int(mine.shape[1]), int(mine.shape[2]))
    try:
        distance = signed_distance(vertices, triangles, sides) * target.cell
    except TooLarge:
        return float("inf")
    other, _ = surface_of(target.inside)
    own = Target(target.name, distance, target.seen, np.zeros(3), target.cell, 0, np.zeros(3), np.zeros(3), ())
    there = np.abs(target.at(vertices * target.cell + target.start)).mean()
    back = np.abs(own.at(other * target.cell)).mean()
    return float((there + back) / 2)
