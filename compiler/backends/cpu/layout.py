"""The job table: how Python tells the compiled scene driver what to do. All entries are int64.

It begins with a header; then come `COLUMNS` entries for each object. Addresses are of arrays that
the caller keeps alive, and of kernels.
"""

from __future__ import annotations

TILE = (8, 8, 8)
"""Voxels of a tile along x, y and z: what is drawn at a time, in the first-level cache."""
LEVELS = (4, 2, 1)
"""Sides of the boxes that are looked at, in tiles: a box is split until it is decided."""
LARGEST = 2.0**20  # the magnitude up to which bounds hold: LIMIT of passes/intervals.py
CHUNK = 64  # boxes in one call of a bounds kernel
BITS = 64  # voxels in one word of INSIDE

# Header
WIDTH, HEIGHT, DEPTH = 0, 1, 2  # voxels along x, y and z
TILES_X, TILES_Y, TILES_Z = 3, 4, 5  # tiles along x, y and z; tile number = (z · TILES_Y + y) · TILES_X + x
OBJECTS = 6
INVERSES = 7  # float64 [objects][12]: rows of the matrices from world to object coordinates
IMAGE = 8  # uint8 [D][H][W]
LABEL = 9  # uint8 or uint16 [D][H][W]
WIDE_LABEL = 10  # 1 for uint16
INSIDE = 11  # uint64 [tiles][objects][words]: which voxels of the tile are inside; meaningless where COUNTS is 0
STATE = 12  # uint8 [tiles][objects]: what is to be done there
COUNTS = 13  # int32 [tiles][objects]: voxels of the tile with distance <= 0
ORDER = 14  # int64 [objects]: the order in which labels are painted
CYCLES = 15  # int64 [tiles][2]: clock ticks in kernels and in all, for a tile; only where the driver is to be measured
NEXT = 16  # the first of what no thread has taken yet, for each kind of work: objects, tiles to draw, tiles to label
KEPT = 19  # objects of whose distances and grey levels a tile keeps a record each, or 0
DIM, BRIGHT = 20, 21  # float32 [tiles][objects]: the least and the greatest grey level, where STATE is FAINT
EIGHTHS = 22  # uint8 [tiles][objects]: which eighths of the tile are to be drawn, where STATE is VISIT
HEADER = 23

CULLING, DRAWING, LABELLING = NEXT, NEXT + 1, NEXT + 2
TILES_AT_ONCE = 16  # that a thread takes

SKIP, VISIT, FILL, FAINT = 0, 1, 2, 3
"""States: nothing there; to be drawn; wholly inside and of one grey level; wholly outside, and of a grey level between
DIM and BRIGHT."""

# Columns of an object
SHAPE = 0  # points kernel
SHAPE_VALUES, SHAPE_COUNT = 1, 2  # its `f`, and how many numbers that has
BOUNDS, BOUNDS_VALUES = 3, 4  # bounds kernel and its `f`; 0 where every tile is to be drawn
TABLES = 5  # tile kernel of the displacement, or 0
TABLE_VALUES = 6  # its `f`
TABLE_X, TABLE_Y, TABLE_Z = 7, 8, 9  # float32 [values][voxels of the axis, filled up to whole tiles]
VALUES_X, VALUES_Y, VALUES_Z = 10, 11, 12  # how many values they have
OFFSET_LOW, OFFSET_HIGH = 13, 14  # float32 [boxes] of each level: bounds of the displacement
# Only of a displacement with numbers of the object's own, whose tables the driver works out; else 0:
OWN_COUNT = 15  # how many numbers begin at TABLE_VALUES: those of the tile kernel and then those of the axes'
AXIS_X, AXIS_Y, AXIS_Z = 16, 17, 18  # kernels of the tables, 0 where an axis has none
AXIS_VALUES_X, AXIS_VALUES_Y, AXIS_VALUES_Z = 19, 20, 21
COORDINATES = 22  # float32 [voxels of the longest axis, filled up to whole tiles]: room for world coordinates
OFFSET_BOUNDS, OFFSET_BOUNDS_VALUES = 23, 24  # its bounds kernel, 0 where none is to be used, and its `f`
MAPPER = 25  # mapper kernel, or shader where SEES is 1
MAPPER_VALUES, MAPPER_COUNT = 26, 27
# Range kernel of a mapper that has numbers of the object's own, or that reaches everywhere; else 0:
RANGE, RANGE_VALUES = 28, 29
LIMITS = 30  # float64 [3]: grey from there on 0; constant up to there; and that constant
OWN = 31  # 1 where the limits are the object's own: its constant is found by culling, and is NaN before
SEES = 32  # 1 where the mapper reads the point
CLASS = 33  # what its voxels are labelled
REACH, REACH_HIGH = 34, 35  # float32 [tiles]: what a displacement that is dear adds at least, at most; else 0
OFFSETS = 36  # float32 [tiles][voxels of a tile]: the displacement, where it has been worked out; else 0
COLUMNS = 37

# Columns of a search for the least value of a field
FIELD = 0  # points kernel
FIELD_VALUES, FIELD_COUNT = 1, 2  # its `f`, and how many numbers that has
FIELD_BOUNDS, FIELD_BOUNDS_VALUES = 3, 4  # bounds kernel and its `f`, or 0
FIELD_INVERSE = 5  # float64 [12]
FIELD_OUT = 6  # float32: the result
FIELD_COLUMNS = 7

# Columns of a call of a scalar kernel
SCALAR, GIVEN, RESULTS = 0, 1, 2  # kernel, float64 arguments and float64 results
ROUNDED, ROUNDED_COUNT = 3, 4  # float32: the results, rounded
SCALAR_COLUMNS = 5
