"""How many times longer eager array code takes than the CPU kernels, on the same paper volumes.

    python benchmarks/eager.py [COUNT]

The eager code is the backend `torch`: the same formulas, evaluated operation by operation over whole arrays in float64,
as ordinary PyTorch code would. The two take turns. `fdifc bench` has all other figures.
"""

from __future__ import annotations

import sys
import time

import fdif_dsl as fd
from fdif_dsl.runtime.bench.figures import number
from fdif_dsl.runtime.bench.measure import spread


def main(count: int) -> None:
    lib = fd.load_library()
    scenes = [fd.sample_scene(lib, 7, index) for index in range(count)]

    def seconds(scene: fd.Scene, backend: str) -> float:
        start = time.perf_counter()
        fd.render(scene, lib, backend)
        return time.perf_counter() - start

    for scene in scenes:
        fd.render(scene, lib)  # builds and loads the kernels
    found = spread(seconds(scene, "torch") / seconds(scene, "cpu") for scene in scenes)
    print(f"eager torch takes {number(found.median)} times as long as the CPU kernels "
          f"(median of {count} paper volumes, {number(found.least)} to {number(found.most)})")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
