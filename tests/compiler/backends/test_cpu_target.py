"""Object code: the cache, the workers, damage, kills, and artefacts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fdif_dsl.compiler.backends.cpu import build, codegen, driver, level, loader, target
from fdif_dsl.compiler.backends.cpu.backend import CpuBackend
from fdif_dsl.compiler.backends.cpu.target import CPU
from fdif_dsl.compiler.backends.store import cache as caches
from fdif_dsl.compiler.backends.store import objects, store
from fdif_dsl.compiler.backends.store.unit import Unit
from fdif_dsl.compiler.ir.formula import Formula
from fdif_dsl.compiler.ir.graph import Graph
from fdif_dsl.grammar.diagnostics import FdifError

SOURCE = """\
def kernel(d, f, out, n):
    for i in range(n):
        out[i] = d[i] + f[{k}]
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache; what it holds is in one folder, named by the fingerprint."""
    monkeypatch.setenv("FDIF_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "cpu" / CPU.fingerprint()


def unit(k: int, source: str = SOURCE) -> Unit:
    return Unit(f"test_{os.getpid()}_{k}", source.format(k=k), "kernel", "fffn")


def run(unit: Unit, code: bytes) -> list[float]:
    """The kernel on d = 1, 2 with f = 0, 10, 20, ..."""
    function = driver.prototype(unit.signature)(loader.address(unit.symbol, code))
    d, f, out = np.array([1, 2], np.float32), np.arange(10, dtype=np.float32) * 10, np.empty(2, np.float32)
    function(d.ctypes.data, f.ctypes.data, out.ctypes.data, 2)
    return [float(v) for v in out]


def no_compiler(*_: Any) -> bytes:
    raise AssertionError("nothing should be compiled")


def test_a_kernel_is_compiled_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, int]] = []
    first = store.build(CPU, [unit(1), unit(1)], lambda done, total: told.append((done, total)))
    assert told == [(0, 1), (1, 1)]
    assert run(unit(1), first[unit(1).symbol]) == [11, 12]
    assert sorted(p.name for p in cache.iterdir()) == [caches.LOCK, f"{unit(1).symbol}.o", f"{unit(1).symbol}.py"]
    monkeypatch.setattr(build, "compile_unit", no_compiler)
    assert store.build(CPU, [unit(1)], lambda done, total: told.append((9, 9))) == first
    assert (9, 9) not in told


@pytest.mark.parametrize("damage", [
    lambda data: data[:100] + bytes([data[100] ^ 1]) + data[101:],
    lambda data: data[:-1],
    lambda data: b"",
], ids=["a changed bit", "cut short", "emptied"])
def test_a_damaged_file_is_built_again(cache: Path, damage: Any) -> None:
    code = store.build(CPU, [unit(2)])
    path = cache / f"{unit(2).symbol}.o"
    path.write_bytes(damage(path.read_bytes()))
    assert objects.read_object(path) is None
    assert store.build(CPU, [unit(2)]) == code
    assert objects.read_object(path) == code[unit(2).symbol]


def test_many_kernels_are_built_by_workers(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "compile_unit", no_compiler)  # in this process
    told: list[tuple[int, int]] = []
    units = [unit(k) for k in range(3, 8)]
    codes = store.build(CPU, units, lambda done, total: told.append((done, total)), workers=2)
    assert told == [(k, 5) for k in range(6)]
    assert [run(u, codes[u.symbol])[0] for u in units] == [31, 41, 51, 61, 71]
    assert not [p for p in cache.iterdir() if p.name.startswith(".") and p.name != caches.LOCK]


def test_a_kernel_that_does_not_compile_is_told_and_leaves_nothing(cache: Path) -> None:
    wrong = unit(9, "def kernel(d, f, out, n):\n    out[0] = d.nothing\n")
    with pytest.raises(RuntimeError, match="nothing"):
        store.build(CPU, [wrong, *(unit(k) for k in range(10, 14))], workers=2)
    assert not (cache / f"{wrong.symbol}.o").exists()
    assert all(objects.read_object(p) for p in cache.glob("*.o"))


def test_a_killed_build_leaves_only_whole_files(cache: Path) -> None:
    script = f"""
