"""What is drawn for a volume: by its chance, within its range, from (seed, index) alone."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fdif_dsl.compiler.backends.cpu import CpuBackend
from fdif_dsl.runtime.recipe import OBJECTS, SCANNER_STEPS, Recipe, Scanner
from fdif_dsl.runtime.scanner import compiled
from fdif_dsl.runtime.scanner.draws import OBJECT_NUMBERS, Acquisition, draw
from fdif_dsl.runtime.scenes.philox import VOLUME, uniforms

GRID = (6, 7, 8)
HOST = CpuBackend()


def drawn(scanner: Scanner, index: int, seed: int = 7, objects: int = 3) -> Acquisition | None:
    def numbers(object_number: int, count: int) -> np.ndarray:
        return uniforms(seed, index, object_number, 0, count)[0]

    return draw(scanner, GRID, objects, seed, index, numbers)


def happens(what: Acquisition | None) -> list[str]:
    """The steps that a volume shows."""
    if what is None:
        return []
    there = {"background": what.paint is not None and what.paint[1, 0] != 0, "paint": what.by_object,
             "invert": what.invert, "blur": what.profiles[0] is not None, "bias": what.bias is not None,
             "gaussian": what.gaussian != 0, "rician": what.rician != 0, "gamma": what.gamma != 1}
    return [step for step, it_is in there.items() if it_is]


@pytest.mark.parametrize("step", [step for step in SCANNER_STEPS if step != "slices"])
def test_a_step_happens_by_its_chance(step: str) -> None:
    found = [happens(drawn(Scanner(**{step: 0.3}), index)) for index in range(400)]
    assert {tuple(steps) for steps in found} == {(), (step,)}
    assert 85 <= sum(map(len, found)) <= 155  # 120 ± 9
    assert all(happens(drawn(Scanner(**{step: 1}), index)) == [step] for index in range(20))


def test_steps_do_not_hang_on_each_other() -> None:
    one, all_ = Scanner(gaussian=1), Scanner(**dict.fromkeys(SCANNER_STEPS, 1))
    for index in range(5):
        alone, among = drawn(one, index), drawn(all_, index)
        assert alone is not None and among is not None and alone.gaussian == among.gaussian
    pairs = [happens(drawn(Scanner(blur=0.5, bias=0.5), index)) for index in range(400)]
    assert 70 <= pairs.count(["blur", "bias"]) <= 130


def test_without_a_step_nothing_is_drawn() -> None:
    assert drawn(Scanner(), 0) is None and not Scanner().used
    assert drawn(Recipe.load("paper").scanner, 0) is None


def test_numbers_are_evenly_spread_over_their_range() -> None:
    scanner = Scanner(gaussian=1, gaussian_sigma=[2, 6], gamma=1, gamma_power=[0.5, 2], slices=1,
                      slices_thickness=[2, 4], paint=1, paint_level=[40, 50], paint_opacity=[0.5, 1])
    found = [drawn(scanner, index) for index in range(300)]
    assert all(what is not None for what in found)
    sigmas = np.array([what.gaussian for what in found if what])
    assert 2 <= sigmas.min() < 2.1 and 5.9 < sigmas.max() <= 6 and sigmas.mean() == pytest.approx(4, abs=0.25)
    gammas = [what.gamma for what in found if what]
    assert min(gammas) >= 0.5 and max(gammas) <= 2
    keep, add = np.array([what.paint for what in found if what and what.paint is not None])[:, :, 1:].swapaxes(0, 1)
    assert (keep >= 0).all() and (keep <= 0.5).all()
    assert (add >= 40 * (1 - keep) - 1e-4).all() and (add <= 50 * (1 - keep) + 1e-4).all()
    axes = [[profile is not None for profile in what.profiles].index(True) for what in found if what]
    assert min(np.bincount(axes)) > 70
    seen = {what.profiles[2].weights.tobytes() for what in found if what and what.profiles[2]}
    assert len(seen) == 6  # three thicknesses and two profiles


def test_compiled_draws_are_those_of_the_definition() -> None:
    for seed, index in ((0, 0), (2**64 - 1, 2**63 - 1), (7, 2**33 + 1)):
        for object_number in OBJECT_NUMBERS:
            for count in (0, 1, 6, 33):
                wanted = uniforms(seed, index, object_number, 0, count)[0]
                assert np.array_equal(compiled.uniforms(HOST, seed, index, object_number, count), wanted)
    with_compiled = draw(Scanner(bias=1), GRID, 3, 7, 1, partial(compiled.uniforms, HOST, 7, 1))
    wanted_bias, found_bias = drawn(Scanner(bias=1), 1), with_compiled
    assert wanted_bias and found_bias and wanted_bias.bias and found_bias.bias
    assert np.array_equal(wanted_bias.bias.values, found_bias.bias.values)


def test_no_object_has_the_numbers_of_the_scanner() -> None:
    assert len({*OBJECT_NUMBERS, VOLUME}) == 7
    assert min(OBJECT_NUMBERS) > OBJECTS and max(OBJECT_NUMBERS) < VOLUME


def test_the_order_of_keys_does_not_matter(tmp_path: Path) -> None:
    lines = ["blur = 1", "blur_sigma = [1, 2]", "gaussian = 0.5", 'slices_profile = "box"', "slices = 0.4"]
    recipes = []
    for k, some in enumerate((lines, lines[::-1])):
        (tmp_path / f"{k}.toml").write_text("\n".join(["[scanner]", *some]))
        recipes.append(Recipe.load(tmp_path / f"{k}.toml"))
    assert recipes[0] == recipes[1] and recipes[0].scanner.blur_sigma == (1.0, 2.0)
    for index in range(8):
        a, b = (drawn(recipe.scanner, index) for recipe in recipes)
        assert happens(a) == happens(b)


def test_a_number_is_a_range_of_itself() -> None:
    assert Scanner(blur_sigma=1.5).blur_sigma == (1.5, 1.5)  # type: ignore[arg-type]
    assert Scanner(slices_thickness=4).slices_thickness == (4, 4)  # type: ignore[arg-type]
    what: Any = drawn(Scanner(rician=1, rician_sigma=3), 0)  # type: ignore[arg-type]
    assert what.rician == 3
