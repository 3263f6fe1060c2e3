"""The sampler draws what the method says: every parameter of every class against its stated prior.

The priors are written out here once more, from the published tables and by class name, so that a slip in
the library's sources cannot hide.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import fdif_dsl as fd
from fdif_dsl.compiler.ir.grid import Grid
from fdif_dsl.runtime.scenes.sampler_definition import sample_parameters

GRID = Grid((64, 80, 96))
G = 64.0  # the smallest side
COUNT = 3000
NAMES = list(fd.load_library().shapes)
CORNERS = {"triangle": 3, "square": 4, "pentagon": 5, "hexagon": 6, "heptagon": 7, "octagon": 8, "nonagon": 9}
POINTS = {"three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8}

Bounds = tuple[float, float]


def priors(name: str, v: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Each parameter, mapped such that it should be uniform on 0..1."""

    def unit(x: np.ndarray, lo: float | np.ndarray, hi: float | np.ndarray) -> np.ndarray:
        return np.asarray((x - lo) / (hi - lo))

    words = set(name.split("_"))
    ring, star = "torus" in words and name != "torus", "star" in words
    small = "convex" in words  # sections of convex solids start small and grow inwards
    lo, hi = (0.05 * G, 0.20 * G) if small else (0.15 * G, 0.40 * G)
    out = {}
    if "prism" in words or "cylinder" in words or name == "cone":
        out["height"] = unit(v["height"], 0.1 * G, 0.5 * G)
    if name == "octahedron":
        return {"size": unit(v["size"], lo, hi)}
    if ring or name == "torus":
        out["major"] = unit(v["major"], 0.15 * G, 0.40 * G)
        if not star:
            least, most = (0.3, 0.7) if name == "torus" else (0.4, 0.8)
            out["minor"] = unit(v["minor"] / v["major"], least, most)
        else:
            out["radius"] = unit(v["radius"] / v["major"], 0.4, 0.8)
    elif star or name in ("sphere", "cone") or "cylinder" in words:
        out["radius"] = unit(v["radius"], lo, hi)
    if star:
        out["w"] = unit(v["w"], 0.2 if "prism" in words else 0.1, 0.7)
    if "revolution" in words:
        out["offset"] = unit(v["offset"] / v["radius"], 0, 0.5)
    if name != "cone" and words & {"convex", "concave", "cone"}:
        least, most = (2, 4) if small else (0.2, 0.5) if "concave" in words else (0, 1.6)
        out["scale"] = unit(v["scale"], least, most)
        if "cone" not in words:
            out["neck"] = unit(v["neck"], -1.4, 1.4)
    if "onioned" in words:
        out["onion_ratio"] = unit(v["onion_ratio"], 0.2, 0.5)
    if not star and words & set(CORNERS):
        n = v["vertices"].shape[1]
        x, y = v["vertices"][..., 0], v["vertices"][..., 1]
        sector = np.mod(np.arctan2(y, x), 2 * np.pi) * n / (2 * np.pi)
        reach = np.hypot(x, y)
        if ring:
            a, b = np.full(COUNT, 0.03 * G), v["minor"]
        else:
            a, b = v["r1"], v["r2"]
            out["r1"], out["r2"] = unit(a, lo, hi), unit(b, lo, hi)
        for i in range(n):
            out[f"angle {i}"] = sector[:, i] - i
            out[f"reach {i}"] = unit(reach[:, i], np.minimum(a, b), np.maximum(a, b))
    return out


@pytest.mark.parametrize("name", NAMES)
def test_parameters_follow_their_priors(lib: fd.Library, name: str) -> None:
    formula = lib.shapes[name].formula
    draws = np.random.default_rng(len(name) + lib.shapes[name].id).random((formula.draws, COUNT))
    values = sample_parameters(formula, GRID, draws)
    uniform = priors(name, values)
    stated = {k for k in values if k not in ("vertices", "slope")}
    assert stated <= set(uniform), f"not checked: {stated - set(uniform)}"
    for key, x in uniform.items():
        assert x.min() >= -1e-9 and x.max() <= 1 + 1e-9, key
        assert stats.kstest(x, "uniform").pvalue > 1e-5, key
    independent = np.corrcoef(np.stack(list(uniform.values()))) if len(uniform) > 1 else np.eye(1)
    assert abs(independent - np.eye(len(uniform))).max() < 0.12


@pytest.mark.parametrize("name", NAMES)
def test_whole_numbers(lib: fd.Library, name: str) -> None:
    words = name.removeprefix("onioned_").split("_")
    n = POINTS[words[0]] if "star" in words else CORNERS.get(words[0])
    assert lib.shapes[name].integers == ({} if n is None else {"n": n})


def test_scenes_draw_from_the_same_priors(lib: fd.Library) -> None:
    """The path of a scene, one object at a time, is as uniform as the path of many at once."""
    recipe = fd.Recipe(grid=GRID.shape, objects=20, shapes=["five_star_prism"])
    objects = [o for i in range(50) for o in fd.sample_scene(lib, 3, i, recipe).objects]
    for key, (lo, hi) in {"radius": (0.15 * G, 0.40 * G), "height": (0.1 * G, 0.5 * G), "w": (0.2, 0.7)}.items():
        x = np.array([o.params[key] for o in objects])
        assert stats.kstest((x - lo) / (hi - lo), "uniform").pvalue > 1e-4, key
