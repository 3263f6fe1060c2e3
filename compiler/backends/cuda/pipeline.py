"""From a batch of scenes to images and labels: which kernels run on what, in which order. No array comes back to the
host on the way, so that the host is free to prepare the next batch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from fdif_dsl.compiler.backends.cuda import layout, text
from fdif_dsl.compiler.backends.cuda.batch import Batch
from fdif_dsl.compiler.backends.cuda.kernels import LibraryKernels, TextureKernels
from fdif_dsl.compiler.backends.cuda.layout import SIDE, VOXELS
from fdif_dsl.compiler.backends.cuda.memory import DeviceArray, Queue
from fdif_dsl.compiler.ir.grid import NUMBERS as GRID
from fdif_dsl.compiler.ir.grid import Grid

_MOST_BLOCKS = 65535  # along y


class Volumes(NamedTuple):
    """Of a batch: `image` uint8 (volumes, D, H, W); `label` uint8 or uint16, the same; `counts` int64 (objects,)."""

    image: DeviceArray
    label: DeviceArray
    counts: DeviceArray


@dataclass
class Fields:
    """Offsets of a library's displacements on the device, for `span` tiles each; `made` are those that are there."""

    span: int
    offsets: DeviceArray
    lowest: DeviceArray
    made: set[int] = field(default_factory=set)

    @classmethod
    def room(cls, displacements: int, span: int, queue: Queue) -> Fields:
        return cls(span, queue.empty((displacements * span + 1, VOXELS), np.float32),
                   queue.empty((displacements * span + 1,), np.float32))


@dataclass(frozen=True)
class OnGrid:
    """What depends on the grid alone, on the device: the numbers of the mappers, from where on each is black, and the
    numbers of the displacements, which begin at `first`. `fields` has room for all tiles, or is None where that would
    take too much."""

    mapper_numbers: DeviceArray
    empty_from: DeviceArray
    displacement_numbers: DeviceArray
    first: Sequence[int]
    fields: Fields | None


def render(batch: Batch, grid: Grid, queue: Queue, library: LibraryKernels, known: OnGrid,
           others: dict[int, dict[str, np.ndarray]], label: type,
           out: tuple[DeviceArray, DeviceArray] | None = None) -> Volumes:
    """Ask a queue, which has loaded the kernels, for the volumes of a batch. `others` has the numbers of the objects
    that `batch.others` names, by kind of formula; `label` is the type of the labels, or `out` is where images and
    labels go."""
    return _Run(batch, grid, queue, library, known, others).volumes(label, out)


class _Texture(NamedTuple):
    """A displacement or mapper of an object with numbers of its own: where its slots begin, or the numbers."""

    object: int
    kernels: TextureKernels
    slots: int
    known: np.ndarray | None


