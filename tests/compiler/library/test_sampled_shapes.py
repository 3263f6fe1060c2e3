"""Sampled shapes of a library: alike on all back ends, and in a compiled library without the files they come from."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

import fdif_dsl as fd
from fdif_dsl.compiler.backends.cpu import CpuBackend
from fdif_dsl.compiler.ir import fields
from fdif_dsl.compiler.ir.graph import Graph
from fdif_dsl.compiler.library.artefact import MANIFEST
from fdif_dsl.compiler.passes.intervals import bounds
from fdif_dsl.compiler.passes.schedule import run_voxels
from fdif_dsl.runtime.recipe import resolve

SOURCE = """use mappers
## One of two boxes.
shape box = field("kits23/*.nii.gz", cells = 24)
## A box that a ball grows out of.
shape grown {
  side ~ uniform(0.5, 0.8) * grid.min
  part = field("kits23/a.nii.gz", label = 2, size = side, cells = 24, bits = 32, dataset = "Boxes")
  distance = min(part(p), length(p - vec3(side / 2, 0, 0)) - side / 4)
}
shape ball {
  radius ~ uniform(3, 5)
  distance = length(p) - radius
}
"""
GIVEN: dict[str, dict[str, Any]] = {"box": {"size": 20.0, "sample": 1.0}, "grown": {"side": 22.0}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("sampled")
    (made / "kits23").mkdir()
    for name, sides in (("a", (12, 8, 8)), ("b", (12, 10, 6))):
        mask = np.zeros((16, 14, 12), np.uint8)
        mask[2 : 2 + sides[0], 2 : 2 + sides[1], 2 : 2 + sides[2]] = 2
        nib.save(nib.Nifti1Image(mask, np.eye(4)), made / "kits23" / f"{name}.nii.gz")
    (made / "kits23" / "LICENSE").write_text("CC-BY 4.0\n\nand so on")
    (made / "own.sdf").write_text(SOURCE)
    return made


@pytest.fixture(scope="module")
def library(folder: Path) -> fd.Library:
    return fd.load_library(folder / "own.sdf")


@pytest.mark.parametrize("name", GIVEN)
def test_distances_are_alike_on_all_back_ends(library: fd.Library, name: str, rng: np.random.Generator) -> None:
    points = rng.uniform(-30, 30, (500, 3))
    wanted = np.asarray(library.shapes[name].distance(points, GIVEN[name], backend="interpret"))
    for backend, error in (("torch", 1e-9), ("cpu", 1e-4)):
        found = np.asarray(library.shapes[name].distance(points, GIVEN[name], backend=backend))
        assert np.abs(found - wanted).max() < error
    if name == "box":  # and inside of the grid they are those of a box, but for its edges
        beyond = np.abs(points) - np.array([12, 10, 6]) / 12 * 20 / 2
        true = np.linalg.norm(np.maximum(beyond, 0), axis=1) + np.minimum(beyond.max(axis=1), 0)
        assert np.percentile(np.abs(wanted - true)[true < 1], 90) < 1


def test_scenes_are_alike_on_all_back_ends_with_and_without_culling(library: fd.Library) -> None:
    scenes = [fd.sample_scene(library, 3, index, fd.Recipe(grid=(20, 24, 28), objects=4, displacements=[]))
              for index in range(2)]
    for scene in scenes:
        wanted = fd.render(scene, library, backend="interpret")
        found = fd.render(scene, library, backend="cpu")
        for its in (found, fd.render(scene, library, backend="torch")):
            assert (np.abs(np.asarray(its.image).astype(int) - wanted.image) > 1).mean() < 1e-3
            assert (np.asarray(its.label) != wanted.label).mean() < 1e-3 and wanted.counts.all()
        kept, library._backends["cpu"] = library.backend("cpu"), CpuBackend(library.formulas, culling=False)
        whole = fd.render(scene, library, backend="cpu")
        library._backends["cpu"] = kept
        assert np.array_equal(whole.image, found.image) and np.array_equal(whole.label, found.label)


def test_gradients_flow_to_points_and_size(library: fd.Library, rng: np.random.Generator) -> None:
    import torch

    points = torch.tensor(rng.uniform(-15, 15, (40, 3)), requires_grad=True)
    size = torch.tensor(20.0, dtype=torch.float64, requires_grad=True)

    def total(points: Any, size: Any) -> Any:
        return library.shapes["box"].distance(points, {"size": size, "sample": 0.0}, backend="torch").sum()

    total(points, size).backward()
    step = 1e-6
    assert size.grad is not None and points.grad is not None
    with torch.no_grad():
        wanted = (total(points, size + step) - total(points, size - step)) / (2 * step)
        assert float(size.grad) == pytest.approx(float(wanted), abs=1e-3)
        for axis in range(3):
            by = step * torch.eye(3, dtype=torch.float64)[axis]
            wanted = (total(points + by, size) - total(points - by, size)) / (2 * step)
            assert float(points.grad[:, axis].sum()) == pytest.approx(float(wanted), abs=1e-3)


def test_bounds_hold_in_boxes(library: fd.Library, rng: np.random.Generator) -> None:
    formula = library.shapes["box"].formula
    ends = bounds(Graph.of([formula.result]), formula.result)
    slots = {n: np.float32({0: 20.0, 1: 1.0}[n.const]) for n in _leaves(ends) if n.op == "slot"}
    low = rng.uniform(-30, 30, (400, 3)).astype(np.float32)
    high = low + rng.uniform(0, 8, (400, 1)).astype(np.float32)
    inputs = {f"p.{a}.{e}": side[:, i] for i, a in enumerate("xyz") for e, side in (("lo", low), ("hi", high))}
    lo, hi = (np.asarray(run_voxels(end, slots, inputs, convert=np.float32)) for end in ends)
    for share in rng.random((6, 400, 3)):
        at = low + (high - low) * share
        found = np.asarray(library.shapes["box"].distance(at, {"size": 20.0, "sample": 1.0}, backend="interpret"))
        assert (lo <= found + 1e-4).all() and (found <= hi + 1e-4).all()
    assert (hi - lo).mean() < 2.5 * np.linalg.norm(high - low, axis=1).mean()  # and they say something


def _leaves(roots: Any) -> list[Any]:
    from fdif_dsl.compiler.ir.graph import reachable

    return [node for node in reachable(roots) if not node.args]


@pytest.fixture
def elsewhere(library: fd.Library, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The compiled library, in a process that knows of no field."""
    mappers = [f for f in library.formulas if f.kind == "mapper"][:1]
    small = type(library)([f for f in library.formulas if f.kind == "shape"] + mappers, {})
    small.save(tmp_path / "built")
    monkeypatch.setattr(fields, "_known", {})
    return tmp_path / "built"


