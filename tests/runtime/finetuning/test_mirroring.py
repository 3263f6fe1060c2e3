"""Patches are mirrored where no label tells one end from the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.runtime.finetuning import FinetuneRecipe
from fdif_dsl.runtime.finetuning.augmentation import augmentation
from fdif_dsl.runtime.finetuning.data.nifti import Grid
from fdif_dsl.runtime.finetuning.data.preprocessing import Prepared
from fdif_dsl.runtime.finetuning.mirroring import axes_to_mirror
from fdif_dsl.runtime.finetuning.recipe import Augment

SHAPE = (24, 28, 32)
Box = tuple[slice, slice, slice]


def case(*boxes: Box | None) -> Prepared:
    """A case of a class for each box (z, y, x), which has none of a class where that is None."""
    label = torch.zeros(1, *SHAPE, dtype=torch.uint8)
    for k, box in enumerate(boxes, 1):
        if box is not None:
            label[(0, *box)] = k
    places = tuple(np.flatnonzero(label == k) for k in range(len(boxes) + 1))
    return Prepared(torch.zeros(1, *SHAPE), np.eye(4), Grid(SHAPE[::-1], np.eye(4)), label, places)


def box(*middle: int, side: int = 6) -> Box:
    z, y, x = (slice(m - side // 2, m - side // 2 + side) for m in middle)
    return z, y, x


@given(st.lists(st.sampled_from([-1, 0, 1]), min_size=3, max_size=3), st.integers(1, 4))
@settings(deadline=None, max_examples=40)
def test_no_mirror_where_one_class_lies_beyond_another(sides: list[int], cases: int) -> None:
    """Along z, y, x the second box lies after, beside or before the first."""
    its = [case(box(12, 12, 16), box(*(m + 8 * s for m, s in zip((12, 12, 16), sides, strict=True))))
           for _ in range(cases)]
    assert axes_to_mirror("auto", its) == "".join(a for a, s in zip("zyx", sides, strict=True) if not s)[::-1]


def test_a_class_that_changes_sides_may_be_mirrored() -> None:
    assert axes_to_mirror("auto", [case(box(12, 12, 6), box(12, 12, 20)), case(box(12, 12, 20), box(12, 12, 6))]) == (
        "xyz")


def test_a_class_inside_of_another_may_be_mirrored() -> None:
    assert axes_to_mirror("auto", [case(box(12, 12, 16, side=18), box(12, 12, 19, side=4))]) == "xyz"


@pytest.mark.parametrize("boxes", [(box(12, 12, 6),), (box(12, 12, 6), None), (None, None), ()])
def test_one_class_alone_speaks_against_no_mirror(boxes: Sequence[Box | None]) -> None:
    assert axes_to_mirror("auto", [case(*boxes)]) == "xyz"


def test_what_the_recipe_says_is_done() -> None:
    its = [case(box(12, 12, 6), box(12, 12, 20))]
    assert axes_to_mirror("auto", its) == "yz"
    assert [axes_to_mirror(axes, its) for axes in ("x", "", "xyz")] == ["x", "", "xyz"]
    assert FinetuneRecipe.load("small", ['augment.axes="zx"']).augment.axes == "xz"


@pytest.mark.parametrize("axes", ["", "x", "yz", "xyz"])
def test_patches_are_mirrored_along_those_axes_alone(axes: str) -> None:
    made = augmentation(Augment(flip=0.5, axes=axes, rotate=0, zoom=0, noise=0, contrast=0, shift=0), label=True)
    image = torch.zeros(1, 4, 6, 8)
    image[0, 0, 0, 0] = 1
    found = set()
    for seed in range(60):
        made.set_random_state(seed=seed)
        at = np.argwhere(np.asarray(made({"image": image.clone(), "label": image.clone()})["image"][0]))[0]
        found.add("".join(a for a, place in zip("xyz", at[::-1], strict=True) if place))
    parts = {""}
    for axis in axes:
        parts |= {part + axis for part in parts}
    assert found == parts


@pytest.mark.parametrize("axes", ['"w"', '"xx"', "3", '["x"]'])
def test_what_names_no_axes_is_refused(axes: str) -> None:
    with pytest.raises(FdifError, match="names no axes"):
        FinetuneRecipe.load("small", [f"augment.axes={axes}"])
