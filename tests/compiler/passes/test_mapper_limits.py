"""Where mappers add nothing and where they are constant: the library's figures, and mappers made to deceive."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import fdif_dsl as fd
from fdif_dsl.compiler.ir.formula import Formula
from fdif_dsl.compiler.ir.graph import Graph
from fdif_dsl.compiler.passes.mapper_limits import DEEPEST, NEVER, MapperLimits, empty_from, limits
from fdif_dsl.compiler.passes.rates import split

INF = math.inf
LEAST = 2.0**-149  # the least float32 above 0

# Name: from where on it adds nothing, to where it is constant, and what it is there.
FIGURES = {
    "inverse_cube": (INF, -INF, 0.0),
    "exponential_base_1.5": (LEAST, -105 / math.log(1.5), 0.0),  # there e^x is 0 in float32
    "exponential_base_2.0": (LEAST, -105 / math.log(2), 0.0),
    "linear_slope_10.0": (LEAST, -12.8, 0.0),
    "linear_slope_20.0": (LEAST, -6.4, 0.0),
    "floor_width_0.5": (LEAST, -6.5, 0.0),
    "floor_width_1.0": (LEAST, -13.0, 0.0),
    "modular_5": (LEAST, -INF, 0.0),
    "modular_10": (LEAST, -INF, 0.0),
    "sinusoidal_wavelength_1.0": (LEAST, -INF, 0.0),
    "sinusoidal_wavelength_3.0": (LEAST, -INF, 0.0),
}


def assert_holds(mapper: fd.Mapper, found: MapperLimits) -> None:
    """The float32 kernel does what the limits say, just within them and far beyond."""
    if found.empty_from < INF:
        start = np.float32(found.empty_from)
        d = np.concatenate([[start, np.nextafter(start, np.float32(INF)), INF, 3e38],
                            start + np.geomspace(1e-6, 1e6, 2000)]).astype(np.float32)
        assert not np.nan_to_num(mapper.intensity(d[d >= start])).any()
    if found.constant_to > -INF:
        end = np.float32(found.constant_to)
        d = np.concatenate([[end, np.nextafter(end, np.float32(-INF)), -INF, -3e38],
                            end - np.geomspace(1e-6, 1e6, 2000)]).astype(np.float32)
        assert (mapper.intensity(d[d <= end]) == np.float32(found.constant)).all()


def test_every_mapper_has_its_figures(lib: fd.Library) -> None:
    assert set(FIGURES) == set(lib.mappers)


@pytest.mark.parametrize("name", FIGURES)
def test_mappers_of_the_library(lib: fd.Library, name: str) -> None:
    found = limits(lib.mappers[name].formula, {})
    empty_from, constant_to, constant = FIGURES[name]
    assert found.empty_from == empty_from and found.constant == constant
    assert found.constant_to == pytest.approx(constant_to, rel=1e-6)
    assert_holds(lib.mappers[name], found)


def mapper(tmp_path: Path, intensity: str) -> fd.Mapper:
    (tmp_path / "m.sdf").write_text(f"mapper m {{ intensity = {intensity} }}\n")
    return fd.load_library(tmp_path / "m.sdf").mappers["m"]


@pytest.mark.parametrize(("intensity", "empty_from", "constant_to", "constant"), [
    ("0", -INF, 0, 0), ("7", INF, 0, 7), ("d", INF, -INF, 0), ("max(10 - d, 0)", 10, -INF, 0),
    ("min(max(-d, 0), 50)", 0, -50, 50), ("where(d < -3, 100, 0)", -3, -3 - 2**-22, 100),
    ("128 * where(d < 0, 1, 0)", 0, -LEAST, 128), ("where(d <= 0, 40, 0)", LEAST, 0, 40),
    # Nothing outside but at one place, or beyond one.
    ("where(d == 5, 1, 0)", 5 + 2**-21, 0, 0),
    ("where(d > 1000, 1, 0)", INF, 0, 0), ("where(d > 1e30, 1, 0)", INF, 0, 0),
    # Constant to the greatest depth asked for, and another value below.
    ("where(d < -5000, 1, where(d < 0, 2, 3))", INF, -INF, 0), ("where(d < -2040, 1, 0)", -2040, -2040 - 2**-13, 1),
    # No distance is NaN, but intensities are; infinities.
    ("where(d > 0, 0, sqrt(d))", LEAST, -INF, 0), ("where(d > 0, d - d, 1)", INF, 0, 1), ("1 / d", INF, -INF, 0),
    ("0 * d", INF, -INF, 0), ("exp(-d)", 105 + 2**-17, -INF, 0), ("where(d > 0, 0 * log(-d), 0)", INF, 0, 0),
    ("floor(0.25 * clamp(d, -20, 20))", INF, -16 - 2**-19, -5), ("sign(d)", INF, -LEAST, -1),
])
def test_limits(tmp_path: Path, intensity: str, empty_from: float, constant_to: float, constant: float) -> None:
    made = mapper(tmp_path, intensity)
    found = limits(made.formula, {})
    assert_holds(made, found)
    assert found == MapperLimits(empty_from, constant_to, constant)


def test_the_values_of_a_mapper_are_taken_into_account() -> None:
    """What is computed before any distance is known is given by node."""
    g = Graph()
    most = g.node("slot", const=0)
    result = g.node("min", g.node("max", g.node("neg", g.node("input", const="d")), g.number(0)), most)
    formula = Formula("m", "mapper", "", "test", (), {}, 0, result)
    assert split(result).values == (most,)
    assert limits(formula, {most: 12.0}) == MapperLimits(0.0, -12.0, 12.0)
    assert limits(formula, {most: 50.0}).constant_to == -50
    assert limits(formula, {most: math.nan}) == NEVER


def test_a_limit_lies_in_its_range(lib: fd.Library) -> None:
    for each in lib.mappers.values():
        found = limits(each.formula, {})
        assert found.constant_to == -INF or DEEPEST <= found.constant_to <= 0


@pytest.mark.parametrize(("intensity", "wanted"), [
    ("where(d > 0, 0, a * sin(p.x) * w.y)", LEAST), ("where(d >= 2.5, 0, a)", 2.5),
    ("clamp(128 + a * d, 0, 128)", INF), ("where(p.x > 0, 0, d)", INF), ("max(0, 1 - d) * min(1, abs(a))", 1.0),
    ("where(a > 2 and d > 1, 0, where(d > 4, 0, 9))", np.nextafter(np.float32(4), np.float32(5))),
])
def test_where_a_mapper_is_black_for_every_object(tmp_path: Path, intensity: str, wanted: float) -> None:
    (tmp_path / "m.sdf").write_text(f"mapper m {{ a ~ uniform(1, 3)  intensity = {intensity} }}")
    assert empty_from(fd.load_library(tmp_path / "m.sdf").mappers["m"].formula) == pytest.approx(wanted, rel=1e-7)
