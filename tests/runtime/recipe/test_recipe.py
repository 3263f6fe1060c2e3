"""Recipes: defaults from the paper, TOML, choices in a library, and every message."""

from __future__ import annotations

import dataclasses
import pickle
import re
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fdif_dsl.compiler.library import Library, load_library
from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.runtime.recipe import (
    Augmentation,
    Monitor,
    Placement,
    Recipe,
    Scanner,
    Training,
    as_recipe,
    recipes,
    resolve,
)

STD = load_library()


def message(call: Any, *args: Any, **kwargs: Any) -> str:
    with pytest.raises(FdifError) as caught:
        call(*args, **kwargs)
    return str(caught.value)


def own_library(folder: Path, text: str) -> Library:
    path = folder / "own.sdf"
    path.write_text(text)
    return load_library(path)


# -- values --------------------------------------------------------------------------------------------


def test_the_paper_is_what_is_left_out() -> None:
    assert Recipe() == Recipe.load("paper")
    assert Recipe().grid == (96, 96, 96)
    assert Recipe().object_range == (20, 20)
    assert Recipe().placement == Placement(translate=0.35, rotation=180, shear=0.1)


def test_the_paper_has_nine_displacements_or_none_and_ten_mappers() -> None:
    """All of the standard library but one of each, by REFERENCE.md."""
    recipe = Recipe()
    assert recipe.shapes is None
    assert None in recipe.displacements
    assert set(STD.displacements) - set(recipe.displacements) == {"sawtooth_fine"}
    assert set(STD.mappers) - set(recipe.mappers) == {"linear_slope_20.0"}
    choices = resolve(recipe, STD)
    assert [len(c) for c in (choices.shapes, choices.displacements, choices.mappers)] == [109, 10, 10]


def test_a_recipe_in_one_line() -> None:
    recipe = Recipe(grid=(48, 48, 48), objects=1, displacements=[], mappers=["linear_slope_10.0"])
    assert recipe.object_range == (1, 1)
    choices = resolve(recipe, STD)
    assert choices.displacements == (None,)
    assert [m.name for m in choices.mappers] == ["linear_slope_10.0"]
    assert len(choices.shapes) == 109


def test_recipes_are_values() -> None:
    recipe = Recipe(grid=[8, 8, 8], shapes=["sphere"])  # type: ignore[arg-type]
    assert hash(recipe) == hash(Recipe(grid=(8, 8, 8), shapes=("sphere",)))
    assert pickle.loads(pickle.dumps(Recipe.load("demo"))) == Recipe.load("demo")
    assert dataclasses.replace(recipe, objects=3).grid == (8, 8, 8)


def test_none_in_a_list_is_one_of_the_equal_choices() -> None:
    recipe = Recipe(displacements=[None, "ridge"])
    assert Recipe(displacements=["none", "ridge"]) == recipe
    assert [d and d.name for d in resolve(recipe, STD).displacements] == [None, "ridge"]


# -- files ---------------------------------------------------------------------------------------------


def test_built_in_recipes_load_and_fit_their_libraries() -> None:
    assert list(recipes()) == ["paper", "classification", "demo", "laptop", "organic", "paper-primus-m",
                               "paper-resenc-l", "paper-swin-unetr", "paper-unetr", "paper-vnet", "primgeoseg",
                               "scanner", "textures"]
    for name, about in recipes().items():
        assert about.endswith(".")
        recipe = Recipe.load(name)
        assert resolve(recipe, STD if recipe.library == ("standard",) else load_library(recipe.library)).shapes


def test_a_recipe_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('about = "x"\n[volume]\nobjects = [1, 3]\n[classes]\nshapes = "all"\ndisplacements = ["none"]\n'
                    '[train]\nlr = 1\npatch = [32, 32, 32]\n[placement]\nrotation = 0\n')
    recipe = Recipe.load(path)
    assert recipe == Recipe(objects=(1, 3), displacements=[None], placement=Placement(rotation=0),
                            training=Training(lr=1.0, patch=(32, 32, 32)))
    assert Recipe.load(str(path)) == recipe