from fdif_dsl.compiler.backends.cpu.target import CPU
from fdif_dsl.compiler.backends.store import store
from fdif_dsl.compiler.backends.store.unit import Unit
units = [Unit(f"test_killed_{{k}}", {SOURCE!r}.format(k=k), "kernel", "fffn") for k in range(40)]
store.build(CPU, units, workers=2)
"""
    with subprocess.Popen([sys.executable, "-P", "-c", script], start_new_session=True) as process:
        while not list(cache.glob("[!.]*.o")):
            assert process.poll() is None, "the build ended before it could be killed"
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
    found = list(cache.glob("[!.]*.o"))
    assert 0 < len(found) < 40
    assert all(objects.read_object(path) for path in found)
    again = Unit("test_killed_39", SOURCE.format(k=3), "kernel", "fffn")
    assert run(again, store.build(CPU, [again])[again.symbol]) == [31, 32]


def test_a_cache_that_cannot_be_written_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("not a folder")
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("FDIF_CACHE_DIR", str(tmp_path / "file"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setattr(caches, "_spares", [])
    folder = caches.writable(CPU)
    assert folder.is_dir() and folder.parent.parent == tmp_path / "temporary"
    assert caches.writable(CPU) == folder  # once a process


def test_the_fingerprint_follows_the_code_and_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    target.fingerprint.cache_clear()
    before = CPU.fingerprint()
    assert before == CPU.fingerprint()
    for name in ("compiler_digest", "versions"):
        with monkeypatch.context() as patch:
            patch.setattr(target, name, lambda: {"numba": "0"})
            target.fingerprint.cache_clear()
            assert CPU.fingerprint() != before
    target.fingerprint.cache_clear()
    levels = [level.host(), *map(level.level, level.NAMES)]
    assert len({target.fingerprint(of) for of in levels}) == len(levels)


# Artefacts --------------------------------------------------------------------------------------

g = Graph()
X = g.node("input", const="p.x")
SHAPE = Formula("saved", "shape", "", "test.sdf:1:1", (), {}, 0, g.node("sub", g.node("abs", X), g.number(2)))
MAPPER = Formula("saved_too", "mapper", "", "test.sdf:2:1", (), {}, 0, g.node("neg", g.node("input", const="d")))


@pytest.fixture(scope="module")
def artefact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("artefact")
    store.save(CPU, folder, CpuBackend([SHAPE, MAPPER]).units())
    return folder


@pytest.fixture
def copy(artefact: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "lib"
    folder.mkdir()
    for path in artefact.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def test_an_artefact_works_in_a_process_without_numba(artefact: Path) -> None:
    script = f"""
import sys
import numpy as np
from fdif_dsl.compiler.backends import Placed
from fdif_dsl.compiler.backends.cpu import CpuBackend
from fdif_dsl.compiler.ir.formula import Formula
from fdif_dsl.compiler.ir.grid import Grid
from fdif_dsl.compiler.ir.graph import Graph
g = Graph()
x = g.node("input", const="p.x")
shape = Formula("s", "shape", "", "", (), {{}}, 0, g.node("sub", g.node("abs", x), g.number(2)))
mapper = Formula("m", "mapper", "", "", (), {{}}, 0, g.node("neg", g.node("input", const="d")))
backend = CpuBackend([shape, mapper], directory={str(artefact)!r})
print(backend.evaluate(shape, {{"p.x": [-5.0, 1.0], "p.y": [0, 0], "p.z": [0, 0]}}, {{}}).tolist())
print(backend.render([Placed(shape, {{}}, np.eye(4), None, mapper, 1)], Grid((1, 1, 8))).image.ravel().tolist())
assert "numba" not in sys.modules and "torch" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True, check=False,
                          env={**os.environ, "FDIF_CACHE_DIR": "/nowhere"})
    assert done.stderr == ""
    assert done.stdout == "[3.0, -1.0]\n[0, 0, 0, 1, 2, 1, 0, 0]\n"


