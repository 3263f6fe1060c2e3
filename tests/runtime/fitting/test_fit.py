"""From masks to a formula: what is found again, what the file says, and what is said of masks that cannot be used."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import fdif_dsl as fd
from fdif_dsl.compiler.frontend.diagnose import check_files
from fdif_dsl.grammar.format import format_source
from fdif_dsl.runtime.fitting import Fitted, Hooks
from fdif_dsl.runtime.recipe import resolve

from .conftest import SIDE, Write, turned, voxels_of

AXES = np.array([[0.34, 0.22, 0.13], [0.29, 0.19, 0.15], [0.31, 0.21, 0.14], [0.27, 0.18, 0.12]]) * SIDE


@pytest.fixture
def masks(egg: Path, write_mask: Write) -> list[Path]:
    """Four ellipsoids, turned a little, one of which is stored another way round."""
    shape = fd.load_library(egg).shapes["egg"]
    found = []
    for k, axes in enumerate(AXES):
        voxels = voxels_of(shape, {"axes": axes}, affine=turned(15 * k - 20, 2, (k, 0, 1)))
        back = np.diag([-1.0, 1, 1, 1])
        found.append(write_mask(f"m{k}", voxels[::-1] if k == 1 else voxels, back if k == 1 else None))
    return found


def fit(masks: list[Path], egg: Path, **more) -> Fitted:  # type: ignore[no-untyped-def]
    out = egg.parent / "out/found.sdf"
    return fd.fit(masks, out, "egg", library=egg, grid=(SIDE, SIDE, SIDE), **more)


def test_what_was_drawn_is_found_again(masks: list[Path], egg: Path) -> None:
    found = fit(masks, egg)
    assert min(found.dice) > 0.95 and max(found.surface) < 0.5
    assert np.abs(found.rows.column("axes") * SIDE - AXES).max() < 0.6
    # The formula: canonical, without mistakes, and with the mean of the masks.
    text = found.formula.read_text()
    assert check_files([found.formula]) == [] and format_source(text) == text
    assert len(text.splitlines()) <= 60 and "4 masks" in text and str(egg.parent) not in text
    lib = fd.load_library(found.formula)
    drawn = found.spread.draw(500, 0)[:, :3] * SIDE
    assert np.abs(drawn.mean(0) / AXES.mean(0) - 1).max() < 0.1
    # The recipe draws volumes that hold it.
    recipe = fd.Recipe.load(found.recipe)
    both = fd.load_library(["standard", found.formula])
    assert "found" in lib.shapes and resolve(recipe, both).shapes[0].name == "found"
    assert [d.name for d in resolve(recipe, both).displacements if d] == ["found_rough"]
    table = json.loads((found.report / "masks.json").read_text())
    assert [row["mask"] for row in table] == ["m0", "m1", "m2", "m3"]
    assert (found.report / "fits.png").stat().st_size > 1000
    # Again from what is kept, and to the same text.
    seen: list[int] = []
    again = fit(masks, egg, hooks=Hooks(fitted=lambda done, total: seen.append(done)))
    assert again.formula.read_text() == text and seen == [1, 2, 3, 4]


def test_the_parts_of_a_group_keep_their_places(egg: Path, write_mask: Write) -> None:
    shape = fd.load_library(egg).shapes["egg"]
    masks = []
    for k in range(3):
        front, back = (voxels_of(shape, {"axes": [6 + k, 4, 3]}, 24, turned(4 * k, 0, (k, y, 0))) for y in (5, -5))
        masks.append(write_mask(f"g{k}", front * 1 + (back & ~front) * 2))
    found = fd.fit(masks, egg.parent / "out/pair.sdf", "egg", library=egg, labels=[1, 2], grid=(24, 24, 24))
    assert min(found.dice) > 0.9 and found.names == ("g0 1", "g1 1", "g2 1", "g0 2", "g1 2", "g2 2")
    apart = (found.rows.column("place_1") - found.rows.column("place_2")) * 24
    assert np.abs(apart - [0, 10, 0]).max() < 1.2
    lib = fd.load_library(["standard", found.formula])
    recipe = fd.Recipe.load(found.recipe)
    choices = resolve(recipe, lib)
    assert [part.name for part in choices.groups["pair_1"]] == ["pair_2"]
    assert check_files([found.formula]) == []


@pytest.mark.parametrize(("wrong", "said"), [
    ("one", "E0975"), ("empty", "E0971"), ("label", "has no label 7"), ("nothing", "E0972"), ("twice", "E0970"),
    ("name", "E0976"), ("same", "E0976"), ("missing", "E0911"), ("unknown", "E0603")])
def test_one_message_for_each_mistake(egg: Path, write_mask: Write, wrong: str, said: str) -> None:
    ball = np.zeros((12, 12, 12))
    ball[3:9, 3:9, 3:9] = 1
    masks = [write_mask("a", ball), write_mask("b", ball)]
    given: dict = {"template": "egg", "library": egg}  # type: ignore[type-arg]
    out = egg.parent / "out.sdf"
    if wrong == "one":
        masks = masks[:1]
    elif wrong == "empty":
        masks.append(write_mask("c", 0 * ball))
    elif wrong == "label":
        given["label"] = 7
    elif wrong == "nothing":
        given["template"] = "ball"
    elif wrong == "twice":
        masks.append(masks[0])
    elif wrong == "name":
        out = egg.parent / "1-out.sdf"
    elif wrong == "same":
        out = egg.parent / "out/egg.sdf"
    elif wrong == "missing":
        masks.append(egg.parent / "none.nii.gz")
    else:
        given["template"] = "eg"
    with pytest.raises(fd.FdifError, match=said) as caught:
        fd.fit(masks, out, **given)
    assert len(caught.value.diagnostics) == 1 and not out.exists() and not (egg.parent / "report").exists()
