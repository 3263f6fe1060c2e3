"""The authors' numbers: every class, displacement and mapper, and whole scenes, on every backend."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fdif_dsl as fd
from fdif_dsl.compiler.backends.cuda.backend import simulated

GOLDEN = Path(__file__).parent / "data" / "golden"
BACKENDS = ("interpret", "torch", "cpu", pytest.param("cuda", marks=pytest.mark.gpu))
TOLERANCE = {"interpret": 1e-3, "torch": 1e-3, "cpu": 2e-3, "cuda": 2e-3}  # times 1 + |distance|
CLASSES = json.loads((GOLDEN / "classes.json").read_text())
INSTANCES = json.loads((GOLDEN / "shapes_dev.json").read_text())


@cache
def arrays(name: str) -> dict[str, np.ndarray]:
    with np.load(GOLDEN / f"{name}.npz") as data:
        return dict(data)


def assert_near(found: Any, wanted: np.ndarray, tolerance: float) -> None:
    found = np.asarray(found)
    assert found.shape == wanted.shape
    error = np.abs(found - wanted) / (1 + np.abs(wanted))
    assert error.max() <= tolerance, f"largest error {error.max():.2e} at {error.argmax()}"


def test_the_classes_have_their_ids_and_names(lib: fd.Library) -> None:
    assert [(s.id, s.name) for s in lib.shapes.values()] == [(c["id"], c["name"]) for c in CLASSES]


def test_every_instance_is_there() -> None:
    assert sorted(e["class_id"] for e in INSTANCES) == list(range(1, 110))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("row", range(len(INSTANCES)), ids=[e["class"] for e in INSTANCES])
def test_distances(compiled: fd.Library, backend: str, row: int) -> None:
    entry = INSTANCES[row]
    shape = compiled.shapes[entry["class"]]
    wanted = arrays("shapes_dev")["sdf"][row]
    points = arrays("shapes_dev")["points"][row]
    found = np.asarray(shape.distance(points, params=entry["params"], affine=entry["affine"], backend=backend))
    assert_near(found, wanted, TOLERANCE[backend])
    assert np.array_equal(found <= 0, wanted <= 0), "a sign flipped"


ONIONS = [i for i, e in enumerate(INSTANCES) if "thickness" in e["params"]]


@pytest.mark.parametrize("row", ONIONS, ids=[INSTANCES[i]["class"] for i in ONIONS])
def test_the_onion_wall_follows_from_the_grid(compiled: fd.Library, row: int) -> None:
    entry = INSTANCES[row]
    params = {k: v for k, v in entry["params"].items() if k != "thickness"}
    data = arrays("shapes_dev")
    found = compiled.shapes[entry["class"]].distance(data["points"][row], params=params, affine=entry["affine"],
                                                     grid=entry["grid"])
    assert_near(found, data["sdf"][row], TOLERANCE["cpu"])


@pytest.mark.parametrize("backend", ["interpret", "torch"])
def test_the_onion_wall_on_the_other_backends(lib: fd.Library, backend: str) -> None:
    row = ONIONS[16]  # one class is enough: the scan is the same for all, and slow here
    entry = INSTANCES[row]
    params = {k: v for k, v in entry["params"].items() if k != "thickness"}
    data = arrays("shapes_dev")
    found = lib.shapes[entry["class"]].distance(data["points"][row], params=params, affine=entry["affine"],
                                                grid=entry["grid"], backend=backend)
    assert_near(found, data["sdf"][row], TOLERANCE[backend])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("suffix", ["0", "1"])
def test_displacements(compiled: fd.Library, backend: str, suffix: str) -> None:
    data = arrays("displacement_dev")
    assert list(compiled.displacements) == [str(n) for n in data["names"]]
    for name, wanted in zip(data["names"], data[f"values{suffix}"], strict=True):
        found = compiled.displacements[str(name)].offset(data[f"points{suffix}"], grid=data[f"grid{suffix}"].tolist(),
                                                         backend=backend)
        assert_near(found, wanted, 1e-3)


@pytest.mark.parametrize("backend", BACKENDS)
def test_mappers(compiled: fd.Library, backend: str) -> None:
    data = arrays("mappers_dev")
    assert sorted(compiled.mappers) == [str(n) for n in data["names"]]
    for name, wanted in zip(data["names"], data["values"], strict=True):
        assert_near(compiled.mappers[str(name)].intensity(data["sdf"], backend=backend), wanted, 1e-3)


# The large scene takes ten seconds on the array backends; the two small ones cover the same code there.
@pytest.mark.parametrize(("backend", "number"), [
    ("cpu", 0), ("cpu", 1), ("cpu", 2), ("interpret", 1), ("interpret", 2), ("torch", 1), ("torch", 2),
    *(pytest.param("cuda", number, marks=pytest.mark.gpu) for number in range(3))])
def test_scenes(compiled: fd.Library, backend: str, number: int) -> None:
    if backend == "cuda" and simulated():
        pytest.skip("scenes of this size take hours in the simulator")
    scene = fd.Scene.from_json(GOLDEN / f"scene_dev_{number}.json")
    volume = fd.render(scene, compiled, backend=backend)
    wanted = arrays(f"scene_dev_{number}")
    image, label = np.asarray(volume.image).astype(int), np.asarray(volume.label).astype(int)
    assert image.shape == tuple(scene.grid)
    assert (label == wanted["label"]).mean() >= 0.9997
    assert (abs(image - wanted["image"].astype(int)) <= 1).mean() >= 0.999
    assert abs(np.asarray(volume.counts) - wanted["voxel_count"]).max() <= 2


def test_voxel_counts(compiled: fd.Library) -> None:
    """Each instance alone fills as many voxels of its grid as the authors counted."""
    mapper = next(iter(compiled.mappers))
    for entry, wanted in zip(INSTANCES, arrays("shapes_dev")["voxel_count"], strict=True):
        scene = fd.Scene.from_dict({"grid": entry["grid"], "objects": [
            {"class": entry["class"], "params": entry["params"], "affine": entry["affine"], "displacement": None,
             "mapper": mapper}]})
        found = int(fd.render(scene, compiled).counts[0])
        assert abs(found - wanted) <= 2 + 1e-4 * wanted, entry["class"]
