"""Scalar kernels: every bit as `run_schedule` has it with the C library's functions."""

from __future__ import annotations

import ctypes
import itertools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fdif_dsl.compiler.backends.cpu import loader
from fdif_dsl.compiler.backends.cpu.build import assembly
from fdif_dsl.compiler.backends.cpu.sampling import prior_kernel
from fdif_dsl.compiler.backends.cpu.scalars import ScalarKernel, scalar_kernel
from fdif_dsl.compiler.backends.cpu.target import CPU
from fdif_dsl.compiler.backends.store import store
from fdif_dsl.compiler.ir.exact import SCALARS
from fdif_dsl.compiler.ir.formula import Formula, Quantity
from fdif_dsl.compiler.ir.graph import Graph, Node
from fdif_dsl.compiler.ir.grid import Grid
from fdif_dsl.compiler.ir.ops import OPS
from fdif_dsl.compiler.ir.priors import scene_quantities
from fdif_dsl.compiler.library import Library
from fdif_dsl.compiler.passes.rates import split
from fdif_dsl.compiler.passes.schedule import make_schedule, run_schedule

GRID = Grid((40, 50, 61))
SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, 3.0, -2.5, 1e-320, -1e-310, 0.1, 1.1, 7.3, -12.75, 1e9, -1e17, 1e308,
           -1e308, 709.9, -745.3, np.pi, np.inf, -np.inf, np.nan]


def run(kernel: ScalarKernel, given: Sequence[float]) -> np.ndarray:
    codes = store.build(CPU, [kernel.unit])
    function = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(
        loader.address(kernel.name, codes[kernel.name]))
    inputs, out = np.array([*given, 0.0]), np.full(kernel.outputs + 1, 123.0)
    function(inputs.ctypes.data, out.ctypes.data)
    assert out[-1] == 123.0
    return out[:-1]


def same_bits(found: np.ndarray, expected: Sequence[Any]) -> bool:
    """NaN is NaN, whatever its sign and payload; zeros are told apart."""
    wanted = np.array([float(v) for v in expected])
    return bool(((found.view(np.int64) == wanted.view(np.int64)) | (np.isnan(found) & np.isnan(wanted))).all())


def agrees(formula: Formula, kernel: ScalarKernel, roots: Sequence[Node], slots: dict[int, float],
           draws: Sequence[float] = (), drawn: bool = False, least: float = -7.25) -> bool:
    schedule = make_schedule(formula, roots, frozenset(slots), drawn=drawn)
    with np.errstate(all="ignore"):
        values = run_schedule(formula, schedule, {s: np.float64(v) for s, v in slots.items()}, xp=SCALARS, grid=GRID,
                              draws=[np.float64(d) for d in draws], reduce=lambda node, known: np.float64(least))
    read = {"slot": lambda n: slots[n], "grid": GRID.number, "draw": lambda k: draws[k], "reduction": lambda n: least}
    return same_bits(run(kernel, [read[what](which) for what, which in kernel.inputs]), [values[r] for r in roots])


def a_formula(g: Graph, *definitions: Node, random: bool = True, first: int = 0) -> Formula:
    quantities = [Quantity(f"q{k}", 1, None, range(first + k, first + k + 1), (d,), random, "", "")
                  for k, d in enumerate(definitions)]
    return Formula("f", "shape", "", "t.sdf:1:1", tuple(quantities), {}, 0, g.number(0))


# -- the bits --------------------------------------------------------------------------------------------------


def test_every_operation_on_every_special_value() -> None:
    """One kernel with all of the table, so that a new row is tested too."""
    g = Graph()
    a, b, c = (g.node("slot", const=k) for k in range(3))
    truths = [g.node("lt", a, b), g.node("le", b, c)]
    roots = []
    for name, op in OPS.items():
        if "s" in op.operands:
            continue
        operands = {"f": iter([a, b, c]), "b": iter(truths)}
        roots.append(g.node(name, *(next(operands[kind]) for kind in op.operands)))
    formula = a_formula(g, *[g.number(0)] * 3)
    kernel = scalar_kernel(formula, roots, frozenset(range(3)))
    for x, y in itertools.product(SPECIAL, SPECIAL):
        assert agrees(formula, kernel, roots, {0: x, 1: y, 2: 1.5}), (x, y)


