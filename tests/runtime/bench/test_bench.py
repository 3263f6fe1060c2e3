"""The measuring tool: that its figures mean what they say. How large they are is no test's business."""

from __future__ import annotations

import json
import math
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from fdif_dsl.compiler.backends.cpu.driver import thread_count
from fdif_dsl.compiler.library import load_library
from fdif_dsl.runtime.bench import fresh, measure
from fdif_dsl.runtime.bench.figures import counted, figures, number
from fdif_dsl.runtime.bench.measure import Spread, Turn, ratio, spread, take_turn, take_turns
from fdif_dsl.runtime.bench.picture import draw_scaling
from fdif_dsl.runtime.bench.report import Report, bench
from fdif_dsl.runtime.bench.setups import Setup, cpus, make_plan, on_threads
from fdif_dsl.runtime.bench.shares import STAGES, TILES
from fdif_dsl.runtime.recipe import Recipe

SHAPES = """\
shape ball {
  radius ~ uniform(0.15, 0.3) * grid.min
  distance = length(p) - radius
}

displacement waves {
  offset = sin(p.x)
}

mapper glow {
  intensity = where(d <= 0, clamp(128 + 10 * d, 0, 128), 0)
}
"""
VOLUMES, ROUNDS = 3, 2


@pytest.fixture(scope="module")
def artefact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bench")
    (folder / "shapes.sdf").write_text(SHAPES)
    load_library(folder / "shapes.sdf").save(folder / "library")
    return folder / "library"


@pytest.fixture(scope="module")
def recipe(artefact: Path) -> Path:
    path = artefact.parent / "small.toml"
    path.write_text("[volume]\ngrid = [8, 12, 16]\nobjects = [2, 6]\n")
    return path


@pytest.fixture(scope="module")
def said() -> list[tuple[int, int]]:
    """What the progress function of `report` was told."""
    return []


