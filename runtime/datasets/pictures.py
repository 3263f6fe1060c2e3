"""The pictures of a data set: slices of its first volumes, and its summary."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fdif_dsl.runtime.datasets.case import draw
from fdif_dsl.runtime.datasets.plan import Plan
from fdif_dsl.runtime.datasets.summary import ClassCount, Summary
from fdif_dsl.runtime.pictures import palette
from fdif_dsl.runtime.pictures.overview import draw_overview
from fdif_dsl.runtime.pictures.view import figure_file

OVERVIEW, PICTURE = "overview.png", "summary.png"
_SHOWN = 8  # volumes
_NAMED = 30  # classes, up to which each bar has its name
_BINS = 40


def draw_volumes(plan: Plan, path: Path) -> None:
    """Slices of the first volumes and of their labels (of the first task), as a PNG."""
    first = [case for case, _ in zip(plan.cases(), range(_SHOWN), strict=False)]
    volumes = [draw(plan, case)[1] for case in first]
    task = plan.meaning.tasks[0]
    names = {label: name for label, name in enumerate(task.classes) if label}
    shown = [(v.image, v.label.reshape(-1, *v.image.shape)[0]) for v in volumes]
    size = " x ".join(map(str, plan.recipe.grid))
    draw_overview(shown, names, path, title(plan), f"{size} voxels, seed {plan.seed}; the image above, "
                  f"its {'' if len(plan.meaning.tasks) == 1 else f'{task.name} '}labels below")


def draw_summary(plan: Plan, summary: Summary, path: Path) -> None:
    """For each task, how many volumes show each class and its share of the labelled voxels; and how full volumes are.
    A PNG."""
    tasks = list(summary.tasks.items())
    # Below each row is room for the names of its classes, written upwards.
    rooms = [0.5 + 0.055 * max(len(c.name) for c in classes) if len(classes) <= _NAMED else 0.5 for _, classes in tasks]
    height = 0.75 + sum(2.75 + room for room in rooms)
    top = height - 0.75
    with figure_file(path, 12.4, height) as figure:
        figure.text(0.055, 1 - 0.38 / height, title(plan), fontsize=14, weight="bold", color=palette.INK, va="center")
        for row, ((name, classes), room) in enumerate(zip(tasks, rooms, strict=True)):
            bottom, tall = (top - 2.5) / height, 2.15 / height
            what = f"each {name.replace('_', ' + ')}"
            _bars(figure.add_axes((0.055, bottom, 0.285, tall)), classes, [c.volumes for c in classes],
                  f"volumes with {what}", palette.SOLID)
            whole = sum(c.voxels for c in classes) or 1
            _bars(figure.add_axes((0.39, bottom, 0.285, tall)), classes, [100 * c.voxels / whole for c in classes],
                  f"labelled voxels of {what}, per cent", palette.DISPLACED)
            if row == 0:
                axes = figure.add_axes((0.725, bottom, 0.26, tall))
                axes.hist([100 * f for f in summary.foreground], bins=_BINS, range=(0, 100), color=palette.QUIET)
                axes.set_title("volumes by labelled voxels, per cent", fontsize=9.5, color=palette.INK, loc="left")
                _plain(axes)
            top -= 2.75 + room


def title(plan: Plan) -> str:
    """How many volumes of what."""
    return f"{plan.count} {'volume' if plan.count == 1 else 'volumes'} of the recipe {plan.name}"


def _bars(axes: Any, classes: Sequence[ClassCount], values: Sequence[float], heading: str, colour: Any) -> None:
    labels = [c.label for c in classes]
    axes.fill_between([x + d for x in labels for d in (-0.4, -0.4, 0.4, 0.4)],
                      [v for value in values for v in (0, value, value, 0)], color=colour, lw=0)
    axes.set_title(heading, fontsize=9.5, color=palette.INK, loc="left")
    axes.set(xlim=(0.3, len(classes) + 0.7), ylim=(0, 1.05 * (max(values) or 1)))
    if len(classes) <= _NAMED:
        axes.set_xticks(labels, [c.name for c in classes], rotation=90)
    else:
        axes.set_xlabel("label", fontsize=8.5, color=palette.QUIET)
    _plain(axes)


def _plain(axes: Any) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.tick_params(labelsize=7.5, colors=palette.QUIET, length=2.5)
    axes.grid(color=palette.RULE, lw=0.6, axis="y")
    axes.set_axisbelow(True)
    for side in axes.spines.values():
        side.set_visible(False)
