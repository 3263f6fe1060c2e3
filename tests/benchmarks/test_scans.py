"""`benchmarks/scans.py` from end to end, as small as it gets, and the arithmetic of its report."""

import json
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
from click.testing import CliRunner
from scanning.ledger import Ledger
from scanning.parts import deal_parts
from scanning.plan import ARMS, SCRATCH, DataSet, Plan, Run, Value
from scanning.report import Found, report
from scans import main, measure

from fdif_dsl.runtime.finetuning import FinetuneRecipe, open_data
from fdif_dsl.runtime.recipe import Recipe

CASES = 36


@pytest.fixture(scope="module")
def balls(tmp_path_factory):
    """A data set of so many cases: a bright ball at about the same place."""
    folder = tmp_path_factory.mktemp("balls")
    random = np.random.default_rng(0)
    places = np.stack(np.meshgrid(*[np.arange(14)] * 3, indexing="ij"))
    training = []
    for i in range(CASES):
        label = ((places - random.uniform(5, 8, (3, 1, 1, 1))) ** 2).sum(0) < random.uniform(3, 5) ** 2
        image = label * 100.0 + random.normal(0, 20, label.shape)
        for kind, array in (("image", image.astype(np.float32)), ("label", label.astype(np.uint8))):
            nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), folder / f"{kind}{i}.nii.gz")
        training.append({"image": f"image{i}.nii.gz", "label": f"label{i}.nii.gz"})
    (folder / "dataset.json").write_text(json.dumps({"labels": {"0": "background", "1": "ball"}, "training": training}))
    return DataSet(folder / "dataset.json", (1.0, 1.0, 1.0))


@pytest.fixture(scope="module")
def done(balls, tmp_path_factory):
    plan = Plan((balls,), "report", (SCRATCH, "structure", "masked"), (1, 0), (2,), 8, 2, "unet", 2, (16, 16, 16),
                (Value("train.lr=1e-2"),), jobs=1)
    folder, said = tmp_path_factory.mktemp("scans"), []
    return plan, folder, said, measure(plan, folder, said.append)


def test_each_run_leaves_a_result(done):
    plan, folder, _, text = done
    results = json.loads((folder / "results.json").read_text())["results"]
    name = plan.data[0].name
    assert set(results) == {f"{name}, mean shape", "pre-training, structure", f"pre-training, masked, {name}",
                            *(run.name for run in plan.runs)}
    scratch, other = (results[Run(name, arm, 1, 2).name] for arm in (SCRATCH, "structure"))
    assert scratch["trained_on"] == other["trained_on"] and len(other["trained_on"]) == 1
    assert list(other["curve"]) == ["1", "2", "4", "8"] and np.shape(other["curve"]["8"]) == (7, 1)
    assert not scratch["taken"] and other["taken"] and scratch["curve"] != other["curve"]
    assert len(results[Run(name, SCRATCH, 0, 2).name]["trained_on"]) == 7
    assert np.nanmean(results[f"{name}, mean shape"]["dice"]) > 0.4  # the balls lie at about the same place
    assert (folder / "report.md").read_text() == text and (folder / f"curves-{name}.png").stat().st_size > 1000
    assert {path.stem for path in (folder / "pictures").iterdir()} == {run.name for run in plan.runs}
    for line in ("| cases | seeds | scratch |", "A mean shape at the mean place", "| structure | 2 |"):
        assert line in text


def test_it_goes_on_and_does_not_mix_settings(done):
    plan, folder, said, text = done
    path = folder / "results.json"
    table = json.loads(path.read_text())
    lost = plan.runs[-1].name
    kept = table["results"].pop(lost)
    path.write_text(json.dumps(table))
    before = len(said)
    assert measure(plan, folder, said.append) == text
    assert [line.partition(",")[0] for line in said[before:]] == [f"1 of 1: {plan.data[0].name}"]
    assert json.loads(path.read_text())["results"][lost]["curve"] == kept["curve"]
    with pytest.raises(FileExistsError, match="other settings \\(steps\\)"):
        measure(replace(plan, steps=16), folder, print)


def test_each_arm_is_a_recipe_of_its_own(tmp_path):
    plan = Plan((DataSet.read("a@2"),), "report", tuple(ARMS), pretrain=100)
    recipes = {name: Recipe.load(arm.recipe, plan.pretrain_values(name, tmp_path / "dataset.json"))
               for name, arm in ARMS.items() if arm.recipe}
    assert len(recipes) == len({repr(recipe) for recipe in recipes.values()}) >= 10
    for recipe in recipes.values():
        assert (recipe.training.network, recipe.training.steps, recipe.grid) == ("unet", 100, (32, 32, 32))


def test_the_ledger_comes_back(tmp_path):
    ledger = Ledger(tmp_path / "r.json", {"steps": (1, 2)})
    ledger.add("a", {"dice": [0.5]})
    again = Ledger(tmp_path / "r.json", {"steps": (1, 2)})
    assert "a" in again and "b" not in again and again["a"] == {"dice": [0.5]}


def test_the_parts_have_no_case_in_common(balls, tmp_path):
    parts = deal_parts(open_data(FinetuneRecipe.load("small", balls.overrides(balls.path))).data, tmp_path)
    used = []
    for name, train, scored in (("choose", 11, 11), ("report", 7, 7)):
        table = json.loads(parts[name].path.read_text())
        assert (len(table["training"]), len(table["validation"])) == (train, scored) and parts[name].train == train
        used += [entry["image"] for entry in (*table["training"], *table["validation"])]
    assert len(used) == len(set(used)) == CASES