@pytest.fixture(scope="module")
def report(artefact: Path, recipe: Path, said: list[tuple[int, int]]) -> Report:
    return bench(load_library(artefact), artefact, str(recipe), seed=5, count=VOLUMES, rounds=ROUNDS,
                 progress=lambda done, total: said.append((done, total)))


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[tuple[int, int, int], int, int]]]:
    """Sampling takes one second a volume, rendering two; what was rendered: (grid, threads, index)."""
    now = [0.0]
    rendered: list[tuple[tuple[int, int, int], int, int]] = []

    class Scene:
        def __init__(self, recipe: Recipe, index: int) -> None:
            self.grid, self.index, self.objects = recipe.grid, index, [None] * (index + 1)

    def sample(lib: Any, seed: int, index: int, recipe: Recipe) -> Scene:
        now[0] += 1
        return Scene(recipe, index)

    def scan(scene: Scene, lib: Any, recipe: Recipe, seed: int, index: int) -> None:
        assert (recipe.grid, index) == (scene.grid, scene.index)
        now[0] += 2
        rendered.append((scene.grid, thread_count(), scene.index))

    monkeypatch.setattr(measure, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    monkeypatch.setattr(measure, "sample_scene", sample)
    monkeypatch.setattr(measure, "scan", scan)
    monkeypatch.setattr(measure, "ahead", map)  # one after the other, so that the clock counts each
    yield rendered


def test_the_plan_of_the_paper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FDIF_THREADS", "3")
    plan = make_plan(Recipe.load("paper"), 200)
    assert plan.whole == Setup((96, 96, 96), 20, 3, 200)
    assert plan.base == Setup((96, 96, 96), 20, 3, 50)
    assert [s.grid for s in plan.voxels] == [(n, n, n) for n in (48, 72, 96, 144, 192)]
    assert [s.objects for s in plan.objects] == [5, 10, 20, 40, 80]
    assert [s.threads for s in plan.threads] == sorted({1, cpus()} | {n for n in (2, 4, 8, 16) if n <= cpus()})[
        : len(plan.threads)]
    assert plan.base in plan.voxels and plan.base in plan.objects
    assert len(plan.setups) == len(set(plan.setups)) and {plan.whole, *plan.voxels, *plan.threads} <= set(plan.setups)
    # A setup is the recipe with its own numbers, and nothing else.
    small = plan.voxels[0].recipe(Recipe.load("paper"))
    assert small.grid == (48, 48, 48) and small.objects == 20 and small.mappers == Recipe.load("paper").mappers


def test_what_no_recipe_may_have_is_left_out() -> None:
    huge = make_plan(Recipe(grid=(1024, 1024, 1024), objects=6000), 10)
    assert max(max(s.grid) for s in huge.voxels) < 1536  # 1536^3 is over the limit
    assert [s.objects for s in huge.objects] == [1500, 3000, 6000]
    least = make_plan(Recipe(grid=(1, 1, 1), objects=1), 1)
    assert [s.grid for s in least.voxels] == [(1, 1, 1), (2, 2, 2)]
    assert [s.objects for s in least.objects] == [1, 2, 4] and least.base.volumes == 1
    assert [s.objects for s in make_plan(Recipe(objects=0), 1).objects] == [0]
    assert [s.objects for s in make_plan(Recipe(objects=(2, 8)), 1).objects] == [
        (0, 2), (1, 4), (2, 8), (4, 16), (8, 32)]


@pytest.mark.parametrize("before", [None, "7"])
def test_threads_are_as_before(monkeypatch: pytest.MonkeyPatch, before: str | None) -> None:
    monkeypatch.delenv("FDIF_THREADS", raising=False)
    without = thread_count()
    if before:
        monkeypatch.setenv("FDIF_THREADS", before)
    assert cpus() == without
    with pytest.raises(ZeroDivisionError), on_threads(5):
        assert thread_count() == 5
        _ = 1 / 0
    assert os.environ.get("FDIF_THREADS") == before


def test_a_turn_is_timed_by_the_clock(fake: list[Any]) -> None:
    made: list[int] = []
    turn = take_turn(None, Recipe.load("paper"), Setup((8, 8, 8), 4, 2, 3), 0, made.append)  # type: ignore[arg-type]
    assert turn == Turn(sampling=1000, total=3000, objects=2)
    assert made == [1, 1, 1]
    assert fake == [((8, 8, 8), 2, index) for index in (0, 1, 2, 0, 1, 2)]  # the first ones are not counted


def test_setups_take_turns(fake: list[Any]) -> None:
    setups = [Setup((8, 8, 8), 4, 1, 1), Setup((9, 9, 9), 4, 3, 1)]
    turns = take_turns(None, Recipe.load("paper"), setups, 0, 2, lambda _: None)  # type: ignore[arg-type]
    one, other = [((8, 8, 8), 1, 0)] * 2, [((9, 9, 9), 3, 0)] * 2
    assert fake == (one + other) * 3  # the first round is thrown away
    assert {setup: len(found) for setup, found in turns.items()} == dict.fromkeys(setups, 2)


def test_ratios_are_taken_in_each_round() -> None:
    long, short = [Turn(1, 4, 1), Turn(0, 9, 1), Turn(2, 2, 1)], [Turn(0, 2, 1), Turn(1, 3, 1), Turn(2, 4, 1)]
    assert ratio(long, short) == Spread(median=2, least=0.5, most=3)
    assert spread(iter([4.0, 1.0])) == Spread(2.5, 1, 4)


def test_a_fresh_process(artefact: Path) -> None:
    found = fresh.run_process(artefact, "paper", 0, 2)
    assert 0 < found["load_s"] < found["first_s"]
    assert found["torch"] is False
    if Path("/proc/self/status").exists():
        assert found["resident_mb"] > 10 and abs(found["growth_mb"]) < found["resident_mb"]


def test_a_fresh_process_that_fails(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        fresh.run_process(tmp_path, "paper", 0, 1)


def test_the_figures_of_a_report_hang_together(report: Report) -> None:
    assert json.loads(json.dumps(report)) == report
    assert report["settings"] | {"recipe": ""} == {
        "recipe": "", "grid": [8, 12, 16], "objects": [2, 6], "seed": 5, "count": VOLUMES, "rounds": ROUNDS,
        "threads": thread_count()}
    volume = report["volume"]
    assert math.isclose(volume["per_second"] * volume["total_ms"]["median"], 1000)
    assert 0 < volume["sampling_ms"]["least"] < volume["total_ms"]["most"]
    objects = volume["total_ms"]["median"] * 1e6 / volume["ns_per_voxel_and_object"] / (8 * 12 * 16)
    assert 2 <= objects <= 6 and math.isclose(objects * VOLUMES, round(objects * VOLUMES))  # so many were drawn
    for names, shares in ((STAGES, report["shares"]), (TILES, report["tiles"])):
        assert list(shares) == list(names) and all(0 <= share <= 1 for share in shares.values())
        assert math.isclose(sum(shares.values()), 1)
    assert all(report["shares"][stage] > 0 for stage in ("sampling", "intervals", "kernels", "composition"))


def test_the_curves_of_a_report(report: Report) -> None:
    curves = report["scaling"]
    assert [p["grid"] for p in curves["voxels"]] == [[4, 6, 8], [6, 9, 12], [8, 12, 16], [12, 18, 24], [16, 24, 32]]
    assert [p["threads"] for p in curves["threads"]][::len(curves["threads"]) - 1 or 1] == sorted({1, cpus()})
    few, many = curves["objects"][0]["objects"], curves["objects"][-1]["objects"]
    assert 0 <= few <= 2 and 8 <= many <= 24
    for curve, base in (("voxels", 2), ("objects", 2), ("threads", 0)):
        assert curves[curve][base]["ratio"] == {"median": 1, "least": 1, "most": 1}
        for point in curves[curve]:
            for found in (point["total_ms"], point["ratio"]):
                assert 0 < found["least"] <= found["median"] <= found["most"]


def test_progress_ends_where_it_said(report: Report, said: list[tuple[int, int]]) -> None:
    assert report and [done for done, _ in said] == sorted(done for done, _ in said)
    assert len({total for _, total in said}) == 1 and said[-1][0] == said[-1][1]


def test_the_lines_of_the_table(report: Report) -> None:
    lines = {(f.group, f.name): f for f in figures(report)}
    assert len(lines) == len(figures(report))
    assert lines["a volume", "sampled and rendered"].value == report["volume"]["total_ms"]["median"]
    assert lines["where its time goes", "kernels of voxels"].value == 100 * report["shares"]["kernels"]
    assert lines["by voxels", "8 × 12 × 16"].note == ""
    to = report["scaling"]["voxels"][-1]["ratio"]
    assert lines["by voxels", "16 × 24 × 32"].note == (
        f"{to['median']:.2f} times as long ({to['least']:.2f} to {to['most']:.2f})")
    report = report | {"scaling": report["scaling"] | {"threads": [
        report["scaling"]["threads"][0] | {"threads": 2, "ratio": {"median": 0.5, "least": 0.4, "most": 0.8}}]}}
    fast = next(f for f in figures(report) if f.group == "by threads")
    assert (fast.name, fast.note) == ("2 threads", "2.00 times as fast (1.25 to 2.50)")


def test_what_a_system_does_not_tell_is_left_out(report: Report) -> None:
    silent = report | {"process": report["process"] | {"resident_mb": None, "growth_mb": None}}
    assert {f.unit for f in figures(silent)} == {"ms", "", "ns", "%", "s"}


@pytest.mark.parametrize(("value", "text"), [
    (0, "0.00"), (0.0123456, "0.0123"), (9.87654, "9.88"), (43, "43.0"), (100, "100"), (12345.6, "12346"),
    (-1.5, "-1.50"), (0.0000123, "0.000012")])
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert number(value) == text


def test_plurals() -> None:
    assert [counted(1, "threads"), counted(2.5, "objects"), counted([1, 4], "objects")] == [
        "1 thread", "2.5 objects", "1 to 4 objects"]


def test_the_picture(report: Report, tmp_path: Path) -> None:
    draw_scaling(report, tmp_path / "scaling.png")
    with Image.open(tmp_path / "scaling.png") as image:
        assert image.width > 1500 and len(image.convert("RGB").getcolors(2**24) or []) > 50
    assert [p.name for p in tmp_path.iterdir()] == ["scaling.png"]


def test_a_picture_of_single_points(report: Report, tmp_path: Path) -> None:
    one = {curve: report["scaling"][curve][:1] for curve in ("voxels", "objects", "threads")}
    one["objects"] = [one["objects"][0] | {"objects": 0}]  # a recipe without objects; no place on a logarithmic axis
    draw_scaling(report | {"scaling": one}, tmp_path / "scaling.png")
    assert (tmp_path / "scaling.png").stat().st_size > 1000
