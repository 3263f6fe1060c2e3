"""Batches of scenes as a GPU takes them, straight from the sampler."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from fdif_dsl.compiler.backends.cuda.batch import Batch
from fdif_dsl.runtime.recipe import Choices, Recipe
from fdif_dsl.runtime.recipe.meaning import NUMBER, Meaning, Task
from fdif_dsl.runtime.scenes.render import place
from fdif_dsl.runtime.scenes.sampler import Drawn, draw_objects, sample_scene

if TYPE_CHECKING:
    from fdif_dsl.compiler.library import Library


@dataclass(frozen=True)
class SceneBatch:
    """The objects of several scenes. Where the meaning has several tasks, or numbers are wanted, an object is labelled
    with its number in its scene, and `tables` (scenes, tasks, 1 + most objects) turns that into its labels; else
    `tables` is None."""

    objects: Batch
    tables: np.ndarray | None


def sample_batch(lib: Library, seed: int, indices: Sequence[int], recipe: Recipe, choices: Choices,
                 numbered: bool = False) -> SceneBatch:
    """The scenes of these indices; `choices` are what the recipe draws from the library. With `numbered`, objects are
    labelled with their numbers in any case."""
    drawn = draw_objects(lib, seed, indices, recipe)
    if drawn is None:
        return _one_by_one(lib, seed, indices, recipe, choices.meaning, numbered)
    textures = [d for d in choices.displacements if d is not None]
    places = iter(range(len(textures)))
    displaced = np.array([-1 if d is None else next(places) for d in choices.displacements])[drawn.displacement]
    numbers = _numbers(drawn.counts)
    labels = [_labels(task, drawn, numbers) for task in choices.meaning.tasks]
    several = numbered or len(labels) > 1
    batch = Batch(
        choices.shapes, textures, choices.mappers, drawn.counts.astype(np.int32), drawn.shape.astype(np.int32),
        displaced.astype(np.int32), drawn.mapper.astype(np.int32), (numbers if several else labels[0]).astype(np.int32),
        np.linalg.inv(drawn.affines)[:, :3], drawn.values, drawn.slots.astype(np.int32))
    if not several:
        return SceneBatch(batch, None)
    tables = np.zeros((len(indices), len(labels), 1 + drawn.counts.max(initial=0)), np.int64)
    tables[np.repeat(np.arange(len(indices)), drawn.counts), :, numbers] = np.stack(labels, axis=1)
    return SceneBatch(batch, tables)


def _labels(task: Task, drawn: Drawn, numbers: np.ndarray) -> np.ndarray:
    """The label of each object, as `Task.label` says."""
    label = np.zeros(len(drawn.shape), np.int64)
    for part, names in zip(task.parts, task.choices, strict=True):
        label = label * len(names) + (numbers - 1 if part == NUMBER else getattr(drawn, part))
    return label + 1


def _numbers(counts: np.ndarray) -> np.ndarray:
    """The number of each object in its scene, from 1."""
    return np.asarray(np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + 1)


def _one_by_one(lib: Library, seed: int, indices: Sequence[int], recipe: Recipe, meaning: Meaning,
                numbered: bool) -> SceneBatch:
    """The same where a prior scans the grid, which only Python does."""
    scenes = [sample_scene(lib, seed, index, recipe) for index in indices]
    tables = [meaning.table(scene.objects) for scene in scenes]
    several = numbered or len(meaning.tasks) > 1
    placed = [[replace(p, label=k if several else int(table[0, k])) for k, p in enumerate(place(scene, lib), 1)]
              for scene, table in zip(scenes, tables, strict=True)]
    if not several:
        return SceneBatch(Batch.of(placed), None)
    most = max(table.shape[1] for table in tables)
    whole = [np.pad(table.astype(np.int64), ((0, 0), (0, most - table.shape[1]))) for table in tables]
    return SceneBatch(Batch.of(placed), np.stack(whole))
