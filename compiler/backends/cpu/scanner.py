"""The compiled scanner: what it consists of, and how Python tells it what to do. Never imports numba.

It turns a composed volume into an image as a scanner gives it, in two calls with all threads at work in each: `compose`
changes grey levels and blurs within a slice, `finish` blurs across slices and does what is left. Everything goes
through a table of int64, the job, and one array of float64, its numbers; `scanner_kernels.py` is the compiled half.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from fdif_dsl.compiler.backends.store.unit import Unit

# The job
WIDTH, HEIGHT, DEPTH = 0, 1, 2  # voxels along x, y and z
IMAGE, OUT = 3, 4  # uint8 [D][H][W]
NUMBER = 5  # uint8 or uint16 [D][H][W]: which object a voxel belongs to, from 1; 0 is background
WIDE_NUMBER = 6  # 1 for uint16
PAINT = 7  # float32 [2][PAINTED]: what a grey level is multiplied with, and what is added; or 0
PAINTED = 8  # how many numbers of objects have a place of their own; larger ones share the last
TEXTURE, BIAS = 9, 15  # two smooth fields, see below
AXES = 21  # three matrices, along x, y and z, see below
PLANES = 30  # float32 [D][STRIDE]: slices between the two calls
STRIDE = 31  # of a slice: its voxels, filled up to whole groups
KEY_LOW, KEY_HIGH = 32, 33  # words of the seed
INDEX_LOW, INDEX_HIGH = 34, 35  # words of the volume's index
NEXT = 36  # the first slice that no thread has taken yet, for each of the two calls
JOB = 38

# Columns of a field, which is given at points of a lattice along z and y, and at every voxel along x
VALUES = 0  # float32 [points along z][points along y][W], or 0
ROWS = 1  # points along y
CELL_Z, CELL_Y = 2, 4  # int64 [D], [H]: the lattice point before a voxel
WEIGHT_Z, WEIGHT_Y = 3, 5  # float32 [D], [H]: how much the one after it counts

# Columns of a matrix, in which a row has few numbers that are not 0
WEIGHTS = 0  # float32 [side][TAPS], or 0
FIRST = 1  # int64 [side]: the column of the first weight
TAPS = 2
COLUMNS = 3

# The numbers
INVERT, GAUSSIAN, RICIAN, GAMMA = 0, 1, 2, 3  # 1 or 0; two standard deviations; a power
NUMBERS = 4

GAUSSIAN_NOISE, RICIAN_NOISE = 0xFFFFFFFA, 0xFFFFFFF9
"""The object numbers of what noise is drawn from, see `runtime/scenes/philox.py`."""
GROUP = 256  # voxels of a slice whose noise is drawn at one go

_SIGNATURES = {"compose": "qfd", "finish": "qfd", "draw_uniforms": "qdnnn"}


@cache
def scanner_units() -> dict[str, Unit]:
    """The functions by name. `compose` and `finish` take the job, scratch memory and the numbers; `draw_uniforms` takes
    a job, where the numbers go, an object and the first and last block of four numbers."""
    here = Path(__file__)
    source = here.with_name("scanner_kernels.py").read_text(encoding="utf-8")
    # The constants above are part of its meaning.
    digest = hashlib.sha256(source.encode() + here.read_bytes()).hexdigest()[:24]
    return {name: Unit(f"{name}_{digest}", source, name, signature) for name, signature in _SIGNATURES.items()}


def scratch_size(width: int, height: int, stride: int, rows: int) -> int:
    """Float32 numbers of scratch memory that either call needs, for fields with at most `rows` points along y."""
    return 3 * stride + rows * width + 12 * GROUP
