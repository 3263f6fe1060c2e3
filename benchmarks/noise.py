"""How many volumes of the paper's recipe one whose objects have noise of six octaves on their surface costs, where all
share it and where each has its own.

    python benchmarks/noise.py [COUNT]

The three take turns, COUNT volumes at a time, each drawn on all threads.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import fdif_dsl as fd
from fdif_dsl.runtime.bench.figures import number
from fdif_dsl.runtime.bench.measure import spread
from fdif_dsl.runtime.recipe import resolve

ROUNDS = 9
LIBRARY = """
use std
use classes
use displacements
use mappers

displacement shared { offset = 0.04 * grid.min * fbm(p / (0.15 * grid.min), 6) }

displacement own {
  shift ~ uniform(vec3(-50, -50, -50), vec3(50, 50, 50))
  axis ~ unit_vec3()
  angle ~ uniform(0, tau)
  offset = 0.04 * grid.min * fbm(rotate(p / (0.15 * grid.min), axis, angle) + shift, 6)
}
"""


def main(count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "noise.sdf"
        path.write_text(LIBRARY)
        lib = fd.load_library(path)
    # Those of the paper, and no displacement in one volume of eleven.
    of_paper = [*(name for name in lib.displacements if name not in ("shared", "own")), None]
    recipes = {"paper": fd.Recipe(displacements=of_paper), "shared": fd.Recipe(displacements=["shared"]),
               "own": fd.Recipe(displacements=["own"])}
    lib.compile(formulas=[f for recipe in recipes.values() for f in resolve(recipe, lib).formulas])

    def seconds(recipe: fd.Recipe, first: int) -> float:
        scenes = [fd.sample_scene(lib, 7, index, recipe) for index in range(first, first + count)]
        start = time.perf_counter()
        for scene in scenes:
            fd.render(scene, lib)
        return (time.perf_counter() - start) / count

    turns = [{what: seconds(recipe, turn * count) for what, recipe in recipes.items()} for turn in range(ROUNDS + 1)]
    found = turns[1:]  # the first one loads kernels
    for what in recipes:
        milliseconds = spread(1000 * turn[what] for turn in found)
        ratio = spread(turn[what] / turn["paper"] for turn in found)
        print(f"{what}: {number(milliseconds.median)} ms a volume, {number(ratio.median)} paper volumes "
              f"({number(ratio.least)} to {number(ratio.most)} in {ROUNDS} rounds of {count})")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
