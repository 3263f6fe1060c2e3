"""A plan: which cases it has, and that it goes to other processes."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

from fdif_dsl.compiler.library import load_library
from fdif_dsl.runtime.datasets.case import draw
from fdif_dsl.runtime.recipe import Recipe


def test_cases_have_numbers_of_their_own(plan: Any) -> None:
    cases = list(plan("monai", {"training": 3, "validation": 2}).cases())
    assert [(c.split, c.name, c.index) for c in cases] == [
        ("training", "case_00000", 0), ("training", "case_00001", 1), ("training", "case_00002", 2),
        ("validation", "case_00000", 2**40), ("validation", "case_00001", 2**40 + 1)]


def test_a_case_knows_its_place(plan: Any) -> None:
    made = plan("monai", {"training": 3, "validation": 2})
    assert [made.place(case) for case in made.cases()] == [0, 1, 2, 3, 4]
    assert [made.place(case) for case in plan("monai", {"training": 5, "validation": 3}).cases()] == [
        0, 1, 2, None, None, 3, 4, None]


def test_a_plan_goes_to_another_process(plan: Any) -> None:
    made = plan("monai", 2)
    size = len(pickle.dumps(made))
    volume = draw(made, next(made.cases()))[1]
    assert len(pickle.dumps(made)) == size, "what it has found out stays here"
    sent = pickle.loads(pickle.dumps(made))
    assert sent.identity() == made.identity()
    assert (draw(sent, next(sent.cases()))[1].label == volume.label).all()


def test_what_decides_about_the_bytes_is_part_of_the_identity(plan: Any) -> None:
    made = plan("monai", 2)
    others = [plan("monai", 2, seed=6), plan("monai", 2, level=2), plan("nnunet", 2), plan("monai", 2, objects=1),
              plan("monai", 2, label="multi_task"), plan("monai", 2, scenes=True), replace(made, name="other"),
              replace(made, unions=1), replace(made, library=load_library()),
              replace(made, recipe=Recipe(mappers=["flat"]))]
    identities = [made.identity(), *(other.identity() for other in others)]
    assert all(a != b for i, a in enumerate(identities) for b in identities[:i])
    assert plan("monai", 9).identity() == made.identity(), "how many there are does not"