def test_nothing_is_contracted_reordered_or_turned_into_another_function() -> None:
    g = Graph()
    a, b = (g.node("slot", const=k) for k in range(2))

    def op(name: str, *operands: Node | float) -> Node:
        return g.node(name, *(o if isinstance(o, Node) else g.number(o) for o in operands))

    roots = [
        op("add", op("mul", a, b), a), op("sub", op("mul", a, b), op("mul", b, a)), op("sub", op("add", a, b), a),
        op("add", a, 0.0), op("add", a, -0.0), op("mul", a, 0.0), op("neg", op("sub", 0.0, a)), op("div", a, 3.0),
        op("pow", a, 2.0), op("pow", a, 0.5), op("pow", a, -1.0), op("pow", 2.0, a), op("pow", 10.0, a),
        op("pow", 1.5, a), op("exp", op("mul", a, 0.7)), op("log", op("exp", a)), op("log", op("pow", a, b)),
        op("sin", op("neg", a)), op("cos", op("neg", a)), op("add", op("sin", a), op("cos", a)),
        op("div", op("sin", a), op("cos", a)), op("sqrt", op("mul", a, a)), op("sin", 1.0), op("pow", 3.0, 0.3),
        op("add", a, np.inf), op("mul", a, -np.inf), op("min", a, np.nan), op("max", np.nan, a),
        op("where", op("eq", a, -0.0), -0.0, 1e-320),
    ]
    formula = a_formula(g, g.number(0), g.number(0))
    kernel = scalar_kernel(formula, roots, frozenset(range(2)))
    rng = np.random.default_rng(1)
    for x, y in [*itertools.product(SPECIAL, repeat=2), *rng.normal(0, 10, (300, 2)).tolist()]:
        assert agrees(formula, kernel, roots, {0: x, 1: y}), (x, y)


def test_the_functions_of_the_c_library_are_called_as_they_are(tmp_path: Path) -> None:
    """LLVM knows pow(2, x) as exp2(x), sin with cos as sincos, and what sin(1) is."""
    g = Graph()
    a, two, one = g.node("slot", const=0), g.number(2), g.number(1)
    roots = [g.node("pow", two, a), g.node("sin", a), g.node("cos", a), g.node("tan", one)]
    unit = scalar_kernel(a_formula(g, g.number(0)), roots, frozenset({0})).unit
    (tmp_path / "kernel.py").write_text(unit.source)
    words = set(re.findall(r"\w+", assembly(unit, tmp_path / "kernel.py")))
    assert {"pow", "sin", "cos", "tan"} <= words and not {"exp2", "sincos"} & words


@pytest.fixture(scope="module")
def kernels(lib: Library) -> list[tuple[Formula, tuple[Node, ...], frozenset[int], ScalarKernel]]:
    """For each class what its voxels read, from: what a scene holds; every random quantity; and every quantity.
    Built side by side."""
    out = []
    for k, shape in enumerate(lib.shapes.values()):
        formula = shape.formula
        roots = (*split(formula.result).values, *(d for q in formula.quantities if not q.random for d in q.definition))
        scene = scene_quantities(formula)
        choices = [scene, [q for q in formula.quantities if q.random or q in scene], list(formula.quantities)]
        # All three of every class would take a minute to compile.
        for chosen in (choices[0], choices[1 + k % 2]):
            given = frozenset(s for q in chosen for s in q.slots)
            out.append((formula, roots, given, scalar_kernel(formula, roots, given)))
    store.build(CPU, [kernel.unit for *_, kernel in out])
    return out


def test_what_voxels_read_of_every_class(kernels: list[Any], rng: np.random.Generator) -> None:
    for formula, roots, given, kernel in kernels:
        assert not kernel.missing
        for spread in (1, 30):
            slots = dict(zip(sorted(given), rng.normal(0, spread, len(given)).tolist(), strict=True))
            assert agrees(formula, kernel, roots, slots), formula.name
        special = dict(zip(sorted(given), rng.choice(SPECIAL, len(given)).tolist(), strict=True))
        assert agrees(formula, kernel, roots, special, least=np.nan), formula.name


def test_priors_of_every_class(lib: Library, rng: np.random.Generator) -> None:
    priors = {name: prior_kernel(shape.formula) for name, shape in lib.shapes.items()}
    store.build(CPU, [kernel.unit for kernel in priors.values() if kernel])
    for name, kernel in priors.items():
        assert kernel is not None and not kernel.missing
        formula = lib.shapes[name].formula
        roots = [d for q in scene_quantities(formula) for d in q.definition]
        for _ in range(5):
            assert agrees(formula, kernel, roots, {}, rng.random(formula.draws).tolist(), drawn=True), name


