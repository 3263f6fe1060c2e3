"""Time by the clock, in rounds: each setup has its turn in every round, so that what disturbs hits all alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fdif_dsl.runtime.bench.setups import Setup, on_threads
from fdif_dsl.runtime.recipe import Recipe
from fdif_dsl.runtime.scanner.scan import scan
from fdif_dsl.runtime.scenes.sampler import sample_scene
from fdif_dsl.runtime.streams.ahead import ahead

if TYPE_CHECKING:
    from fdif_dsl.compiler.library import Library

Advance = Callable[[int], None]
"""Called with how many volumes were made."""


@dataclass(frozen=True)
class Turn:
    """Means over the volumes of a setup in one round: milliseconds, and objects a volume. Sampling is timed alone, and
    as a part of the total, where several volumes are made at a time, see `ahead`."""

    sampling: float
    total: float
    objects: float


@dataclass(frozen=True)
class Spread:
    """A figure over the rounds."""

    median: float
    least: float
    most: float


def spread(values: Iterable[float]) -> Spread:
    found = list(values)
    return Spread(statistics.median(found), min(found), max(found))


def ratio(turns: Sequence[Turn], to: Sequence[Turn]) -> Spread:
    """How many times as long a setup took as another one in the same round."""
    return spread(a.total / b.total for a, b in zip(turns, to, strict=True))


def take_turns(lib: Library, recipe: Recipe, setups: Sequence[Setup], seed: int, rounds: int,
               advance: Advance) -> dict[Setup, list[Turn]]:
    """The turns of each setup, one a round. A round more comes first and is thrown away: it loads kernels."""
    for setup in setups:
        take_turn(lib, recipe, setup, seed, advance)
    out: dict[Setup, list[Turn]] = {setup: [] for setup in setups}
    for _ in range(rounds):
        for setup, turns in out.items():
            turns.append(take_turn(lib, recipe, setup, seed, advance))
    return out


def take_turn(lib: Library, recipe: Recipe, setup: Setup, seed: int, advance: Advance) -> Turn:
    """One turn of a setup."""
    mine = setup.recipe(recipe)
    each = setup.volumes
    with on_threads(setup.threads):
        def make(index: int) -> int:
            scene = sample_scene(lib, seed, index, mine)
            scan(scene, lib, mine, seed, index)
            return len(scene.objects)

        for _ in ahead(make, range(min(each, setup.threads + 1))):
            pass  # not counted: memory for volumes of this size is found
        start = time.perf_counter()
        for index in range(each):
            sample_scene(lib, seed, index, mine)
        sampled = time.perf_counter()
        objects = 0
        for found in ahead(make, range(each)):
            objects += found
            advance(1)
        end = time.perf_counter()
    return Turn(1000 * (sampled - start) / each, 1000 * (end - sampled) / each, objects / each)