@pytest.mark.parametrize("name", recipes())
def test_the_record_of_a_recipe_reads_back(name: str, tmp_path: Path) -> None:
    recipe = Recipe.load(name)
    text = recipe.to_toml('It\'s "the" same.')
    assert tomllib.loads(text) == recipe.to_dict() | {"about": 'It\'s "the" same.'}
    (tmp_path / "again.toml").write_text(text, encoding="utf-8")
    assert Recipe.load(tmp_path / "again.toml") == recipe


def test_a_record_has_the_limits_of_objects_inside_the_grid_alone() -> None:
    """So records of other recipes are what they were."""
    assert list(Recipe().to_dict()["placement"]) == ["translate", "rotation", "shear", "grid_scale"]
    inside = Recipe(placement=Placement(translate="inside", overlap=0.5, order="largest"))
    assert inside.to_dict()["placement"] == {"translate": "inside", "rotation": 180.0, "shear": 0.1, "grid_scale": 1.0,
                                             "overlap": 0.5, "tries": 100, "order": "largest"}


# -- values replaced on the command line ---------------------------------------------------------------


def test_values_are_replaced() -> None:
    recipe = Recipe.load("demo", ["train.steps=7", "train.network=vnet", "volume.grid=[32, 32, 32]",
                                  'classes.shapes=["torus"]', "train.compile=true", "train.steps = 5"])
    assert recipe == dataclasses.replace(
        Recipe.load("demo"), grid=(32, 32, 32), shapes=("torus",),
        training=dataclasses.replace(Recipe.load("demo").training, steps=5, warmup=5, network="vnet", compile=True))
    assert Recipe.load("demo", ["train.steps=5", "train.warmup=2"]).training.warmup == 2


@pytest.mark.parametrize(("text", "said"), [
    ("train.stepz=7", """\
error[E0504]: [train] has no key `stepz`
  --> command line:1:7
  |
1 | train.stepz=7
  |       ^^^^^
  why: its keys are ...
  hint: did you mean `steps`?"""),
    ("trane.steps=7", """\
error[E0504]: a recipe has no section `trane`
  --> command line:1:1
  |
1 | trane.steps=7
  | ^^^^^
  why: its sections are `volume`, `placement`, `classes`, `scanner`, `train`, `augment`, `monitor`
  hint: did you mean `train`?"""),
    ("train.steps=lots", """\
error[E0504]: `lots` where a whole number is expected
  --> command line:1:7
  |
1 | train.steps="lots"
  |       ^^^^^
  hint: write a whole number from 1 to 1000000000"""),
    ("train.schedule=cosin", """\
error[E0504]: `cosin` is not supported
  --> command line:1:7
  |
1 | train.schedule="cosin"
  |       ^^^^^^^^
  why: there are `cosine`, `poly`, `constant`
  hint: did you mean `cosine`?"""),
    ("train.warmup=9000", """\
error[E0504]: 9000 steps of warm-up in a run of 1200 steps
  --> command line:1:7
  |
1 | train.warmup=9000
  |       ^^^^^^
  hint: make `warmup` smaller or `steps` larger"""),
    ("steps=7", """\
error[E0507]: `steps=7` replaces no value of a recipe
  --> command line
  hint: write section.key=value, for example train.steps=1000"""),
    ("volume.grid=[1, 2", """\
error[E0507]: `[1, 2` is no value
  --> command line: volume.grid
  hint: write a number, a word, true or false, or a list like [48, 48, 48] or ["a", "b"]; quotes keep the shell \
from reading it"""),
])
def test_mistakes_on_the_command_line(text: str, said: str) -> None:
    with pytest.raises(FdifError) as caught:
        Recipe.load("demo", ["train.lr=1e-3", text])
    found = re.sub("(?m)^  why: its keys are .*$", "  why: its keys are ...", str(caught.value))
    assert found == said


