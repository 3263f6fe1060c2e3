"""The job table: how Python tells the compiled scene driver what to do. All entries are int64.

It begins with a header; then come `COLUMNS` entries for each object. Addresses are of arrays that
the caller keeps alive, and of kernels.
"""

from __future__ import annotations

# Header
WIDTH, HEIGHT, DEPTH = 0, 1, 2  # voxels along x, y and z
ROWS = 3  # rows of a plane in a tile
OBJECTS = 4
INVERSES = 5  # float64 [objects][12]: rows of the matrices from world to object coordinates
IMAGE = 6  # uint8 [D][H][W]
LABEL = 7  # uint16 [D][H][W]
INSIDE = 8  # uint32 bits: [tiles][words][voxels of the tile], bit k % 32 of word k // 32 is object k's
COUNTS = 9  # int64 [tiles][objects]: voxels of the tile with distance <= 0
ORDER = 10  # int64 [objects]: the order in which labels are painted
HEADER = 11

# Columns of an object
SHAPE, SHAPE_VALUES = 0, 1  # points kernel and its `f`
ROW, ROW_VALUES = 2, 3  # displacement kernel and its `f`; 0 where there is none
TABLE_X, TABLE_Y, TABLE_Z = 4, 5, 6  # float32 [values][W], [H][values], [D][values]
VALUES_Y, VALUES_Z = 7, 8  # how many values the y and z tables have
MAPPER, MAPPER_VALUES = 9, 10
EMPTY_OUTSIDE = 11  # 1 where the mapper adds nothing for d > 0
CLASS = 12  # what its voxels are labelled
COLUMNS = 13
BITS = 32  # objects in one word of INSIDE

# Float32 scratch of one thread: arrays of one tile
SCRATCH = 6  # and one array of a row
TILE = 1024  # voxels in a tile, about: all scratch then fits the first-level cache