# -- what is in a kernel ---------------------------------------------------------------------------------------


def test_definitions_are_part_of_it_and_equal_terms_are_one() -> None:
    g = Graph()
    slots = [g.node("slot", const=k) for k in range(3)]
    twice = g.node("sqrt", slots[0])
    formula = a_formula(g, g.number(0), twice, g.node("add", slots[1], twice), random=False)
    kernel = scalar_kernel(formula, [slots[2], g.node("sqrt", slots[0]), slots[1]], frozenset({0}))
    assert kernel.source == """\
# Generated by fdif_dsl.compiler.backends.cpu.scalars.
from fdif_dsl.compiler.backends.cpu.prelude64 import sqrt


def kernel(given, out):
    v0 = sqrt(given[0])
    out[0] = v0 + v0
    out[1] = v0
    out[2] = v0
"""
    assert kernel.inputs == (("slot", 0),)
    assert run(kernel, [9.0]).tolist() == [6.0, 3.0, 3.0]
    # A slot that is given hides its definition.
    assert run(scalar_kernel(formula, [slots[2]], frozenset({0, 2})), [5.0]).tolist() == [5.0]


def test_inputs_tell_where_each_number_comes_from() -> None:
    g = Graph()
    leaves = [g.node("draw", const=3), g.node("grid", const="limit.x"), g.node("grid", const="min"),
              g.node("slot", const=1), g.node("grid_min", g.node("input", const="p.x")),
              g.node("grid_min", g.node("input", const="p.y"))]
    formula = a_formula(g, g.number(0), g.number(0))
    kernel = scalar_kernel(formula, leaves, frozenset({1}))
    assert kernel.inputs == (("draw", 3), ("grid", "limit.x"), ("grid", "min"), ("slot", 1), ("reduction", leaves[4]),
                             ("reduction", leaves[5]))
    assert run(kernel, [1, 2, 3, 4, 5, 6]).tolist() == [1, 2, 3, 4, 5, 6]


def test_a_random_quantity_that_is_not_given_is_missing_or_drawn() -> None:
    g = Graph()
    formula = a_formula(g, g.node("draw", const=0))
    root = g.node("neg", g.node("slot", const=0))
    assert scalar_kernel(formula, [root, root], frozenset()).missing == formula.quantities
    drawn = scalar_kernel(formula, [root], frozenset(), drawn=True)
    assert not drawn.missing and run(drawn, [0.25]).tolist() == [-0.25]


def test_a_truth_value_is_1_or_0() -> None:
    g = Graph()
    a = g.node("slot", const=0)
    less = g.node("lt", a, g.number(0))
    kernel = scalar_kernel(a_formula(g, g.number(0)), [less, g.node("not", less), g.truth(True)], frozenset({0}))
    assert run(kernel, [-1.0]).tolist() == [1, 0, 1] and run(kernel, [np.nan]).tolist() == [0, 1, 1]


def test_the_text_does_not_depend_on_how_nodes_and_slots_are_numbered() -> None:
    def kernel(noise: Sequence[int], first: int) -> ScalarKernel:
        g = Graph()
        for k in noise:  # so that these have lower numbers than their users, in another order
            g.node("slot", const=k)
        a, b = (g.node("slot", const=first + k) for k in range(2))
        root = g.node("mul", g.node("add", a, b), g.node("sin", b))
        return scalar_kernel(a_formula(g, g.number(0), g.number(0), first=first), [root], frozenset({first, first + 1}))

    assert kernel([], 0).name == kernel([9, 1, 0], 0).name == kernel([], 5).name
    assert kernel([], 5).inputs == (("slot", 5), ("slot", 6))


def test_long_terms_become_statements_and_nothing_recurses() -> None:
    g = Graph()
    a = g.node("slot", const=0)
    root = a
    for k in range(3000):
        root = g.node("add", g.node("neg", root), g.number(k))
    source = scalar_kernel(a_formula(g, g.number(0)), [root], frozenset({0})).source
    compile(source, "kernel", "exec")
    assert max(map(len, source.splitlines())) < 300


def test_nothing_at_all() -> None:
    assert run(scalar_kernel(a_formula(Graph()), [], frozenset()), []).tolist() == []


def test_a_point_is_not_known_before_the_voxel() -> None:
    g = Graph()
    with pytest.raises(ValueError, match=r"p\.x"):
        scalar_kernel(a_formula(g), [g.node("input", const="p.x")], frozenset())
