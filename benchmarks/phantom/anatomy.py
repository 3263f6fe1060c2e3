"""The anatomy: which tissue is where, in mm, with x to the right, y to the front and z to the head of the patient.

Organs are superellipsoids with rough surfaces, in a body that is scaled and bent at random. Hollow ones and vessels are
tubes around splines. None of it is a signed distance.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import interpolate, ndimage, spatial

from phantom.fields import Array, smooth_field

TISSUES = ("air", "fat", "muscle", "bone", "bowel", "liver", "spleen", "kidney", "stomach", "vessel", "lesion")
LABELS = {"background": 0, "liver": 1, "spleen": 2, "kidney": 3, "stomach": 4, "vessel": 5, "lesion": 6}
EXTENT = (320.0, 240.0, 240.0)
"""The field of view in mm."""

Mask = NDArray[np.bool_]


class Body:
    """One patient on a grid of `shape` voxels of `step` mm. `tissue` holds indices of `TISSUES`."""

    def __init__(self, shape: tuple[int, int, int], step: float, random: np.random.Generator) -> None:
        self.shape, self.step, self.random = shape, step, random
        axes = [(np.arange(n) - (n - 1) / 2) * step for n in shape]
        place = np.stack(np.meshgrid(*axes, indexing="ij"))
        bent = [9.0 * smooth_field(shape, step, 70.0, random) for _ in range(3)]
        scale = (1 + 0.07 * random.standard_normal(3)).clip(0.85, 1.15)
        self.place = (place + np.stack(bent)) / scale[:, None, None, None]
        self.tissue = np.zeros(shape, np.uint8)
        self._wall()
        self._skeleton()
        self._bowel()
        self._organs()
        self._vessels()
        self._lesions()

    def paint(self, mask: Mask, tissue: str) -> None:
        self.tissue[mask] = TISSUES.index(tissue)

    def of(self, *tissues: str) -> Mask:
        return np.isin(self.tissue, [TISSUES.index(t) for t in tissues])

    def about(self, value: float, deviation: float) -> float:
        return float(value + deviation * self.random.standard_normal())

    def solid(self, centre: ArrayLike, axes: ArrayLike, power: float = 2.2, rough: float = 0.08,
              turn: float = 12.0) -> Array:
        """A level that is below 1 inside a superellipsoid; place, size, orientation (degrees) and surface vary."""
        where = np.asarray(centre) + 6.0 * self.random.standard_normal(3)
        size = np.asarray(axes) * np.exp(0.11 * self.random.standard_normal(3))
        angles = np.radians(turn * self.random.standard_normal(3))
        local = np.tensordot(spatial.transform.Rotation.from_euler("xyz", angles).as_matrix(),
                             self.place - where[:, None, None, None], 1)
        level = (np.abs(local / size[:, None, None, None]) ** power).sum(0) ** (1 / power)
        return np.asarray(level + rough * smooth_field(self.shape, self.step, 22.0, self.random))

    def tube(self, points: ArrayLike, radii: ArrayLike, jitter: float) -> Mask:
        """What lies within a changing radius of a smooth curve through points that vary by `jitter` mm."""
        knots = np.asarray(points, float)
        knots = knots + jitter * self.random.standard_normal(knots.shape)
        wide = np.asarray(radii, float) * np.exp(0.12 * self.random.standard_normal(len(knots)))
        at = np.linspace(0, 1, len(knots))
        fine = np.linspace(0, 1, 160)
        order = min(3, len(knots) - 1)
        curve = interpolate.make_interp_spline(at, knots, order)(fine)
        near = np.all([(self.place[i] > curve[:, i].min() - 2 * wide.max()) & (self.place[i] < curve[:, i].max()
                      + 2 * wide.max()) for i in range(3)], axis=0)
        distance, index = spatial.cKDTree(curve).query(self.place[:, near].T)
        mask = np.zeros(self.shape, bool)
        mask[near] = distance < np.interp(fine, at, wide)[index]
        return mask

    def _wall(self) -> None:
        x, y, _ = self.place
        level = (np.abs(x / 142) ** 2.4 + np.abs(y / 100) ** 2.4) ** (1 / 2.4)
        self.inside = level < 0.80
        self.paint(level < 1, "fat")
        self.paint((level < 0.93) & ~self.inside, "muscle")
        self.level = level

    def _skeleton(self) -> None:
        random = self.random
        spine = self.tube([(0, -66, z) for z in (-150, -50, 50, 150)], (21, 21, 21, 21), 3)
        self.paint(spine, "bone")
        for side in (-1, 1):
            self.paint(self.tube([(side * 40, -62, z) for z in (-150, -50, 40)], (20, 19, 10), 4), "muscle")
        _, y, z = self.place
        period, phase = self.about(30, 3), random.uniform(0, 30)
        ribs = np.abs((z + 0.25 * y + phase) % period - period / 2) < 4.5
        self.paint(ribs & (self.level > 0.82) & (self.level < 0.90) & (z > self.about(-10, 15)), "bone")

    def _bowel(self) -> None:
        """Loops that look like other organs and are none."""
        for _ in range(int(self.random.integers(4, 8))):
            start = self.random.uniform((-75, 5, -130), (75, 60, -35))
            walk = start + np.cumsum(self.random.normal(0, 24, (5, 3)), axis=0)
            radius = self.random.uniform(8, 15)
            self.paint(self.tube(walk, [radius] * 5, 0) & self.inside & ~self.of("bone"), "bowel")

    def _organs(self) -> None:
        free = self.inside & ~self.of("bone")
        liver = np.minimum(self.solid((62, 12, 42), (62, 62, 62), 2.6), self.solid((5, 38, 52), (60, 30, 28)))
        spleen = np.maximum(self.solid((-92, -28, 45), (26, 42, 46)),
                            1.9 - self.solid((-45, -5, 45), (42, 42, 60), rough=0.0))
        self.paint((liver < 1) & free, "liver")
        stomach = self.tube([(-28, -5, 95), (-55, 20, 65), (-48, 38, 25), (-10, 45, 8)], (20, 27, 22, 14), 7)
        self.paint(stomach & free & ~self.of("liver"), "stomach")
        self.paint((spleen < 1) & free & ~self.of("liver", "stomach"), "spleen")
        for side in (-1, 1):
            bean = np.maximum(self.solid((side * 64, -48, -25 - 8 * side), (24, 22, 48)),
                              1.75 - self.solid((side * 30, -40, -25), (20, 16, 18), rough=0.0))
            self.paint((bean < 1) & free, "kidney")

    def _vessels(self) -> None:
        free = self.inside & ~self.of("bone")
        aorta = [(-8, -36, z) for z in (-150, -50, 50, 150)]
        cava = [(24, -30, z) for z in (-150, -50, 20)] + [(30, -8, 110)]
        self.paint(self.tube(aorta, (10, 11, 12, 12), 4) & free, "vessel")
        self.paint(self.tube(cava, (11, 12, 13, 12), 4) & free, "vessel")
        gate = np.array((32.0, 8.0, 22.0)) + self.random.normal(0, 4, 3)
        self.paint(self.tube([(-6, -2, -35), gate - (14, 2, 18), gate], (7, 8, 8), 3) & free, "vessel")
        for _ in range(int(self.random.integers(2, 5))):
            tip = gate + self.random.uniform((15, -35, -10), (65, 35, 55))
            self.paint(self.tube([gate, (gate + tip) / 2, tip], (7, 6, 4), 4) & self.of("liver"), "vessel")

    def _lesions(self) -> None:
        hosts = self.of("liver", "kidney", "spleen")
        deep = np.argwhere(ndimage.distance_transform_edt(hosts, self.step) > 5)
        for _ in range(int(self.random.integers(2, 6))):
            centre = self.place[(slice(None), *deep[self.random.integers(len(deep))])]
            axes = self.random.uniform(9, 20) * self.random.uniform(0.75, 1.25, 3)
            self.paint((self.solid(centre, axes, rough=0.15) < 1) & hosts, "lesion")
