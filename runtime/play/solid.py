"""A shaded picture of a distance field from any side, quick enough to follow a hand.

As in `pictures.shading`, rays take bounded steps until the sign changes, since fields are not exact distances. What
makes it quick: a coarse picture first, whose rays tell the fine ones where to begin; arrays of float32, a coordinate
each, as kernels take them; and, while something moves, no shadows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fdif_dsl.runtime.pictures import palette

Field = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""x, y, z (n,) -> distances (n,), negative inside."""

_TANGENT = 0.30  # of half the field of view
_COARSE = 4  # fine pixels along a coarse one
_STEPS = 96
_KEY, _FILL = np.array([0.35, 0.55, 0.76]), np.array([-0.7, 0.3, 0.1])  # right, up, towards the eye


@dataclass(frozen=True)
class Frame:
    """What is in the picture: a ball of this radius around a point, in voxels."""

    middle: tuple[float, float, float]
    radius: float


@dataclass(frozen=True)
class Camera:
    """Where it is seen from: angles in degrees; `zoom` 1 shows the whole frame."""

    azimuth: float = -58.0
    elevation: float = 26.0
    zoom: float = 1.0


def find_frame(field: Field, reach: float, samples: int = 40) -> Frame | None:
    """A frame around the inside of a field within `reach` of the origin; None where nothing is inside.

    Three lattices, each in the box that the one before found. They keep what is nearer to the surface than their
    spacing, so that thinner parts are not lost.
    """
    low, high = np.full(3, -reach), np.full(3, reach)
    inside = False
    for _ in range(3):
        axes = [np.linspace(a, b, samples, dtype=np.float32) for a, b in zip(low, high, strict=True)]
        x, y, z = (c.ravel() for c in np.meshgrid(*axes, indexing="ij"))
        distance = field(x, y, z)
        spacing = (high - low) / (samples - 1)
        near = distance <= spacing.max()
        inside = inside or bool((distance <= 0).any())
        if not near.any():
            return None
        corners = np.array([[c[near].min(), c[near].max()] for c in (x, y, z)], np.float64)
        low, high = corners[:, 0] - spacing / 2, corners[:, 1] + spacing / 2
    if not inside:
        return None
    middle = (low + high) / 2
    return Frame((float(middle[0]), float(middle[1]), float(middle[2])), 0.92 * float(np.linalg.norm(high - low)) / 2)


def solid(field: Field, frame: Frame, camera: Camera, side: int, *, fine: bool = False,
          colour: tuple[float, float, float] = palette.SOLID) -> np.ndarray:
    """The picture (side, side, 4) of bytes; clear where nothing is. `fine` adds shadows, and loses no thin parts."""
    eye, basis, size = _camera(frame, camera)
    rays = _rays(basis, size, side)
    near, far = _depths(eye, rays, frame)
    start = near.copy() if fine else _from_coarse(field, frame, eye, basis, size, side, near)
    hit, depth = _march(field, eye, rays, start, far, frame.radius)
    picture = np.zeros((side * side, 4), np.uint8)
    if hit.any():
        seen = tuple(c[hit] for c in rays)
        points = tuple(e + c * depth[hit] for e, c in zip(eye, seen, strict=True))
        light = _light(field, points, seen, basis, frame.radius, fine)
        shaded = np.asarray(colour, np.float32)[None] * light[0][:, None] + light[1][:, None]
        picture[hit, :3] = np.clip(shaded * 255, 0, 255)
        picture[hit, 3] = 255
    return picture.reshape(side, side, 4)


Columns = tuple[np.ndarray, ...]


def _camera(frame: Frame, camera: Camera) -> tuple[np.ndarray, np.ndarray, float]:
    """The eye, the directions right, up and back as rows, and half the picture's side at distance 1."""
    azimuth, elevation = np.radians(camera.azimuth), np.radians(np.clip(camera.elevation, -89, 89))
    back = np.array([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)])
    right = np.array([-np.sin(azimuth), np.cos(azimuth), 0.0])
    up = np.cross(back, right)
    eye = np.asarray(frame.middle) + back * frame.radius / np.sin(np.arctan(_TANGENT))
    size = _TANGENT / max(camera.zoom, 1e-3)
    return eye.astype(np.float32), np.array([right, up, back], np.float32), float(size)


def _rays(basis: np.ndarray, size: float, side: int) -> Columns:
    at = ((np.arange(side, dtype=np.float32) + 0.5) / side * 2 - 1) * np.float32(size)
    u, v = (c.ravel() for c in np.meshgrid(at, -at))
    inverse = 1 / np.sqrt(u * u + v * v + 1)
    right, up, back = basis
    return tuple((u * right[k] + v * up[k] - back[k]) * inverse for k in range(3))


def _depths(eye: np.ndarray, rays: Columns, frame: Frame) -> tuple[np.ndarray, np.ndarray]:
    """Where rays enter and leave the ball in which the surface is looked for: twice the frame, so that what grows while
    somebody drags is not cut off at once."""
    offset = eye - np.asarray(frame.middle, np.float32)
    b = sum(o * c for o, c in zip(offset, rays, strict=True))
    root = b * b - float(offset @ offset) + np.float32((2 * frame.radius) ** 2)
    half = np.sqrt(np.maximum(root, 0))
    return np.maximum(-b - half, np.float32(1e-3)), np.where(root > 0, -b + half, np.float32(-1))


