"""Folds: what their rounds give, and which of their names are quantities of the object."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fdif_dsl as fd

Make = Callable[[str], fd.Library]
BACKENDS = ("interpret", "cpu", "torch")
POINTS = np.array([[3.0, -2.0, 1.0], [0.5, 0.25, -4.0], [0.0, 0.0, 0.0]])


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def library(text: str) -> fd.Library:
        (tmp_path / "own.sdf").write_text(text)
        return fd.load_library(tmp_path / "own.sdf")

    return library


def value(make: Make, body: str, head: str = "") -> np.ndarray:
    """The distance at the points, which all back ends agree on."""
    shape = make(f"{head}\nshape s {{\n{body}\n}}").shapes["s"]
    found = [np.asarray(shape.distance(POINTS, {}, backend=name)) for name in BACKENDS]
    np.testing.assert_allclose(found[1], found[0], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found[2], found[0], rtol=1e-12)
    return found[0]


def test_all_carried_names_change_at_once(make: Make) -> None:
    fibonacci = "fold[i < 10] { a = 0 then b  b = 1 then a + b }\n distance = a"
    assert value(make, fibonacci).tolist() == [55] * 3


def test_an_abbreviation_sees_what_the_last_round_left_whatever_the_order_of_the_lines(make: Make) -> None:
    x, y = POINTS[:, 0], POINTS[:, 1]
    for i in range(3):
        s = x + y + i
        x, y = y * 2, s
    text = "s = x + y + i\n x = p.x then y * 2\n y = p.y then s"
    for lines in (text, "x = p.x then y * 2\n s = x + y + i\n y = p.y then s"):
        assert value(make, f"fold[i < 3] {{ {lines} }}\n distance = x - 3 * y").tolist() == (x - 3 * y).tolist()


def test_no_round_gives_the_start(make: Make) -> None:
    got = value(make, "fold[i < 0] { x = p.x + 1 then 1 / x }\n fold[i < 0] { n = 3 then n * 2 }\n distance = x * n")
    assert got.tolist() == (3 * (POINTS[:, 0] + 1)).tolist()


def test_many_types_side_by_side(make: Make) -> None:
    x, v, w, four, a, vs, ok, n = (POINTS[:, 0], POINTS[:, :2], POINTS, POINTS[:, [0, 1, 2, 0]], [1.0, 2.0, 3.0],
                                   [POINTS[:, :2], 2 * POINTS[:, :2]], POINTS[:, 0] > 1, 1)
    for i in range(3):
        ok_now = ok
        x, v, w, four, a, vs, ok, n = (
            x + n, v[:, ::-1] + x[:, None], np.cross(w, [1, 2, 3]), four[:, [3, 0, 1, 2]] * 2, [a[1], a[2], a[0] + i],
            [vs[1], vs[0] + v], ~ok, 2 * n)
    wanted = x + v[:, 0] + w[:, 1] + four[:, 3] + a[2] + vs[0][:, 1] + np.where(ok, 100, 0) + n
    assert ok_now is not ok
    got = value(make, """fold[i < 3] {
      x = p.x then x + n
      v = p.xy then v.yx + x
      w = p then cross(w, vec3(1, 2, 3))
      four = vec4(p, p.x) then four.wxyz * 2
      a = [1, 2, 3] then [a[1], a[2], a[0] + i]
      vs[k < 2] = (k + 1) * p.xy then where(k == 0, vs[1], vs[0] + v)
      ok = p.x > 1 then not ok
      n = 1 then 2 * n
    }
    distance = x + v.x + w.y + four.w + a[2] + vs[0].y + where(ok, 100, 0) + n""")
    np.testing.assert_allclose(got, wanted, rtol=1e-12)


def test_folds_in_folds(make: Make) -> None:
    x, total = POINTS[:, 0], np.zeros(3)
    for i in range(3):
        y = x.copy()
        for j in range(i + 1):
            y = y * 2 + j + i
        x, total = y - 1, total + y
    got = value(make, """fold[i < 3] {
      fold[j < i + 1] { y = x then y * 2 + j + i }
      x = p.x then y - 1
      total = 0.0 then total + y
    }
    distance = x + total""")
    assert got.tolist() == (x + total).tolist()


def test_a_name_of_a_round_may_serve_in_another_fold(make: Make) -> None:
    got = value(make, """fold[i < 2] { r = x + 1  x = p.x then r * r }
    fold[i < 2] { r = y - 1  y = x then r }
    r = y + 100
    distance = r""", head="fn i() = 1\nfn r(x) = x")
    x = ((POINTS[:, 0] + 1) ** 2 + 1) ** 2
    np.testing.assert_allclose(got, x - 2 + 100)


def test_the_result_may_be_carried(make: Make) -> None:
    got = value(make, "fold[i < 3] { distance = 1e9 then min(distance, length(p - 2 * i)) }")
    np.testing.assert_allclose(got, [min(np.linalg.norm(q - 2 * i) for i in range(3)) for q in POINTS])


def test_every_kind_of_body(make: Make) -> None:
    lib = make("""
    fn doubled(x, n: int) { fold[i < n] { value = x then 2 * value } }
    profile rosette(n: int) { fold[i < n] { u = q then abs(u) - 1 } distance = length(u) - 1 }
    shape s { part = rosette(2) distance = max(part(p.xy), doubled(p.z, 3)) }
    displacement waves { fold[i < 3] { s = 0.0 then s + sin(p.x * doubled(1.0, i)) / doubled(1.0, i) } offset = s }
    mapper steps { fold[i < 3] { x = d then x * x - 1 } intensity = x }
    """)
    u = np.abs(np.abs(POINTS[:, :2]) - 1) - 1
    for name in BACKENDS:
        np.testing.assert_allclose(lib.shapes["s"].distance(POINTS, {}, backend=name), np.maximum(
            np.linalg.norm(u, axis=1) - 1, 8 * POINTS[:, 2]), rtol=1e-6)
        x = POINTS[:, 0]
        np.testing.assert_allclose(lib.displacements["waves"].offset(POINTS, grid=(8, 8, 8), backend=name),
                                   np.sin(x) + np.sin(2 * x) / 2 + np.sin(4 * x) / 4, atol=1e-6)
        assert lib.mappers["steps"].intensity([2.0], backend=name).tolist() == [63]


def test_a_part_is_evaluated_in_every_round_and_drawn_once(make: Make) -> None:
    lib = make("""shape bead() { radius ~ uniform(1, 2) distance = length(p) - radius }
    shape s { part = bead  fold[i < 4] { d = 1e9 then min(d, part(p - 3 * i)) }  distance = d }""")
    shape = lib.shapes["s"]
    assert [q.name for q in shape.parameters] == ["radius"]
    assert shape.distance([[3.0, 3.0, 3.0]], {"radius": 1.5}, backend="interpret").tolist() == [-1.5]


# -- quantities ----------------------------------------------------------------------------------------------------


def test_what_does_not_depend_on_the_point_is_a_quantity(make: Make) -> None:
    lib = make("""shape s {
      r ~ uniform(1, 2)
      fold[i < 3] {
        half = r / 2
        ## Shrinks.
        size = 4 * r then size / 2
        z = p then z / size
        far = 1 then 3 * far
        axis = vec3(1, 0, 0) then axis.zxy
        sizes = [1.0, r] then [sizes[1], sizes[0] * half]
        ok = true then not ok
        n = 1 then n + 1
      }
      rings[i < n] = i
      distance = length(z) - far
    }""")
    shape = lib.shapes["s"]
    assert [(q.name, q.type, q.prior, q.doc) for q in shape.parameters] == [
        ("r", "float", "uniform(1, 2)", ""), ("size", "float", None, "Shrinks."), ("far", "float", None, ""),
        ("axis", "vec3", None, ""), ("sizes", "float[2]", None, ""), ("rings", "float[4]", None, "")]
    assert shape.formula.named["size"].source == "4 * r then size / 2"
    point = [[64.0, 0, 0]]
    assert shape.distance(point, {"r": 2}, backend="interpret").tolist() == [64 / (8 * 4 * 2) - 27]
    # A value that is given replaces what the last round left; the rounds are what they are.
    assert shape.distance(point, {"r": 2, "far": 1}, backend="interpret").tolist() == [0]
    assert shape.distance(point, {"r": 2, "size": 99}, backend="interpret").tolist() == [64 / (8 * 4 * 2) - 27]


def test_a_name_varies_where_anything_that_it_is_made_of_does(make: Make) -> None:
    lib = make("""shape s {
      fold[i < 5] {
        a = 1.0 then b
        half = b / 2
        b = 1.0 then c
        c = 1.0 then e + 0 * half
        e = 1.0 then f
        f = 1.0 then p.x
        still = 1.0 then still * 2 + deepest(length(p) - i)
        fold[j < 2] { g = h then g * 2 }
        h = 1.0 then g
        fold[j < 2] { k = a then k + 1 }
        m = 1.0 then k
      }
      distance = a + b + c + e + f + still + h + m
    }""")
    assert [q.name for q in lib.shapes["s"].parameters] == ["still", "h"]


# -- folds mean what a loop of Python means ----------------------------------------------------------------------------


class Random:
    """A fold of random statements, as text of the language and as what a loop computes."""

    def __init__(self, rng: random.Random, known: list[str], deep: int, names: list[str]) -> None:
        self.rounds, self.index = rng.randrange(4), names.pop()
        self.carried = {names.pop(): self.formula(rng, known) for _ in range(rng.randint(1, 3))}
        self.nexts: dict[str, str] = {}
        self.items: list[tuple[str, str] | Random] = []
        seen = [*known, *self.carried, self.index]
        for name in rng.sample([*self.carried, "short", "short"], len(self.carried) + 2):
            if name in self.carried:
                self.items.append((name, self.formula(rng, seen)))
            elif deep and rng.random() < 0.5:
                self.items.append(inner := Random(rng, seen, deep - 1, names))
                seen = [*seen, *inner.carried]
            else:
                self.items.append((names.pop(), self.formula(rng, seen)))
                seen = [*seen, self.items[-1][0]]  # type: ignore[index]

    @staticmethod
    def formula(rng: random.Random, among: list[str]) -> str:
        a, b = rng.choice(among), rng.choice(among)
        return rng.choice([f"{a} + 1.5 * {b}", f"{a} * 0.5 - {b}", f"0.25 * {a} * {b}", f"min({a} + 0.5, {b} - 1)"])

    def text(self) -> str:
        lines = [item.text() if isinstance(item, Random) else
                 f"{item[0]} = {self.carried[item[0]]} then {item[1]}" if item[0] in self.carried else
                 f"{item[0]} = {item[1]}" for item in self.items]
        return f"fold[{self.index} < {self.rounds}] {{ {' '.join(lines)} }}"

    def run(self, names: dict[str, float]) -> dict[str, float]:
        values = {name: eval(start, {"min": min}, dict(names)) for name, start in self.carried.items()}
        for i in range(self.rounds):
            inside, after = {**names, **values, self.index: i}, {}
            for item in self.items:
                if isinstance(item, Random):
                    inside.update(item.run(inside))
                elif item[0] in self.carried:
                    after[item[0]] = eval(item[1], {"min": min}, dict(inside))
                else:
                    inside[item[0]] = eval(item[1], {"min": min}, dict(inside))
            values = after
        return values


@given(st.integers(0, 2**32))
@settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_a_fold_is_a_loop(make: Make, seed: int) -> None:
    fold = Random(random.Random(seed), ["c", "x"], 2, [f"n{k}" for k in range(200)])
    shape = make(f"""shape s {{
      c = 0.75
      x = p.x
      {fold.text()}
      distance = {" + ".join(f"{k + 1} * {name}" for k, name in enumerate(fold.carried))}
    }}""").shapes["s"]
    for x in (0.0, -1.25, 2.0):
        wanted = fold.run({"c": 0.75, "x": x})
        found = shape.distance([[x, 0, 0]], {}, backend="interpret")[0]
        assert found == pytest.approx(sum((k + 1) * wanted[n] for k, n in enumerate(fold.carried)), rel=1e-9, abs=1e-9)
