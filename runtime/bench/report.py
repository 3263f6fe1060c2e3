"""The report of a run: what is measured, in which order, and the figures that come of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fdif_dsl.compiler.support.progress import Progress
from fdif_dsl.runtime.bench.fresh import run_process
from fdif_dsl.runtime.bench.machine import describe_machine
from fdif_dsl.runtime.bench.measure import Spread, Turn, ratio, spread, take_turns
from fdif_dsl.runtime.bench.setups import Plan, Setup, make_plan
from fdif_dsl.runtime.bench.shares import measure_shares
from fdif_dsl.runtime.recipe import Recipe

if TYPE_CHECKING:
    from fdif_dsl.compiler.library import Library

FORMAT = 1

Report = dict[str, Any]
Turns = dict[Setup, list[Turn]]


def bench(lib: Library, artefact: Path, recipe: str = "paper", *, seed: int = 0, count: int = 200, rounds: int = 5,
          progress: Progress | None = None) -> Report:
    """Measure `count` volumes of a recipe in each of `rounds` rounds. The report is what `--json` prints.

    Args:
        artefact: the same library compiled; fresh processes load it.
        recipe: a built-in recipe's name, or the path of a TOML file.
        progress: called with the volumes made and of all.

    Returns:
        A mapping that JSON can hold. Times are in milliseconds where a key ends in `_ms`, seconds in `_s`, memory in
        `_mb`. Figures over rounds are `median`, `least` and `most`.

    Raises:
        FdifError: for a recipe that is not there or that the library cannot fill.
    """
    chosen = Recipe.load(recipe)
    plan = make_plan(chosen, count)
    machine = describe_machine()  # before the work: how busy it is without us
    done, total = 0, (rounds + 1) * sum(s.volumes for s in plan.setups) + 3 * count + rounds - 1

    def advance(volumes: int) -> None:
        nonlocal done
        done += volumes
        if progress is not None:
            progress(done, total)

    turns = take_turns(lib, chosen, plan.setups, seed, rounds, advance)
    shares, tiles = measure_shares(lib, chosen, seed, count, advance)
    processes = []
    for volumes in (*[1] * (rounds - 1), count):  # memory is read of the last one
        processes.append(run_process(artefact, recipe, seed, volumes))
        advance(volumes)
    return {
        "format": FORMAT,
        "machine": machine,
        "library": {"hash": lib.hash, "shapes": len(lib.shapes)},
        "settings": {
            "recipe": recipe, "grid": list(chosen.grid),
            "objects": chosen.objects if isinstance(chosen.objects, int) else list(chosen.objects), "seed": seed,
            "count": count, "rounds": rounds, "threads": plan.whole.threads},
        "volume": _volume(plan.whole, turns[plan.whole]),
        "shares": shares,
        "tiles": tiles,
        "scaling": _scaling(plan, turns),
        "process": {
            **{key: asdict(spread(p[key] for p in processes)) for key in ("load_s", "first_s")},
            **{key: processes[-1][key] for key in ("resident_mb", "growth_mb", "torch")}},
    }


def _volume(setup: Setup, turns: Sequence[Turn]) -> Report:
    total = spread(t.total for t in turns)
    work = math.prod(setup.grid) * turns[0].objects
    return {
        "total_ms": asdict(total),
        "sampling_ms": asdict(spread(t.sampling for t in turns)),
        "per_second": 1000 / total.median,
        "ns_per_voxel_and_object": total.median * 1e6 / work if work else None,
    }


def _scaling(plan: Plan, turns: Turns) -> Report:
    """Each curve from little to much, with the ratio of each point's time to that of the recipe as it is, or of one
    thread."""

    def points(setups: Sequence[Setup], base: Setup) -> list[Report]:
        return [_point(setup, turns[setup], ratio(turns[setup], turns[base])) for setup in setups]

    return {"volumes": plan.base.volumes, "voxels": points(plan.voxels, plan.base),
            "objects": points(plan.objects, plan.base), "threads": points(plan.threads, plan.threads[0])}


def _point(setup: Setup, turns: Sequence[Turn], to_base: Spread) -> Report:
    return {"grid": list(setup.grid), "objects": turns[0].objects, "threads": setup.threads,
            "total_ms": asdict(spread(t.total for t in turns)), "ratio": asdict(to_base)}