def test_a_name_from_the_command_line_is_shown_there() -> None:
    with pytest.raises(FdifError) as caught:
        resolve(Recipe.load("demo", ['classes.mappers=["modular_6"]']), STD)
    assert str(caught.value) == """\
error[E0504]: the library has no mapper `modular_6`
  --> command line:1:18
  |
1 | classes.mappers=["modular_6"]
  |                  ^^^^^^^^^^^
  hint: did you mean `modular_5`?"""


FILES = {
    "unknown key": ("[volume]\ngird = [96, 96, 96]\n", """\
error[E0504]: [volume] has no key `gird`
  --> my.toml:2:1
  |
2 | gird = [96, 96, 96]
  | ^^^^
  why: its keys are `grid`, `objects`, `label`, `images`, `spacing`
  hint: did you mean `grid`?"""),
    "key of another section": ("[classes]\nlr = 0.1\n", """\
error[E0504]: [classes] has no key `lr`
  --> my.toml:2:1
  |
2 | lr = 0.1
  | ^^
  why: its keys are `library`, `keep_out`, `shapes`, `displacements`, `mappers`, `groups`
  hint: `lr` belongs to [train]"""),
    "unknown section": ("[clases]\n", """\
error[E0504]: a recipe has no section `clases`
  --> my.toml:1:2
  |
1 | [clases]
  |  ^^^^^^
  why: its sections are `volume`, `placement`, `classes`, `scanner`, `train`, `augment`, `monitor`
  hint: did you mean `classes`?"""),
    "top-level key": ("grid = [1, 1, 1]\n", """\
error[E0504]: a recipe has no key `grid`
  --> my.toml:1:1
  |
1 | grid = [1, 1, 1]
  | ^^^^
  why: its sections are `volume`, `placement`, `classes`, `scanner`, `train`, `augment`, `monitor`
  hint: `grid` belongs to [volume]"""),
    "section as a key": ("train = 3\n", """\
error[E0504]: `train` is a section, not a key
  --> my.toml:1:1
  |
1 | train = 3
  | ^^^^^
  hint: write [train] on a line of its own"""),
    "wrong type": ("[train]\nlr = \"fast\"\n", """\
error[E0504]: `fast` where a number is expected
  --> my.toml:2:1
  |
2 | lr = "fast"
  | ^^
  hint: write a number from 0 to 1000"""),
    "out of range": ("[placement]\nshear = 0.5\n", """\
error[E0504]: 0.5 is out of range
  --> my.toml:2:1
  |
2 | shear = 0.5
  | ^^^^^
  hint: write a number from 0 to below 0.5"""),
    "no place": ("[placement]\ntranslate = \"outside\"\n", """\
error[E0504]: `outside` says nothing about places
  --> my.toml:2:1
  |
2 | translate = "outside"
  | ^^^^^^^^^
  hint: write a number from 0 to 10, or "inside\""""),
    "far away": ("[placement]\ntranslate = 11\n", """\
error[E0504]: 11 is out of range
  --> my.toml:2:1
  |
2 | translate = 11
  | ^^^^^^^^^
  hint: write a number from 0 to 10"""),
    "overlap": ("[placement]\ntranslate = \"inside\"\noverlap = 70\n", """\
error[E0504]: 70 is out of range
  --> my.toml:3:1
  |
3 | overlap = 70
  | ^^^^^^^
  hint: write a number from 0 to 1"""),
    "tries": ("[placement]\ntries = 0\n", """\
error[E0504]: 0 is out of range
  --> my.toml:2:1
  |
2 | tries = 0
  | ^^^^^
  hint: write a whole number from 1 to 1000"""),
    "order": ("[placement]\ntranslate = \"inside\"\norder = \"size\"\n", """\
error[E0504]: `size` is not supported
  --> my.toml:3:1
  |
3 | order = "size"
  | ^^^^^
  why: there are `drawn`, `largest`
  hint: write one of these"""),
    "overlap anywhere": ("[placement]\noverlap = 0.5\n", """\
error[E0504]: `overlap` is for objects inside the grid
  --> my.toml:2:1
  |
2 | overlap = 0.5
  | ^^^^^^^
  why: others may lie anywhere, also partly outside of it
  hint: write translate = "inside" in [placement] too, or leave `overlap` out"""),
    "order anywhere": ("[placement]\ntranslate = 0.2\norder = \"largest\"\n", """\
error[E0504]: `order` is for objects inside the grid
  --> my.toml:3:1
  |
3 | order = "largest"
  | ^^^^^
  why: others may lie anywhere, also partly outside of it
  hint: write translate = "inside" in [placement] too, or leave `order` out"""),
    "NaN": ("[train]\nweight_decay = nan\n", """\
error[E0504]: nan is out of range
  --> my.toml:2:1
  |
2 | weight_decay = nan
  | ^^^^^^^^^^^^
  hint: write a number from 0 to 1000"""),
    "not whole": ("[train]\nsteps = 10.5\n", """\
error[E0504]: 10.5 where a whole number is expected
  --> my.toml:2:1
  |
2 | steps = 10.5
  | ^^^^^
  hint: write a whole number from 1 to 1000000000"""),
    "wrong together": ("[train]\nsteps = 100\nwarmup = 200\n", """\
error[E0504]: 200 steps of warm-up in a run of 100 steps
  --> my.toml:3:1
  |
3 | warmup = 200
  | ^^^^^^
  hint: make `warmup` smaller or `steps` larger"""),
    "patch": ("[train]\npatch = [128, 96, 96]\n", """\
error[E0504]: a crop of [128, 96, 96] does not fit into a volume of [96, 96, 96]
  --> my.toml:2:1
  |
2 | patch = [128, 96, 96]
  | ^^^^^
  hint: make the patch smaller, the grid larger, or leave the patch out to take the whole volume"""),
    "label": ("[volume]\nlabel = \"shape_maper\"\n", """\
error[E0504]: `shape_maper` is not supported
  --> my.toml:2:1
  |
2 | label = "shape_maper"
  | ^^^^^
  why: there are `shape`, `shape_mapper`, `shape_displacement_mapper`, `multi_task`, `object`, `instance`
  hint: did you mean `shape_mapper`?"""),
    "repeated": ("[classes]\nshapes = [\"sphere\", \"sphere\"]\n", """\
error[E0504]: `sphere` stands twice in the list
  --> my.toml:2:1
  |
2 | shapes = ["sphere", "sphere"]
  | ^^^^^^
  why: all entries have the same chance
  hint: name it once"""),
    "no mapper": ("[classes]\nmappers = []\n", """\
error[E0504]: the list is empty
  --> my.toml:2:1
  |
2 | mappers = []
  | ^^^^^^^
  why: each object needs a mapper
  hint: leave it out to keep the paper's choice"""),
    "range": ("[volume]\nobjects = [3, 1]\n", """\
error[E0504]: [3, 1] is no range
  --> my.toml:2:1
  |
2 | objects = [3, 1]
  | ^^^^^^^
  hint: write the smaller number first: [1, 3]"""),
    "too large": ("[volume]\ngrid = [2048, 2048, 2048]\n", """\
error[E0504]: [2048, 2048, 2048] is too large
  --> my.toml:2:1
  |
2 | grid = [2048, 2048, 2048]
  | ^^^^
  why: a volume has at most 2147483648 voxels
  hint: write the voxels along z, y and x, for example [96, 96, 96]"""),
    "not TOML": ("[train]\nlr = = 3\n", """\
error[E0503]: the recipe is not TOML
  --> my.toml:2:6
  |
2 | lr = = 3
  |      ^
  why: Invalid value
  hint: a recipe has sections like [train] and lines like steps = 1000"""),
    "cut off": ("[train]\nlr = [", """\
error[E0503]: the recipe is not TOML
  --> my.toml
  why: Invalid value (at end of document)
  hint: a recipe has sections like [train] and lines like steps = 1000"""),
}


