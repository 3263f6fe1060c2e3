"""Compiling for GPUs without one: PTX and machine code, artefacts, and what is said where something is missing."""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

import fdif_dsl as fd
from fdif_dsl.compiler.backends.cpu.target import CPU
from fdif_dsl.compiler.backends.cuda import build, target, text
from fdif_dsl.compiler.backends.cuda.backend import simulated
from fdif_dsl.compiler.backends.cuda.kernels import LibraryKernels
from fdif_dsl.compiler.backends.cuda.stored import Stored, best
from fdif_dsl.compiler.backends.cuda.target import CudaTarget, pack, runs_on, unpack
from fdif_dsl.compiler.backends.store import store
from fdif_dsl.compiler.backends.store.unit import Unit
from fdif_dsl.compiler.library import Library
from fdif_dsl.grammar.diagnostics import FdifError

pytestmark = pytest.mark.skipif(simulated(), reason="the simulator has no compiler")

HOPPER = CudaTarget((9, 0))
SOURCE = "shape ball {\n  radius ~ uniform(1, 2)\n  distance = length(p) - radius\n}\n" \
         "displacement waves { offset = sin(p.x) }\nmapper glow { intensity = 100 / (1 + abs(d)) }\n"


def assembled(unit: Unit, folder: Path, capability: tuple[int, int] = (9, 0)) -> tuple[str, str]:
    """The PTX of a unit and what the assembler says of it."""
    source = folder / f"{unit.symbol}.py"
    source.write_text(unit.source)
    ptx = build.ptx(unit, source, capability)
    code, log = build.machine_code(ptx, capability)
    assert code.startswith(b"\x7fELF")
    return ptx, log


def hot(lib: Library) -> list[Unit]:
    """Every kernel that works on voxels: of each class, displacement and mapper (these are in `compose`)."""
    kernels = LibraryKernels(lib.formulas)
    units = {u.symbol: u for u in kernels.drawing(lib.formulas) if not u.symbol.startswith("numbers")}
    return sorted(units.values(), key=lambda u: -len(u.source))


def check(unit: Unit, folder: Path) -> None:
    """It compiles, and keeps everything in registers."""
    ptx, log = assembled(unit, folder)
    assert f".entry {unit.symbol}(" in ptx and ".target sm_90" in ptx
    found = re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", log)
    assert found and found.groups() == ("0", "0", "0"), (unit.symbol, log)


KINDS = ("draw", "search", "field", "compose", "paint8", "paint16", "lowest")


@pytest.mark.parametrize("kind", KINDS)
def test_the_largest_kernel_of_each_kind_spills_nothing(lib: Library, tmp_path: Path, kind: str) -> None:
    check(next(unit for unit in hot(lib) if unit.symbol.startswith(kind + "_")), tmp_path)


NOISE = """
use std
shape stone { distance = length(p) - 20 + 3 * fbm(p / 16, 6) }
displacement rough { offset = 3 * fbm(p / 16, 6) }
displacement walls { offset = 4 * (cells(p / 12).y - cells(p / 12).x) }
"""


def test_kernels_with_noise_spill_nothing(tmp_path: Path) -> None:
    (tmp_path / "noise.sdf").write_text(NOISE)
    for unit in hot(fd.load_library(tmp_path / "noise.sdf")):
        if unit.symbol.startswith(("draw", "field")):
            check(unit, tmp_path)


# In portions, for the workers of pytest-xdist.
PORTIONS = 12


@pytest.mark.long  # a kernel takes a second or two, and there are 130
@pytest.mark.parametrize("portion", range(PORTIONS))
def test_every_kernel_of_voxels_compiles_and_spills_nothing(lib: Library, tmp_path: Path, portion: int) -> None:
    units = list(islice(hot(lib), portion, None, PORTIONS))
    assert len(units) >= 10
    for unit in units:
        check(unit, tmp_path)


@pytest.mark.parametrize("name", [
    "menger", *(pytest.param(n, marks=pytest.mark.long) for n in ("mandelbulb", "julia", "tree", "harmonic_blob"))])
