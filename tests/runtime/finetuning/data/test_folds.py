"""The folds that a data set comes with are those that are used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.runtime.finetuning.data.datalists import read_list
from fdif_dsl.runtime.finetuning.data.split import split
from fdif_dsl.runtime.finetuning.preflight import begin

SPLITS = [{"train": ["toy_000", "toy_002"], "val": ["toy_001"]}, {"train": ["toy_001"], "val": ["toy_000", "toy_002"]}]


@pytest.fixture(autouse=True)
def nothing_prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    """nnU-Net's own folders are not looked at."""
    monkeypatch.delenv("nnUNet_preprocessed", raising=False)


def names(recipe: Any) -> list[list[str]]:
    """The cases that are trained on, and those that are held out."""
    return [[case.name for case in part] for part in split(read_list(Path(recipe.data.path)), recipe)]


def with_folds(path: Path, *keys: int | None) -> Path:
    """The list with a key `fold` in its entries."""
    table = json.loads(path.read_text())
    for entry, key in zip(table["training"], keys, strict=True):
        entry |= {} if key is None else {"fold": key}
    path.write_text(json.dumps(table))
    return path


def message(path: Path, tiny: Any, *overrides: str) -> str:
    with pytest.raises(FdifError) as caught:
        names(tiny(path, *overrides))
    return str(caught.value)


def test_the_keys_of_a_list(datalist: Any, tiny: Any) -> None:
    path = with_folds(datalist(cases=5), 0, 1, 0, 2, None)
    folds = [names(tiny(path, f"data.fold={k}")) for k in range(3)]
    assert folds == [[["case1", "case3", "case4"], ["case0", "case2"]],
                     [["case0", "case2", "case3", "case4"], ["case1"]],
                     [["case0", "case1", "case2", "case4"], ["case3"]]]
    assert str(begin(tiny(path, "data.fold=1"), "small", False)).splitlines()[0] == (
        f"fine-tuning unet for 3 steps on 4 of 4 cases, with 1 held out: fold 1 of the `fold` keys of {path}")


def test_a_validation_list_comes_before_folds(datalist: Any, tiny: Any) -> None:
    path = with_folds(datalist(cases=3, held_out=1), 0, 1, 2)
    assert names(tiny(path)) == [["case0", "case1", "case2"], ["case3"]]
    assert str(begin(tiny(path), "small", False)).splitlines()[0].endswith(
        "with 1 held out: those of its validation list, not of its folds")
    assert names(tiny(path, "data.validation=fold"))[1] == ["case0"]


def test_the_splits_of_nnunet(nnunet: Any, tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = nnunet(cases=3)
    dealt = names(tiny(folder, "data.folds=2", "data.fold=1"))
    prepared = tmp_path / "prepared" / folder.name
    prepared.mkdir(parents=True)
    (prepared / "splits_final.json").write_text(json.dumps(SPLITS[::-1]))
    assert names(tiny(folder, "data.folds=2", "data.fold=1")) == dealt
    monkeypatch.setenv("nnUNet_preprocessed", str(tmp_path / "prepared"))
    assert names(tiny(folder, "data.folds=2", "data.fold=1")) == [["toy_000", "toy_002"], ["toy_001"]]
    (folder / "splits_final.json").write_text(json.dumps(SPLITS))
    assert names(tiny(folder, "data.folds=2", "data.fold=1")) == [["toy_001"], ["toy_000", "toy_002"]]


def test_another_number_of_folds(datalist: Any, tiny: Any) -> None:
    path = with_folds(datalist(cases=2), 0, 1)
    assert message(path, tiny) == f"""\
error[E0919]: the data set has 2 folds of its own, and the recipe says 3
  --> command line:1:6
  |
1 | data.folds=3
  |      ^^^^^
  why: they are the `fold` keys of {path}
  hint: write folds = 2; to have the cases dealt anew, take those of the data set away"""
    one = with_folds(datalist(cases=2), 0, None)
    assert names(tiny(one, "data.folds=1")) == [["case1"], ["case0"]]
    assert message(datalist(cases=2), tiny, "data.folds=1") == """\
error[E0919]: of one fold none is left to train on
  --> command line:1:6
  |
1 | data.folds=1
  |      ^^^^^
  why: the data set has no folds of its own, so the cases are dealt
  hint: take two folds or more"""


def test_keys_with_a_gap(datalist: Any, tiny: Any) -> None:
    path = with_folds(datalist(cases=3), 1, 2, 2)
    assert message(path, tiny) == f"""\
error[E0909]: entries have `fold` 1, 2, and none has 0
  --> {path}: training
  why: folds count 0, 1, 2 and so on
  hint: number them anew, or take the keys `fold` out: then the cases are dealt"""


@pytest.mark.parametrize(("splits", "title", "place"), [
    ({"train": []}, "the file does not list folds", ""),
    ([{"train": "toy_000", "val": ["toy_001"]}], "the file does not list folds", ""),
    ([], "the file does not list folds", ""),
    ([SPLITS[0], {"train": ["toy_000"], "val": ["toy_9"]}], "a fold names `toy_9`, and no case is called that", "[1]"),
    ([{"train": ["toy_000", "toy_001"], "val": ["toy_001"]}],
     "`toy_001` is trained on and held out in the same fold", "[0]"),
    ([{"train": ["toy_000"], "val": []}], "a fold has no case that is held out", "[0]"),
    ([{"train": [], "val": ["toy_000"]}], "a fold has no case to train on", "[0]"),
])
def test_splits_that_cannot_be_used(splits: Any, title: str, place: str, nnunet: Any, tiny: Any) -> None:
    folder = nnunet(cases=3)
    path = folder / "splits_final.json"
    path.write_text(json.dumps(splits))
    assert message(folder, tiny) == f"""\
error[E0909]: {title}
  --> {path}{f": {place}" if place else ""}
  why: nnU-Net trains on `train` and scores `val` of each fold
  hint: it is a list with {{"train": ["a", "b"], "val": ["c"]}} for each fold; without the file the cases are dealt"""


def test_splits_that_are_not_json(nnunet: Any, tiny: Any) -> None:
    folder = nnunet(cases=3)
    (folder / "splits_final.json").write_text("[{]")
    assert message(folder, tiny).startswith(f"""\
error[E0908]: the list of the data set is not JSON
  --> {folder}/splits_final.json:1:3
""")