def test_the_report_pairs_seeds_and_cases():
    """Two cases, two seeds: the arm is 10 points better everywhere, whatever the case."""
    data = DataSet("a.json", (1.0, 1.0, 1.0))
    data = replace(data, path=Path("sets/a"))
    plan = Plan((data,), "report", (SCRATCH, "structure"), (4, 0), (1, 2), 8)
    curve = {arm: {str(step): [[0.2 + step / 100 + gain], [0.6 + gain]] for step in plan.at("a", arm)}
             for arm, gain in ((SCRATCH, 0.0), ("structure", 0.1))}
    results = {Run("a", arm, cases, seed).name: {"curve": curve[arm]}
               for arm in plan.arms for cases in plan.cases for seed in plan.seeds}
    mean, drawn = Found(plan, results).gain("a", "structure", 4)
    assert mean == pytest.approx(10) and drawn == pytest.approx(10)
    text = report(plan, results)
    assert "| 4 | 2 | 44.0 | 54.0 | +10.0 (+10.0 to +10.0) |" in text
    assert "| 4 | structure | 50.5 | 51.0 | 52.0 | 54.0 | 8 | 1 |" in text
    assert "From half of the steps on, scratch still gains 0.5 points or more" in text
    del results[Run("a", SCRATCH, 4, 2).name]  # as in a benchmark that was cut short
    assert Found(plan, results).seeds("a", 4) == [1]


def test_a_data_set_is_read_with_its_voxels_and_its_patches():
    found = DataSet.read("sets/a@3,1,1:16,32,48")
    assert (str(found.path), found.spacing, found.patch) == ("sets/a", (3.0, 1.0, 1.0), (16, 32, 48))
    assert DataSet.read("a@2").spacing == (2.0, 2.0, 2.0) and DataSet.read("a@2").patch is None


def test_an_arm_may_have_values_of_its_own():
    data = DataSet.read("a@2:16,32,48"), DataSet.read("b@2")
    given = ("train.lr=1", "structure:train.lr=2", "@b:train.batch=4", "pretrained:train.body_lr=0.5",
             "structure@b:train.steps=150")
    plan = Plan(data, "choose", tuple(ARMS), values=tuple(map(Value.read, given)))
    assert tuple(map(str, plan.values)) == given
    values = {(arm, name): plan.finetune_values(Run(name, arm, 4, 1)) for arm in ARMS for name in "ab"}
    for (arm, name), its in values.items():
        assert ("train.lr=2" in its) == (arm == "structure") and ("train.batch=4" in its) == (name == "b")
        assert ("train.body_lr=0.5" in its) == (arm != SCRATCH)
        steps = 150 if (arm, name) == ("structure", "b") else 600
        assert f"train.steps={steps}" in its and f"validate.at={[steps // 8, steps // 4, steps // 2, steps]}" in its
        assert f"train.patch={[16, 32, 48] if name == 'a' else [32, 32, 32]}" in its
    its = values["structure", "a"]
    assert its.index("train.lr=1") < its.index("train.lr=2")  # the last one counts


@pytest.mark.parametrize(("arguments", "expected"), [
    (["--data", "somewhere@4:32"], "PATH@4:48,32,32 has patches of another size"),
    (["--data", "somewhere"], "write PATH@4 for 4 mm, or PATH@3,1,1 for z, y, x"),
    (["--data", "somewhere@1,2"], "write PATH@4 for 4 mm"),
    (["--data", "somewhere@4"], "somewhere"),
    (["--data", "somewhere@4", "--cases", "few"], "`few` is no list of whole numbers like 1,2,4"),
    (["--data", "somewhere@4", "--patch", "32"], "`32` is not three numbers"),
    (["--data", "somewhere@4", "--arm", "mine"], "there is no arm `mine`: arms are scratch, fdif"),
    (["--data", "somewhere@4", "--weights", "laptop=run"], "or there is an arm of that name"),
    (["--data", "somewhere@4", "--weights", "mine"], "`mine` is not NAME=WHERE"),
    (["--data", "somewhere@4", "--set", "mine:train.lr=1"], "there is no arm `mine` in `mine:train.lr=1`"),
    (["--data", "somewhere@4", "--set", "@a:train.steps=7"], "`@a:train.steps=7` is no number of steps from 8 on"),
])
def test_mistakes_are_told(arguments, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code and expected in " ".join(result.output.split())
    assert "Traceback" not in result.output and not list(tmp_path.iterdir())


def test_values_are_for_data_sets_that_there_are(balls, tmp_path):
    plan = Plan((balls,), "report", (SCRATCH,), (1,), values=(Value.read("@bals:train.lr=1"),))
    with pytest.raises(ValueError, match=f"`@bals:train.lr=1` is for `bals`, and the data sets are {balls.name}"):
        measure(plan, tmp_path / "out", print)


def test_too_few_cases_are_told_before_anything_is_trained(balls, tmp_path):
    with pytest.raises(ValueError, match="7 cases to train on in the part `report`, and 8 are asked for"):
        measure(Plan((balls,), "report", (SCRATCH,), (8,)), tmp_path / "out", print)
    few = json.loads(balls.path.read_text())
    few["training"] = few["training"][:30]
    (tmp_path / "few.json").write_text(json.dumps(few).replace("image", f"{balls.path.parent}/image").replace(
        f'"{balls.path.parent}/image":', '"image":').replace('"label": "label', f'"label": "{balls.path.parent}/label'))
    with pytest.raises(ValueError, match="has 30 cases, and 34 are needed"):
        measure(replace(Plan((balls,), "report", (SCRATCH,)), data=(replace(balls, path=tmp_path / "few.json"),)),
                tmp_path / "out", print)


def test_arms_are_described():
    assert all(arm.about for arm in ARMS.values())
