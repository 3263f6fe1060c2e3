"""What the small functions, wide vectors, matrices, quaternions and constants give, on all back ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fdif_dsl as fd

BACKENDS = ("interpret", "cpu", "torch")
Make = Callable[..., fd.Library]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    def library(text: str, **others: str) -> fd.Library:
        folder = tmp_path_factory.mktemp("words")
        for name, other in others.items():
            (folder / f"{name}.sdf").write_text(other)
        (folder / "own.sdf").write_text(text)
        return fd.load_library(folder / "own.sdf")

    return library


def fractional(x: np.ndarray) -> np.ndarray:
    return x - np.floor(x)


SPECIAL = [0.0, -0.0, 1e-8, -1e-8, 1e-30, 1e6, -1e6, np.inf, -np.inf, np.nan]
ANYWHERE = np.concatenate([np.linspace(-40, 40, 1601), SPECIAL])
POSITIVE = np.geomspace(1e-30, 1e30, 601)
FUNCTIONS: dict[str, tuple[Callable[..., Any], np.ndarray]] = {
    "fract(d)": (fractional, ANYWHERE),
    "trunc(d)": (np.trunc, ANYWHERE),
    "cbrt(d)": (np.cbrt, ANYWHERE),
    "hypot(d, 3)": (lambda x: np.hypot(x, 3), ANYWHERE),
    "log2(d)": (np.log2, POSITIVE),
    "exp2(d)": (np.exp2, ANYWHERE[np.abs(ANYWHERE) < 1e6]),
    "sinh(d)": (np.sinh, ANYWHERE),
    "cosh(d)": (np.cosh, ANYWHERE),
    "tanh(d)": (np.tanh, ANYWHERE),
    "atan(d)": (np.arctan, ANYWHERE),
    "radians(d)": (np.radians, ANYWHERE),
    "degrees(d)": (np.degrees, ANYWHERE),
}


@pytest.fixture(scope="module")
def functions(make: Make) -> fd.Library:
    return make("\n".join(f"mapper f{i} {{ intensity = {text} }}" for i, text in enumerate(FUNCTIONS)))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("text", FUNCTIONS)
def test_functions_of_numbers(functions: fd.Library, text: str, backend: str) -> None:
    """In float64 to a few units in the last place, in float32 to 1e-6, relative to the value."""
    function, x = FUNCTIONS[text]
    single = backend == "cpu"
    x = x.astype(np.float32).astype(np.float64) if single else x
    found = np.asarray(functions.mappers[f"f{list(FUNCTIONS).index(text)}"].intensity(x, backend=backend), np.float64)
    with np.errstate(all="ignore"):
        wanted = function(x)
        wanted = wanted.astype(np.float32).astype(np.float64) if single else wanted
    np.testing.assert_allclose(found, wanted, rtol=1e-6 if single else 1e-13, atol=1e-37 if single else 0)
    zero = x == 0
    assert (np.signbit(found[zero]) == np.signbit(wanted[zero])).all() or text == "fract(d)"


def test_slopes(make: Make) -> None:
    import torch

    lib = make("mapper a { intensity = cbrt(d) }\nmapper b { intensity = tanh(d) }\nmapper c { intensity = sinh(d) }\n"
               "mapper e { intensity = where(d > 0, cbrt(d), d) }")
    x = torch.tensor([-8.0, 0.5, 0.0], dtype=torch.float64, requires_grad=True)
    wanted = {"a": [1 / 12, 0.5 ** (-2 / 3) / 3, 0], "b": (1 - np.tanh([-8, 0.5, 0]) ** 2).tolist(),
              "c": np.cosh([-8, 0.5, 0]).tolist(), "e": [1, 0.5 ** (-2 / 3) / 3, 1]}
    for name, slopes in wanted.items():
        (got,) = torch.autograd.grad(lib.mappers[name].intensity(x, backend="torch").sum(), x)
        np.testing.assert_allclose(got.numpy(), slopes, rtol=1e-9, atol=1e-12)


# -- vec4 ------------------------------------------------------------------------------------------------------------


def test_a_vec4_is_a_quantity_like_any_other(make: Make) -> None:
    lib = make("""use mappers
    shape s {
      q ~ vec4(uniform(0, 1), uniform(1, 2), uniform(2, 3), uniform(3, 4))
      r = q.wzyx * 2
      several[i < 2] = vec4(i)
      distance = length(vec4(p, 0) - r) - q.w + several[1].w
    }""")
    shape = lib.shapes["s"]
    assert [(q.name, q.type) for q in shape.parameters] == [("q", "vec4"), ("r", "vec4"), ("several", "vec4[2]")]
    given = {"q": [0.5, 1.5, 2.5, 3.5]}
    wanted = np.linalg.norm(np.array([1, 2, 3, 0]) - 2 * np.array([3.5, 2.5, 1.5, 0.5])) - 3.5 + 1
    for backend in BACKENDS:
        assert float(shape.distance([[1, 2, 3]], given, backend=backend)[0]) == pytest.approx(wanted, rel=1e-6)
        assert float(shape.distance([[1, 2, 3]], {**given, "r": [1, 2, 3, 0]}, backend=backend)[0]) == -2.5
    with pytest.raises(fd.FdifError, match=r"a list of 3 numbers where a list of 4 is expected"):
        shape.distance([[1, 2, 3]], {"q": [1, 2, 3]})
    scene = fd.sample_scene(lib, 1, 0, fd.Recipe(grid=(8, 8, 8), objects=1, displacements=[]))
    drawn = scene.to_dict()["objects"][0]["params"]["q"]
    assert [int(v) for v in drawn] == [0, 1, 2, 3]
    again = fd.Scene.from_dict(json.loads(json.dumps(scene.to_dict())))
    np.testing.assert_array_equal(fd.render(again, lib).image, fd.render(scene, lib).image)


# -- matrices --------------------------------------------------------------------------------------------------------

A, B = np.array([[1.0, 3, 5], [2, -4, 0.5], [7, 1, 2]]), np.array([[0.5, 1, -1], [3, 2, 8], [-2, 0, 1]])
V = np.array([1.5, -2, 4])


def written(m: np.ndarray) -> str:
    return f"mat{len(m)}({', '.join(map(str, m.T.ravel()))})"


PRODUCTS: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]] = {
    "a * v": lambda a, b, v: a @ v,
    "v * a": lambda a, b, v: v @ a,
    "a * b * v": lambda a, b, v: a @ b @ v,
    "transpose(a) * v": lambda a, b, v: a.T @ v,
    "(a + b - 3 * a / 2) * v": lambda a, b, v: (a + b - 1.5 * a) @ v,
    "(-a)[1]": lambda a, b, v: -a[:, 1],
    "MAT(2) * v": lambda a, b, v: 2 * v,
    "MAT(v, b[0], a[1])[1]": lambda a, b, v: b[:, 0],
}


@pytest.mark.parametrize("width", [2, 3])
def test_matrices(make: Make, width: int) -> None:
    a, b, v = A[:width, :width], B[:width, :width], V[:width]
    texts = [text.replace("MAT", f"mat{width}") for text in PRODUCTS]
    if width == 2:
        texts[-1] = "mat2(v, b[0])[1]"
    letters = "xyz"[:width]
    lib = make("\n".join(
        f"""shape s{i} {{
          a = {written(a)} * p.x
          b = {written(b)}
          v = vec{width}({', '.join(map(str, v))}) * p.y
          got = {text}
          distance = {' + '.join(f'{10 ** k} * got.{c}' for k, c in enumerate(letters))}
        }}""" for i, text in enumerate(texts)))
    points = np.array([[1.0, 1, 0], [-2, 3, 0]])
    for i, product in enumerate(PRODUCTS.values()):
        wanted = [product(a * x, b, v * y) @ 10.0 ** np.arange(width) for x, y, _ in points]
        for backend in BACKENDS if i < 3 else ("interpret",):
            found = lib.shapes[f"s{i}"].distance(points, {}, backend=backend)
            np.testing.assert_allclose(np.asarray(found), wanted, rtol=1e-5, err_msg=texts[i])


def test_a_matrix_is_no_quantity_and_goes_everywhere_else(make: Make) -> None:
    lib = make("""const flip = mat2(0, 1, 1, 0)
    fn turn(angle) = mat2(cos(angle), sin(angle), -sin(angle), cos(angle))
    fn twice(m: mat2) = m * m
    shape turned(m: mat2, by: mat2 = flip) { distance = (by * m * p.xy).x }
    shape s {
      angle ~ uniform(0, 1)
      m = turn(angle)
      fold[i < 3] { n = mat2(1) then n * m }
      first = n[0]
      distance = (flip * twice(n) * p.xy).x + 0 * first.x
    }
    shape t = turned(mat2(2))""")
    assert [q.name for q in lib.shapes["s"].parameters] == ["angle", "first"]
    c, s = np.cos(6 * 0.3), np.sin(6 * 0.3)
    for backend in BACKENDS:
        found = lib.shapes["s"].distance([[5, 7, 0]], {"angle": 0.3}, backend=backend)
        assert float(found[0]) == pytest.approx(s * 5 + c * 7, rel=1e-6)
        assert float(lib.shapes["t"].distance([[5, 7, 0]], {}, backend=backend)[0]) == 14


# -- quaternions ------------------------------------------------------------------------------------------------------


def test_quaternions_turn_as_rotate_does(make: Make) -> None:
    lib = make("""use std
    shape s {
      axis = vec3(1, 2, -2)
      other = vec3(0, 3, 1)
      turned = quat_rotate(p, quat(axis, 0.7)) - rotate(p, axis, 0.7)
      both = quat_rotate(p, quat_mul(quat(axis, 0.7), quat(other, 1.1))) - rotate(rotate(p, axis, 0.7), other, 1.1)
      square = quat_square(vec4(p, 2)) - quat_mul(vec4(p, 2), vec4(p, 2))
      distance = length(turned) + length(both) + length(square)
    }""")
    points = np.random.default_rng(1).uniform(-5, 5, (20, 3))
    np.testing.assert_allclose(lib.shapes["s"].distance(points, {}, backend="interpret"), 0, atol=1e-12)


# -- constants ---------------------------------------------------------------------------------------------------------


def test_constants_of_a_file_and_of_those_that_it_uses(make: Make) -> None:
    lib = make("""use sizes
    const table = [1, width, 3]
    shape s {
      fold[i < rounds] { x = p.x then x + table[i] }
      distance = where(on, x, 0) + axis.z + mean()
      width = 100
    }
    shape counted { r[i < rounds] = i distance = p.x + sum[i < rounds](r[i]) }
    """, sizes="""fn mean() = (width + rounds) / 2
    const on = rounds < 4 and not false
    const axis = vec3(0, 0, width)
    const width = 2.5 * rounds
    ## How many.
    const rounds = 3""")
    assert [(q.name, q.type) for q in lib.shapes["s"].parameters] == [("width", "float")]
    for backend in BACKENDS:
        found = lib.shapes["s"].distance([[1, 0, 0]], {}, backend=backend)
        assert float(found[0]) == 1 + (1 + 7.5 + 3) + 7.5 + (7.5 + 3) / 2
        assert float(lib.shapes["counted"].distance([[1, 0, 0]], {}, backend=backend)[0]) == 4
