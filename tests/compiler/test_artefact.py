"""The compiled library on disk: whole or not there, and refused when it does not fit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fdif_dsl as fd
from fdif_dsl.compiler.artefact import MANIFEST

SOURCE = """use mappers
shape ball {
  radius ~ uniform(1, 2)
  distance = length(p) - radius
}
"""


@pytest.fixture(scope="module")
def artefact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("artefact")
    (folder / "own.sdf").write_text(SOURCE)
    fd.load_library(folder / "own.sdf").save(folder / "built")
    return folder / "built"


@pytest.fixture
def copy(artefact: Path, tmp_path: Path) -> Path:
    import shutil

    return Path(shutil.copytree(artefact, tmp_path / "copy"))


def test_it_is_the_same_library(artefact: Path) -> None:
    lib, again = fd.load_library(artefact.parent / "own.sdf"), fd.load_library(artefact)
    assert again.hash == lib.hash and again.sources == lib.sources
    points = np.random.default_rng(0).uniform(-5, 5, (100, 3))
    a, b = (x.shapes["ball"].distance(points, {"radius": 2}) for x in (lib, again))
    assert np.array_equal(a, b)
    assert again.shapes["ball"].parameters["radius"].prior == "uniform(1, 2)"


def test_loading_compiles_nothing(artefact: Path) -> None:
    code = ("import sys, fdif_dsl as fd\n"
            "lib = fd.load_library(sys.argv[1])\n"
            "fd.render(fd.sample_scene(lib, 1, 0, fd.Recipe(grid=(8, 8, 8), objects=2)), lib)\n"
            "assert not {'numba', 'torch', 'lark'} & set(sys.modules), set(sys.modules)\n")
    # A cache that cannot be written shows that nothing is looked for there.
    env = {**os.environ, "FDIF_CACHE_DIR": os.devnull}
    subprocess.run([sys.executable, "-P", "-c", code, str(artefact)], check=True, env=env)


def test_the_manifest_tells_what_is_inside(artefact: Path) -> None:
    manifest = json.loads((artefact / MANIFEST).read_text())
    assert manifest["classes"] == [{"id": 1, "name": "ball", "doc": ""}]
    assert manifest["target"] == "cpu" and "linear_slope_10.0" in manifest["mappers"]


def refused(folder: Path) -> str:
    with pytest.raises(fd.FdifError) as caught:
        fd.load_library(folder)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.hint == "run `fdifc compile` again"
    return f"{diagnostic.code} {diagnostic.title}"


def test_edited_sources_make_it_stale(copy: Path) -> None:
    (copy / "sources" / "own.sdf").write_text(SOURCE.replace("2)", "3)"))
    assert refused(copy) == "E0703 the compiled library is older than its sources"


def test_another_version_is_refused(copy: Path) -> None:
    manifest = json.loads((copy / MANIFEST).read_text())
    (copy / MANIFEST).write_text(json.dumps({**manifest, "fdif_dsl": "0.0.1"}))
    assert refused(copy) == "E0703 the compiled library was made by fdif-dsl 0.0.1"


@pytest.mark.parametrize("name", [MANIFEST, "formulas.json", "sources/own.sdf", "cpu/kernels.json"])
def test_a_truncated_file_is_refused(copy: Path, name: str) -> None:
    data = (copy / name).read_bytes()
    (copy / name).write_bytes(data[: len(data) // 2])
    assert refused(copy).startswith("E070")


def test_a_missing_file_is_refused(copy: Path) -> None:
    next((copy / "cpu").glob("*.o")).unlink()
    assert refused(copy) == "E0701 the compiled library lacks one of its files"


def test_saving_replaces_an_artefact_and_nothing_else(artefact: Path, tmp_path: Path) -> None:
    lib = fd.load_library(artefact.parent / "own.sdf")
    lib.save(artefact)
    assert fd.load_library(artefact).hash == lib.hash
    (tmp_path / "precious").write_text("")
    with pytest.raises(fd.FdifError, match="E0706"):
        lib.save(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["precious"]


def test_a_failed_save_leaves_nothing(artefact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fdif_dsl.compiler.backends.cpu import CpuBackend

    def fail(*args: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(CpuBackend, "save", fail)
    with pytest.raises(OSError, match="No space"):
        fd.load_library(artefact.parent / "own.sdf").save(tmp_path / "new")
    assert not list(tmp_path.iterdir())
