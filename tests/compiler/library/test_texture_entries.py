"""Displacements and mappers of a library: their parameters, and their values at points on every back end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import fdif_dsl as fd

RIDGES = {"amplitude": 0.03, "frequency": 9.0, "phase": [0.1, 0.2, 0.3]}
TISSUE = {"rim": 2.0, "wavelength": 5.0}
POINTS = np.random.default_rng(3).uniform(-9, 9, (7, 3))
DISTANCES = np.array([-9.0, -6, -4.5, -3, -2.5, -1, 2])
AFFINE = np.array([[0, -2.0, 0, 1], [2.0, 0, 0, -2], [0, 0, 2.0, 3], [0, 0, 0, 1]])
GRID = (20, 24, 28)
BACKENDS = ("cpu", "interpret", "torch")


def ridges(points: np.ndarray) -> np.ndarray:
    limit = np.array([13, 11, 9])
    return np.asarray(0.03 * 13 * np.abs(np.sin(9 / limit * points + RIDGES["phase"])).sum(axis=1))


def tissue(d: np.ndarray, p: np.ndarray) -> np.ndarray:
    t = np.clip((-d - 2) / 2, 0, 1)
    wave = np.sin(2 * np.pi * p[:, 0] / 5) * np.sin(2 * np.pi * p[:, 1] / 5)
    return np.where(d > 0, 0, 60 + 30 * t * t * (3 - 2 * t) * wave)


def test_parameters_of_textures(textures: fd.Library) -> None:
    found = textures.displacements["ridges"].parameters
    assert [(q.name, q.type, q.prior) for q in found] == [
        ("amplitude", "float", "uniform(0.01, 0.05)"), ("frequency", "float", "uniform(5, 15)"),
        ("phase", "vec3", "vec3(uniform(0, tau), uniform(0, tau), uniform(0, tau))"), ("height", "float", None)]
    assert found["amplitude"].doc == "Height, as a fraction of the grid's half-width."
    assert textures.displacements["bent_2"].integers == {"n": 2}
    assert [q.name for q in textures.mappers["tissue"].parameters] == ["rim", "wavelength"]
    assert textures.mappers["lattice"].parameters == ()


@pytest.mark.parametrize("backend", BACKENDS)
def test_values_at_points(textures: fd.Library, backend: str) -> None:
    offset = textures.displacements["ridges"].offset(POINTS, GRID, backend, RIDGES)
    np.testing.assert_allclose(offset, ridges(POINTS), rtol=1e-5)
    shade = textures.mappers["tissue"].intensity
    np.testing.assert_allclose(shade(DISTANCES, backend, TISSUE, POINTS), tissue(DISTANCES, POINTS), rtol=1e-5)
    here = (POINTS - AFFINE[:3, 3]) @ np.linalg.inv(AFFINE[:3, :3]).T
    found = shade(DISTANCES.reshape(1, 7), backend, TISSUE, POINTS.tolist(), AFFINE.tolist())
    np.testing.assert_allclose(found, tissue(DISTANCES, here).reshape(1, 7), rtol=1e-5)
    lattice = textures.mappers["lattice"].intensity(DISTANCES, backend, points=POINTS, affine=AFFINE, grid=GRID)
    wanted = np.where(DISTANCES > 0, 0, 64 + 60 * np.sin(POINTS[:, 0]) * np.sin(POINTS[:, 2] + 20))
    np.testing.assert_allclose(lattice, wanted, rtol=1e-4, atol=1e-4)


def message(call: Any) -> str:
    with pytest.raises(fd.FdifError) as caught:
        call()
    return str(caught.value)


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_a_texture_lacks(textures: fd.Library, backend: str) -> None:
    shade = textures.mappers["tissue"].intensity
    assert message(lambda: shade(DISTANCES, backend, TISSUE)) == """\
error[E0623]: the mapper `tissue` reads the point, and no points are given
  --> points
  why: its formula uses `p` or `w`, and not the distance alone
  hint: give the point of each distance, points=[[x, y, z], ...]"""
    assert message(lambda: shade(-1.0, backend, TISSUE, POINTS)) == """\
