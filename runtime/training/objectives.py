"""The objective of a recipe."""

from __future__ import annotations

from fdif_dsl.runtime.recipe import Recipe
from fdif_dsl.runtime.recipe.meaning import Meaning
from fdif_dsl.runtime.training.masked import Masked
from fdif_dsl.runtime.training.objective import Classification, Objective, Segmentation
from fdif_dsl.runtime.training.structure import Structure


def objective_of(recipe: Recipe, meaning: Meaning) -> Objective:
    """That of a recipe's `train.task`, for labels of that meaning."""
    training = recipe.training
    if training.task == "classification":
        return Classification(meaning)
    if training.task == "structure":
        return Structure(training.targets, training.reach)
    if training.task == "masked":
        return Masked(training.mask, training.mask_size)
    return Segmentation(recipe, meaning)