@pytest.mark.parametrize(("text", "expected"), FILES.values(), ids=FILES)
def test_a_mistake_in_a_file_is_shown_at_its_line(text: str, expected: str, tmp_path: Path,
                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my.toml").write_text(text)
    assert message(Recipe.load, "my.toml") == expected


def test_every_mistake_of_a_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "my.toml"
    path.write_text("[volume]\ngrid = 3\nobjects = -1\n[train]\nworkers = true\nspeed = 1\n")
    assert message(Recipe.load, path).count("error[") == 4


def test_a_recipe_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert message(Recipe.load, "papper") == """\
error[E0501]: no recipe is called `papper`
  why: the built-in recipes are `paper`, `classification`, `demo`, `laptop`, `organic`, \
`paper-primus-m`, `paper-resenc-l`, `paper-swin-unetr`, `paper-unetr`, `paper-vnet`, `primgeoseg`, `scanner`, `textures`
  hint: did you mean `paper`?"""
    assert message(Recipe.load, "x.toml") == """\
error[E0502]: cannot read the recipe
  --> x.toml
  why: No such file or directory
  hint: check the path; `fdifc list recipes` shows the built-in ones"""
    Path("y.toml").write_bytes(b"\xff\xfe")
    assert message(Recipe.load, "y.toml") == """\
error[E0502]: cannot read the recipe
  --> y.toml
  why: it is not UTF-8 text
  hint: check the path; `fdifc list recipes` shows the built-in ones"""


def test_what_is_no_recipe() -> None:
    assert message(as_recipe, {"grid": [8, 8, 8]}) == """\
error[E0501]: a table where a recipe is expected
  hint: give a name, the path of a TOML file, or a `Recipe`"""


def test_a_mistake_in_python_names_the_field() -> None:
    assert message(Recipe, grid=(0, 1, 2), mappers="modular_5") == """\
error[E0504]: [0, 1, 2] is no possible volume
  --> recipe: volume.grid
  why: each side has 1 to 2048 voxels
  hint: write the voxels along z, y and x, for example [96, 96, 96]

error[E0504]: `modular_5` where a list of names is expected
  --> recipe: classes.mappers
  hint: write it like ["a", "b"]"""


FIELDS = [(record, field.name) for record in (Recipe, Placement, Scanner, Training, Augmentation, Monitor)
          for field in dataclasses.fields(record)
          if record is not Recipe
          or field.name not in ("placement", "scanner", "training", "augment", "monitor", "source")]
JUNK = st.one_of(st.none(), st.integers(-2, 10**20), st.floats(), st.booleans(), st.text(max_size=3),
                 st.lists(st.one_of(st.integers(-1, 3), st.text(max_size=2), st.none()), max_size=4))


@given(st.sampled_from(FIELDS), JUNK)
@settings(max_examples=300, deadline=None)
def test_whatever_the_value_a_recipe_is_made_or_refused(field: tuple[Any, str], value: Any) -> None:
    record, name = field
    try:
        made = record(**{name: value})
    except FdifError as error:
        assert error.diagnostics
    else:
        hash(made)


# -- libraries of one's own ----------------------------------------------------------------------------

OWN = """
shape blob { distance = length(p) - 3 }
shape block { distance = max(abs(p.x), abs(p.y), abs(p.z)) - 3 }
mapper bright { intensity = 100 }
mapper modular_5 { intensity = 50 }
"""


def test_of_the_papers_lists_a_library_takes_what_it_has(tmp_path: Path) -> None:
    choices = resolve(Recipe(), own_library(tmp_path, OWN))
    assert [s.name for s in choices.shapes] == ["blob", "block"]
    assert [m.name for m in choices.mappers] == ["modular_5"]
    assert choices.displacements == (None,)


def test_where_nothing_of_the_papers_lists_is_there_all_is_taken(tmp_path: Path) -> None:
    text = OWN.replace("modular_5", "dim") + "displacement wave { offset = sin(p.x) }\n"
    choices = resolve(Recipe(), own_library(tmp_path, text))
    assert [m.name for m in choices.mappers] == ["bright", "dim"]
    assert {d and d.name for d in choices.displacements} == {None, "wave"}


def test_a_name_that_was_chosen_must_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    library = own_library(tmp_path, OWN)
    assert message(resolve, Recipe(shapes=["blok"], mappers=["bright", "zzz"]), library) == """\
error[E0504]: the library has no shape `blok`
  --> recipe: classes.shapes
  hint: did you mean `block`?

error[E0504]: the library has no mapper `zzz`
  --> recipe: classes.mappers
  hint: `fdifc list mappers` shows what there is"""
    Path("my.toml").write_text('[classes]\nshapes = [\n  "blob",\n  "blok",\n]\n')
    assert message(resolve, Recipe.load("my.toml"), library) == """\
error[E0504]: the library has no shape `blok`
  --> my.toml:4:3
  |
4 |   "blok",
  |   ^^^^^^
  hint: did you mean `block`?"""


def test_a_library_without_mappers_is_no_use(tmp_path: Path) -> None:
    assert message(resolve, Recipe(), own_library(tmp_path, "shape blob { distance = length(p) - 3 }\n")) == """\
error[E0505]: the library has no mapper
  why: each object of a volume needs one of its mappers
  hint: declare a mapper in the library, or add `use mappers` for the standard ones"""


def test_numbers_may_come_from_numpy() -> None:
    assert Recipe(objects=np.int64(3)).objects == 3  # type: ignore[arg-type]
    assert Recipe(grid=np.array([8, 9, 10])).grid == (8, 9, 10)  # type: ignore[arg-type]
    assert Recipe(grid=tuple(np.int64(n) for n in (8, 9, 10))).grid == (8, 9, 10)  # type: ignore[arg-type]


# -- libraries -----------------------------------------------------------------------------------------


def test_a_recipe_names_its_libraries() -> None:
    recipe = Recipe(library=["solids", "mappers"])
    assert recipe.library == ("solids", "mappers")
    assert list(load_library(recipe.library).mappers) == list(STD.mappers)
    assert recipe.to_dict()["classes"]["library"] == ["solids", "mappers"]
    assert Recipe().library == ("standard",) and load_library(Recipe().library).hash == STD.hash
    assert "library" not in Recipe().to_dict()["classes"], "what is recorded of other recipes stays what it was"


def test_a_library_that_there_is_not() -> None:
    assert re.sub("there are .*", "there are ...", message(Recipe.load, "paper", ["classes.library=maps"])) == """\
error[E0504]: no built-in library is called `maps`
  --> command line:1:9
  |
1 | classes.library="maps"
  |         ^^^^^^^
  why: there are ...
  hint: did you mean `mappers`?"""
    assert "a file of your own is named with --library" in message(Recipe, library=["my.sdf"])
    assert "the list is empty" in message(Recipe, library=[])


def test_names_of_a_library_that_is_not_used_are_told_together(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    names = '["modular_5", "inverse_cube", "modular_10", "linear_slope_10.0"]'
    path.write_text(f'[classes]\nlibrary = "solids"\nshapes = ["torus"]\ndisplacements = []\nmappers = {names}\n')
    own = own_library(tmp_path, "shape ball { distance = length(p) - 5 }\nmapper m { intensity = d }")
    assert message(resolve, Recipe.load(path), own) == f"""\
error[E0504]: the library has no shape `torus`
  --> {path}:3:11
  |
3 | shapes = ["torus"]
  |           ^^^^^^^
  why: it is of the library `classes`, which is not used
  hint: write library = ["solids", "classes"] in [classes], or name `classes` with --library too

error[E0504]: the library has no mappers `modular_5`, `inverse_cube`, `modular_10` and 1 more
  --> {path}:5:12
  |
5 | mappers = {names}
  |            ^^^^^^^^^^^
  why: they are of the library `mappers`, which is not used
  hint: write library = ["solids", "mappers"] in [classes], or name `mappers` with --library too"""