def test_a_compiled_library_needs_no_files(library: fd.Library, elsewhere: Path) -> None:
    points = [[3.0, 4.0, 5.0]]
    again = fd.load_library(elsewhere)
    found = again.shapes["box"].distance(points, GIVEN["box"])
    origins = again.origins()
    assert np.isfinite(found).all() and [o["file"] for o in origins] == ["kits23/a.nii.gz", "kits23/b.nii.gz"]
    assert {(o["licence"], o["dataset"]) for o in again.origins([again.shapes["grown"].formula])} == {
        ("CC-BY 4.0", "Boxes")}


@pytest.mark.parametrize("harm", ["numbers", "cut", "gone", "checksum too"])
def test_a_damaged_grid_is_refused(elsewhere: Path, harm: str) -> None:
    grid = next((elsewhere / "fields").iterdir())
    data = bytearray(grid.read_bytes())
    if harm in ("numbers", "checksum too"):
        data[-5] ^= 1
    grid.write_bytes(data[:-2] if harm == "cut" else data)
    if harm == "gone":
        grid.unlink()
    if harm == "checksum too":
        import hashlib

        manifest = json.loads((elsewhere / MANIFEST).read_text())
        manifest["fields"][grid.stem] = hashlib.sha256(data).hexdigest()
        (elsewhere / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(fd.FdifError, match="E0701"):
        fd.load_library(elsewhere)


def test_it_travels_to_another_process(library: fd.Library, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = pickle.dumps(library)
    wanted = library.shapes["box"].distance([[1.0, 2.0, 3.0]], GIVEN["box"], backend="interpret")
    monkeypatch.setattr(fields, "_known", {})
    again = pickle.loads(packed)
    assert np.array_equal(again.shapes["box"].distance([[1.0, 2.0, 3.0]], GIVEN["box"], backend="interpret"), wanted)
    assert len(packed) < 1_000_000  # the grids stay in their files


def test_a_data_set_can_be_kept_out(library: fd.Library) -> None:
    def shapes(**keys: Any) -> list[str]:
        return [f.name for f in resolve(fd.Recipe(**keys), library).shapes]

    assert shapes() == ["box", "grown", "ball"]
    assert shapes(keep_out=["KiTS"]) == ["ball"]
    assert shapes(keep_out=["boxes"]) == ["box", "ball"]
    assert shapes(keep_out=["its"]) == ["box", "grown", "ball"]
    with pytest.raises(fd.FdifError, match="`box` is of a data set that is kept out"):
        shapes(keep_out=["KiTS"], shapes=["ball", "box"])


def test_a_sample_is_drawn_for_each_object(library: fd.Library) -> None:
    scene = fd.sample_scene(library, 1, 0, fd.Recipe(grid=(20, 20, 20), objects=30, shapes=["box"], displacements=[]))
    assert {o["params"]["sample"] for o in scene.to_dict()["objects"]} == {0.0, 1.0}
