"""How many volumes of the paper's recipe one whose objects have noise of six octaves on their surface costs, where all
share it and where each has its own.

    python benchmarks/noise.py [COUNT]

The three take turns, COUNT volumes at a time, made ahead on all threads as a stream makes them.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from recipes import compare

import fdif_dsl as fd

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
    compare({name: (recipe, lib) for name, recipe in recipes.items()}, count)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
