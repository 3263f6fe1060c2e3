"""What elaboration makes: quantities, their names, instances that are drawn once, closed classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import fdif_dsl as fd

ORIGIN = np.zeros((1, 3))


@pytest.fixture
def make(tmp_path: Path):  # type: ignore[no-untyped-def]
    def library(text: str) -> fd.Library:
        (tmp_path / "own.sdf").write_text(text)
        return fd.load_library(tmp_path / "own.sdf")

    return library


def at(shape, points, params=None, **more):  # type: ignore[no-untyped-def]
    return shape.distance(np.atleast_2d(points), params or {}, backend="interpret", **more)


def test_templates_are_no_classes(make) -> None:  # type: ignore[no-untyped-def]
    lib = make("shape ball(r) { distance = length(p) - r }\nshape one = ball(1)\nshape two = ball(r = 2)")
    assert list(lib.shapes) == ["one", "two"]
    assert at(lib.shapes["two"], [5, 0, 0])[0] == 3


def test_every_quantity_can_be_overridden(make) -> None:  # type: ignore[no-untyped-def]
    lib = make("""shape s {
      a ~ uniform(1, 2)
      b = 2 * a
      c = vec3(b, 0, 0)
      distance = length(p - c)
    }""")
    s = lib.shapes["s"]
    assert [(q.name, q.type, q.prior) for q in s.parameters] == [
        ("a", "float", "uniform(1, 2)"), ("b", "float", None), ("c", "vec3", None)]
    assert at(s, ORIGIN, {"a": 3})[0] == 6
    assert at(s, ORIGIN, {"b": 4})[0] == 4
    assert at(s, ORIGIN, {"c": [0, 5, 0]})[0] == 5
    with pytest.raises(fd.FdifError, match="`a`"):
        at(s, ORIGIN)


def test_an_equal_formula_is_not_overridden_along(make) -> None:  # type: ignore[no-untyped-def]
    lib = make("shape s { a ~ uniform(1, 2)\n b = 2 * a\n distance = p.x + b - 2 * a }")
    assert at(lib.shapes["s"], ORIGIN, {"a": 3, "b": 10})[0] == 4


def test_an_instance_is_drawn_once_however_often_it_is_evaluated(make) -> None:  # type: ignore[no-untyped-def]
    lib = make("""profile spot { r ~ uniform(1, 2)\n distance = length(q) - r }
    shape pair(part: profile) { distance = min(part(p.xy - vec2(5, 0)), part(p.xy + vec2(5, 0))) }
    shape s = pair(spot)""")
    assert [q.name for q in lib.shapes["s"].parameters] == ["r"]
    assert lib.shapes["s"].formula.draws == 1


def test_two_instances_have_quantities_of_their_own(make) -> None:  # type: ignore[no-untyped-def]
    lib = make("""use std
    shape ball { radius ~ uniform(1, 2)\n distance = length(p) - radius }
    shape both(a: shape, b: shape) { gap ~ uniform(3, 4)\n distance = union(a(p), b(p - vec3(gap, 0, 0))) }
    shape s = both(ball, ball)""")
    s = lib.shapes["s"]
    assert [q.name for q in s.parameters] == ["gap", "a.radius", "b.radius"]
    assert at(s, [10, 0, 0], {"gap": 10, "a.radius": 1, "b.radius": 2})[0] == -2


def test_the_outermost_keeps_the_plain_name(make) -> None:  # type: ignore[no-untyped-def]
    lib = make("""profile spot { radius ~ uniform(1, 2)\n distance = length(q) - radius }
    shape bar(section: profile) { radius ~ uniform(5, 6)\n distance = max(section(p.xy), length(p) - radius) }
    shape s = bar(spot)""")
    assert [q.name for q in lib.shapes["s"].parameters] == ["radius", "section.radius"]


def test_whole_numbers_are_told_and_must_match(lib: fd.Library) -> None:
    shape = lib.shapes["pentagon_prism"]
    assert shape.integers == {"n": 5}
    params = {"height": 10.0, "vertices": np.ones((5, 2))}
    shape.distance(ORIGIN, {**params, "n": 5}, backend="interpret")
    with pytest.raises(fd.FdifError, match="n"):
        shape.distance(ORIGIN, {**params, "n": 6}, backend="interpret")


def test_priors_show_the_numbers_that_they_were_given(lib: fd.Library) -> None:
    assert lib.shapes["convex_cylinder"].parameters["radius"].prior == "uniform(0.05, 0.2) * grid.min"
    assert lib.shapes["cylinder"].parameters["radius"].prior == "uniform(0.15, 0.4) * grid.min"
    assert lib.shapes["five_star_torus"].parameters["w"].prior == "uniform(0.1, 0.7)"


def test_deepest_at_two_places_is_told_apart(make) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(fd.FdifError, match="E0305"):
        make("""profile hollow(s: profile) { wall = abs(deepest(s))\n distance = abs(s(q)) - wall }
        profile spot { distance = length(q) - 1 }
        shape pair(part: profile) { distance = min(part(p.xy), part(p.xz)) }
        shape s = pair(hollow(spot))""")


def test_a_whole_number_is_a_quantity_unless_a_loop_counts_with_it(make) -> None:  # type: ignore[no-untyped-def]
    lib = make("""shape s {
      radius = 10
      twice = 2 * radius
      count = 3
      offsets[i < count] = i * radius
      distance = length(p) - twice + offsets[count - 1]
    }""")
    s = lib.shapes["s"]
    assert [q.name for q in s.parameters] == ["radius", "twice", "offsets"]
    assert at(s, ORIGIN)[0] == 0
    assert at(s, ORIGIN, {"radius": 1, "twice": 5})[0] == -3


def test_two_parts_of_one_formula_have_quantities_of_their_own(make) -> None:  # type: ignore[no-untyped-def]
    lib = make("""profile spot { r ~ uniform(1, 2)\n distance = length(q) - r }
    profile both { low = deepest(spot) + deepest(spot)\n distance = length(q) + low }
    shape bar(section: profile) { distance = section(p.xy) }
    shape s = bar(both)""")
    assert [q.name for q in lib.shapes["s"].parameters] == ["section.low.r", "section.low.2.r", "low"]


def test_a_class_without_a_doc_has_that_of_its_template(make) -> None:  # type: ignore[no-untyped-def]
    lib = make("""## Any ball.
    shape ball(r) { distance = length(p) - r }
    shape a = ball(1)
    ## My own.
    shape b = ball(1)""")
    assert [s.doc for s in lib.shapes.values()] == ["Any ball.", "My own."]


def test_deepest_takes_a_formula_too(make) -> None:  # type: ignore[no-untyped-def]
    lib = make("shape s { low = deepest(p.x + p.y)\n distance = length(p) + low }")
    assert at(lib.shapes["s"], ORIGIN, grid=(8, 10, 12))[0] == -6 - 5


@pytest.mark.parametrize(("formula", "wanted"), [
    ("-2 ^ 2", -4), ("2 ^ 3 ^ 2", 512), ("7 // 2", 3), ("-7 // 2", -4), ("mod(-1, 3)", 2), ("7 / 2", 3.5),
    ("sum[i < 4](i * i)", 14), ("min[i < 3](5 - i)", 3), ("max[i < 3](mod(i, 2))", 1), ("sum[i < 0](1)", 0),
    ("where(any[i < 3](i == 2), 1, 0)", 1), ("where(all[i < 3](i < 2), 1, 0)", 0), ("len([1, 2, 3])", 3),
    ("[4, 5, 6][1]", 5), ("vec3(1, 2, 3).zyx.x", 3),
    ("dot(vec2(1, 2), vec2(3, 4))", 11), ("cross(vec2(1, 0), vec2(0, 1))", 1),
    ("cross(vec3(1, 0, 0), vec3(0, 1, 0)).z", 1), ("length(vec3(vec2(3, 4), 12))", 13), ("mix(2, 4, 0.25)", 2.5),
    ("clamp(5, 0, 1)", 1), ("step(1, 1)", 1), ("smoothstep(0, 2, 1)", 0.5), ("max(1, 2, 3)", 3), ("sign(-3)", -1),
    ("round(2.5)", 2), ("tau / pi", 2), ("where(1 < 2 and not 3 <= 2 or false, 1, 0)", 1), ("where(1 != 1, 1, 0)", 0),
    ("normalize(vec2(3, 4)).y", 0.8), ("(vec2(1, 2) * 3).y", 6), ("2 - -3", 5), ("1 / 0", np.inf), ("0 / 0", np.nan),
    ("sqrt(-1)", np.nan), ("min(1, sqrt(-1))", 1), ("grid.min + grid.size.x + grid.limit.z", 8 + 12 + 3),
])
def test_values(make, formula: str, wanted: float) -> None:  # type: ignore[no-untyped-def]
    lib = make(f"shape s {{ distance = {formula} }}")
    found = at(lib.shapes["s"], ORIGIN, grid=(8, 10, 12))[0]
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_a_quantity_is_given_where_a_part_is_made(make) -> None:  # type: ignore[no-untyped-def]
    lib = make("""
      shape egg(rim) { size ~ uniform(1, 2) + rim
        place[i < 2] ~ vec3(uniform(0, 1), 0, 0)
        distance = length(p - place[0] - place[1]) - size }
      shape named = egg(1)
      shape s { wide ~ uniform(5, 6)
        body = named(size = 2 * wide, place = [vec3(1, 0, 0), vec3(wide, 0, 0)])
        distance = body(p) }
      shape ball = named(size = 3)
      shape larger = ball(size = 4)""")
    assert [(q.name, q.prior) for q in lib.shapes["s"].parameters] == [("wide", "uniform(5, 6)"), ("size", None),
                                                                       ("place", None)]
    assert at(lib.shapes["s"], ORIGIN, {"wide": 5})[0] == 1 + 5 - 10
    assert [(q.name, q.random) for q in lib.shapes["ball"].parameters] == [("size", False), ("place", True)]
    assert at(lib.shapes["larger"], ORIGIN, {"place": [[0, 0, 0], [0, 0, 0]]})[0] == -4