def test_formulas_with_rounds_compile(tmp_path: Path, name: str) -> None:
    lib = fd.load_library(Path(__file__).parents[3] / "examples" / "fractals.sdf")
    for unit in LibraryKernels(lib.formulas).shapes[id(lib.shapes[name].formula)].units:
        ptx, _ = assembled(unit, tmp_path)
        assert f".entry {unit.symbol}(" in ptx and ".target sm_90" in ptx


@pytest.mark.parametrize("capability", [(8, 0), (12, 0)])
def test_other_kinds_of_gpu(lib: Library, tmp_path: Path, capability: tuple[int, int]) -> None:
    onion = LibraryKernels(lib.formulas).shapes[id(lib.shapes["onioned_triangle_prism"].formula)]
    for unit in (*onion.units, text.paint_units()[1], text.grey_unit(lib.mappers["modular_5"].formula)):
        ptx, _ = assembled(unit, tmp_path, capability)
        assert f".target sm_{capability[0]}{capability[1]}" in ptx


def test_textures_compile_and_spill_nothing(textures: Library, tmp_path: Path) -> None:
    kernels = LibraryKernels(textures.formulas)
    for unit in (kernels.compose, text.grey_unit(textures.mappers["tissue"].formula),
                 kernels.textures[id(textures.displacements["ridges"].formula)].numbers):
        check(unit, tmp_path)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> fd.Library:
    path = tmp_path_factory.mktemp("cuda") / "own.sdf"
    path.write_text(SOURCE)
    return fd.load_library(path)


