"""A volume of a recipe with a scanner: the same bytes wherever it comes from."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch

import fdif_dsl as fd
from fdif_dsl.compiler.backends.cpu import level
from fdif_dsl.compiler.backends.cpu.scanner import scanner_units
from fdif_dsl.compiler.backends.store import store
from fdif_dsl.runtime.datasets import make_format
from fdif_dsl.runtime.datasets.folder import read_folder
from fdif_dsl.runtime.datasets.plan import Plan
from fdif_dsl.runtime.datasets.record import TRAINING
from fdif_dsl.runtime.datasets.verify import read_plan, render_again
from fdif_dsl.runtime.datasets.write import write
from fdif_dsl.runtime.recipe import SCANNER_STEPS, resolve
from fdif_dsl.runtime.scanner.scan import draw_acquisition

SEED = 11
SOME = fd.Scanner(**dict.fromkeys(SCANNER_STEPS, 0.6))
ALL = fd.Scanner(**dict.fromkeys(SCANNER_STEPS, 1))


@pytest.fixture
def small(shapes: Path) -> fd.Library:
    return fd.load_library(shapes)


def recipe(scanner: fd.Scanner = SOME, **changes: Any) -> fd.Recipe:
    return fd.Recipe(**{"grid": (18, 21, 26), "objects": (1, 4), "displacements": [None, "waves"],
                        "mappers": ["glow"], "scanner": scanner, **changes})


def seen(lib: fd.Library, taken: fd.Recipe, index: int, **options: Any) -> fd.Volume:
    return fd.scan(fd.sample_scene(lib, SEED, index, taken), lib, taken, SEED, index, **options)


def test_labels_and_counts_stay(small: fd.Library) -> None:
    for index in range(6):
        scene = fd.sample_scene(small, SEED, index, recipe())
        for meaning in (None, *(resolve(recipe(label=label), small).meaning for label in ("shape", "multi_task"))):
            plain = fd.render(scene, small, meaning=meaning)
            volume = fd.scan(scene, small, recipe(ALL), SEED, index, meaning=meaning)
            assert volume.label.dtype == plain.label.dtype and np.array_equal(volume.label, plain.label)
            assert np.array_equal(volume.counts, plain.counts)
            assert volume.image.dtype == np.uint8 and volume.image.max() <= 128
            assert not np.array_equal(volume.image, plain.image)


def test_labels_stay_where_there_are_more_objects_than_a_byte_holds(small: fd.Library) -> None:
    taken = recipe(fd.Scanner(paint=1), objects=300)
    scene = fd.sample_scene(small, SEED, 0, taken)
    plain, volume = fd.render(scene, small), fd.scan(scene, small, taken, SEED, 0)
    assert volume.label.dtype == np.uint8 and np.array_equal(volume.label, plain.label)


def test_off_is_what_was_before(small: fd.Library) -> None:
    for taken in (recipe(fd.Scanner()), fd.Recipe(grid=(18, 21, 26), displacements=[], mappers=["glow"])):
        assert draw_acquisition(small, taken.scanner, taken.grid, 3, SEED, 0) is None
        scene = fd.sample_scene(small, SEED, 0, taken)
        assert np.array_equal(fd.scan(scene, small, taken, SEED, 0).image, fd.render(scene, small).image)
        assert "scanner" not in taken.to_dict()
        plan = Plan(small, taken, "x", "X", SEED, {TRAINING: 1}, make_format("monai", 1))
        assert "scanner" not in plan.identity()


def test_the_scene_has_nothing_of_the_scanner(small: fd.Library) -> None:
    with_it, without = (fd.sample_scene(small, SEED, 3, recipe(scanner)) for scanner in (ALL, fd.Scanner()))
    assert with_it == without


def test_from_the_stream_from_disk_and_on_any_threads_it_is_the_same(
        small: fd.Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count, taken = 5, recipe()
    found = {}
    for threads in ("1", "2", "5"):
        monkeypatch.setenv("FDIF_THREADS", threads)
        found[threads] = [seen(small, taken, index).image for index in range(count)]
    stream = list(fd.VolumeStream(small, taken, SEED, count=count))
    plan = Plan(small, taken, "x", "X", SEED, {TRAINING: count}, make_format("monai", 0))
    write(plan, tmp_path / "set")
    for index in range(count):
        image = found["1"][index]
        assert np.array_equal(found["2"][index], image) and np.array_equal(found["5"][index], image)
        assert np.array_equal(stream[index]["image"][0].numpy() * 128, image)
        on_disk = np.asarray(nibabel.load(tmp_path / "set" / f"imagesTr/case_{index:05d}.nii").dataobj)  # type: ignore[attr-defined]
        assert np.array_equal(on_disk.T, image)
    assert "| scanner | background 60 %, paint 60 %, invert 60 %, blur" in (tmp_path / "set" / "README.md").read_text()
    # ... and is checked as it was made.
    manifest = read_folder(tmp_path / "set")
    assert manifest.identity["scanner"] == SOME.to_dict()
    again = read_plan(small, manifest, tmp_path / "set")
    assert again.recipe.scanner == SOME
    assert render_again(again, tmp_path / "set", list(manifest.records.values())) == []


def test_another_scanner_is_another_data_set(small: fd.Library, tmp_path: Path) -> None:
    def plan(scanner: fd.Scanner) -> Plan:
        return Plan(small, recipe(scanner), "x", "X", SEED, {TRAINING: 1}, make_format("monai", 0))

    write(plan(SOME), tmp_path / "set")
    with pytest.raises(fd.FdifError) as caught:
        write(plan(replace(SOME, blur=0.5)), tmp_path / "set")
    assert str(caught.value) == f"""\
