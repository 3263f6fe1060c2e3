"""Kernels for processors that this machine may not be: compiled for each level, and run on those that it has."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fdif_dsl as fd
from fdif_dsl.compiler.backends.cpu import CpuBackend, driver, level, loader
from fdif_dsl.compiler.backends.cpu.target import CPU, CpuTarget, best
from fdif_dsl.compiler.backends.store import store
from fdif_dsl.compiler.backends.store.unit import Unit
from fdif_dsl.compiler.library import Library


def families(lib: Library) -> list[str]:
    """The first class of each family: names that differ in a number word only are one."""
    number = "triangle|square|pentagon|hexagon|heptagon|octagon|nonagon|(three|four|five|six|seven|eight)_star"
    found: dict[str, str] = {}
    for name in lib.shapes:
        found.setdefault(re.sub(number, "n", name), name)
    return list(found.values())


def every_kind_of_unit(lib: Library, textures: Library) -> list[Unit]:
    """All of the driver and the sampler, of the displacements and mappers, and of a class of each family. Only tests
    have tiles of other sizes; those of the driver compile them, for the machine and, in `.ci/run`, for AVX2."""
    shapes = families(lib)
    assert 10 < len(shapes) < 40
    formulas = [f for f in lib.formulas if f.kind != "shape" or f.name in shapes]
    units = [*CpuBackend([*formulas, *textures.formulas]).units(), *driver.units(measured=True).values()]
    return list({unit.symbol: unit for unit in units}.values())


@pytest.mark.slow  # LLVM compiles some 230 functions for each
@pytest.mark.parametrize("name", level.NAMES)
def test_every_level_has_code_for_every_kind_of_kernel(lib: Library, textures: Library, name: str) -> None:
    """In the cache too, from where the tests below have it."""
    units = every_kind_of_unit(lib, textures)
    found = store.build(CpuTarget(name), units, lambda done, total: None, workers=1)
    assert set(found) == {unit.symbol for unit in units} and all(found.values())


RENDER = """
import hashlib, sys
import fdif_dsl as fd
lib = fd.load_library()
recipe = fd.Recipe(grid=(24, 40, 48), objects=10, shapes=sys.argv[1].split(","))
for index in range(6):
    volume = fd.render(fd.sample_scene(lib, seed=5, index=index, recipe=recipe), lib)
    print(hashlib.sha256(volume.image.tobytes() + volume.label.tobytes()).hexdigest())
    print(volume.label.sum(), (volume.label > 0).sum())
"""
# One of each kind of section, with what scans the grid and what has the loosest bounds.
SHAPES = ("torus", "onioned_triangle_prism", "five_star_concave_prism")


def runnable() -> list[str]:
    return [name for name in level.NAMES
            if not level.hindrance(level.level(name).triple, level.level(name).needs, level.host())]


def rendered(name: str) -> list[str]:
    done = subprocess.run([sys.executable, "-P", "-c", RENDER, ",".join(SHAPES)], capture_output=True, text=True,
                          check=False, env={**os.environ, level.SETTING: name})
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_levels_that_fuse_products_and_sums_give_the_same_volumes() -> None:
    mine = rendered("")
    fused = [name for name in runnable() if "fma" in level.level(name).needs or name == "aarch64"]
    if not fused:
        pytest.skip("this machine has no level with fused multiply-add")
    for name in fused:
        assert rendered(name) == mine, name


def test_without_fused_products_and_sums_hardly_a_voxel_differs(lib: Library) -> None:
    if "x86-64-v2" not in runnable():
        pytest.skip("this machine is of another family")
    pairs = zip(rendered("")[1::2], rendered("x86-64-v2")[1::2], strict=True)
    for one, other in pairs:
        (_, inside), (_, its) = (map(int, text.split()) for text in (one, other))
        assert abs(inside - its) <= 5


# The setting ------------------------------------------------------------------------------------


def refused(monkeypatch: pytest.MonkeyPatch, name: str) -> str:
    monkeypatch.setenv(level.SETTING, name)
    with pytest.raises(fd.FdifError) as caught:
        CPU.fingerprint()
    return str(caught.value)


def test_a_level_is_part_of_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(level.SETTING, raising=False)  # the suite may run with it
    keys = {CPU.fingerprint()}
    for name in runnable():
        monkeypatch.setenv(level.SETTING, name)
        assert CPU.level == level.level(name) and CPU.fingerprint() == CpuTarget(name).fingerprint()
        keys.add(CPU.fingerprint())
    assert len(keys) == 1 + len(runnable())


def test_an_unknown_level(monkeypatch: pytest.MonkeyPatch) -> None:
    assert refused(monkeypatch, "x86-64-v33") == """\