@pytest.fixture(scope="module")
def artefact(library: fd.Library, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built") / "lib"
    library.save(folder, targets=[HOPPER, CudaTarget((8, 0))])
    return folder


@pytest.fixture
def copy(artefact: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(artefact, tmp_path / "copy"))


def test_an_artefact_holds_ptx_and_machine_code(library: fd.Library, artefact: Path) -> None:
    assert json.loads((artefact / "manifest.json").read_text())["targets"] == ["cuda-sm_90", "cuda-sm_80"]
    units = LibraryKernels(library.formulas).units()
    for kind in ("cuda-sm_90", "cuda-sm_80"):
        assert {p.name for p in (artefact / kind).iterdir()} == {
            "kernels.json", *(f"{u.symbol}.{suffix}" for u in units for suffix in ("py", "ptx", "cubin"))}
    again = fd.load_library(artefact)
    assert again.hash == library.hash
    found = Stored((9, 0), artefact).codes({u.symbol: u for u in LibraryKernels(again.formulas).units()})
    for unit in units:
        assert found[unit.symbol] == (artefact / "cuda-sm_90" / f"{unit.symbol}.cubin").read_bytes()


def test_the_driver_gets_what_it_can_run(library: fd.Library, artefact: Path) -> None:
    wanted = {u.symbol: u for u in LibraryKernels(library.formulas).units()}

    def suffix(device: tuple[int, int]) -> str:
        stored = Stored(device, artefact)
        name, code = next(iter(stored.codes(wanted).items()))
        folder = artefact / stored.target.name
        return next(f"{stored.target.name[5:]}{p.suffix}" for p in folder.glob(f"{name}.*") if p.read_bytes() == code)

    assert suffix((9, 0)) == "sm_90.cubin"
    assert suffix((8, 6)) == "sm_80.cubin"  # of the same generation
    assert suffix((12, 0)) == "sm_90.ptx"  # which the driver compiles
    assert best(artefact, (7, 5)) is None
    assert [runs_on((8, 0), device) for device in ((8, 0), (8, 9), (9, 0), (7, 5))] == [True, True, False, False]


def test_what_is_there_is_reused(library: fd.Library, copy: Path) -> None:
    units = len(LibraryKernels(library.formulas).units())
    assert library.save(copy, targets=[HOPPER]) == (0, units)
    assert not (copy / "cuda-sm_80").exists()


@pytest.mark.parametrize("suffix", ["ptx", "cubin"])
def test_damage_is_told(copy: Path, suffix: str) -> None:
    path = next((copy / "cuda-sm_90").glob(f"*.{suffix}"))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(FdifError, match=r"E0701.*is damaged"):
        store.load(HOPPER, copy / "cuda-sm_90")


def test_code_of_another_version_is_refused(copy: Path) -> None:
    index = copy / "cuda-sm_90" / "kernels.json"
    index.write_text(json.dumps({**json.loads(index.read_text()), "compiler": "another"}))
    with pytest.raises(FdifError, match=r"E0703.*another version of fdif-dsl"):
        store.load(HOPPER, copy / "cuda-sm_90")


def test_an_artefact_for_gpus_works_on_a_cpu_too(artefact: Path) -> None:
    lib = fd.load_library(artefact)
    scene = fd.sample_scene(lib, 1, 0, fd.Recipe(grid=(8, 8, 8), objects=1))
    assert fd.render(scene, lib).counts.shape == (1,)


def test_targets_have_names_and_are_told_to_other_processes() -> None:
    assert CudaTarget.parse("cuda-sm_120") == CudaTarget((12, 0)) == CudaTarget.parse("cuda:sm_120")
    assert HOPPER.name == "cuda-sm_90" and CPU.name == "cpu"
    assert [pickle.loads(pickle.dumps(target)) for target in (HOPPER, CPU)] == [HOPPER, CPU]
    assert HOPPER.fingerprint() != CudaTarget((8, 0)).fingerprint()
    with pytest.raises(FdifError, match=r"E0846.*`cuda:hopper` is no kind of GPU"):
        CudaTarget.parse("cuda:hopper")


def test_code_is_packed_and_unpacked() -> None:
    assert unpack(pack(b"ptx", b"cubin")) == (b"ptx", b"cubin")
    assert HOPPER.code(HOPPER.files("k", pack(b"a", b""))) == pack(b"a", b"")


def test_all_that_kernels_are_made_with_is_in_the_fingerprint() -> None:
    folder = Path(target.__file__).parent
    apart = {"__init__", "backend", "batch", "gpu", "kernels", "memory", "pipeline", "simulated", "stored", "target",
             "text"}  # what calls kernels, keeps them, or makes their text, which is in their symbols
    assert {p.stem for p in folder.glob("*.py")} - apart == set(target._INGREDIENTS)


def test_an_unknown_kind_of_gpu() -> None:
    with pytest.raises(FdifError) as caught:
        target.require_compiler(CudaTarget((9, 9)))
    assert "E0618" in str(caught.value) and "knows no sm_99" in str(caught.value)


def test_without_the_packages_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target, "find_spec", lambda name: None)
    for call, what in ((lambda: target.require_packages("the backend `cuda`", "backend"), "the backend `cuda`"),
                       (lambda: target.require_compiler(HOPPER), "compiling for a GPU")):
        with pytest.raises(FdifError) as caught:
            call()
        assert f"error[E0611]: {what} needs packages that are not installed" in str(caught.value)
        assert str(caught.value).endswith("hint: pip install 'fdif-dsl[cuda]'")


@pytest.mark.skipif(os.environ.get("CUDA_VISIBLE_DEVICES", "") != "" or shutil.which("nvidia-smi") is not None,
                    reason="this machine may have a driver")
@pytest.mark.parametrize("command", [
    "fd.render(fd.Scene((4, 4, 4), ()), lib, backend='cuda')", "fd.VolumeStream(lib, device='cuda:0')",
    "lib.shapes['ball'].distance([[0, 0, 0]], {'radius': 1}, backend='cuda')"])
def test_without_a_driver_one_line_says_so(artefact: Path, command: str) -> None:
    code = f"import fdif_dsl as fd\nlib = fd.load_library({str(artefact)!r})\n" \
           f"try:\n    {command}\nexcept fd.FdifError as error:\n    print(error)\n"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("error[E0612]: the backend `cuda` needs NVIDIA's driver, which does not work here\n")
    assert "hint: install the driver of your card, or use backend=\"cpu\"" in done.stdout