class _Run:
    def __init__(self, batch: Batch, grid: Grid, queue: Queue, library: LibraryKernels, known: OnGrid,
                 others: dict[int, dict[str, np.ndarray]]) -> None:
        self.batch, self.grid, self.queue, self.library, self.known = batch, grid, queue, library, known
        kernels = [library.shapes[id(f)] for f in batch.shapes]
        self.count = len(batch.shape)
        self.sides = grid.shape[::-1]
        self.tiles = math.prod(-(-side // SIDE) for side in self.sides)
        self.most = max((len(k.reductions) for k in kernels), default=0) or 1
        textures = self._own_textures(others)
        widths = [k.most_numbers for k in kernels] or [0]
        own = [*np.array(widths)[batch.shape], *(len(t.kernels.roots) for t in textures)]
        starts = np.concatenate([[0], np.cumsum(own)]).astype(np.int64)
        # Objects of a class lie together, and there those whose numbers are known already come last.
        known_already = np.zeros(self.count, bool)
        known_already[list(others)] = True
        order = np.lexsort((known_already, batch.shape))
        self.groups = [(kernels[shape], first, int((~known_already[order[first:end]]).sum()), end - first)
                       for shape, first, end in _runs(batch.shape[order])]
        table = np.zeros((self.count + len(textures), layout.COLUMNS), np.int32)
        table[:, layout.NUMBERS] = starts[:-1]
        objects = table[: self.count]
        objects[:, layout.SLOTS] = batch.slot_start[:, 0]
        objects[:, layout.BOUNDED] = self._bounded()
        displacements = [library.place[id(f)] for f in batch.displacements]
        objects[:, layout.DISPLACEMENT] = np.array([*displacements, -1], np.int32)[batch.displacement]
        objects[:, layout.MAPPER] = np.array([library.place[id(f)] for f in batch.mappers] or [0])[batch.mapper]
        objects[:, layout.LABEL], objects[:, layout.PAINT] = batch.label, -1
        self.displaced: list[tuple[int, int]] = []  # of those with offsets of their own: displacement, first number
        for row, texture in enumerate(textures, self.count):
            table[row, layout.SLOTS] = texture.slots
            if texture.kernels.formula.kind == "mapper":
                objects[texture.object, layout.PAINT] = row
            else:
                which = library.place[id(texture.kernels.formula)]
                objects[texture.object, layout.DISPLACEMENT] = len(library.displacements) + len(self.displaced)
                self.displaced.append((which, int(starts[row])))
        volumes = np.zeros((len(batch.volumes), layout.VOLUME_COLUMNS), np.int32)
        volumes[:, layout.COUNT] = batch.volumes
        volumes[1:, layout.FIRST] = np.cumsum(batch.volumes)[:-1]
        self.numbers = queue.empty((starts[-1] + 1,), np.float32)
        if others:
            numbers = np.zeros(starts[-1] + 1, np.float32)
            for k, of_object in others.items():
                stage, values = kernels[batch.shape[k]].draw, of_object["shape"]
                numbers[starts[k] : starts[k] + len(values)] = values
                table[k, layout.OWN] = stage.own
                table[k, layout.SMALL] = (np.abs(values[: stage.own]) <= layout.LARGEST).all()
            for row, texture in enumerate(textures, self.count):
                if texture.known is not None:
                    numbers[starts[row] : starts[row + 1]] = texture.known
                    # What all share is black from somewhere on; what this object has may be so later, or never.
                    table[row, layout.SMALL] = id(texture.kernels.formula) in library.own and (
                        np.abs(texture.known) <= layout.LARGEST).all()
            self.numbers = queue.upload(numbers)
        # Rows of one texture lie together too.
        rows = sorted((row for row, t in enumerate(textures, self.count) if t.known is None),
                      key=lambda row: id(textures[row - self.count].kernels))
        of_rows = np.array([id(textures[row - self.count].kernels) for row in rows], np.int64)
        self.textures = [(textures[rows[first] - self.count].kernels.numbers, self.count + first, end - first)
                         for _, first, end in _runs(of_rows)]
        self.chosen, self.table = queue.upload(np.array([*order, *rows], np.int32)), queue.upload(table)
        self.volume_table, self.inverses = queue.upload(volumes), queue.upload(batch.inverse.astype(np.float64))
        self.slots = queue.upload(np.append(batch.slots, 0.0))  # an empty array has no address
        self.grid_numbers = queue.upload(np.array([grid.number(name) for name in GRID], np.float64))
        self.reductions = queue.empty((self.count + 1, self.most), np.float64)

    def _own_textures(self, others: dict[int, dict[str, np.ndarray]]) -> list[_Texture]:
        """The displacements and mappers of objects whose numbers are their own."""
        found: list[_Texture] = []
        for column, (kind, formulas, chosen) in enumerate((
                ("displacement", self.batch.displacements, self.batch.displacement),
                ("mapper", self.batch.mappers, self.batch.mapper)), 1):
            # The last entry is that of no displacement.
            own = np.array([*(id(f) in self.library.own for f in formulas), False])[chosen]
            own[[k for k, numbers in others.items() if kind in numbers]] = True
            for k in np.flatnonzero(own).tolist():
                known = others[k][kind] if k in others else None
                kernels = self.library.textures[id(formulas[chosen[k]])]
                found.append(_Texture(k, kernels, int(self.batch.slot_start[k, column]),
                                      None if known is None else known[: len(kernels.roots)]))
        return found

    def _bounded(self) -> np.ndarray:
        """Whether every object coordinate of the grid is of a magnitude for which bounds hold."""
        sums = (np.abs(self.batch.inverse) * [*self.sides, 1]).sum(axis=2)
        return np.asarray((sums <= layout.LARGEST).all(axis=1))  # NaN is not

    def volumes(self, type_: type, out: tuple[DeviceArray, DeviceArray] | None) -> Volumes:
        queue, shape = self.queue, (len(self.batch.volumes), *self.grid.shape)
        if out is None:
            image, label = queue.empty(shape, np.uint8), queue.empty(shape, type_)
        else:
            image, label = out
        counts = queue.empty((self.count,), np.int64)
        queue.fill(counts, 0)
        if image.size == 0:
            return Volumes(image, label, counts)
        words = max(1, -(-int(self.batch.volumes.max()) // layout.BITS))
        inside = queue.empty((shape[0], words, self.tiles, VOXELS), np.uint32)
        self._work_out_numbers()
        span = min(self.tiles, max(1, queue.budget // (max(1, self.count) * VOXELS * 4)))
        items = queue.empty((max(1, self.count), span), np.int32)
        distances = queue.empty((max(1, self.count) * span, VOXELS), np.float32)
        free = queue.empty((1,), np.int32)
        passing = None
        if self.known.fields is not None and not self.displaced:
            self._make_fields(self.known.fields, 0, self.tiles)
        else:
            passing = Fields.room(len(self.library.displacements) + len(self.displaced), span, queue)
        for window in range(0, self.tiles, span):
            beyond = min(window + span, self.tiles)
            if passing is not None:
                passing.made.clear()
                self._make_fields(passing, window, beyond)
            queue.fill(items, 0xFF)  # -1: nothing is there
            queue.fill(free, 0)
            self._draw(passing, window, beyond, free, items, distances, counts)
            for first, number in _portions(shape[0]):
                queue.launch(self.library.compose, (beyond - window, number), self.volume_table.starting(first),
                             self.table, *self.sides, window, beyond, items, distances, self.known.mapper_numbers,
                             self.numbers, self.inverses, words, inside.starting(first), image.starting(first))
        paint = text.paint_units()[label.dtype.itemsize - 1]
        for first, number in _portions(shape[0]):
            queue.launch(paint, (self.tiles, number), self.volume_table.starting(first), self.table, *self.sides, words,
                         inside.starting(first), counts, label.starting(first))
        return Volumes(image, label, counts)

    def _work_out_numbers(self) -> None:
        queue = self.queue
        for unit, first, count in self.textures:
            queue.launch(unit, (-(-count // queue.threads), 1), self.chosen, first, count, self.table, self.slots,
                         self.grid_numbers, self.reductions, self.most, self.numbers)
        for kernels, first, count, _ in self.groups:
            if not count:
                continue
            blocks = -(-count // queue.threads)
            for which, stage in enumerate((*kernels.searches, kernels.draw)):
                queue.launch(stage.numbers, (blocks, 1), self.chosen, first, count, self.table, self.slots,
                             self.grid_numbers, self.reductions, self.most, self.numbers)
                if stage is not kernels.draw:
                    queue.launch(stage.unit, (count, 1), self.chosen, first, self.table, self.inverses, *self.sides,
                                 self.numbers, self.reductions, self.most, which)

    def _make_fields(self, fields: Fields, window: int, beyond: int) -> None:
        """Have the offsets of the displacements that the batch uses in these tiles."""
        shared = [self.library.place[id(f)] for f in self.batch.displacements
                  if id(f) not in self.library.own]
        for which in shared:
            if which not in fields.made:
                self._make_field(fields, which, which, self.known.displacement_numbers, self.known.first[which],
                                 window, beyond)
                fields.made.add(which)
        for k, (which, first) in enumerate(self.displaced, len(self.library.displacements)):
            self._make_field(fields, k, which, self.numbers, first, window, beyond)

    def _make_field(self, fields: Fields, place: int, which: int, numbers: DeviceArray, first: int, window: int,
                    beyond: int) -> None:
        """Have the offsets of displacement `which` of the library, whose numbers begin at `first`, at a place."""
        at, count, queue = place * fields.span, beyond - window, self.queue
        queue.launch(self.library.fields[which], (count, 1), numbers, first, *self.sides, window, at, fields.offsets)
        queue.launch(text.lowest_unit(), (-(-count // queue.threads), 1), fields.offsets, *self.sides, window, at,
                     count, fields.lowest)

    def _draw(self, passing: Fields | None, window: int, beyond: int, free: DeviceArray, items: DeviceArray,
              distances: DeviceArray, counts: DeviceArray) -> None:
        """The distances of a window; `passing` are the fields of that window alone."""
        queue = self.queue
        fields, first_field = (self.known.fields, 0) if passing is None else (passing, window)
        assert fields is not None
        chunks = -(-(beyond - window) // queue.threads)
        for kernels, first, _, count in self.groups:
            for start, number in _portions(count):
                queue.launch(kernels.draw.unit, (chunks, number), self.chosen, first + start, self.table, self.inverses,
                             *self.sides, self.numbers, fields.offsets, fields.lowest, first_field, fields.span,
                             self.known.empty_from, window, beyond, free, items, distances, counts)


def _runs(sorted_: np.ndarray) -> Iterable[tuple[int, int, int]]:
    """Equal numbers in a sorted array: the number, where it begins, and where it ends."""
    values, firsts = np.unique(sorted_, return_index=True)
    bounds = [*firsts.tolist(), len(sorted_)]
    return zip(values.tolist(), bounds[:-1], bounds[1:], strict=True)


def _portions(count: int) -> Iterable[tuple[int, int]]:
    """As many blocks as a launch may have along y, one portion after the other: the first, and how many."""
    return ((first, min(_MOST_BLOCKS, count - first)) for first in range(0, count, _MOST_BLOCKS))
