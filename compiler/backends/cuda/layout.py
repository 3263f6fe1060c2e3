"""What the kernels and the host agree on: sizes, and the columns of the table of objects."""

from __future__ import annotations

SIDE = 8  # voxels of a tile along each axis
VOXELS = SIDE**3
THREADS = 128  # of a block; in the simulator fewer do
BITS = 32  # objects in one word of the inside bits
LARGEST = 2.0**20  # the magnitude up to which bounds hold: LIMIT of passes/intervals.py
# A margin around boxes in object coordinates, relative to the largest sum of magnitudes: more than float32 rounds.
ROUNDING = 1e-6

# Columns of an object, int32
NUMBERS = 0  # where what its class computes once an object begins, in float32 numbers
OWN = 1  # how many of them the distance reads; those of the bounds follow
SLOTS = 2  # where its slots begin, in float64 numbers
BOUNDED = 3  # 1 where its coordinates on the grid are of a magnitude for which bounds hold
SMALL = 4  # written by the GPU: 1 where the numbers of the distance are so too
DISPLACEMENT = 5  # position among the fields, or -1
MAPPER = 6  # position in the library
LABEL = 7
PAINT = 8  # the row with the numbers of its mapper, where they are the object's own, or -1
COLUMNS = 9
# After the objects come the rows of displacements and mappers with numbers of an object's own: NUMBERS, SLOTS, SMALL.

# Columns of a volume, int32
FIRST, COUNT = 0, 1  # its objects
VOLUME_COLUMNS = 2
