"""The keys of [train]: what both kinds of recipe have in common is said once, and each key has a rule and a field."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.runtime.finetuning import FinetuneRecipe, Train
from fdif_dsl.runtime.finetuning.rules import FORM as FINETUNING
from fdif_dsl.runtime.recipe import Recipe, Training
from fdif_dsl.runtime.recipe.rules import FORM as PRETRAINING
from fdif_dsl.runtime.settings.training import Optimisation

KINDS = [(Recipe, Training, PRETRAINING), (FinetuneRecipe, Train, FINETUNING)]
ANYTHING = st.one_of(st.integers(-2, 2**40), st.floats(), st.booleans(), st.sampled_from(
    ["adamw", "sgd", "cosine", "poly", "constant", "16-mixed", "32", "auto", "gpu", "", "other"]), st.just([1]))


@pytest.mark.parametrize(("recipe", "section", "form"), KINDS)
def test_every_key_has_a_rule_and_a_field(recipe: Any, section: Any, form: Any) -> None:
    assert sorted(form.rules["train"]) == sorted(field.name for field in fields(section))
    # A recipe in full names them in the order of the rules, which is that of the first recipe's file.
    assert list(recipe.load(form.first).to_dict()["train"]) == list(form.rules["train"])


@given(st.sampled_from([field.name for field in fields(Optimisation)]), ANYTHING)
def test_a_value_is_possible_in_both_kinds_or_in_none(key: str, value: Any) -> None:
    """And where it is not, both say the same of it."""
    said = []
    for section in (Training, Train):
        try:
            made: Any = section(**{"steps": 10**9, "warmup": 0, key: value})
        except FdifError as error:
            said.append(str(error))
        else:
            said.append(getattr(made, key))
    assert said[0] == said[1]
