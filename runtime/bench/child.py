"""What a fresh process does for `fresh.py`, which runs this file: load a compiled library and make volumes.

    python -P child.py LIBRARY RECIPE SEED COUNT

Prints two lines of JSON: one when the first volume is there, one when all are.
"""

import json
import signal
import sys
import time
from pathlib import Path


def main(library: str, recipe: str, seed: str, count: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it without a word
    start = time.perf_counter()
    from fdif_dsl.compiler.library import load_library

    lib = load_library(library)
    loaded = time.perf_counter() - start
    from fdif_dsl.runtime.recipe import Recipe
    from fdif_dsl.runtime.scanner.scan import scan
    from fdif_dsl.runtime.scenes.sampler import sample_scene

    chosen = Recipe.load(recipe)

    def make(first: int, last: int) -> None:
        for index in range(first, last):
            scan(sample_scene(lib, int(seed), index, chosen), lib, chosen, int(seed), index)

    make(0, 1)
    print(json.dumps({"load_s": loaded}), flush=True)
    volumes = int(count)
    make(1, volumes // 2)
    half = resident()
    make(max(1, volumes // 2), volumes)
    print(json.dumps({"half_mb": half, "resident_mb": resident(), "torch": "torch" in sys.modules}))


def resident() -> float | None:
    """Megabytes of memory that this process holds; None where the system does not say."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS:")), None)


if __name__ == "__main__":
    main(*sys.argv[1:])
