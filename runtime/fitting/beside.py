"""A picture of scans beside volumes that were drawn with what was fitted to their masks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fdif_dsl.runtime.fitting.grey import TOP, read_image
from fdif_dsl.runtime.fitting.masks import Masked
from fdif_dsl.runtime.fitting.target import chosen_voxels, read_stored
from fdif_dsl.runtime.pictures import palette
from fdif_dsl.runtime.pictures.overview import telling_plane
from fdif_dsl.runtime.pictures.view import figure_file

Pair = tuple[np.ndarray, np.ndarray]  # image and label (D, H, W)

COLUMNS = 5
_TRIES = 40  # volumes that are drawn until enough of them hold what was fitted
_SIDE = 1.8


def draw_beside(masks: Sequence[Masked], labels: Sequence[tuple[int, ...]], formula: Path, shapes: Sequence[str],
                path: Path) -> None:
    """Slices of scans in the upper row and of volumes of the recipe beside `formula` in the lower one, with the
    outlines of each of `labels` and of the `shapes` that were fitted to them."""
    scans = [_scan(mask, labels) for mask in masks if mask.image is not None][:COLUMNS]
    rows = {"scans": scans, "drawn": _drawn(formula, shapes, len(scans))}
    with figure_file(path, COLUMNS * _SIDE + 0.4, 2 * _SIDE + 0.1) as figure:
        figure.subplots_adjust(left=0.05, right=0.99, bottom=0.01, top=0.99, wspace=0.03, hspace=0.03)
        for row, (name, pairs) in enumerate(rows.items()):
            for column, (image, label) in enumerate(pairs):
                axes = figure.add_subplot(2, COLUMNS, COLUMNS * row + column + 1)
                plane = telling_plane(label)
                axes.imshow(image[plane], cmap="gray", vmin=0, vmax=TOP, origin="lower")
                for number in np.unique(label[plane])[1:]:
                    axes.contour(label[plane] == number, levels=[0.5], linewidths=1.2,
                                 colors=[palette.label_colour(int(number))])
                axes.set_xticks([])
                axes.set_yticks([])
                if column == 0:
                    axes.set_ylabel(name, fontsize=9, color=palette.INK)


def _scan(mask: Masked, labels: Sequence[tuple[int, ...]]) -> Pair:
    assert mask.image is not None
    stored = read_stored(mask.label)
    image = read_image(mask.image, stored)
    found = np.zeros(image.shape, np.uint8)
    for number, some in enumerate(labels, 1):
        found[chosen_voxels(stored, some)] = number
    return image.transpose(2, 1, 0), found.transpose(2, 1, 0)


def _drawn(formula: Path, shapes: Sequence[str], count: int) -> list[Pair]:
    """Volumes of the recipe that hold the shapes; other objects have no label. Nothing is compiled for so few."""
    from fdif_dsl.compiler.library import load_library
    from fdif_dsl.runtime.recipe import Recipe, resolve
    from fdif_dsl.runtime.scanner.scan import scan
    from fdif_dsl.runtime.scenes.sampler import sample_scene

    lib, recipe = load_library(["standard", formula]), Recipe.load(formula.with_suffix(".toml"))
    meaning = resolve(recipe, lib).meaning
    found: list[Pair] = []
    for index in range(_TRIES):
        if len(found) == count:
            break
        scene = sample_scene(lib, 0, index, recipe)
        if not {one.shape for one in scene.objects} & set(shapes):
            continue
        volume = scan(scene, lib, recipe, 0, index, "interpret", meaning)
        label = np.zeros(volume.label.shape, np.uint8)
        for number, shape in enumerate(shapes, 1):
            label[volume.label == meaning.tasks[0].classes.index(shape)] = number
        found.append((volume.image, label))
    return found
