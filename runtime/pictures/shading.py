"""A shaded picture of a distance field: a small ray marcher in NumPy.

The fields of a library are not exact distances (tapers, displacements), so rays take short, bounded
steps until the sign changes, and bisect from there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Array = np.ndarray
Field = Callable[[Array], Array]  # (n, 3) points (x, y, z) -> (n,) distances, negative inside

_AZIMUTH, _ELEVATION = np.radians(-58.0), np.radians(26.0)
_LIGHT = np.array([0.25, -0.62, 0.86]) / np.linalg.norm([0.25, -0.62, 0.86])
_FIELD_OF_VIEW = 0.30  # half of the picture's side at distance 1 from the camera
_GROUND = 0.87  # the grey of the shadow's darkest part


@dataclass(frozen=True)
class Box:
    """An axis-aligned box in voxels: `low` and `high` are (3,) corners."""

    low: Array
    high: Array

    @property
    def middle(self) -> Array:
        return np.asarray((self.low + self.high) / 2)

    @property
    def radius(self) -> float:
        """Half of the diagonal."""
        return float(np.linalg.norm(self.high - self.low)) / 2


def bounds(field: Field, reach: float, samples: int = 48) -> Box | None:
    """A box around the inside of `field` within `reach` voxels of the origin; None where nothing is inside.

    Three lattices of `samples` points a side, each in the box that the one before found. A lattice keeps what
    is nearer to the surface than its spacing, so that parts thinner than that are not lost.
    """
    box, inside = Box(np.full(3, -reach), np.full(3, reach)), False
    for _ in range(3):
        axes = [np.linspace(low, high, samples) for low, high in zip(box.low, box.high, strict=True)]
        points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
        spacing = (box.high - box.low) / (samples - 1)
        distance = field(points)
        near = points[distance <= spacing.max()]
        inside = inside or bool((distance <= 0).any())
        if not len(near):
            return None
        box = Box(near.min(axis=0) - spacing / 2, near.max(axis=0) + spacing / 2)
    return box if inside else None


def shade(field: Field, box: Box, colour: tuple[float, float, float], side: int = 480, oversample: int = 2) -> Array:
    """A picture (side, side, 4) of the surface of `field` in `box`: RGB and coverage, each in 0..1."""
    fine = side * oversample
    camera, rays = _rays(box, fine, _window(field, box))
    hit, points = _march(field, camera, rays, box)
    picture = np.ones((fine * fine, 4))
    picture[:, 3] = 0
    if hit.any():
        _draw_ground(field, camera, rays, box, float(points[:, 2].min()), picture)
        picture[hit, :3] = _lit(field, points, rays[hit], box, np.asarray(colour))
        picture[hit, 3] = 1
    blocks = picture.reshape(side, oversample, side, oversample, 4)
    coverage = blocks[..., 3].mean(axis=(1, 3))
    # Colours are averaged by coverage, so that the white of empty samples does not bleed into the rim.
    colours = (blocks[..., :3] * blocks[..., 3:]).sum(axis=(1, 3)) / np.maximum(blocks[..., 3:].sum(axis=(1, 3)), 1e-9)
    return np.asarray(np.clip(np.concatenate([colours, coverage[..., None]], axis=-1), 0, 1))


Window = tuple[float, float, float]  # middle (right, up) and half side of what is seen, at distance 1


def _window(field: Field, box: Box, side: int = 72) -> Window:
    """What the picture shows: the surface, found by a coarse pass, with a margin for the shadow."""
    camera, rays = _rays(box, side, (0.0, 0.0, _FIELD_OF_VIEW))
    hit = np.flatnonzero(_march(field, camera, rays, box)[0])
    if not len(hit):
        return 0.0, 0.0, _FIELD_OF_VIEW
    across, down = hit % side, hit // side
    middle = (across.min() + across.max() + 1) / 2, (down.min() + down.max() + 1) / 2
    extent = max(np.ptp(across), np.ptp(down)) + 2
    right, up = (middle[0] / side * 2 - 1) * _FIELD_OF_VIEW, (1 - middle[1] / side * 2) * _FIELD_OF_VIEW
    return float(right), float(up), float(extent / side * _FIELD_OF_VIEW * 1.16)


def _rays(box: Box, side: int, window: Window) -> tuple[Array, Array]:
    """The camera's place (3,) and one unit direction (side * side, 3) a pixel, rows from the top."""
    back = np.array([np.cos(_ELEVATION) * np.cos(_AZIMUTH), np.cos(_ELEVATION) * np.sin(_AZIMUTH), np.sin(_ELEVATION)])
    right = np.cross([0.0, 0.0, 1.0], back)
    right /= np.linalg.norm(right)
    up = np.cross(back, right)
    camera = box.middle + back * box.radius * 1.02 / np.sin(np.arctan(_FIELD_OF_VIEW))
    at = ((np.arange(side) + 0.5) / side * 2 - 1) * window[2]
    u, v = np.meshgrid(window[0] + at, window[1] - at)
    rays = u.reshape(-1, 1) * right + v.reshape(-1, 1) * up - back
    return camera, rays / np.linalg.norm(rays, axis=1, keepdims=True)