def _from_coarse(field: Field, frame: Frame, eye: np.ndarray, basis: np.ndarray, size: float, side: int,
                 near: np.ndarray) -> np.ndarray:
    """Where the rays of a picture begin: before what a coarse picture met in the pixel around and those beside it."""
    few = -(-side // _COARSE)
    rays = _rays(basis, size * few * _COARSE / side, few)
    begin, far = _depths(eye, rays, frame)
    hit, depth = _march(field, eye, rays, begin, far, frame.radius, bisections=0)
    found = np.where(hit, depth, np.float32(np.inf)).reshape(few, few)
    padded = np.pad(found, 1, constant_values=np.inf)
    least = np.minimum.reduce([padded[i : i + few, j : j + few] for i in range(3) for j in range(3)])
    least -= np.float32(frame.radius * 0.12)
    return np.asarray(np.maximum(near, np.repeat(np.repeat(least, _COARSE, 0), _COARSE, 1)[:side, :side].ravel()))


def _march(field: Field, eye: np.ndarray, rays: Columns, start: np.ndarray, far: np.ndarray, radius: float,
           bisections: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Which rays meet the surface, and how far from the eye."""
    n = len(start)
    least, most = np.float32(radius * 0.006), np.float32(radius * 0.15)
    hit = np.zeros(n, bool)
    depth = np.zeros(n, np.float32)  # the last place outside
    reached = np.zeros(n, np.float32)
    index = np.flatnonzero(start < far)
    x, y, z = (c[index] for c in rays)
    at, end = start[index], far[index]
    last, before = at.copy(), np.zeros(len(index), np.float32)
    ex, ey, ez = eye
    for _ in range(_STEPS):
        if not len(index):
            break
        distance = field(ex + x * at, ey + y * at, ez + z * at)
        distance = np.where(np.isnan(distance), most, distance)
        inside = distance <= 0
        if inside.any():
            found = index[inside]
            hit[found], depth[found], reached[found] = True, last[inside], at[inside]
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = (before - distance) / (at - last)
        step = np.clip(np.float32(0.7) * distance / np.fmax(slope, np.float32(1)), least, most)
        last, before, at = at, distance, at + step
        keep = ~inside & (at < end)
        if not keep.all():
            index, x, y, z, at, end, last, before = (a[keep] for a in (index, x, y, z, at, end, last, before))
    if bisections and hit.any():
        x, y, z = (c[hit] for c in rays)
        low, high = depth[hit], reached[hit]
        for _ in range(bisections):
            middle = (low + high) / 2
            inside = field(ex + x * middle, ey + y * middle, ez + z * middle) <= 0
            high, low = np.where(inside, middle, high), np.where(inside, low, middle)
        depth[hit] = low
    return hit, depth


def _light(field: Field, points: Columns, rays: Columns, basis: np.ndarray, radius: float,
           fine: bool) -> tuple[np.ndarray, np.ndarray]:
    """How bright the colour is at points of the surface, and the white on top of it. The lights turn with the eye."""
    step = np.float32(radius * 0.004)
    normal = [np.zeros(len(points[0]), np.float32) for _ in range(3)]
    for corner in ((1, -1, -1), (-1, -1, 1), (-1, 1, -1), (1, 1, 1)):  # four corners of a cube give the slope
        value = field(*(p + step * s for p, s in zip(points, corner, strict=True)))
        for axis, sign in enumerate(corner):
            normal[axis] += value * sign
    with np.errstate(invalid="ignore", over="ignore"):
        length = np.sqrt(sum(c * c for c in normal))
        normal = [np.nan_to_num(c / np.maximum(length, np.float32(1e-12)), posinf=0, neginf=0) for c in normal]
    right, up, back = basis

    def towards(light: np.ndarray) -> np.ndarray:
        world = light[0] * right + light[1] * up + light[2] * back
        return np.asarray(world / np.linalg.norm(world), np.float32)

    def lit(way: np.ndarray) -> np.ndarray:
        return np.asarray(np.maximum(sum(c * w for c, w in zip(normal, way, strict=True)), 0))

    key_way = towards(_KEY)
    key = lit(key_way)
    if fine:
        lifted = tuple(p + c * np.float32(radius * 0.015) for p, c in zip(points, normal, strict=True))
        key = key * _seen(field, lifted, key_way, radius)
    dark = np.zeros(len(points[0]), np.float32)  # in crevices
    for share, weight in ((0.05, 0.6), (0.14, 0.4)):
        reach = np.float32(share * radius)
        distance = field(*(p + c * reach for p, c in zip(points, normal, strict=True)))
        dark += np.float32(weight) * np.clip((reach - np.nan_to_num(distance, nan=float(reach))) / reach, 0, 1)
    facing = np.maximum(-sum(c * r for c, r in zip(normal, rays, strict=True)), 0)
    half = [w - r for w, r in zip(key_way, rays, strict=True)]
    scale = 1 / np.sqrt(sum(h * h for h in half))
    gloss = np.clip(sum(c * h for c, h in zip(normal, half, strict=True)) * scale, 0, 1) ** 32 * (key > 0)
    light = (0.34 + 0.16 * facing) * (1 - 0.6 * dark) + 0.62 * key + 0.16 * lit(towards(_FILL))
    return light, 0.18 * gloss + 0.05 * (1 - facing) ** 3


def _seen(field: Field, points: Columns, way: np.ndarray, radius: float, steps: int = 20) -> np.ndarray:
    """How much of a broad light each point sees, 0 to 1."""
    seen = np.ones(len(points[0]), np.float32)
    at = np.full(len(points[0]), radius * 0.03, np.float32)
    for _ in range(steps):
        distance = np.nan_to_num(field(*(p + w * at for p, w in zip(points, way, strict=True))), nan=radius)
        seen = np.minimum(seen, 8 * distance / at)
        at += np.clip(distance, np.float32(radius * 0.03), np.float32(radius * 0.15))
    return np.clip(seen, 0, 1)
