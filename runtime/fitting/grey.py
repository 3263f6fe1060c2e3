"""What grey levels images show inside of a mask, at its rim and around it, and how they were acquired.

Images come in any units, so each is brought to 0 to 128, the levels of volumes, between its 1st and 99th percentile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError
from fdif_dsl.runtime.finetuning.data.nifti import Stored, read_volume
from fdif_dsl.runtime.fitting.target import Target

TOP = 128.0
KINDS = ("grey", "other")
"""The mappers of a shape: its own grey levels, and any."""
_BAND = 5.0  # units around a mask that are its surroundings
_RIM = 1.0  # units to both sides of the surface that are its rim
_LEAST = 1.0  # grey levels that a deviation is at least


@dataclass(frozen=True)
class Levels:
    """Grey levels of one image: the means `inside`, at the `rim` and `around`; how levels vary inside (`grain`) and
    around (`texture`) beside the `noise`, which is the deviation of a voxel alone; and how thick its slices are, in
    voxels of the finest axis."""

    inside: float
    rim: float
    around: float
    grain: float
    texture: float
    noise: float
    slices: float


def levels_of(path: Path, mask: Stored, target: Target, unit: float) -> Levels:
    """The grey levels of an image around a mask. Raises as `read_image` does."""
    image = read_image(path, mask)
    distance = _at_voxels(target, image.shape, np.array(mask.spacing[::-1]) / unit)
    inside, rim = image[distance < -_RIM], image[np.abs(distance) <= _RIM]
    around = image[(distance > _RIM) & (distance < _BAND)]
    inside = inside if inside.size else image[distance <= 0]
    around = around if around.size else image[distance > 0]
    noise = noise_of(image)
    means = [float(part.mean()) if part.size else 0.0 for part in (inside, rim, around)]
    return Levels(means[0], means[1], means[2], _beside(inside, noise), _beside(around, noise), noise,
                  max(mask.spacing) / min(mask.spacing))


def read_image(path: Path, mask: Stored) -> np.ndarray:
    """The image of a mask, (x, y, z), in the levels of volumes.

    Raises:
        FdifError: the image has other voxels than the mask, or one level only.
    """
    stored = read_volume(path)
    if stored.voxels.shape[1:] != mask.voxels.shape[1:]:
        raise FdifError(Diagnostic(
            "E0977", "an image and its mask have different voxels", where=str(path),
            why=f"{list(stored.voxels.shape[1:])} and {list(mask.voxels.shape[1:])}",
            hint="give the image that the mask was drawn on"))
    image = stored.upright()[0].transpose(2, 1, 0).astype(np.float64)
    low, high = np.percentile(image[np.isfinite(image)], [1, 99]) if np.isfinite(image).any() else (0.0, 0.0)
    if not high > low:
        raise FdifError(Diagnostic("E0977", "an image has one grey level only", where=str(path),
                                   hint="leave it out, or --images"))
    scaled: np.ndarray = np.clip((np.nan_to_num(image, nan=low) - low) / (high - low), 0, 1) * TOP
    return scaled


def noise_of(image: np.ndarray) -> float:
    """The deviation of a voxel alone: by differences of second order, most of which see no edge."""
    found = []
    for axis in range(3):
        if image.shape[axis] > 2:
            turned = np.moveaxis(image, axis, 0)
            found.append(np.median(np.abs(turned[2:] - 2 * turned[1:-1] + turned[:-2])) / (0.6745 * np.sqrt(6)))
    return float(min(found, default=0.0))


def _beside(part: np.ndarray, noise: float) -> float:
    """How levels vary, beside the noise."""
    return float(np.sqrt(max(0.0, part.var() - noise**2))) if part.size else 0.0


def _at_voxels(target: Target, shape: tuple[int, ...], steps: np.ndarray) -> np.ndarray:
    """The distances of a target at the voxels of its image; far away where its grid ends."""
    room = np.array(shape) * steps
    origin = target.centre + (room - steps) / 2
    axes = [np.arange(n) * step - o for n, step, o in zip(shape, steps, origin, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    low, high = target.start, target.start + target.cell * (np.array(target.distance.shape) - 1)
    near = ((points >= low) & (points <= high)).all(1)
    found = np.full(len(points), 1e6)
    found[near] = target.at(points[near])
    return found.reshape(shape)


def mapper_text(name: str, levels: Sequence[Levels]) -> str:
    """A mapper with priors: one level inside, which goes over to that of the rim; and one of any level for the solids
    around, since a recipe chooses the mapper of each object alone."""
    inside, rim = (np.array([getattr(one, key) for one in levels]) for key in ("inside", "rim"))
    rise = rim - inside
    return (f"## Grey levels as in {len(levels)} images, each from 0 to 128 between its 1st and 99th percentile.\n"
            f"mapper {name}_grey {{\n  ## The level inside.\n  level ~ {_drawn(inside, 0, TOP)}\n"
            f"  ## How much brighter the rim is.\n  rise ~ {_drawn(rise, -TOP, TOP)}\n"
            f"  intensity = where(d > 0, 0, clamp(level + rise * smoothstep(-{2 * _RIM:g}, 0, d), 0, 128))\n}}\n\n"
            f"## Any grey level, for the solids around.\nmapper {name}_other {{\n  level ~ uniform(0, 128)\n"
            f"  intensity = where(d > 0, 0, level)\n}}\n")


def scanner_lines(levels: Sequence[Levels]) -> list[str]:
    """The section [scanner] of a recipe: background, noise, slices as in the images, and a blur of half a voxel."""

    def between(key: str, most: float = TOP) -> list[float]:
        values = [getattr(one, key) for one in levels]
        return [round(float(np.clip(v, 0, most)), 1) for v in (min(values), max(values))]

    thick = [max(1, round(one.slices)) for one in levels]
    lines = ["background = 1.0", f"background_level = {between('around')}",
             f"background_texture = {[round(1.7 * v, 1) for v in between('texture', 70)]}",
             "blur = 0.9", "blur_sigma = [0.4, 0.8]", "bias = 0.5", "bias_strength = [0.05, 0.2]",
             "gaussian = 1.0", f"gaussian_sigma = {between('noise')}"]
    if max(thick) > 1:
        share = sum(t > 1 for t in thick) / len(thick)
        lines += [f"slices = {share:g}", f"slices_thickness = [{max(2, min(thick))}, {max(thick)}]"]
    return lines


def _drawn(values: np.ndarray, low: float, high: float) -> str:
    deviation = max(_LEAST, float(values.std(ddof=1)) if len(values) > 1 else 0.1 * TOP)
    return f"clamp(normal({values.mean():.3g}, {deviation:.3g}), {low:g}, {high:g})"
