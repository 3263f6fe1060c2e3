"""Each step against a formula of its own, compiled and in torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import interpolate, ndimage, stats

from fdif_dsl.compiler.backends.cpu import CpuBackend
from fdif_dsl.compiler.backends.cpu.scanner import GAUSSIAN_NOISE, RICIAN_NOISE
from fdif_dsl.runtime.recipe import SCANNER_STEPS, Scanner
from fdif_dsl.runtime.scanner import compiled, tensors
from fdif_dsl.runtime.scanner.draws import BIAS, PAINT, STEPS, TEXTURE, Acquisition, draw
from fdif_dsl.runtime.scanner.profiles import Profile, blur, thick_slices
from fdif_dsl.runtime.scenes.philox import philox4x32, uniforms

HOST = CpuBackend()
GRID = (10, 23, 37)
SEED, INDEX = 2**40 + 3, 2**33 + 5
Form = Callable[..., np.ndarray]


def by_compiled(what: Acquisition, image: np.ndarray, numbers: np.ndarray | None = None) -> np.ndarray:
    numbers = np.zeros(image.shape, np.uint8) if numbers is None else numbers
    return compiled.scanned(HOST, what, image, numbers)


def by_tensors(what: Acquisition, image: np.ndarray, numbers: np.ndarray | None = None) -> np.ndarray:
    numbers = np.zeros(image.shape, np.uint8) if numbers is None else numbers
    return tensors.scanned(what, torch.from_numpy(image), torch.from_numpy(numbers.astype(np.int16))).numpy()


@pytest.fixture(params=[by_compiled, by_tensors], ids=["compiled", "torch"])
def form(request: pytest.FixtureRequest) -> Form:
    found: Form = request.param
    return found


def drawn(grid: tuple[int, int, int] = GRID, objects: int = 0, **settings: Any) -> Acquisition:
    what = draw(Scanner(**settings), grid, objects, SEED, INDEX, partial(compiled.uniforms, HOST, SEED, INDEX))
    assert what is not None
    return what


def numbers_of(object_number: int, count: int) -> np.ndarray:
    return uniforms(SEED, INDEX, object_number, 0, count)[0]


def flat(level: int, grid: tuple[int, int, int] = GRID) -> np.ndarray:
    return np.full(grid, level, np.uint8)


def speckled(grid: tuple[int, int, int] = GRID) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 129, grid).astype(np.uint8)


def rounded(x: np.ndarray) -> np.ndarray:
    return np.floor(np.clip(x, 0, 128) + 0.5).astype(np.uint8)


# Grey levels ------------------------------------------------------------------------------------


def test_paint_gives_each_object_its_grey_level(form: Form) -> None:
    numbers = np.random.default_rng(1).integers(0, 6, GRID).astype(np.uint8)
    image = speckled()
    what = drawn(objects=5, paint=1, paint_level=[10, 120], paint_opacity=1)
    found = form(what, image, numbers)
    levels = 10 + 110 * numbers_of(PAINT, 10)[::2]
    assert (found[numbers == 0] == image[numbers == 0]).all()
    for k, level in enumerate(levels, 1):
        assert set(found[numbers == k]) == {int(level + 0.5)}


def test_paint_hides_as_much_as_it_is_opaque(form: Form) -> None:
    numbers = np.random.default_rng(1).integers(0, 301, GRID).astype(np.uint16)  # too many for a byte
    image = speckled()
    found = form(drawn(objects=300, paint=1, paint_level=100, paint_opacity=[0.2, 0.9]), image, numbers)
    opacity = np.concatenate([[0], 0.2 + 0.7 * numbers_of(PAINT, 600)[1::2]])[numbers]
    assert abs(found - rounded(image * (1 - opacity) + 100 * opacity).astype(int)).max() <= 1
    assert (found == rounded(image * (1 - opacity) + 100 * opacity)).mean() > 0.999


def test_background_is_a_level_and_a_texture_where_no_object_is(form: Form) -> None:
    numbers = np.random.default_rng(1).integers(0, 2, GRID).astype(np.uint8) * 200  # which object does not matter
    image = (speckled() // 8).astype(np.uint8)
    found = form(drawn(background=1, background_level=50, background_texture=20, background_size=6.5), image, numbers)
    assert (found[numbers != 0] == image[numbers != 0]).all()
    t = [np.arange(side) / 6.5 for side in GRID]
    counts = [int((side - 1) // 6.5) + 2 for side in GRID]
    lattice = 20 * (2 * numbers_of(TEXTURE, math.prod(counts)).reshape(counts) - 1)
    # Linear interpolation, at places moved by the smooth step.
    warped = [np.floor(u) + 3 * (u % 1) ** 2 - 2 * (u % 1) ** 3 for u in t]
    field = interpolate.RegularGridInterpolator([np.arange(n) for n in counts], lattice)(
        np.stack(np.meshgrid(*warped, indexing="ij"), axis=-1))
    assert abs(field).max() <= 20 and field.std() > 4
    wanted = rounded(image + 50 + field)
    assert (found == wanted)[numbers == 0].mean() > 0.999


def test_inversion_exchanges_light_and_dark(form: Form) -> None:
    image = speckled()
    assert (form(drawn(invert=1), image) == 128 - image).all()


def test_gamma_is_a_power(form: Form) -> None:
    image = np.arange(129, dtype=np.uint8).reshape(3, 1, 43)
    for power in (0.1, 0.7, 1.0, 1.8, 10.0):
        found = form(drawn(image.shape, gamma=1, gamma_power=power), image)
        wanted = 128 * (image / 128.0) ** power
        assert abs(found - wanted).max() <= 0.5 + 1e-4 and found[0, 0, 0] == 0 and found[2, 0, 42] == 128


# Along an axis ----------------------------------------------------------------------------------


@pytest.mark.parametrize("sigma", [0.4, 1.0, 3.3])
def test_a_point_is_spread_as_a_gaussian(sigma: float) -> None:
    response = blur(61, sigma)[:, 30]
    x = np.arange(61) - 30
    ideal = np.exp(-(x**2) / (2 * sigma**2))
    ideal[abs(x) > math.ceil(3 * sigma)] = 0
    assert np.allclose(response, ideal / ideal.sum(), atol=1e-12)
    if sigma >= 1:  # a narrow one is not seen by whole voxels
        assert math.sqrt((response * x**2).sum()) == pytest.approx(sigma, rel=0.02)


@pytest.mark.parametrize("side", [1, 2, 5, 40])
@pytest.mark.parametrize("sigma", [0.3, 1.2, 6.0])
def test_blur_is_that_of_scipy(side: int, sigma: float) -> None:
    values = np.random.default_rng(3).random(side)
    wanted = ndimage.gaussian_filter1d(values, sigma, mode="nearest", radius=math.ceil(3 * sigma))
    assert np.allclose(blur(side, sigma) @ values, wanted, atol=1e-12)


def test_blur_of_a_volume(form: Form) -> None:
    what, image = drawn(blur=1, blur_sigma=[0.3, 2.5]), speckled()
    sigmas = 0.3 + 2.2 * numbers_of(STEPS, 16)[13:16]
    wanted = ndimage.gaussian_filter(image.astype(float), sigmas, mode="nearest",
                                     radius=[math.ceil(3 * s) for s in sigmas])
    assert abs(form(what, image) - wanted).max() <= 0.5 + 1e-3


@pytest.mark.parametrize("profile", ["box", "gaussian"])
@pytest.mark.parametrize(("side", "thickness"), [(24, 4), (23, 3), (5, 1), (3, 7), (1, 2)])
def test_an_edge_through_thick_slices(side: int, thickness: int, profile: str) -> None:
    """Slice m sees its profile around the middle of its voxels; voxels lie between the middles."""
    values = np.where(np.arange(side) < side // 3, 10.0, 90.0)
    middles = thickness * np.arange(-(-side // thickness)) + (thickness - 1) / 2
    if profile == "box":
        places = [np.arange(thickness) + thickness * m for m in range(len(middles))]
        weights = [np.ones(thickness)] * len(middles)
    else:
        sigma = thickness / 2.3548200450309493
        places = [np.arange(-80, 120)] * len(middles)
        weights = [np.exp(-0.5 * ((np.arange(-80, 120) - middle) / sigma) ** 2) for middle in middles]
    seen = [np.average(values[np.clip(at, 0, side - 1)], weights=its) for at, its in zip(places, weights, strict=True)]
    wanted = np.interp(np.arange(side), middles, seen)
    # A Gaussian is cut off where less than 0.3 % of it is left.
    assert np.allclose(thick_slices(side, thickness, profile) @ values, wanted, atol=1e-9 if profile == "box" else 0.3)


def test_thick_slices_of_a_volume(form: Form) -> None:
    what, image = drawn(slices=1, slices_thickness=[2, 6], slices_profile="box"), speckled()
    axis, thickness = int(3 * numbers_of(STEPS, 20)[17]), 2 + int(5 * numbers_of(STEPS, 20)[18])
    assert [profile is not None for profile in what.profiles] == [k == axis for k in range(3)]
    moved = np.moveaxis(image.astype(float), axis, 0)
    wanted = np.moveaxis(np.tensordot(thick_slices(GRID[axis], thickness, "box"), moved, 1), 0, axis)
    assert abs(form(what, image) - wanted).max() <= 0.5 + 1e-3


def test_slices_come_after_blur() -> None:
    for side, sigma in ((20, 1.3), (2, 3.0)):
        wanted = thick_slices(side, 3, "gaussian") @ blur(side, sigma)
        assert np.allclose(thick_slices(side, 3, "gaussian", sigma), wanted, atol=1e-12)


@given(st.integers(1, 40), st.floats(0, 16, exclude_min=True), st.integers(1, 64), st.sampled_from(["box", "gaussian"]))
@settings(max_examples=60, deadline=None)
def test_a_flat_image_stays_flat(side: int, sigma: float, thickness: int, profile: str) -> None:
    for matrix in (thick_slices(side, thickness, profile, sigma), blur(side, sigma)):
        assert np.allclose(matrix.sum(axis=1), 1) and matrix.min() >= 0
        assert np.array_equal(Profile.of(matrix).matrix(), matrix.astype(np.float32))


# Bias -------------------------------------------------------------------------------------------


def test_bias_is_a_smooth_gain(form: Form) -> None:
    grid = (24, 30, 36)
    found = form(drawn(grid, bias=1, bias_strength=0.6), flat(64, grid)).astype(float)
    logarithms = 0.6 * (2 * numbers_of(BIAS, 64).reshape(4, 4, 4) - 1)
    # A third of an axis lies between two points.
    t = [3 * np.arange(side) / side for side in grid]
    warped = [np.floor(u) + 3 * (u % 1) ** 2 - 2 * (u % 1) ** 3 for u in t]
    gain = interpolate.RegularGridInterpolator([np.arange(4)] * 3, np.exp(logarithms))(
        np.stack(np.meshgrid(*warped, indexing="ij"), axis=-1))
    assert abs(found - 64 * gain).max() <= 0.5 + 1e-3
    assert math.exp(-0.6) - 0.01 <= found.min() / 64 and found.max() / 64 <= math.exp(0.6) + 0.01
    for axis in range(3):  # the steepest that a smooth step gets is 1.5 of a straight line
        steepest = 1.5 * 3 / grid[axis] * (math.exp(0.6) - math.exp(-0.6)) * 64
        assert abs(np.diff(found, axis=axis)).max() <= steepest + 1


# Noise ------------------------------------------------------------------------------------------


def test_gaussian_noise_has_its_mean_and_variance(form: Form) -> None:
    grid = (40, 40, 40)
    noise = form(drawn(grid, gaussian=1, gaussian_sigma=8), flat(64, grid)) - 64.0
    assert noise.mean() == pytest.approx(0, abs=4 * 8 / 40**1.5)
    assert noise.var() == pytest.approx(64 + 1 / 12, rel=0.02)  # rounding adds a twelfth
    assert stats.kurtosis(noise.ravel()) == pytest.approx(0, abs=0.06)
    for axis in range(3):  # neighbours know nothing of each other
        a, b = np.delete(noise, 0, axis).ravel(), np.delete(noise, -1, axis).ravel()
        assert abs(np.corrcoef(a, b)[0, 1]) < 0.02


@pytest.mark.parametrize("level", [0, 20, 64])
def test_rician_noise_is_that_of_a_magnitude(form: Form, level: int) -> None:
    grid = (40, 40, 40)
    found = form(drawn(grid, rician=1, rician_sigma=10), flat(level, grid)).astype(float)
    wanted = stats.rice(level / 10, scale=10)
    assert found.mean() == pytest.approx(wanted.mean(), abs=0.2)
    assert found.var() == pytest.approx(wanted.var(), rel=0.03)


def test_noise_is_box_and_muller_of_the_words_of_philox() -> None:
    """Voxel by voxel, in float64: where its words stand, and what is made of them."""
    what = drawn(gaussian=1)
    shape = (3, 19, 41)  # 779 voxels a slice: three groups, and 11 voxels of a fourth
    of_torch = tensors.normals(what, GAUSSIAN_NOISE, shape, torch.device("cpu"))[0].numpy()
    real, imaginary = tensors.normals(what, RICIAN_NOISE, shape, torch.device("cpu"), 2).numpy()

    def normal(object_number: int, group: int, place: int) -> float:
        block = np.array([64 * group + place % 64], np.uint64)
        words = philox4x32((block, block * 0 + np.uint64(object_number), block * 0 + np.uint64(INDEX & 0xFFFFFFFF),
                            block * 0 + np.uint64(INDEX >> 32)), (SEED & 0xFFFFFFFF, SEED >> 32))
        pair = [((int(word[0]) >> 9) + 0.5) / 2**23 for word in (words[:2] if place < 128 else words[2:])]
        turn = math.sin if place % 128 >= 64 else math.cos
        return math.sqrt(-2 * math.log(pair[0])) * turn(2 * math.pi * pair[1])

    for z, voxel in ((0, 0), (0, 63), (0, 64), (1, 130), (1, 255), (2, 256), (2, 778)):
        group, place = 4 * z + voxel // 256, voxel % 256
        at = (z, voxel // 41, voxel % 41)
        assert of_torch[at] == pytest.approx(normal(GAUSSIAN_NOISE, group, place), abs=1e-5)
        assert real[at] == pytest.approx(normal(RICIAN_NOISE, 2 * group, place), abs=1e-5)
        assert imaginary[at] == pytest.approx(normal(RICIAN_NOISE, 2 * group + 1, place), abs=1e-5)


def test_normal_numbers_are_normal() -> None:
    drawn_numbers = tensors.normals(Acquisition(3, 4), GAUSSIAN_NOISE, (64, 64, 64), torch.device("cpu"))[0].numpy()
    assert stats.kstest(drawn_numbers.ravel(), "norm").pvalue > 0.01
    assert 4 < abs(drawn_numbers).max() < 5.8


# All of it --------------------------------------------------------------------------------------


def test_steps_come_in_their_order(form: Form) -> None:
    """Background, inversion, thick slices and gamma at once are the same one after the other."""
    numbers = np.random.default_rng(1).integers(0, 2, GRID).astype(np.uint8)
    image = speckled()
    chosen: dict[str, Any] = {"background": 1, "background_level": 30, "background_texture": 0, "invert": 1,
                              "slices": 1, "slices_thickness": 3, "slices_profile": "box", "gamma": 1,
                              "gamma_power": 1.5}
    x = np.clip(image + 30.0 * (numbers == 0), 0, 128)
    axis = int(3 * numbers_of(STEPS, 20)[17])
    x = np.moveaxis(np.tensordot(thick_slices(GRID[axis], 3, "box"), np.moveaxis(128 - x, axis, 0), 1), 0, axis)
    assert abs(form(drawn(**chosen), image, numbers) - 128 * (x / 128) ** 1.5).max() <= 0.5 + 1e-3


SETTINGS = st.fixed_dictionaries({step: st.sampled_from([0, 1]) for step in SCANNER_STEPS} | {
    "blur_sigma": st.sampled_from([0, [0.1, 4]]), "slices_thickness": st.sampled_from([1, [2, 9]]),
    "background_size": st.sampled_from([2, [3, 50]]), "background_texture": st.sampled_from([0, 30]),
    "gaussian_sigma": st.sampled_from([0, [0, 30]]), "gamma_power": st.sampled_from([1, [0.2, 4]])})


@given(SETTINGS, st.tuples(*[st.integers(1, 20)] * 3), st.integers(0, 300), st.integers(0, 2**63 - 1))
@settings(max_examples=80, deadline=None)
def test_compiled_and_in_torch_it_is_the_same(chosen: dict[str, Any], grid: tuple[int, int, int], objects: int,
                                              index: int) -> None:
    what = draw(Scanner(**chosen), grid, objects, SEED, index, partial(compiled.uniforms, HOST, SEED, index))
    if what is None:
        assert not any(chosen[step] for step in SCANNER_STEPS)
        return
    image = np.random.default_rng(index).integers(0, 129, grid).astype(np.uint8)
    numbers = np.random.default_rng(index).integers(0, objects + 1, grid).astype(np.uint16)
    a, b = by_compiled(what, image, numbers), by_tensors(what, image, numbers)
    assert abs(a - b.astype(int)).max() <= 1 and (a != b).sum() <= 1 + a.size // 1000