def _march(field: Field, camera: Array, rays: Array, box: Box) -> tuple[Array, Array]:
    """Which rays meet the surface (a mask), and where (one point for each True)."""
    with np.errstate(divide="ignore"):
        one, other = (box.low - camera) / rays, (box.high - camera) / rays
    near = np.minimum(one, other).max(axis=1)
    far = np.maximum(one, other).min(axis=1)
    at = near.copy()
    last = near.copy()
    hit = np.zeros(len(rays), dtype=bool)
    active = np.flatnonzero(near < far)
    least, most = box.radius * 0.002, box.radius * 0.03
    before = np.zeros(len(rays))  # the distance one step back, which gives the slope along the ray
    while len(active):
        distance = np.nan_to_num(field(camera + rays[active] * at[active, None]), nan=most)
        inside = distance <= 0
        hit[active[inside]] = True
        active, distance = active[~inside], distance[~inside]
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = (before[active] - distance) / (at[active] - last[active])
        before[active], last[active] = distance, at[active]
        at[active] += np.clip(0.6 * distance / np.fmax(slope, 1), least, most)
        active = active[at[active] < far[active]]
    found = np.flatnonzero(hit)
    low, high = last[found], at[found]
    for _ in range(6):
        middle = (low + high) / 2
        inside = field(camera + rays[found] * middle[:, None]) <= 0
        high = np.where(inside, middle, high)
        low = np.where(inside, low, middle)
    return hit, camera + rays[found] * low[:, None]


def _normals(field: Field, points: Array, step: float) -> Array:
    """Unit normals (n, 3) by central differences."""
    normals = np.empty_like(points)
    for axis in range(3):
        shift = np.zeros(3)
        shift[axis] = step
        normals[:, axis] = field(points + shift) - field(points - shift)
    return np.asarray(normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12))


def _lit(field: Field, points: Array, rays: Array, box: Box, colour: Array) -> Array:
    """Colours (n, 3): a key light with a soft shadow, light from the sky, a dark tone in crevices, a faint gloss."""
    normals = _normals(field, points, box.radius * 0.003)
    lifted = points + normals * box.radius * 0.01
    key = np.clip(normals @ _LIGHT, 0, 1) * _openness(field, lifted, _LIGHT, box)
    sky = 0.5 + 0.5 * normals[:, 2]
    rim = np.clip(1 + np.einsum("ij,ij->i", normals, rays), 0, 1) ** 3
    half = _LIGHT - rays
    half /= np.linalg.norm(half, axis=1, keepdims=True)
    gloss = np.clip(np.einsum("ij,ij->i", normals, half), 0, 1) ** 40 * key
    light = (0.36 + 0.26 * sky) * _crevice(field, points, normals, box) + 0.64 * key
    return np.asarray(colour * light[:, None] + 0.16 * gloss[:, None] + 0.06 * rim[:, None])


def _crevice(field: Field, points: Array, normals: Array, box: Box) -> Array:
    """1 on open ground, less where other surface stands near the normal."""
    dark = np.zeros(len(points))
    for i, share in enumerate((0.03, 0.07, 0.13, 0.2)):
        reach = share * box.radius
        distance = np.nan_to_num(field(points + normals * reach), nan=reach)
        dark += np.clip(reach - distance, 0, reach) / reach * 0.5**i
    return np.asarray(np.clip(1 - 0.55 * dark, 0.35, 1))


def _openness(field: Field, points: Array, towards: Array, box: Box, steps: int = 64) -> Array:
    """How much of a broad light in direction `towards` each point sees, 0..1."""
    seen = np.ones(len(points))
    # Steps of the same length would leave terraces on a taper, whose field grows faster than distance; so each
    # point has a stride of its own, always the same, and what is left is a grain that averages out.
    stride = np.random.default_rng(0).uniform(0.4, 1, len(points))
    at = box.radius * 0.02 * stride
    for _ in range(steps):
        distance = np.nan_to_num(field(points + towards * at[:, None]), nan=box.radius)
        seen = np.minimum(seen, 9 * distance / at)
        at += stride * np.clip(distance, box.radius * 0.015, box.radius * 0.07)
    return np.asarray(np.clip(seen, 0, 1))


def _draw_ground(field: Field, camera: Array, rays: Array, box: Box, level: float, picture: Array) -> None:
    """The shadow on the ground at z = `level`, as a dark tone whose coverage fades with the light."""
    with np.errstate(divide="ignore", invalid="ignore"):
        at = (level - camera[2]) / rays[:, 2]
    points = camera + rays * at[:, None]
    near = (at > 0) & (np.linalg.norm((points - box.middle)[:, :2], axis=1) < 1.5 * box.radius)
    shadow = 1 - _openness(field, points[near], _LIGHT, box)
    picture[near, :3] = 1 - _GROUND
    picture[near, 3] = 0.32 * shadow
