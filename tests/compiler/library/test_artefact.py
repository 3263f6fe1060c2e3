"""The compiled library on disk: whole or not there, and refused when it does not fit."""

from __future__ import annotations

import errno
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fdif_dsl as fd
from fdif_dsl.compiler.library.artefact import MANIFEST

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
    assert manifest["targets"] == ["cpu"] and "linear_slope_10.0" in manifest["mappers"]


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


@pytest.mark.skipif(os.name != "posix", reason="there are no modes")
@pytest.mark.parametrize("name", ["", "cpu", MANIFEST, "formulas.json", "cpu/kernels.json", "cpu/points_*.o"])
def test_what_others_could_write_is_not_loaded(name: str, copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = next(copy.glob(name)) if name else copy
    mode = place.stat().st_mode
    place.chmod(mode | 0o002)
    with pytest.raises(fd.FdifError) as caught:
        fd.load_library(copy)
    assert str(caught.value) == (
        "error[E0710]: the compiled library can be changed by others, and it is code that runs with your rights\n"
        f"  --> {copy / 'cpu' if name.startswith('cpu') else copy}\n  why: everybody can write to `{place}`\n"
        f"  hint: run `chmod go-w {place}`; or, if you trust them, set FDIF_TRUST={place}")
    monkeypatch.setenv("FDIF_TRUST", str(copy))
    fd.load_library(copy)
    monkeypatch.delenv("FDIF_TRUST")
    place.chmod(mode)
    fd.load_library(copy)


@pytest.mark.skipif(os.name != "posix", reason="there are no modes")
def test_what_is_saved_can_be_loaded_whatever_the_umask(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        own(tmp_path).save(tmp_path / "out")
    finally:
        os.umask(old)
    assert [path for path in (tmp_path / "out").rglob("*") if path.stat().st_mode & 0o022] == []
    fd.load_library(tmp_path / "out")


def test_an_index_cannot_name_files_elsewhere(copy: Path, tmp_path: Path) -> None:
    index = json.loads((copy / "cpu" / "kernels.json").read_text())
    symbol, files = next(iter(index["kernels"].items()))
    (name, checksum), = files.items()
    (copy / "cpu" / name).rename(tmp_path / name)
    index["kernels"][symbol] = {f"../../{name}": checksum}
    (copy / "cpu" / "kernels.json").write_text(json.dumps(index))
    assert refused(copy) == "E0701 the compiled library is damaged"


def test_saving_replaces_an_artefact_and_nothing_else(artefact: Path, tmp_path: Path) -> None:
    lib = fd.load_library(artefact.parent / "own.sdf")
    lib.save(artefact)
    assert fd.load_library(artefact).hash == lib.hash
    (tmp_path / "precious").write_text("")
    with pytest.raises(fd.FdifError, match="E0706"):
        lib.save(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["precious"]


def test_a_failed_save_leaves_nothing(artefact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fdif_dsl.compiler.backends.store import store

    def fail(*args: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "save", fail)
    with pytest.raises(OSError, match="No space"):
        fd.load_library(artefact.parent / "own.sdf").save(tmp_path / "new")
    assert not list(tmp_path.iterdir())


# Compiling again --------------------------------------------------------------------------------


def own(folder: Path, source: str = SOURCE) -> fd.Library:
    (folder / "own.sdf").write_text(source)
    return fd.load_library(folder / "own.sdf")


def kernels(folder: Path) -> list[Path]:
    return sorted((folder / "cpu").glob("*.o"))


def test_only_what_changed_is_compiled(copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FDIF_CACHE_DIR", str(tmp_path / "empty cache"))
    n = len(kernels(copy))
    assert own(tmp_path).save(copy) == (0, n)
    other = own(tmp_path, SOURCE.replace("length(p) -", "2 * length(p) -"))
    assert other.save(copy) == (2, n - 2)  # points and bounds
    again = fd.load_library(copy)
    assert again.sources == other.sources and again.hash == other.hash
    assert again.shapes["ball"].distance([[0, 0, 2]], {"radius": 1}).tolist() == [3]
    assert len(kernels(copy)) == n  # what nobody needs any more is gone


def test_only_what_is_whole_and_of_this_compiler_is_reused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lib, out = own(tmp_path, "shape ball { distance = length(p) - 3 }"), tmp_path / "out"
    lib.save(out)
    monkeypatch.setenv("FDIF_CACHE_DIR", str(tmp_path / "empty cache"))
    ball, n = next((out / "cpu").glob("points_*.o")), len(kernels(out))
    ball.write_bytes(ball.read_bytes()[:-1])
    assert lib.save(out) == (1, n - 1)
    ball.unlink()
    assert lib.save(out) == (0, n)  # the ball is in the cache now
    fd.load_library(out)
    index = json.loads((out / "cpu" / "kernels.json").read_text())
    (out / "cpu" / "kernels.json").write_text(json.dumps({**index, "fingerprint": "another"}))
    assert lib.save(out) == (n - 1, 1)


def run(code: str, *arguments: object, **options: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-P", "-c", f"import sys, fdif_dsl as fd\n{code}", *map(str, arguments)]
    return subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


def test_a_kill_while_compiling_leaves_what_was_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv("FDIF_CACHE_DIR", str(cache))
    lib, out = own(tmp_path, "shape ball { distance = length(p) - 3 }"), tmp_path / "out"
    process = run("fd.load_library(sys.argv[1]).save(sys.argv[2])", tmp_path / "own.sdf", out)
    while not list(cache.rglob("[!.]*.o")):
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not out.exists()
    built = lib.save(out)
    assert built.reused >= 1 and fd.load_library(out).hash == lib.hash
    assert {p.name for p in tmp_path.iterdir()} == {"own.sdf", "out", "cache"}
    process.communicate()  # its workers have noticed by now


def test_a_kill_at_any_moment_leaves_a_whole_artefact_or_none(artefact: Path, tmp_path: Path) -> None:
    lib, out = own(tmp_path), tmp_path / "out"
    before = sorted(tmp_path.iterdir())
    moments = random.Random(0)
    code = ("lib = fd.load_library(sys.argv[1])\n"
            "lib.save(sys.argv[2])\n"
            "print('saved', flush=True)\n"
            "while True: lib.save(sys.argv[2])")
    found = []
    for _ in range(5):
        process = run(code, tmp_path / "own.sdf", out)
        assert process.stdout is not None and process.stdout.readline() == "saved\n"
        time.sleep(moments.uniform(0, 0.2))
        process.kill()
        process.communicate()
        found.append(fd.load_library(out).hash if out.exists() else lib.hash)
    assert found == [lib.hash] * 5
    lib.save(out)  # removes what the killed ones had begun
    assert sorted(tmp_path.iterdir()) == sorted([*before, out])


def test_two_processes_may_write_to_one_place(artefact: Path, tmp_path: Path) -> None:
    lib, out = own(tmp_path), tmp_path / "out"
    code = "lib = fd.load_library(sys.argv[1])\nfor _ in range(15): lib.save(sys.argv[2])"
    both = [run(code, tmp_path / "own.sdf", out) for _ in range(2)]
    assert [(p.communicate()[1], p.returncode) for p in both] == [("", 0)] * 2
    assert fd.load_library(out).hash == lib.hash
    assert {p.name for p in tmp_path.iterdir()} == {"own.sdf", "out"}


@pytest.mark.skipif(os.name != "posix", reason="needs limits of processes")
def test_a_file_that_cannot_be_written_is_one_clear_error(copy: Path, tmp_path: Path) -> None:
    def limit() -> None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))  # as on a full disk, but for one process

    before = {p: p.read_bytes() for p in copy.rglob("*") if p.is_file()}
    own(tmp_path)
    for out in (tmp_path / "new", copy):
        code = "from fdif_dsl.cli import main\nsys.argv[0] = 'fdifc'\nmain()"
        process = run(code, "compile", tmp_path / "own.sdf", "-o", out, preexec_fn=limit)
        said = process.communicate()[1]
        assert process.returncode == 1
        assert said.startswith("error[E0801]: ") and "file too large" in said and len(said.splitlines()) <= 2
    assert {p: p.read_bytes() for p in copy.rglob("*") if p.is_file()} == before
    assert {p.name for p in tmp_path.iterdir()} == {"own.sdf", "copy"}


def test_a_failure_at_the_last_step_keeps_the_old_one(copy: Path, tmp_path: Path,
                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    rename = Path.rename

    def fail(self: Path, target: Path) -> Path:
        if self.name.startswith(".fdif-") and not self.name.endswith(".old"):
            raise OSError(errno.EIO, "Input/output error")
        return rename(self, target)

    hash_before = fd.load_library(copy).hash
    lib = own(tmp_path, SOURCE.replace("2", "3"))
    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OSError, match="Input/output"):
        lib.save(copy)
    assert fd.load_library(copy).hash == hash_before
    assert {p.name for p in tmp_path.iterdir()} == {"own.sdf", "copy"}


def test_a_place_behind_a_link_is_filled(artefact: Path, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    lib = own(tmp_path)
    lib.save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and fd.load_library(tmp_path / "real").hash == lib.hash
