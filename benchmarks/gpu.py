"""How fast volumes are born on this machine's GPU. benchmarks/gpu.sh runs it, beside tests and the sanitizer.

    python benchmarks/gpu.py [--record] [--small-scenes] [--volumes N]

Volumes of the paper's recipe, sampled on the host and drawn on the device, for batches of 1 to 64; the numbers written
and read and the operations of kernels, against what the card can do; eager PyTorch code on the same card; and how
long a training step waits for volumes. Ratios are of one run.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch

import fdif_dsl as fd
from fdif_dsl.compiler.backends.cpu import CpuBackend
from fdif_dsl.compiler.backends.cpu.driver import Profile
from fdif_dsl.compiler.backends.cuda import CudaBackend
from fdif_dsl.compiler.backends.cuda.kernels import LibraryKernels
from fdif_dsl.compiler.backends.torch import TorchBackend
from fdif_dsl.compiler.ir.grid import Grid
from fdif_dsl.runtime.recipe import Recipe, resolve
from fdif_dsl.runtime.scenes.batches import sample_batch
from fdif_dsl.runtime.scenes.render import place

RESULTS = Path(__file__).with_name("RESULTS.md")
BATCHES = (1, 4, 16, 64)
ROUNDS = 5
AUTHORS = 5.5  # seconds a volume of the authors' code, on two cores of another machine


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--record", action="store_true", help="put the figures into benchmarks/RESULTS.md")
    options.add_argument("--small-scenes", action="store_true", help="only draw a few small scenes")
    options.add_argument("--volumes", type=int, default=512, help="volumes of a round, 512 if not given")
    chosen = options.parse_args()
    lib = fd.load_library()
    backend = lib.backend("cuda")
    assert isinstance(backend, CudaBackend)
    if chosen.small_scenes:
        small_scenes(lib)
        return
    start = time.perf_counter()
    backend.build()
    ready = time.perf_counter() - start
    recipe = Recipe.load("paper")
    found: list[str] = []
    for line in report(lib, backend, recipe, chosen.volumes, ready):
        print(line, flush=True)
        found.append(line)
    if chosen.record:
        head, rest = RESULTS.read_text(encoding="utf-8").split("\n## ", 1)
        RESULTS.write_text("\n".join([head, *found, "", f"## {rest}"]), encoding="utf-8")


def small_scenes(lib: fd.Library) -> None:
    """Ten scenes whose grids are no whole number of tiles, as scenes and as a stream."""
    recipe = Recipe(grid=(19, 30, 23), objects=(0, 40))
    for index in range(5):
        fd.render(fd.sample_scene(lib, 1, index, recipe), lib, backend="cuda")
    for pair in fd.VolumeStream(lib, recipe, seed=2, count=5, device="cuda"):
        pair["image"].sum().item()


def report(lib: fd.Library, backend: CudaBackend, recipe: Recipe, volumes: int, ready: float) -> Iterator[str]:
    card = torch.cuda.get_device_properties(0)
    yield f"## {date.today()}, {card.name}"
    yield ""
    yield (f"`benchmarks/gpu.sh`: CUDA {torch.version.cuda}, torch {torch.__version__}, {card.multi_processor_count} "
           f"multiprocessors. All kernels were ready after {ready:.1f} s. Volumes of the paper's recipe, seed 0; "
           f"medians of {ROUNDS} rounds, least to most in brackets.")
    yield ""
    yield "| volumes drawn together | volumes a second | ms a volume |"
    yield "| --- | --- | --- |"
    fastest = 0.0
    for size in BATCHES:
        rates = [volumes / seconds for seconds in rounds(lambda size=size: draw(lib, backend, recipe, volumes, size))]
        fastest = max(fastest, statistics.median(rates))
        yield f"| {size} | {spread(rates)} | {1000 / statistics.median(rates):.3f} |"
    yield ""
    yield (f"The authors' code, on two cores of another machine, takes {AUTHORS} s: {AUTHORS * fastest:,.0f} times as "
           "long.")
    yield ""
    yield from against_ceilings(lib, recipe, fastest, card)
    eager = [eager_seconds(lib, recipe, index) for index in range(3)]
    ratio = statistics.median(eager) * fastest
    yield ""
    yield (f"Eager PyTorch on the same card (the backend `torch`: the same formulas, operation by operation over whole "
           f"arrays in float64) takes {statistics.median(eager):.2f} s a volume: {ratio:,.0f} times as long.")
    yield ""
    yield from waiting(lib, recipe)


def rounds(work: Callable[[], None]) -> list[float]:
    """Seconds of the work, after one time that does not count."""
    work()
    found = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return found


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):,.0f} ({min(values):,.0f} to {max(values):,.0f})"


def draw(lib: fd.Library, backend: CudaBackend, recipe: Recipe, volumes: int, size: int) -> None:
    """Sample and draw, so many at a time, and wait for the last."""
    choices, grid = resolve(recipe, lib), Grid(recipe.grid)
    made: Any = None
    for first in range(0, volumes, size):
        batch = sample_batch(lib, 0, range(first, min(first + size, volumes)), recipe, choices)
        made = backend.render_batch(batch.objects, grid)
    np.asarray(made.counts)


def against_ceilings(lib: fd.Library, recipe: Recipe, rate: float, card: Any) -> Iterator[str]:
    """What the kernels of voxels do for a volume, counted, and what share of the card that is. The count is of the
    operations in the formulas' own text, of the tiles that the CPU backend draws, which leaves out the same ones."""
    host = lib.backend("cpu")
    assert isinstance(host, CpuBackend)
    kernels = LibraryKernels(lib.formulas)
    operations = tiles = 0.0
    sampled = 20
    for index in range(sampled):
        scene = fd.sample_scene(lib, 0, index, recipe)
        for placed in place(scene, lib):
            notes = Profile()
            host.profile([placed], Grid(recipe.grid), notes)
            drawn = notes.tiles["drawn"] + notes.tiles["filled"]
            text = kernels.shapes[id(placed.shape)].draw.unit.source.partition("def bounds(")[0]
            tiles += drawn / sampled
            operations += 512 * drawn * text.count(" = ") / sampled
    # A distance is written and read, an offset read; of each voxel a word of bits, an image and a label are written.
    voxels = Grid(recipe.grid).voxels
    read_and_written = tiles * 512 * 12 + voxels * 10
    source = torch.empty(1 << 28, dtype=torch.float32, device="cuda")
    target = torch.empty_like(source)
    seconds = statistics.median(rounds(lambda: (target.copy_(source), torch.cuda.synchronize())))
    copied = 2 * source.numel() * 4 / seconds
    lanes = card.multi_processor_count * 128 * torch.cuda.clock_rate() * 1e6
    issued, moved = rate * operations / lanes, rate * read_and_written / copied
    yield (f"A volume has {tiles:,.0f} tiles to draw and takes {operations / 1e6:,.0f} million operations in kernels "
           f"of classes, {read_and_written / 1e6:.1f} MB read and written. At the fastest of these rates that is "
           f"{100 * issued:.1f} % of what the card's lanes can issue at {torch.cuda.clock_rate()} MHz, and "
           f"{100 * moved:.1f} % of the {copied / 1e12:.2f} TB/s at which it copies memory.")


