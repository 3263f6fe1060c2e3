"""The library and the recipe of PrimGeoSeg: classes in their order, solids in the right slices, walls without caps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fdif_dsl.compiler.backends.cpu import CpuBackend
from fdif_dsl.compiler.ir.grid import Grid
from fdif_dsl.compiler.library import Library, load_library
from fdif_dsl.runtime.recipe import Recipe
from fdif_dsl.runtime.scenes.render import place, render
from fdif_dsl.runtime.scenes.sampler import sample_scene
from fdif_dsl.runtime.scenes.scene import Scene

KINDS = ("prism", "hourglass", "pyramid", "rhombus")
ELLIPSE: dict[str, Any] = {"half": [20, 15], "turn": 0.0}
SQUARE: dict[str, Any] = {"width": 50, "corners": [[20, 20], [-20, 20], [-20, -20], [20, -20]]}
TWO_WAY = {"turning": 12, "first": 0.9, "between": 0.4, "last": 0.8}
GIVEN = {f"{section}_{kind}": {"height": 24, **own, **(TWO_WAY if kind in ("hourglass", "rhombus") else {})}
         for section, own in (("ellipse", ELLIPSE), ("polygon4", SQUARE)) for kind in KINDS}
BACKENDS = ("torch", "cpu", pytest.param("cuda", marks=pytest.mark.gpu))


@pytest.fixture(scope="module")
def lib() -> Library:
    return load_library("primgeoseg")


def scene_of(name: str, side: int = 96, params: dict[str, Any] | None = None, move: int = 0) -> Scene:
    affine = np.eye(4)
    affine[2, 3] = move
    return Scene.from_dict({"grid": [side] * 3, "objects": [
        {"class": name, "params": params or GIVEN[name], "affine": affine, "displacement": None, "mapper": "wall"}]})


def test_ids_are_in_the_order_of_its_authors(lib: Library) -> None:
    """Each section with all four kinds, as `itertools.product` goes."""
    sections = ["ellipse", *(f"polygon{n}" for n in range(3, 10))]
    assert list(lib.shapes) == [f"{section}_{kind}" for section in sections for kind in KINDS]
    assert list(lib.mappers) == ["wall"] and not lib.displacements
    assert not set(lib.shapes) & set(load_library().shapes)


# A section at full size: a square 2 x 20 wide, and an ellipse; both reach 0.45 beyond their outline.
FULL = {"polygon4": 41 * 41, "ellipse": np.pi * 20.45 * 15.45}
# How large it is in each slice, from the parameters in GIVEN.
SIZES = {
    "prism": np.ones(24), "pyramid": 1 - np.arange(24) / 24,
    "hourglass": np.interp(np.arange(24), [0, 12, 24], [0.9, 0.4, 0.8]),
    "rhombus": np.interp(np.arange(24), [0, 12, 24], [0.9, 0.4, 0.8]),
}


@pytest.mark.parametrize("name", GIVEN)
def test_slices_have_the_sizes_of_its_authors(name: str, lib: Library) -> None:
    """To what cutting off fractions takes: less than 1.5 voxels of each half axis."""
    section, kind = name.split("_")
    filled = (np.asarray(render(scene_of(name, move=5), lib).label) > 0).sum(axis=(1, 2))
    inside = np.flatnonzero(filled)
    assert inside[0] == 48 - 12 + 5 and inside[-1] - inside[0] + 1 in ((23, 24) if kind == "pyramid" else (24,))
    found = np.sqrt(filled[41:65] / FULL[section])
    assert (found <= SIZES[kind] + 0.04).all() and (found >= SIZES[kind] - 0.1).all()
    assert (np.diff(filled[41:65].astype(int)) <= 0).all() == (kind in ("prism", "pyramid"))


@pytest.mark.parametrize("name", ["ellipse_prism", "polygon4_prism", "polygon4_hourglass"])
def test_the_image_has_the_outline_of_each_slice_and_no_caps(name: str, lib: Library) -> None:
    """A wall of nearly 3 voxels, dark within and above, of grey level 128."""
    volume = render(scene_of(name), lib)
    image, label = np.asarray(volume.image), np.asarray(volume.label)
    assert set(np.unique(image)) == {0, 128}
    assert not image[:36].any() and not image[60:].any() and image[36].any() and image[59].any()
    assert not image[36:60, 48, 48].any()
    beyond = (image > 0) & (label == 0)
    row = image[47, 48] > 0
    assert row.sum() == 6 and beyond[47, 48].sum() == 2


def test_a_wall_is_as_wide_on_a_small_grid(lib: Library) -> None:
    """Solids are half as large there, and a wall has its width in voxels."""
    large, small = (render(scene_of("polygon4_prism", side), lib) for side in (96, 48))
    assert large.counts[0] / small.counts[0] == pytest.approx(8, rel=0.1)
    assert [(np.asarray(v.image)[v.image.shape[0] // 2 - 1, v.image.shape[0] // 2] > 0).sum()
            for v in (large, small)] == [6, 6]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", GIVEN)
def test_back_ends_agree(name: str, backend: str, lib: Library) -> None:
    shape, rng = lib.shapes[name], np.random.default_rng(3)
    points = rng.uniform(-30, 30, (200, 3)).round(2)
    points[0] = 0, 0, 3  # the centre of an ellipse
    grid = (96, 96, 96)
    wanted = shape.distance(points, GIVEN[name], grid=grid, backend="interpret")
    found = np.asarray(shape.distance(points, GIVEN[name], grid=grid, backend=backend))
    assert np.isfinite(wanted).all() and (wanted < 0).any() and (wanted > 4).any()
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)
    wall = lib.mappers["wall"]
    np.testing.assert_array_equal(np.asarray(wall.intensity([-2.5, -1.9, 0, 1, 1.1], grid=grid, backend=backend)),
                                  [0, 128, 128, 128, 0])


def test_a_volume_is_as_the_recipe_says(lib: Library) -> None:
    """Upright objects with their room inside the grid, the largest first, each with 30 % of its own at least."""
    recipe = Recipe.load("primgeoseg", ["volume.grid=[48, 48, 48]"])
    for index in range(4):
        scene = sample_scene(lib, 5, index, recipe)
        assert 15 <= len(scene.objects) <= 20
        masks = []
        for o in scene.objects:
            affine = np.array(o.affine)
            np.testing.assert_array_equal(affine[:3, :3], np.eye(3))
            whole = Scene(scene.grid, (o,))
            masks.append(np.asarray(render(whole, lib).label) > 0)
            wide = o.params["width"] if "n" in o.params else 2 * max(o.params["half"]) + (
                10 if o.shape.endswith(("hourglass", "rhombus")) else 0)
            assert (abs(affine[:2, 3]) + wide / 4 <= 24).all() and abs(affine[2, 3]) + o.params["height"] / 4 <= 24
        taken = np.zeros(scene.grid, bool)
        for mask in sorted(masks, key=lambda m: -int(m.sum())):
            assert (mask & taken).sum() <= 0.7 * mask.sum()
            taken |= mask
        np.testing.assert_array_equal(np.asarray(render(scene, lib).label) > 0, taken)


def test_volumes_are_the_same_without_culling_and_by_definition(lib: Library) -> None:
    recipe, plain = Recipe.load("primgeoseg", ["volume.grid=[32, 32, 32]"]), CpuBackend(lib.formulas, culling=False)
    for index in range(8):
        scene = sample_scene(lib, 6, index, recipe)
        found, without = render(scene, lib), plain.render(place(scene, lib), Grid(scene.grid))
        np.testing.assert_array_equal(found.image, without.image)
        np.testing.assert_array_equal(found.label, without.label)
        if index < 2:
            slow = render(scene, lib, backend="interpret")
            assert (found.label != slow.label).mean() < 1e-3 and (found.image != slow.image).mean() < 2e-3