def test_an_artefact_holds_sources_code_and_an_index(artefact: Path) -> None:
    index = json.loads((artefact / "kernels.json").read_text())
    symbols = {u.symbol for u in CpuBackend([SHAPE, MAPPER]).units()}
    assert set(index["kernels"]) == symbols
    assert {p.name for p in artefact.iterdir()} == {"kernels.json", *(f"{s}.{e}" for s in symbols for e in ("o", "py"))}


def refused(folder: Path, *formulas: Formula) -> str:
    with pytest.raises(FdifError) as caught:
        backend = CpuBackend(formulas, directory=folder)
        backend.evaluate(formulas[0], {"p.x": [0.0], "p.y": [0.0], "p.z": [0.0]}, {})
    return str(caught.value).replace(str(folder), "LIB")


def edit(folder: Path, **changes: Any) -> None:
    index = json.loads((folder / "kernels.json").read_text())
    (folder / "kernels.json").write_text(json.dumps({**index, **changes}))


def test_a_folder_without_an_index_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path, SHAPE) == """\
error[E0701]: the compiled library holds no kernels for the target cpu
  --> LIB
  hint: run `fdifc compile` again"""


@pytest.mark.parametrize("text", ["{", "[]", '{"format": 2}', '{"format": 2, "kernels": 3}', "\xff"])
def test_a_damaged_index_is_refused(copy: Path, text: str) -> None:
    (copy / "kernels.json").write_text(text, encoding="latin-1")
    message = refused(copy, SHAPE)
    assert message.startswith("error[E0701]: the compiled library is damaged\n  --> LIB/kernels.json\n  why: ")


def test_a_damaged_object_is_refused(copy: Path) -> None:
    path = next(copy.glob("points_*.o"))
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    assert refused(copy, SHAPE) == f"""\
error[E0701]: the compiled library is damaged
  --> LIB/{path.name}
  why: its checksum is not the one in the index
  hint: run `fdifc compile` again"""
    path.unlink()
    assert refused(copy, SHAPE) == f"""\
error[E0701]: the compiled library lacks one of its files
  --> LIB/{path.name}
  hint: run `fdifc compile` again"""


def test_code_for_another_cpu_is_refused(copy: Path) -> None:
    edit(copy, features=f"{CPU.facts()['features']},+sixty-four-lanes,-sse9")
    assert refused(copy, SHAPE) == """\
error[E0702]: the compiled library was compiled for another kind of CPU
  --> LIB
  why: it uses sixty-four-lanes
  hint: run `fdifc compile` again"""
    edit(copy, features="", triple="riscv64-unknown-linux")
    assert "why: it is code for riscv64-unknown-linux" in refused(copy, SHAPE)
    edit(copy, features="", triple=level.host().triple)  # less than this CPU can do is fine
    assert CpuBackend([SHAPE], directory=copy)


def test_a_stale_artefact_is_refused(copy: Path) -> None:
    edit(copy, compiler="older")
    assert refused(copy, SHAPE) == """\
error[E0703]: the compiled library was compiled by another version of fdif-dsl
  --> LIB
  hint: run `fdifc compile` again"""
    edit(copy, format=99)
    assert "another version" in refused(copy, SHAPE)


def test_an_artefact_that_lacks_a_kernel_is_refused(artefact: Path) -> None:
    other = Formula("new", "shape", "", "", (), {}, 0, g.node("sqrt", X))
    assert refused(artefact, other) == """\
error[E0703]: the compiled library is older than its sources
  --> LIB
  why: it lacks a kernel that they need
  hint: run `fdifc compile` again"""


def test_an_artefact_never_compiles(artefact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "build", no_compiler)
    backend = CpuBackend([SHAPE, MAPPER], directory=artefact)
    backend.build()
    assert backend.evaluate(MAPPER, {"d": [2.0]}, {}).tolist() == [-2]


def test_equal_kernels_are_compiled_once() -> None:
    twin = Formula("twin", "shape", "", "", (), {}, 0, g.node("sub", g.node("abs", X), g.number(2)))
    symbols = [unit.symbol for unit in CpuBackend([SHAPE, twin]).units()]
    assert symbols == [unit.symbol for unit in CpuBackend([SHAPE]).units()]
    assert symbols.count(codegen.points_kernel(SHAPE.result).name) == 1
