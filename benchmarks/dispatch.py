"""One kernel a class, or one kernel that switches between classes? What can be told without a GPU.

    python benchmarks/dispatch.py [COUNT ...]

For each COUNT so many classes of the library, spread over it, are compiled for sm_90: each into a kernel of its own,
and all into one that switches. Compile time, registers, spills and size of the machine code are the assembler's.
"""

from __future__ import annotations

import re
import sys
import tempfile
import time
from pathlib import Path

import fdif_dsl as fd
from fdif_dsl.compiler.backends.cuda import build, text
from fdif_dsl.compiler.backends.cuda.kernels import LibraryKernels, ShapeKernels
from fdif_dsl.compiler.backends.store.unit import Unit


def switch(shapes: list[ShapeKernels]) -> Unit:
    """One kernel for all: the class of an object, a number in place of its mapper, decides at each tile and voxel."""
    parts, values, bounds = [], [], []
    for k, shape in enumerate(shapes):
        body = shape.draw.unit.source.partition("\n\n\n")
        constants = dict(re.findall(r"^(C\d+) = (.*)$", body[0], re.MULTILINE))
        own = body[2].rpartition("kernel = ")[0]
        own = re.sub(r"\b(C\d+)\b", lambda m, k=k: f"K{k}_{m[1]}", own)
        own = own.replace("def value(", f"def value_{k}(").replace("def bounds(", f"def bounds_{k}(")
        parts.append("\n".join(f"K{k}_{name} = {value}" for name, value in constants.items()) + "\n\n\n" + own)
        values += [f"    if f[at] == {k}:", f"        return value_{k}(x, y, z, f, at)"]
        bounds += [f"    if f[at] == {k}:", f"        return bounds_{k}(a, b, c, d, e, g, f, at)"]
    words = sorted({w for s in shapes for w in re.findall(r"words import (.*)$", s.draw.unit.source, re.MULTILINE)[0]
                    .split(", ")} | {"INF"})
    package = "fdif_dsl.compiler.backends.cuda"
    source = "\n".join([
        f"from {package}.scene_kernels import draw_kernel", f"from {package}.words import {', '.join(words)}", *parts,
        "@inline", "def value(x, y, z, f, at):", *values, "    return INF", "", "", "@inline",
        "def bounds(a, b, c, d, e, g, f, at):", *bounds, "    return INF", "", "",
        "kernel = draw_kernel(value, bounds)", ""])
    return Unit(f"switch_{len(shapes)}", source, "kernel", text.SIGNATURES["draw"])


def measure(unit: Unit, folder: Path) -> tuple[float, int, int, int]:
    """Seconds, registers, bytes spilled, bytes of machine code."""
    path = folder / f"{unit.symbol}.py"
    path.write_text(unit.source)
    start = time.process_time()
    code, log = build.machine_code(build.ptx(unit, path, (9, 0)), (9, 0))
    seconds = time.process_time() - start
    registers = re.search(r"Used (\d+) registers", log)
    spills = re.search(r"(\d+) bytes spill stores", log)
    assert registers and spills
    return seconds, int(registers[1]), int(spills[1]), len(code)


def main(counts: list[int]) -> None:
    lib = fd.load_library()
    kernels = LibraryKernels(lib.formulas)
    every = list({k.draw.unit.symbol: k for k in kernels.shapes.values()}.values())
    print("| classes | kernels | seconds | registers | bytes spilled | KB of code |")
    print("| --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        measure(text.lowest_unit(), Path(folder))  # what the first compilation of a process costs
        for count in counts:
            chosen = [every[i * len(every) // count] for i in range(min(count, len(every)))]
            apart = [measure(shape.draw.unit, Path(folder)) for shape in chosen]
            registers = sorted(a[1] for a in apart)
            row("one a class", len(chosen), sum(a[0] for a in apart), f"{registers[0]} to {registers[-1]}",
                sum(a[2] for a in apart), sum(a[3] for a in apart))
            seconds, most, spilled, size = measure(switch(chosen), Path(folder))
            row("one switch", len(chosen), seconds, str(most), spilled, size)


def row(what: str, classes: int, seconds: float, registers: str, spilled: int, size: int) -> None:
    print(f"| {classes} | {what} | {seconds:.1f} | {registers} | {spilled} | {size / 1000:.0f} |", flush=True)


if __name__ == "__main__":
    main([int(a) for a in sys.argv[1:]] or [2, 8, 32])
