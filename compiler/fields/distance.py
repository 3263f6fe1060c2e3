"""A mesh as a signed distance on a grid.

How far: samples are scattered over the triangles, each voxel finds its nearest one by way of its neighbours, coarse
voxels first, and near the surface the triangle of that sample is looked at itself.

Which side: by the winding number, which says how often a surface goes round a point, also where it has holes or cuts
itself. It is the solution of Poisson's equation whose source are the normals of the samples, found with Fourier
transforms, so that ten million triangles take no longer than their scattering. It is smooth over a voxel or two; where
it is undecided, the nearest triangle decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

MOST_SAMPLES = 1 << 24
SPACING = 0.6
"""How far apart samples are at most, in voxels."""
_NEAR = 3.0  # voxels within which triangles are looked at themselves
_DOUBT = 0.35  # winding numbers that are so near to 1/2 are undecided
_LEVELLINGS = 8
_CHUNK = 1 << 18


class TooLarge(ValueError):
    """A mesh has more surface than can be looked at."""


@dataclass(frozen=True)
class Samples:
    """Places on triangles, in voxels; the triangle of each, its normal, and how much surface it stands for."""

    places: np.ndarray
    triangles: np.ndarray
    normals: np.ndarray
    areas: np.ndarray

    def chosen(self, which: np.ndarray) -> Samples:
        return Samples(self.places[which], self.triangles[which], self.normals[which], self.areas[which])


def signed_distance(vertices: np.ndarray, triangles: np.ndarray, sides: tuple[int, int, int]) -> np.ndarray:
    """The signed distances, float32 (x, y, z), at the voxels of a grid, all in voxels: the first lies at (0, 0, 0).

    Raises:
        TooLarge: there are too many triangles, or they lie over each other.
    """
    corners = vertices[triangles].astype(np.float32)
    samples = scattered(corners)
    winding = winding_numbers(samples, sides)
    if np.einsum("ij,ij->", corners[:, 0].astype(np.float64), np.cross(corners[:, 1], corners[:, 2])) < 0:
        winding, samples = -winding, Samples(samples.places, samples.triangles, -samples.normals, samples.areas)
        corners = corners[:, ::-1]
    samples = _outer(samples, winding)
    nearest, square = _nearest(samples.places, sides)
    far: np.ndarray = np.sqrt(square)
    plane = np.zeros(sides, np.float32)
    _refine(far, plane, nearest, samples.triangles, corners, sides)
    _level(far)
    inside = winding > 0.5
    if not inside.any():
        return far
    undecided = (np.abs(winding - 0.5) < _DOUBT) & (plane != 0)
    inside[undecided] = plane[undecided] < 0
    signed: np.ndarray = np.where(inside, -far, far)
    return signed


def scattered(corners: np.ndarray) -> Samples:
    """Samples on triangles, whose `corners` are (n, 3, 3): the middles of the parts into which each is cut."""
    sides = corners - np.roll(corners, 1, axis=1)
    longest = np.sqrt(np.einsum("ijk,ijk->ij", sides, sides).max(axis=1, initial=0.0))
    cuts = np.maximum(1, np.ceil(longest / SPACING)).astype(np.int64)
    if int((cuts * cuts).sum()) > MOST_SAMPLES:
        raise TooLarge
    crosses = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    doubled = np.sqrt(np.einsum("ij,ij->i", crosses, crosses))
    normals = crosses / np.maximum(doubled, 1e-20)[:, None]
    found = []
    for cut in np.unique(cuts).tolist():
        of = np.flatnonzero(cuts == cut)
        weights = _middles(cut)
        places = np.einsum("sc,tcd->tsd", weights, corners[of]).reshape(-1, 3)
        each = np.repeat(of, len(weights))
        found.append(Samples(places, each, normals[each], doubled[each] / (2 * len(weights))))
    return Samples(*(np.concatenate([getattr(part, name) for part in found])
                     for name in ("places", "triangles", "normals", "areas")))


def _middles(cut: int) -> np.ndarray:
    """The middles of the cut^2 equal parts of a triangle, as weights of its corners."""
    places = [((i + a) / cut, (j + a) / cut) for i in range(cut) for j in range(cut - i)
              for a in ((1 / 3, 2 / 3) if j < cut - i - 1 else (1 / 3,))]
    first = np.array(places, np.float32)
    return np.column_stack([1 - first.sum(axis=1), first])


def winding_numbers(samples: Samples, sides: tuple[int, int, int]) -> np.ndarray:
    """The winding number at the voxels of a grid: about 1 inside of a closed surface and 0 outside."""
    room = tuple(_quick(side + side // 4 + 4) for side in sides)  # what the surface's copies around would add to holes
    low = np.floor(samples.places).astype(np.int64)
    part = (samples.places - low).astype(np.float32)
    low = np.mod(low, room)
    source = np.zeros((3, int(np.prod(room))), np.float64)
    for corner in np.ndindex(2, 2, 2):
        weight = samples.areas.copy()
        for axis, step in enumerate(corner):
            weight *= part[:, axis] if step else 1 - part[:, axis]
        at = tuple((low[:, axis] + step) % room[axis] for axis, step in enumerate(corner))
        place = np.ravel_multi_index(at, room)
        for axis in range(3):
            source[axis] += np.bincount(place, weights=weight * samples.normals[:, axis], minlength=source.shape[1])
    waves = [2 * np.pi * (np.fft.rfftfreq(n) if axis == 2 else np.fft.fftfreq(n)) for axis, n in enumerate(room)]
    square = sum(w * w for w in np.meshgrid(*waves, indexing="ij", sparse=True))
    square[0, 0, 0] = 1
    total = np.zeros(square.shape, np.complex64)
    for axis, wave in enumerate(waves):
        shape = [1, 1, 1]
        shape[axis] = -1
        total += 1j * wave.reshape(shape) * np.fft.rfftn(source[axis].reshape(room).astype(np.float32))
    found = np.fft.irfftn(total / square, s=room, axes=(0, 1, 2)).astype(np.float32)
    x, y, z = sides
    border = np.concatenate([found[x + 1, :, :].ravel(), found[:, y + 1, :].ravel(), found[:, :, z + 1].ravel()])
    inner: np.ndarray = found[:x, :y, :z] - border.mean()
    return inner


def _quick(n: int) -> int:
    """The next number that Fourier transforms like: a product of 2, 3 and 5."""
    while True:
        rest = n
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return n
        n += 1


def _outer(samples: Samples, winding: np.ndarray) -> Samples:
    """The samples without those that lie inside, where a surface runs through another one: a voxel before and behind
    them the winding number is more than 1/2."""
    outer = np.minimum(*(_between(winding, samples.places + step * samples.normals) for step in (-1, 1))) < 0.75
    return samples.chosen(outer) if outer.any() else samples


def _between(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Values at places between voxels, those beyond the grid at its border."""
    ends = np.array(values.shape) - 1
    places = np.clip(places, 0, ends)
    low = np.minimum(places.astype(np.int64), ends - 1)
    part = places - low
    found = np.zeros(len(places), np.float32)
    for corner in np.ndindex(2, 2, 2):
        weight = np.prod(np.where(corner, part, 1 - part), axis=1)
        found += weight * values[tuple((low + corner).T)]
    return found


