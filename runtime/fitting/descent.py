"""Gradient descent on places and quantities of many templates at once.

What is made small is the difference of two occupancies, soft steps over the surface of mask and template, at points
most of which lie near the surface of the mask. The steps are broad in the beginning, so that a template is drawn from
afar, and sharp in the end. The prior, the square of each z, keeps in place what the mask does not tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fdif_dsl.runtime.fitting.pose import Pose, rotations, to_template
from fdif_dsl.runtime.fitting.target import Target
from fdif_dsl.runtime.fitting.template import Template

POOL = 4096
"""Points of each mask that batches are chosen from."""
BROAD, SHARP = 0.4, 0.05
"""The width of the soft steps, as a part of the mask's radius."""
RATE = 0.06
PACE = {"z": 1.0, "turn": 0.5, "shift": 0.4, "scale": 0.4}
_FAR = 1e6


@dataclass(frozen=True)
class Guess:
    """A place and quantities: where a fit begins, and what comes of it. `z` are the numbers of the template without
    bounds, `values` those themselves; `loss` is how far the occupancies differ."""

    pose: Pose
    z: np.ndarray
    values: np.ndarray
    loss: float = np.inf


@dataclass(frozen=True)
class Plan:
    """How a descent goes: its steps, points a batch, how broad the soft steps are in the beginning, how much the prior
    weighs, and whether a scale is fitted."""

    steps: int
    points: int
    broad: float = BROAD
    prior: float = 1e-4
    scaled: bool = False
    rate: float = RATE


def pool_of(target: Target, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Points of a mask's grid where its image is, most of them near the surface, and their distances."""
    random = np.random.default_rng(seed)
    places, distance = target.places, target.distance.reshape(-1)
    seen = target.seen.reshape(-1)
    near = np.flatnonzero(seen & (np.abs(distance) < 2.5 * target.cell))
    rest = np.flatnonzero(seen)
    chosen = np.concatenate([random.choice(near, 3 * POOL // 4), random.choice(rest, POOL // 4)])
    points = places[chosen] + target.cell * random.uniform(-0.5, 0.5, (POOL, 3))
    order = random.permutation(POOL)
    return points[order], target.at(points)[order]


def descend(template: Template, pools: Sequence[tuple[np.ndarray, np.ndarray]], reaches: Sequence[float],
            guesses: Sequence[Guess], plan: Plan, seed: int, device: str = "cpu",
            pull: np.ndarray | None = None) -> list[Guess]:
    """What comes of guesses, one for each pool of points and radius of its mask. With `pull`, each z is drawn there and
    not to the middle of the prior."""
    import torch

    generator = torch.Generator().manual_seed(seed)

    def tensor(values: Any) -> Any:
        return torch.tensor(np.asarray(values), dtype=torch.float32, device=device)

    points, wanted, reach = tensor([p for p, _ in pools]), tensor([d for _, d in pools]), tensor(reaches)
    base, mirror = tensor([g.pose.base for g in guesses]), tensor([g.pose.mirror for g in guesses])
    steps = tensor([g.values for g in guesses])
    free = {"z": tensor([g.z for g in guesses]), "turn": tensor([g.pose.turn for g in guesses]),
            "shift": tensor([g.pose.shift for g in guesses]) / reach[:, None],
            "scale": tensor([g.pose.scale for g in guesses]).log()}
    origin = torch.zeros_like(free["z"]) if pull is None else tensor(pull)
    for name, value in free.items():
        value.requires_grad_(name != "scale" or plan.scaled)
    optimiser = torch.optim.Adam([{"params": [value], "by": PACE[name]} for name, value in free.items()], lr=plan.rate,
                                 betas=(0.9, 0.98))

    def losses(batch: Any, width: Any) -> Any:
        place = to_template(points[:, batch], rotations(free["turn"], base), free["shift"] * reach[:, None],
                            free["scale"].exp(), mirror)
        found = template.distance(place, template.values(free["z"], steps)) * free["scale"].exp()[:, None]
        found = torch.nan_to_num(found, nan=_FAR, posinf=_FAR, neginf=-_FAR)
        soft = torch.sigmoid(-found / width[:, None]) - torch.sigmoid(-wanted[:, batch] / width[:, None])
        return (soft * soft).mean(1)

    for step in range(plan.steps):
        part = step / max(1, plan.steps - 1)
        for group in optimiser.param_groups:
            group["lr"] = plan.rate * group["by"] * (0.02 + 0.98 * (1 + np.cos(np.pi * part)) / 2)
        width = reach * (plan.broad * (SHARP / plan.broad) ** min(1.0, 1.5 * part))
        batch = torch.randint(POOL, (plan.points,), generator=generator)
        away = ((free["z"] - origin) ** 2).sum(1) + 0.1 * (free["turn"] ** 2).sum(1)
        total = (losses(batch, width) + plan.prior * away).sum()
        optimiser.zero_grad()
        total.backward()
        for value in free.values():
            if value.grad is not None:
                value.grad = torch.nan_to_num(value.grad)
        optimiser.step()
    with torch.no_grad():
        final = losses(torch.arange(2048), reach * SHARP).cpu().numpy()
        values = template.values(free["z"], steps).cpu().numpy().astype(np.float64)
    z, turn, shift, scale = (free[name].detach().cpu().numpy().astype(np.float64)
                             for name in ("z", "turn", "shift", "scale"))
    return [replace(g, pose=replace(g.pose, turn=turn[k], shift=shift[k] * reaches[k], scale=float(np.exp(scale[k]))),
                    z=z[k], values=values[k], loss=float(final[k]) if np.isfinite(final[k]) else np.inf)
            for k, g in enumerate(guesses)]
