"""Which cases are trained on, and which are held out."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import replace
from typing import TypeVar

import numpy as np

from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.runtime.finetuning.data.cases import Case, DataList
from fdif_dsl.runtime.finetuning.recipe import FinetuneRecipe
from fdif_dsl.runtime.settings.checks import Wrong
from fdif_dsl.runtime.settings.places import complain
from fdif_dsl.runtime.settings.wording import counted

_DEAL = 12345  # folds are the same for every seed, so that runs of several seeds are scored on the same cases

T = TypeVar("T")
Split = tuple[tuple[Case, ...], tuple[Case, ...]]
"""The cases that are trained on, and those that are held out."""


def split(data: DataList, recipe: FinetuneRecipe) -> Split:
    """The cases that may be trained on, and those that are held out.

    Raises:
        FdifError: there are too few for the recipe.
    """
    settings = recipe.data
    own = settings.validation == "list" or (settings.validation == "auto" and bool(data.held_out))
    if own and not data.held_out:
        raise FdifError(complain(recipe.source, "data", "validation", Wrong(
            "the data set has no validation list", f"{data.path} has no cases in `validation`",
            'hold out a fold of the training cases: validation = "fold"'), code="E0919"))
    if own:
        train, held_out = data.cases, data.held_out
    else:
        if data.folds is not None:
            return _enough(data, recipe, *_own_fold(data, recipe))
        if settings.folds < 2:
            raise FdifError(complain(recipe.source, "data", "folds", Wrong(
                "of one fold none is left to train on", "the data set has no folds of its own, so the cases are dealt",
                "take two folds or more"), code="E0919"))
        if len(data.cases) < settings.folds:
            raise FdifError(complain(recipe.source, "data", "folds", Wrong(
                f"{counted(len(data.cases), 'case')} cannot be dealt into {settings.folds} folds",
                hint="take fewer folds" if len(data.cases) > 2 else "more cases are needed: some to train on, and some "
                "to score on"), code="E0919"))
        folds = deal(data.cases, settings.folds)
        held_out = folds[settings.fold]
        train = tuple(case for case in data.cases if case not in held_out)
    return _enough(data, recipe, train, held_out)


def splits(data: DataList, recipe: FinetuneRecipe) -> tuple[Split, ...]:
    """What `split` says, or, for an ensemble, what it says of each fold."""
    settings = recipe.data
    if not settings.ensemble:
        return (split(data, recipe),)
    if settings.validation == "list":
        raise FdifError(complain(recipe.source, "data", "ensemble", Wrong(
            "an ensemble holds out folds, and the recipe says to hold out the validation list",
            hint='leave out validation = "list", or the ensemble'), code="E0919"))
    return tuple(split(data, replace(recipe, data=replace(settings, validation="fold", fold=fold)))
                 for fold in range(settings.folds))


def _own_fold(data: DataList, recipe: FinetuneRecipe) -> Split:
    """A fold of those that the data set comes with."""
    assert data.folds is not None
    settings, each = recipe.data, data.folds.each
    if len(each) != settings.folds:
        raise FdifError(complain(recipe.source, "data", "folds", Wrong(
            f"the data set has {counted(len(each), 'fold')} of its own, and the recipe says {settings.folds}",
            f"they are {data.folds.source}",
            f"write folds = {len(each)}; to have the cases dealt anew, take those of the data set away"),
            code="E0919"))
    fold = each[settings.fold]
    train, held_out = (tuple(case for case in data.cases if case.name in names)
                       for names in (fold.train, fold.held_out))
    return train, held_out


def _enough(data: DataList, recipe: FinetuneRecipe, train: tuple[Case, ...], held_out: tuple[Case, ...]) -> Split:
    """The same, where there are as many to train on as the recipe asks for."""
    if not train or recipe.data.cases > len(train):
        raise FdifError(complain(recipe.source, "data", "cases", Wrong(
            f"there are {counted(len(train), 'case')} to train on, and {max(1, recipe.data.cases)} are asked for",
            f"{len(held_out)} of {len(data.cases) + len(data.held_out)} are held out", "ask for fewer, or 0 for all"),
            code="E0919"))
    return train, held_out


def deal(items: Sequence[T], folds: int) -> list[tuple[T, ...]]:
    """The items in so many parts that differ in size by one at most, each in the order of the items."""
    places = np.random.default_rng(_DEAL).permutation(len(items))
    return [tuple(items[i] for i in sorted(places[fold::folds])) for fold in range(folds)]


def few(classes: Sequence[Set[int]], count: int, seed: int) -> list[int]:
    """The numbers of `count` cases, drawn by the seed; 0 is all. The first k of them are those that k would be.

    `classes` are those of each case. As long as one is missing that another case has, the next case is one with the
    most of these.
    """
    if not count:
        return list(range(len(classes)))
    waiting = np.random.default_rng(seed).permutation(len(classes)).tolist()
    missing = set().union(*classes)
    drawn: list[int] = []
    while len(drawn) < count:
        # The first of equals; where nothing is missing, the first of all.
        case = max(waiting, key=lambda case: len(missing & classes[case])) if missing else waiting[0]
        waiting.remove(case)
        missing -= classes[case]
        drawn.append(case)
    return drawn
