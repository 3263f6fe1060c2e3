"""Which cases are trained on, and which are held out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.runtime.finetuning.cases import Case, DataList
from fdif_dsl.runtime.finetuning.split import deal, few, split


def data(cases: int, held_out: int = 0) -> DataList:
    both = tuple(Case(f"c{i}", (Path(f"i{i}"),), Path(f"l{i}")) for i in range(cases + held_out))
    return DataList(Path("list.json"), both[:cases], both[cases:], ("background", "a"), ())


@given(st.integers(2, 40), st.integers(2, 8))
def test_every_case_is_in_one_fold(count: int, folds: int) -> None:
    dealt = deal(range(count), folds)
    assert sorted(i for fold in dealt for i in fold) == list(range(count))
    assert max(map(len, dealt)) - min(map(len, dealt)) <= 1


@given(st.lists(st.sets(st.integers(1, 6), max_size=4), min_size=1, max_size=20), st.integers(0, 2**32))
def test_fewer_cases_are_among_more(classes: list[set[int]], seed: int) -> None:
    every = few(classes, len(classes), seed)
    assert sorted(every) == list(range(len(classes)))
    for count in range(1, len(classes)):
        assert few(classes, count, seed) == every[:count]


def test_every_class_is_drawn_as_soon_as_can_be() -> None:
    rare = [{1}] * 20 + [{1, 2}, {1, 3}]
    for seed in range(20):
        assert set(few(rare, 2, seed)) == {20, 21}
        assert len(set(few(rare, 5, seed))) == 5


def test_the_seed_draws_other_cases() -> None:
    draws = {tuple(few([{1}] * 20, 3, seed)) for seed in range(10)}
    assert len(draws) > 5


def test_validation_is_the_lists_own_or_a_fold(tiny: Any) -> None:
    recipe = tiny(Path("x"), "data.folds=4")
    train, held_out = split(data(8), recipe)
    assert (len(train), len(held_out)) == (6, 2) and not set(train) & set(held_out)
    folds = [split(data(8), tiny(Path("x"), "data.folds=4", f"data.fold={k}"))[1] for k in range(4)]
    assert sorted(case.name for fold in folds for case in fold) == [f"c{i}" for i in range(8)]
    train, held_out = split(data(8, 3), recipe)
    assert [case.name for case in held_out] == ["c8", "c9", "c10"] and len(train) == 8
    assert len(split(data(8, 3), tiny(Path("x"), "data.folds=4", "data.validation=fold"))[1]) == 2


@pytest.mark.parametrize(("cases", "overrides", "said"), [
    (8, ["data.cases=7", "data.folds=4"], """\
error[E0919]: there are 6 cases to train on, and 7 are asked for
  --> command line:1:6
  |
1 | data.cases=7
  |      ^^^^^
  why: 2 of 8 are held out
  hint: ask for fewer, or 0 for all"""),
    (2, [], """\
error[E0919]: 2 cases cannot be dealt into 3 folds
  --> command line:1:6
  |
1 | data.folds=3
  |      ^^^^^
  hint: more cases are needed: some to train on, and some to score on"""),
    (4, ["data.validation=list"], """\
error[E0919]: the data set has no validation list
  --> command line:1:6
  |
1 | data.validation="list"
  |      ^^^^^^^^^^
  why: list.json has no cases in `validation`
  hint: hold out a fold of the training cases: validation = "fold\""""),
])
def test_too_few_cases(cases: int, overrides: list[str], said: str, tiny: Any) -> None:
    with pytest.raises(FdifError) as caught:
        split(data(cases), tiny(Path("x"), *overrides))
    assert str(caught.value) == said
