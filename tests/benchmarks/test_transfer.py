"""`benchmarks/transfer.py` from end to end, as small as it gets, and the arithmetic of its report."""

import json
from dataclasses import replace

import numpy as np
import pytest
from transfer import measure
from transferring.ledger import Ledger
from transferring.plan import ARMS, FULL, SCRATCH, SIZES, Run
from transferring.report import by_class, interval, report

TINY = ("volume.grid=[16, 16, 16]", "volume.objects=2", "train.features=2", "train.steps=1", "train.warmup=0",
        "monitor.validate=1", "monitor.volumes=1")
SMALL = ("train.features=2", "train.patch=[16, 16, 16]", "train.steps=1", "train.warmup=0", "data.spacing=[16, 16, 16]")


def smallest(size):
    """A size with its own code path: the same keys with smaller values behind them."""
    return replace(size, training=2, validation=1, voxel=16.0, cases=(1, 2), ablation=1, seeds=(1,), jobs=1,
                   longer=2, ladder=(SCRATCH, FULL), pretrain=(*size.pretrain, *TINY),
                   finetune=(*size.finetune, *SMALL))


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder, said = tmp_path_factory.mktemp("transfer"), []
    return folder, smallest(SIZES["cpu"]), said, measure(smallest(SIZES["cpu"]), folder, said.append)


def test_each_run_leaves_a_result(done):
    folder, size, _, text = done
    results = json.loads((folder / "results.json").read_text())["results"]
    assert set(results) == {f"pre-training, {arm}" for arm in ARMS if arm != SCRATCH} | {
        run.name for run in size.runs}
    scratch, full = (results[Run(arm, 1, 1).name] for arm in (SCRATCH, FULL))
    assert scratch["trained_on"] == full["trained_on"] and len(full["trained_on"]) == 1
    assert np.shape(full["dice"]) == (1, 6)
    assert not scratch["taken"] and "new: decoder.seg_layers" in full["taken"]
    assert (folder / "report.md").read_text() == text


def test_arms_learn_from_other_volumes(done):
    results = json.loads((done[0] / "results.json").read_text())["results"]
    losses = {results[f"pre-training, {arm}"]["first_loss"] for arm in ARMS if arm != SCRATCH}
    assert len(losses) == len(ARMS) - 1


def test_an_interrupted_benchmark_goes_on(done):
    folder, size, said, text = done
    before = len(said)
    path = folder / "results.json"
    whole = path.read_text()
    table = json.loads(whole)
    lost = Run(SCRATCH, 2, 1).name
    kept = table["results"].pop(lost)
    path.write_text(json.dumps(table))
    assert measure(size, folder, said.append) == text
    assert [line.split(", ")[0] for line in said[before + 1:]] == [f"1 of 1: {SCRATCH}"]
    assert json.loads(path.read_text())["results"][lost]["dice"] == kept["dice"]


def test_results_of_other_settings_are_not_mixed(done):
    folder, size, _, _ = done
    with pytest.raises(FileExistsError, match="other settings \\(finetune\\)"):
        measure(replace(size, finetune=(*size.finetune, "train.steps=2")), folder, print)


def test_the_interval_is_students():
    """Of 1, 2, 3: mean 2, deviation 1, t = 4.3027 with two degrees of freedom."""
    mean, half = interval([1.0, 2.0, 3.0])
    assert mean == 2 and half == pytest.approx(4.302653 / np.sqrt(3))
    assert np.isnan(interval([1.0])[1])


def test_a_missing_class_is_left_out():
    assert by_class({"dice": [[0.5, None], [0.7, 0.2]]}) == pytest.approx([60, 20])


def test_the_report_pairs_seeds():
    size = replace(SIZES["cpu"], cases=(4,), seeds=(1, 2, 3), ladder=(SCRATCH, FULL))
    results = {Run(arm, 4, seed).name: {"dice": [[value + 0.01 * seed]], "classes": ["liver"]}
               for arm, value in ((SCRATCH, 0.40), (FULL, 0.47)) for seed in (1, 2, 3)}
    del results[Run(SCRATCH, 4, 3).name]  # as in a benchmark that was cut short
    text = report(size, results)
    assert "| 4 | 2 | 41.5 | 49.0 | +7.0 (+7.0 to +7.0) |" in text
    assert "| liver | 41.5 | 49.0 |" in text


def test_the_ledger_comes_back(tmp_path):
    ledger = Ledger(tmp_path / "r.json", {"steps": (1, 2)})
    ledger.add("a", {"dice": [0.5]})
    again = Ledger(tmp_path / "r.json", {"steps": (1, 2)})
    assert "a" in again and "b" not in again and again["a"] == {"dice": [0.5]}