error[E0707]: there is no kind of CPU called `x86-64-v33`
  --> FDIF_CPU
  why: there are x86-64-v2, x86-64-v3, x86-64-v4, aarch64
  hint: did you mean `x86-64-v3`?"""


def test_a_level_that_this_machine_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = level.Level("", "x86_64-unknown-linux-gnu", "old", "", level.level("x86-64-v2").needs)
    monkeypatch.setattr(level, "host", lambda: mine)
    assert refused(monkeypatch, "x86-64-v3") == """\
error[E0708]: this machine cannot run code for x86-64-v3
  --> FDIF_CPU
  why: it uses avx, avx2, bmi, bmi2, f16c, fma, lzcnt, movbe, xsave
  hint: without FDIF_CPU, kernels are compiled for this machine"""
    assert "why: it is code for aarch64-unknown-linux-gnu" in refused(monkeypatch, "aarch64")


# A compiled library for levels ------------------------------------------------------------------

TEXT = "shape ball {\n  radius = 5\n  distance = length(p) - radius\n}\nmapper flat { intensity = 100 }\n"


def test_an_artefact_holds_levels_and_the_highest_that_runs_is_taken(tmp_path: Path,
                                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(level.SETTING, raising=False)
    (tmp_path / "own.sdf").write_text(TEXT)
    own, place = fd.load_library(tmp_path / "own.sdf"), tmp_path / "built"
    own.save(place, targets=[CpuTarget(name) for name in level.NAMES])
    assert json.loads((place / "manifest.json").read_text())["targets"] == [f"cpu-{name}" for name in level.NAMES]
    assert best(place) == place / f"cpu-{runnable()[-1]}"
    monkeypatch.setenv("FDIF_CACHE_DIR", str(tmp_path / "nothing"))
    found = fd.load_library(place).shapes["ball"].distance([[9.0, 0, 0]], {"radius": 5.0})
    assert found.tolist() == [4.0] and not (tmp_path / "nothing").exists()
    for path in (place / f"cpu-{runnable()[-1]}").iterdir():
        path.unlink()
    (place / f"cpu-{runnable()[-1]}").rmdir()
    monkeypatch.setattr(level, "host", lambda: level.Level("", "riscv64-linux", "", "", frozenset()))
    with pytest.raises(fd.FdifError, match="E0702"):
        fd.load_library(place)


# A compiler that ends ---------------------------------------------------------------------------


def test_a_worker_that_dies_says_what_was_written_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FDIF_CACHE_DIR", str(tmp_path))
    source = "import os\nos.write(2, b'LLVM ERROR: Unexpected integer scale\\nStack dump:\\n')\nos.abort()\n"
    units = [Unit(f"bad_{k}", source, "bad", "f") for k in range(4)]
    with pytest.raises(fd.FdifError) as caught:
        store.build(CPU, units, lambda done, total: None, workers=2)
    said = str(caught.value)
    assert "error[E0709]: cannot compile the kernel bad_" in said
    assert "was ended by SIGABRT; it wrote last: LLVM ERROR: Unexpected integer scale; Stack dump:" in said
    assert not list(tmp_path.rglob("*.o"))


def test_objects_of_levels_run(tmp_path: Path) -> None:
    source = "def double(values, n):\n    for i in range(n):\n        values[i] = values[i] + values[i]\n"
    numbers: Any = np.arange(37, dtype=np.float32)
    for name in runnable():
        unit = Unit(f"double_{name.replace('-', '_')}", source, "double", "fn")
        path = tmp_path / f"{unit.symbol}.py"
        path.write_text(source)
        call = driver.prototype("fn")(loader.address(unit.symbol, CpuTarget(name).compile(unit, path)))
        before = numbers.copy()
        call(numbers.ctypes.data, 37)
        assert (numbers == 2 * before).all()
