"""How many volumes of the paper's recipe one of another recipe costs on the CPU, its scanner included.

    python benchmarks/recipes.py [RECIPE] [COUNT] [SECTION.KEY=VALUE]...

The other recipe is `scanner`, unless one is named; its values can be replaced, such as volume.objects=20. It is
measured as it is, and with every step of the scanner in every volume, in the library that it names. The recipes take
turns, some volumes at a time, made ahead on all threads as a stream makes them.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import fdif_dsl as fd
from fdif_dsl.runtime.bench.figures import number
from fdif_dsl.runtime.bench.measure import spread
from fdif_dsl.runtime.recipe import SCANNER_STEPS, resolve
from fdif_dsl.runtime.streams.ahead import ahead

ROUNDS = 7


def main(name: str, count: int, overrides: Sequence[str]) -> None:
    given = fd.Recipe.load(name, overrides)
    whole = replace(given, scanner=replace(given.scanner, **dict.fromkeys(SCANNER_STEPS, 1.0)))
    standard, own = fd.load_library(), fd.load_library(given.library)
    compare({"paper": (fd.Recipe(), standard), name: (given, own), f"{name}, every step": (whole, own)}, count)


def compare(recipes: Mapping[str, tuple[fd.Recipe, fd.Library]], count: int) -> None:
    """Says what a volume of each recipe in its library costs; they take turns, `count` volumes at a time. One of them
    is `paper`."""
    for recipe, lib in recipes.values():
        lib.compile(formulas=resolve(recipe, lib).formulas)

    def seconds(recipe: fd.Recipe, lib: fd.Library, first: int) -> float:
        def volume(index: int) -> fd.Volume:
            return fd.scan(fd.sample_scene(lib, 7, index, recipe), lib, recipe, 7, index)

        start = time.perf_counter()
        for _ in ahead(volume, range(first, first + count)):
            pass
        return (time.perf_counter() - start) / count

    turns = [{what: seconds(*run, turn * count) for what, run in recipes.items()} for turn in range(ROUNDS + 1)]
    found = turns[1:]  # the first one loads kernels
    for what in recipes:
        milliseconds = spread(1000 * turn[what] for turn in found)
        ratio = spread(turn[what] / turn["paper"] for turn in found)
        print(f"{what}: {number(milliseconds.median)} ms a volume, {number(ratio.median)} paper volumes "
              f"({number(ratio.least)} to {number(ratio.most)} in {ROUNDS} rounds of {count})")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "scanner", int(sys.argv[2]) if len(sys.argv) > 2 else 50,
         sys.argv[3:])
