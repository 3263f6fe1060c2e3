"""Dice against steps, for each data set a picture with a panel for each number of cases."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from scanning.plan import Plan
from scanning.report import Found


def draw_curves(plan: Plan, results: Mapping[str, Any], folder: Path) -> None:
    """Writes curves-DATA.png for each data set of which anything has been found."""
    found = Found(plan, results)
    for data in plan.data:
        there = [cases for cases in plan.cases if found.seeds(data.name, cases)]
        if not there:
            continue
        figure = Figure(figsize=(3.2 * len(there), 3), layout="constrained")
        FigureCanvasAgg(figure)
        for panel, cases in zip(figure.subplots(1, len(there), sharey=True, squeeze=False)[0], there, strict=True):
            for arm in plan.arms:
                panel.plot(plan.at(data.name, arm), found.mean(data.name, arm, cases), marker="o", markersize=3,
                           label=arm)
            panel.set_xscale("log", base=2)
            ticks = sorted({step for arm in plan.arms for step in plan.at(data.name, arm)})
            panel.set_xticks(ticks, map(str, ticks))
            panel.minorticks_off()
            panel.set_title("1 case" if cases == 1 else f"{cases or 'all'} cases", fontsize=10)
            panel.set_xlabel("steps")
            panel.grid(alpha=0.3)
        figure.axes[0].set_ylabel("Dice points")
        figure.axes[-1].legend(loc="lower right", fontsize=8)
        figure.suptitle(data.name, fontsize=11)
        figure.savefig(folder / f"curves-{data.name}.png", dpi=90)
