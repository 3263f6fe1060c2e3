"""The figures of a report in the order in which people read them, each with a name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fdif_dsl.runtime.bench.shares import STAGES, TILES


@dataclass(frozen=True)
class Figure:
    """One line of the table. `least` and `most` are over the rounds, where it was measured in each; `note` is what else
    there is to say."""

    group: str
    name: str
    value: float
    unit: str
    least: float | None = None
    most: float | None = None
    note: str = ""


def figures(report: Mapping[str, Any]) -> list[Figure]:
    """All figures of a report; groups stay together. What could not be measured is left out."""
    volume, process, scaling = report["volume"], report["process"], report["scaling"]
    count = report["settings"]["count"]
    out = [_spread("a volume", name, volume[key], "ms") for key, name in (
        ("total_ms", "sampled and rendered"), ("sampling_ms", "sampled alone"))]
    out.append(Figure("a volume", "volumes a second", volume["per_second"], ""))
    if volume["ns_per_voxel_and_object"] is not None:
        out.append(Figure("a volume", "a voxel and object", volume["ns_per_voxel_and_object"], "ns"))
    for group, key, names in (("where its time goes", "shares", STAGES), ("tiles, for each object", "tiles", TILES)):
        out += [Figure(group, name, 100 * report[key][what], "%") for what, name in names.items()]
    for curve in ("voxels", "objects", "threads"):
        out += [_spread(f"by {curve}", point_name(curve, point), point["total_ms"], "ms", _ratio(curve, point["ratio"]))
                for point in scaling[curve]]
    group = "a fresh process"
    out += [_spread(group, "import and load", process["load_s"], "s"),
            _spread(group, "first volume, from its start", process["first_s"], "s")]
    if process["resident_mb"] is not None:
        out += [Figure(group, f"memory after {count} volumes", process["resident_mb"], "MB"),
                Figure(group, "growth over their second half", process["growth_mb"], "MB")]
    return out


def point_name(curve: str, point: Mapping[str, Any]) -> str:
    """What is written at a point of a curve: the size of the grid, or how many objects or threads."""
    if curve == "voxels":
        return grid_name(point["grid"])
    return counted(point[curve], curve)


def counted(count: float | Sequence[int], things: str) -> str:
    """A number, or a range of two, with the plural of what is counted."""
    if isinstance(count, Sequence):
        return f"{count[0]} to {count[1]} {things}"
    return f"{count:g} {things.removesuffix('s') if count == 1 else things}"


def grid_name(grid: Sequence[int]) -> str:
    """The size of a grid (D, H, W); a cube's is a power."""
    return f"{grid[0]}³" if len(set(grid)) == 1 else " × ".join(map(str, grid))


def number(value: float) -> str:
    """Three digits, or all that stand before the point."""
    text = f"{value:#.3g}".removesuffix(".")
    return text if "e" not in text else f"{value:.0f}" if abs(value) >= 1 else f"{value:.6f}"


def _spread(group: str, name: str, found: Mapping[str, float], unit: str, note: str = "") -> Figure:
    return Figure(group, name, found["median"], unit, found["least"], found["most"], note)


def _ratio(curve: str, found: Mapping[str, float]) -> str:
    least, median, most = found["least"], found["median"], found["most"]
    if curve == "threads":
        least, median, most = 1 / most, 1 / median, 1 / least
    if least == most == 1:
        return ""
    what = "as fast" if curve == "threads" else "as long"
    return f"{median:.2f} times {what} ({least:.2f} to {most:.2f})"