error[E0881]: {tmp_path / 'set'} holds another data set
  why: scanner.blur is 0.6 there, and here 0.5
  hint: name another folder, or make it anew with --overwrite"""


@pytest.mark.parametrize("backend", ["interpret", "torch"])
def test_every_back_end_shows_the_same(small: fd.Library, backend: str) -> None:
    for index in range(3):
        mine, other = seen(small, recipe(ALL), index), seen(small, recipe(ALL), index, backend=backend)
        assert isinstance(other.image, torch.Tensor if backend == "torch" else np.ndarray)
        label, image = np.asarray(other.label), np.asarray(other.image)
        assert (label != mine.label).mean() <= 1e-3
        # Where a voxel of an object falls to the other side, its neighbours are blurred with it.
        assert (abs(image.astype(int) - mine.image) > 1).mean() <= 0.02


LEVELS = """
import hashlib
from functools import partial
import numpy as np
from fdif_dsl.compiler.backends.cpu import CpuBackend
from fdif_dsl.runtime.recipe import SCANNER_STEPS, Scanner
from fdif_dsl.runtime.scanner import compiled
from fdif_dsl.runtime.scanner.draws import draw
host, grid = CpuBackend(), (20, 33, 41)
image, numbers = (np.random.default_rng(1).integers(0, 129, (2, *grid)) % 6 * 25).astype(np.uint8)
every = Scanner(**dict.fromkeys(SCANNER_STEPS, 1))
for index in range(4):
    what = draw(every, grid, 150, 5, index, partial(compiled.uniforms, host, 5, index))
    print(hashlib.sha256(compiled.scanned(host, what, image, numbers).tobytes()).hexdigest())
"""


def test_levels_that_fuse_products_and_sums_show_the_same() -> None:
    found = {}
    for name in level.NAMES:
        of = level.level(name)
        if not level.hindrance(of.triple, of.needs, level.host()) and ("fma" in of.needs or name == "aarch64"):
            done = subprocess.run([sys.executable, "-P", "-c", LEVELS], capture_output=True, text=True, check=False,
                                  env={**os.environ, level.SETTING: name})
            assert done.returncode == 0, done.stderr
            found[name] = done.stdout
    if not found:
        pytest.skip("this machine has no level with fused multiply-add")
    assert len({*found.values()}) == 1 and len(next(iter(found.values())).split()) == 4


def test_a_compiled_library_holds_the_scanner(small: fd.Library, tmp_path: Path) -> None:
    small.save(tmp_path / "built")
    code = ("import sys\nimport fdif_dsl as fd\n"
            f"lib = fd.load_library({str(tmp_path / 'built')!r})\n"
            "recipe = fd.Recipe(grid=(9, 9, 9), objects=2, displacements=[], mappers=['glow'],\n"
            "                   scanner=fd.Scanner(blur=1, gaussian=1))\n"
            "print(fd.scan(fd.sample_scene(lib, 1, 0, recipe), lib, recipe, 1, 0).image.sum())\n"
            "assert not {'numba', 'torch'} & set(sys.modules)\n")
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False,
                          env={**os.environ, "FDIF_CACHE_DIR": str(tmp_path / "nothing")})
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 0 and not (tmp_path / "nothing").exists()


def test_a_stream_compiles_a_scanner_at_once_and_only_where_there_is_one(
        small: fd.Library, monkeypatch: pytest.MonkeyPatch) -> None:
    build, asked = store.build, set[str]()

    def noted(target: Any, units: Any, *rest: Any) -> dict[str, bytes]:
        asked.update(unit.symbol for unit in units)
        return build(target, units, *rest)

    monkeypatch.setattr(store, "build", noted)
    scanner = {unit.symbol for unit in scanner_units().values()}
    fd.VolumeStream(small, recipe(fd.Scanner()), SEED)
    assert asked and not scanner & asked
    fd.VolumeStream(small, recipe(), SEED)
    assert scanner <= asked


def test_the_built_in_recipe_shows_a_scanner() -> None:
    scanner = fd.Recipe.load("scanner").scanner
    assert all(0 < getattr(scanner, step) < 1 for step in SCANNER_STEPS)
    assert replace(fd.Recipe.load("scanner"), scanner=fd.Scanner()) == replace(fd.Recipe(), scanner=fd.Scanner())


@pytest.mark.parametrize(("seed", "index", "said"), [
    (-1, 0, "error[E0904]: -1 is no seed\n  hint: it is a whole number from 0 to 2^64 - 1"),
    (0, 2.5, "error[E0904]: 2.5 is no index\n  hint: it is a whole number from 0 to 2^63 - 1")])
def test_what_is_no_seed_and_no_index(small: fd.Library, seed: Any, index: Any, said: str) -> None:
    scene = fd.sample_scene(small, SEED, 0, recipe())
    with pytest.raises(fd.FdifError) as caught:
        fd.scan(scene, small, recipe(), seed, index)
    assert str(caught.value) == said


def test_numbers_may_come_from_numpy(small: fd.Library) -> None:
    scene = fd.sample_scene(small, SEED, 0, recipe())
    seed, index = np.uint64(2**64 - 1), np.int64(2**62)
    found = fd.scan(scene, small, recipe(ALL), seed, index).image  # type: ignore[arg-type]
    assert np.array_equal(found, fd.scan(scene, small, recipe(ALL), 2**64 - 1, 2**62).image)
