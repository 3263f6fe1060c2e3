"""The picture of how time grows with voxels, with objects and with threads."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fdif_dsl.runtime.bench.figures import counted, grid_name, number
from fdif_dsl.runtime.pictures import palette
from fdif_dsl.runtime.pictures.view import figure_file

CURVES = ("voxels", "objects", "threads")


def draw_scaling(report: Mapping[str, Any], path: Path) -> None:
    """Milliseconds a volume in three panels, with the line of proportionality in each, as a PNG."""
    scaling, settings, machine = report["scaling"], report["settings"], report["machine"]
    times = [point["total_ms"] for curve in CURVES for point in scaling[curve]]
    limits = 0.6 * min(t["least"] for t in times), 1.8 * max(t["most"] for t in times)
    same = {"voxels": grid_name(settings["grid"]), **{what: counted(settings[what], what) for what in CURVES[1:]}}
    with figure_file(path, 12.4, 4.8) as figure:
        figure.text(0.055, 0.935, "Time of a volume, sampled and rendered", fontsize=14, weight="bold",
                    color=palette.INK, va="center")
        about = f"{machine['cpu']}, {counted(machine['cpus'], 'CPUs')}; fdif-dsl {machine['fdif-dsl']}"
        figure.text(0.985, 0.935, about, fontsize=9.5, color=palette.QUIET, va="center", ha="right")
        for k, curve in enumerate(CURVES):
            axes = figure.add_axes((0.055 + 0.322 * k, 0.155, 0.285, 0.63))
            _panel(axes, curve, scaling[curve], limits)
            axes.set_title(", ".join(what for other, what in same.items() if other != curve), fontsize=9.5,
                           color=palette.QUIET, loc="left")
            if k == 0:
                axes.set_ylabel("milliseconds a volume")


def _panel(axes: Any, curve: str, points: Sequence[Mapping[str, Any]], limits: tuple[float, float]) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

    x = [math.prod(p["grid"]) if curve == "voxels" else p[curve] for p in points]
    names = [grid_name(p["grid"]) if curve == "voxels" else f"{p[curve]:g}" for p in points]
    times = [p["total_ms"] for p in points]
    y = [t["median"] for t in times]
    errors = [[t["median"] - t["least"] for t in times], [t["most"] - t["median"] for t in times]]
    if min(x) > 0:
        axes.set_xscale("log")
    if len(x) > 1:
        # Through the point that the ratios are to.
        base = min(range(len(x)), key=lambda i: abs(points[i]["ratio"]["median"] - 1))
        line = [y[base] * (x[base] / at if curve == "threads" else at / x[base]) for at in x]
        axes.plot(x, line, color=palette.QUIET, lw=1.1, ls=(0, (4, 3)),
                  label="inversely proportional" if curve == "threads" else "proportional")
        axes.legend(fontsize=8.5, frameon=False, labelcolor=palette.QUIET,
                    loc="upper right" if curve == "threads" else "lower right")
    axes.errorbar(x, y, yerr=errors, color=palette.ACCENT, lw=2.0, marker="o", ms=5, capsize=3, elinewidth=1.0)
    for at, ms in zip(x, y, strict=True):
        axes.annotate(number(ms), (at, ms), xytext=(-7, 4), textcoords="offset points", ha="right", fontsize=8.5,
                      color=palette.INK)
    axes.set_yscale("log")
    axes.set(ylim=limits, xlabel=curve)
    axes.xaxis.set_major_locator(FixedLocator(x))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda _, place: names[place]))
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.margins(x=0.15)
    axes.grid(color=palette.RULE, lw=0.6)
    axes.tick_params(labelsize=8.5, colors=palette.QUIET, length=2.5)
    for side in axes.spines.values():
        side.set_visible(False)
