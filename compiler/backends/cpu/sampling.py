"""The compiled sampler: what it consists of, and how Python tells it what to draw. Never imports numba.

One call draws the objects of a scene. Everything goes through a table of int64, the job, and one array of
float64, its numbers; `sampling_kernels.py` is the compiled half.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from fdif_dsl.compiler.backends.cpu.scalars import ScalarKernel, scalar_kernel
from fdif_dsl.compiler.backends.scalar_statements import Input
from fdif_dsl.compiler.backends.store.unit import Unit
from fdif_dsl.compiler.ir.formula import Formula
from fdif_dsl.compiler.ir.priors import scene_quantities

# The job
KEY_LOW, KEY_HIGH = 0, 1  # words of the seed
INDEX_LOW, INDEX_HIGH = 2, 3  # words of the volume's index
LEAST, MOST = 4, 5  # objects
SHAPES, DISPLACEMENTS, MAPPERS = 6, 7, 8  # how many there are to choose from
TABLES = 9  # for each of these three int64 [choices][COLUMNS], see below
MEMORY = 12  # float64 scratch: the grid's numbers and draws, then what a kernel is given
CHOSEN = 13  # out: int64 [objects][3], a shape, a displacement and a mapper
VALUES = 14  # out: float64, for each object its affine (16, rows first) and then the numbers of the three's quantities
OBJECTS, END = 15, 16  # out: objects drawn, and numbers in VALUES
JOB = 17

# Columns of a choice
KERNEL = 0  # of its prior; 0 leaves its quantities out
DRAWS, INPUTS, OUTPUTS = 1, 2, 3  # how many
SOURCES = 4  # int64 [INPUTS]: the place of each input among the grid's numbers and the draws after them
COLUMNS = 5

# The numbers: first those of the grid, then the half-widths of the placement
GRID = ("min", "size.x", "size.y", "size.z", "limit.x", "limit.y", "limit.z")
SIZE, DRAWN = 1, len(GRID)  # the draws stand after the grid's numbers
TRANSLATE, ROTATION, SHEAR = 7, 8, 9  # a fraction of the grid, radians, a number
NUMBERS = 10

AFFINE = 16
OWN_DRAWS = 16
"""Draws of an object before those of its class: 0 class, 1 displacement, 2 mapper, 3-5 shift along x, y, z,
6-8 angle about x, y, z, 9-11 shear xy, xz, yz; 12-15 are spare."""
PLACING = 12  # those that are used
FIRST_DRAWS = {"shape": OWN_DRAWS, "displacement": 1 << 20, "mapper": 1 << 21}
"""The first draw of an object's priors, by kind. No formula has so many draws that the ranges meet."""
KINDS = tuple(FIRST_DRAWS)


def prior_kernel(formula: Formula) -> ScalarKernel | None:
    """The kernel of the numbers that a scene holds of a class, slot by slot; None where a prior needs a scan of
    the grid."""
    roots = [node for q in scene_quantities(formula) for node in q.definition]
    kernel = scalar_kernel(formula, roots, frozenset(), drawn=True)
    return None if any(what == "reduction" for what, _ in kernel.inputs) else kernel


def place_of(what: Input) -> int:
    """The place of a prior's input in the memory of a job."""
    kind, which = what
    return DRAWN + int(which) if kind == "draw" else GRID.index(str(which))  # type: ignore[arg-type]


def memory_size(draws: int, inputs: int) -> int:
    """How many numbers the memory of a job has to hold, for the most draws and the most inputs of a class."""
    return DRAWN + max(PLACING, -4 * (-draws // 4)) + inputs


@cache
def sampler_unit() -> Unit:
    """The function that draws the objects of a scene."""
    here = Path(__file__)
    source = here.with_name("sampling_kernels.py").read_text(encoding="utf-8")
    # The constants above are part of its meaning.
    digest = hashlib.sha256(source.encode() + here.read_bytes()).hexdigest()[:24]
    return Unit(f"draw_scene_{digest}", source, "draw_scene", "qd")


def sampler_units(formulas: Iterable[Formula]) -> list[Unit]:
    """Everything that drawing scenes of these formulas needs."""
    kernels = [prior_kernel(f) for f in formulas if f.kind == "shape" or scene_quantities(f)]
    return [sampler_unit(), *{k.name: k.unit for k in kernels if k is not None}.values()]
