"""Time of a paper volume, sampled and rendered, and its ratio to eager array code on the same scenes.

    python benchmarks/volumes.py [COUNT]

Prints milliseconds a volume for the CPU backend with one and two threads, how the time divides, and, for a few of the
same scenes, how many times longer the eager `torch` backend takes: the same formulas, evaluated operation by operation
over whole arrays, as ordinary PyTorch code would.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable

import fdif_dsl as fd


def milliseconds(work: Callable[[int], object], count: int) -> list[float]:
    out = []
    for i in range(count):
        start = time.perf_counter()
        work(i)
        out.append((time.perf_counter() - start) * 1000)
    return out


def main(count: int) -> None:
    lib = fd.load_library()
    lib.compile()
    scenes = [fd.sample_scene(lib, 7, i) for i in range(count)]
    fd.render(scenes[0], lib)  # loads the kernels
    sampling = statistics.mean(milliseconds(lambda i: fd.sample_scene(lib, 7, i), count))
    print(f"{count} paper volumes, 96^3, 20 objects; {os.cpu_count()} CPUs")
    print(f"sampling            {sampling:7.2f} ms")
    for threads in (1, 2):
        os.environ["FDIF_THREADS"] = str(threads)
        times = milliseconds(lambda i: fd.render(scenes[i], lib), count)
        print(f"rendering, {threads} thread{'s' if threads > 1 else ' '} {statistics.mean(times):7.2f} ms "
              f"(median {statistics.median(times):.2f}, least {min(times):.2f})")
    total = sampling + statistics.mean(times)
    print(f"sample and render   {total:7.2f} ms")
    few = min(count, 3)
    ours = statistics.mean(milliseconds(lambda i: fd.render(scenes[i], lib), few))
    eager = statistics.mean(milliseconds(lambda i: fd.render(scenes[i], lib, backend="torch"), few))
    print(f"eager torch, the same {few} scenes: {eager / ours:.0f} times as long as rendering here")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