def _nearest(places: np.ndarray, sides: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The number of the nearest sample to each voxel, and the square of how far it is."""
    places = places.astype(np.float32)
    coarse_sides = tuple(-(-side // 2) + 1 for side in sides)
    coarse = _Search(places / 2, coarse_sides)
    step = 1 << int(max(coarse_sides) - 1).bit_length() - 1
    while step:
        coarse.spread(step)
        step //= 2
    coarse.spread(1)
    fine = _Search(places, sides)
    i, j, k = (np.arange(side) // 2 for side in sides)
    for a, b, c in np.ndindex(2, 2, 2):
        fine.offer(coarse.ids[np.ix_(i + a, j + b, k + c)])
    fine.walk()
    return fine.ids, fine.square


class _Search:
    """The nearest sample that each voxel of a grid knows of."""

    def __init__(self, places: np.ndarray, sides: tuple[int, ...]) -> None:
        self._places = places
        self._axes = [np.arange(side, dtype=np.float32) for side in sides]
        self._sides = sides
        self.ids = np.full(sides, -1, np.int32)
        self.square = np.full(sides, np.inf, np.float32)
        at = np.clip(np.rint(places), 0, np.array(sides) - 1).astype(np.int64)
        apart = ((places - at) ** 2).sum(axis=1)
        order = np.argsort(-apart, kind="stable")  # the nearest is written last
        self.ids[tuple(at[order].T)] = order
        self._seeds, self._seats = self.ids.copy(), at.astype(np.int32)
        known = self.ids >= 0
        self.square[known] = apart[self.ids[known]]

    def offer(self, ids: np.ndarray) -> None:
        """Take those of some samples, one a voxel, that are nearer than what is known."""
        x, y, z = self._axes
        found = self._places[ids]
        square = (found[..., 0] - x[:, None, None]) ** 2 + (found[..., 1] - y[:, None]) ** 2 + (found[..., 2] - z) ** 2
        better = (square < self.square) & (ids >= 0)
        np.copyto(self.square, square, where=better)
        np.copyto(self.ids, ids, where=better)

    def spread(self, step: int) -> None:
        """Let each voxel hear from the 26 that are `step` away."""
        for shift in _around(step):
            self.offer(_shifted(self.ids, shift))

    def walk(self) -> None:
        """Look around the sample that each voxel knows of, for those nearest to the voxels there. Seen from afar,
        samples lie closer than the voxels that pass them on."""
        ends = np.array(self._sides, np.int32) - 1
        at = self._seats[self.ids]
        for shift in _around(1):
            other = np.clip(at + np.array(shift, np.int32), 0, ends)
            self.offer(self._seeds[other[..., 0], other[..., 1], other[..., 2]])


def _around(step: int) -> Iterator[tuple[int, int, int]]:
    for i, j, k in np.ndindex(3, 3, 3):
        if (i, j, k) != (1, 1, 1):
            yield (i - 1) * step, (j - 1) * step, (k - 1) * step


def _shifted(ids: np.ndarray, shift: tuple[int, int, int]) -> np.ndarray:
    """What stands `shift` away from each voxel; -1 beyond the grid."""
    out = np.full_like(ids, -1)
    here = tuple(slice(max(0, -s), max(0, min(n, n - s))) for s, n in zip(shift, ids.shape, strict=True))
    there = tuple(slice(max(0, s), max(0, min(n, n + s))) for s, n in zip(shift, ids.shape, strict=True))
    out[here] = ids[there]
    return out


def _level(far: np.ndarray) -> None:
    """No voxel is farther than its neighbours are and the way to them: where the search has missed the nearest place,
    its neighbours may have found it."""
    for _ in range(_LEVELLINGS):
        before = far.copy()
        for shift in _around(1):
            here = tuple(slice(max(0, -s), n - max(0, s)) for s, n in zip(shift, far.shape, strict=True))
            there = tuple(slice(max(0, s), n - max(0, -s)) for s, n in zip(shift, far.shape, strict=True))
            np.minimum(far[here], far[there] + np.float32(np.linalg.norm(shift)), out=far[here])
        if np.abs(far - before).max() < 0.01:
            break


def _refine(far: np.ndarray, plane: np.ndarray, nearest: np.ndarray, triangle_of: np.ndarray, corners: np.ndarray,
            sides: tuple[int, int, int]) -> None:
    """Near the surface, the distances to triangles themselves, and on which side of its plane a voxel lies where it
    lies above its nearest triangle: -1 behind, 1 before."""
    near = np.argwhere(far < _NEAR)
    for start in range(0, len(near), _CHUNK):
        at = near[start : start + _CHUNK]
        best, side = np.full(len(at), np.inf, np.float32), np.zeros(len(at), np.float32)
        for shift in ((0, 0, 0), (1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)):
            other = np.clip(at + shift, 0, np.array(sides) - 1)
            of = corners[triangle_of[nearest[tuple(other.T)]]]
            distance, above = to_triangles(at.astype(np.float32), of)
            better = distance < best
            best[better], side[better] = distance[better], above[better]
        far[tuple(at.T)], plane[tuple(at.T)] = best, side


def to_triangles(points: np.ndarray, corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far points (n, 3) are from triangles (n, 3, 3); and 1 or -1, before or behind it, where a point lies above
    its triangle, else 0."""
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    size = np.sqrt(np.einsum("ij,ij->i", normal, normal))
    normal = normal / np.maximum(size, 1e-20)[:, None]
    above = size > 1e-12
    best = np.full(len(points), np.inf, np.float32)
    for k in range(3):
        a, b = corners[:, k], corners[:, (k + 1) % 3]
        along, away = b - a, points - a
        above &= np.einsum("ij,ij->i", np.cross(normal, along), away) >= 0
        square = np.maximum(np.einsum("ij,ij->i", along, along), 1e-20)
        part = np.clip(np.einsum("ij,ij->i", away, along) / square, 0, 1)
        apart = away - part[:, None] * along
        best = np.minimum(best, np.sqrt(np.einsum("ij,ij->i", apart, apart)))
    height = np.einsum("ij,ij->i", points - corners[:, 0], normal)
    return np.where(above, np.minimum(best, np.abs(height)), best), np.where(above, np.sign(height), 0)