error[E0624]: there are 7 points for 1 distances
  --> points
  why: each distance is that at one point
  hint: give as many of one as of the other"""
    assert message(lambda: shade(DISTANCES, backend, {"rim": 1}, POINTS)).startswith(
        "error[E0402]: parameter of `tissue` missing: `wavelength` (float)\n")
    assert message(lambda: textures.displacements["ridges"].offset(POINTS, GRID, backend)).startswith(
        "error[E0402]: parameters of `ridges` missing: `frequency` (float), `phase` (vec3), `amplitude` (float)\n")
    assert message(lambda: textures.mappers["glow"].intensity(1.0, backend, {"top": "a"})).startswith(
        "error[E0404]: text where a number is expected\n  --> params.top\n")
    assert message(lambda: textures.mappers["lattice"].intensity(-1.0, backend, points=[[0, 0, 0]])).startswith(
        "error[E0403]: `lattice` needs the sampling grid\n")


def test_a_mapper_that_sees_nothing_takes_points_all_the_same(textures: fd.Library) -> None:
    assert textures.mappers["glow"].intensity([-1.0], points=POINTS).tolist() == [118.0]


def slopes(value: Any, at: torch.Tensor) -> torch.Tensor:
    """Central differences of the sum of what `value` gives."""
    step, out = 1e-6, torch.empty(at.numel(), dtype=torch.float64)
    for k in range(at.numel()):
        nudge = torch.zeros(at.numel(), dtype=torch.float64)
        nudge[k] = step
        nudge = nudge.reshape(at.shape)
        out[k] = (value(at + nudge).sum() - value(at - nudge).sum()) / (2 * step)
    return out.reshape(at.shape)


@pytest.mark.parametrize("what", ["amplitude", "phase", "offset points", "rim", "intensity points", "affine", "d"])
def test_gradients_of_textures(textures: fd.Library, what: str) -> None:
    offset, shade = textures.displacements["ridges"].offset, textures.mappers["tissue"].intensity
    value, start = {
        "amplitude": (lambda x: offset(POINTS, GRID, "torch", {**RIDGES, "amplitude": x}), 0.03),
        "phase": (lambda x: offset(POINTS, GRID, "torch", {**RIDGES, "phase": x}), RIDGES["phase"]),
        "offset points": (lambda x: offset(x, GRID, "torch", RIDGES), POINTS),
        "rim": (lambda x: shade(DISTANCES, "torch", {**TISSUE, "rim": x}, POINTS), 2.0),
        "intensity points": (lambda x: shade(DISTANCES, "torch", TISSUE, x, AFFINE), POINTS),
        "affine": (lambda x: shade(DISTANCES, "torch", TISSUE, POINTS, x), AFFINE),
        "d": (lambda x: shade(x, "torch", TISSUE, POINTS), DISTANCES),
    }[what]
    at = torch.tensor(np.asarray(start), dtype=torch.float64, requires_grad=True)
    value(at).sum().backward()
    wanted = slopes(value, at.detach()) if what != "affine" else None
    assert at.grad is not None and at.grad.abs().max() > 0
    if wanted is None:  # its last row is fixed, so only the others can be nudged
        top = torch.tensor(AFFINE[:3], dtype=torch.float64)
        last = torch.tensor(AFFINE[3:], dtype=torch.float64)
        wanted, at_grad = slopes(lambda x: value(torch.cat([x, last])), top), at.grad[:3]
    else:
        at_grad = at.grad
    torch.testing.assert_close(at_grad, wanted, rtol=1e-4, atol=1e-5)


def test_an_artefact_holds_all_that_textures_need(textures: fd.Library, tmp_path: Path,
                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = fd.Recipe(grid=(8, 9, 10), objects=9, shapes=["ball", "shell"],
                       displacements=["ridges", "bent_2", "waves"], mappers=[*textures.mappers])
    wanted = fd.render(fd.sample_scene(textures, 3, 0, recipe), textures)
    textures.save(tmp_path / "built")
    monkeypatch.setattr("fdif_dsl.compiler.backends.store.store.build", None)  # nothing may be compiled
    loaded = fd.load_library(tmp_path / "built")
    scene = fd.sample_scene(loaded, 3, 0, recipe)
    assert scene == fd.sample_scene(textures, 3, 0, recipe)
    assert np.array_equal(fd.render(scene, loaded).image, wanted.image)
    assert loaded.mappers["tissue"].intensity(DISTANCES, "cpu", TISSUE, POINTS).shape == (7,)
    moved = fd.Scene.from_dict({**scene.to_dict(), "objects": [
        {**scene.to_dict()["objects"][0], "displacement": {"name": "waves", "params": {"height": 2.0}},
         "mapper": {"name": "glow", "params": {"top": 50.0}}}]})
    assert fd.render(moved, loaded).image.any()