def eager_seconds(lib: fd.Library, recipe: Recipe, index: int) -> float:
    scene = fd.sample_scene(lib, 0, index, recipe)
    start = time.perf_counter()
    TorchBackend("cuda").render(place(scene, lib), Grid(recipe.grid))
    torch.cuda.synchronize()
    return time.perf_counter() - start


def waiting(lib: fd.Library, recipe: Recipe) -> Iterator[str]:
    """Steps of MONAI's SwinUNETR with feature size 48 at 96^3, bfloat16, on volumes of the stream; and the same steps
    on one volume that is there already."""
    try:
        from monai.networks.nets import SwinUNETR
    except ImportError:
        yield "How long a training step waits for volumes was not measured: MONAI is not installed."
        return
    network = SwinUNETR(1, len(lib.shapes) + 1, feature_size=48).cuda()
    optimizer = torch.optim.AdamW(network.parameters())

    def step(pair: dict[str, torch.Tensor]) -> None:
        with torch.autocast("cuda", torch.bfloat16):
            loss = torch.nn.functional.cross_entropy(network(pair["image"][None]), pair["label"])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    stream = iter(fd.VolumeStream(lib, recipe, seed=1, device="cuda"))
    kept = next(stream)
    alone = rounds(lambda: ([step(kept) for _ in range(20)], torch.cuda.synchronize()))
    fed = rounds(lambda: ([step(next(stream)) for _ in range(20)], torch.cuda.synchronize()))
    there, streamed = statistics.median(alone), statistics.median(fed)
    yield (f"A step of SwinUNETR (48 features, one volume of {' x '.join(map(str, recipe.grid))}, bfloat16) takes "
           f"{50 * there:.1f} ms on a volume that is there already, and {50 * streamed:.1f} ms on the stream of the "
           f"same card: {100 * (1 - there / streamed):.1f} % of the step go to volumes.")


if __name__ == "__main__":
    main()
