"""The report: Dice points of each arm, gains over scratch with paired intervals over cases and seeds, as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fdif_dsl.runtime.finetuning.bootstrap import Difference, interval, resampled_means
from fdif_dsl.runtime.finetuning.metrics import nanmean
from scanning.plan import ARMS, SCRATCH, Plan, Run
from scanning.runs import mean_dice

_LEVEL = 0.5  # points that scratch may gain in the last third and still have levelled off


class Found:
    """What has been found so far: curves (seeds, steps, cases, classes) of an arm, of the seeds that all arms have."""

    def __init__(self, plan: Plan, results: Mapping[str, Any]) -> None:
        self.plan, self.results = plan, results

    def seeds(self, data: str, cases: int) -> list[int]:
        return [seed for seed in self.plan.seeds
                if all(Run(data, arm, cases, seed).name in self.results for arm in self.plan.arms)]

    def curves(self, data: str, arm: str, cases: int) -> np.ndarray:
        """Dice points; NaN where a case has none of a class."""
        runs = [self.results[Run(data, arm, cases, seed).name]["curve"] for seed in self.seeds(data, cases)]
        return np.array([[run[str(step)] for step in self.plan.at(data, arm)] for run in runs], float) * 100

    def mean(self, data: str, arm: str, cases: int) -> np.ndarray:
        """The mean Dice after each step: over classes, of the mean over seeds and cases."""
        return nanmean(nanmean(self.curves(data, arm, cases), (0, 2)), (1,))

    def gain(self, data: str, arm: str, cases: int, step: int = -1) -> tuple[float, np.ndarray]:
        """An arm less scratch after a step: the mean over classes, and ten thousand of cases and seeds drawn anew."""
        mine, its = (self.curves(data, name, cases)[:, step] for name in (arm, SCRATCH))
        differences = mine - its
        return (float(nanmean(nanmean(differences, (0, 1)), (0,))),
                np.asarray(nanmean(resampled_means(differences), (1,))))


def report(plan: Plan, results: Mapping[str, Any]) -> str:
    """The tables of what has been found so far."""
    found = Found(plan, results)
    parts = [_preface(plan)]
    for data in plan.data:
        there = [cases for cases in plan.cases if found.seeds(data.name, cases)]
        if there:
            parts += [f"## {data.name}", _mean_shape(data.name, results), _ladder(found, data.name, there),
                      _curve(found, data.name, there), _levelled(found, data.name, there),
                      f"![Dice against steps](curves-{data.name}.png)"]
    parts += [_over_all(found), _pretraining(plan, results)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _preface(plan: Plan) -> str:
    arms = "\n".join(f"- `{arm}`: {ARMS[arm].about}" for arm in plan.arms)
    values = " ".join(map(str, plan.values)) or "as they are"
    seeds = ", ".join(map(str, plan.seeds))
    return (f"# What pre-training is worth on real scans\n\nPart `{plan.part}`, seeds {seeds}, {plan.steps} steps of "
            f"fine-tuning, {plan.pretrain} of pre-training; settings of `small`: {values}. Dice points; gains "
            f"over `{SCRATCH}` of the same cases and seeds, with 95 % intervals of a paired bootstrap over held-out "
            f"cases and seeds.\n\n{arms}")


def _mean_shape(data: str, results: Mapping[str, Any]) -> str:
    its = results.get(f"{data}, mean shape")
    return "" if its is None else (
        f"A mean shape at the mean place, without a look at grey levels, scores {mean_dice(its['dice']):.1f}.")


def _ladder(found: Found, data: str, there: Sequence[int]) -> str:
    """A row for each number of cases."""
    others = [arm for arm in found.plan.arms if arm != SCRATCH]
    best = float(found.mean(data, SCRATCH, 0)[-1]) if 0 in there else None
    rows = []
    for cases in there:
        scratch = float(found.mean(data, SCRATCH, cases)[-1])
        row = [str(cases or "all"), str(len(found.seeds(data, cases))), f"{scratch:.1f}"]
        for arm in others:
            mean, drawn = found.gain(data, arm, cases)
            share = f", {mean / (best - scratch):.0%} of the headroom" if best is not None and cases and (
                best - scratch > 1) else ""
            row += [f"{scratch + mean:.1f}", told(interval(mean, drawn)) + share]
        rows.append(row)
    return table(("cases", "seeds", SCRATCH, *(part for arm in others for part in (arm, "gain (95 %)"))), rows)


def _curve(found: Found, data: str, there: Sequence[int]) -> str:
    """Dice against steps, and the step at which an arm is where scratch ends."""
    rows = []
    for cases in there:
        end = float(found.mean(data, SCRATCH, cases)[-1])
        for arm in found.plan.arms:
            its = found.mean(data, arm, cases)
            at = found.plan.at(data, arm)
            first = next((step for step, value in zip(at, its, strict=True) if value >= end), None)
            rows.append([str(cases or "all"), arm, *(f"{value:.1f}" for value in its), str(at[-1]),
                         str(first or "not")])
    return table(("cases", "arm", "an eighth", "a quarter", "half", "all steps", "which are", f"as {SCRATCH} ends"),
                 rows)


def _levelled(found: Found, data: str, there: Sequence[int]) -> str:
    """Whether scratch had levelled off, so that a gain is no head start."""
    rises = {cases: float(np.diff(found.mean(data, SCRATCH, cases)[-2:])[0]) for cases in there}
    still = [f"{cases or 'all'} ({rise:+.1f})" for cases, rise in rises.items() if rise >= _LEVEL]
    return (f"From half of the steps on, scratch gains less than {_LEVEL} points." if not still else
            f"From half of the steps on, scratch still gains {_LEVEL} points or more with so many cases: "
            f"{', '.join(still)}.")


def _over_all(found: Found) -> str:
    """The gain at each number of cases, a mean over the data sets."""
    names = [data.name for data in found.plan.data]
    others = [arm for arm in found.plan.arms if arm != SCRATCH]
    rows = []
    for cases in found.plan.cases:
        if len(names) > 1 and all(found.seeds(name, cases) for name in names):
            gains = {arm: [found.gain(name, arm, cases) for name in names] for arm in others}
            rows.append([str(cases or "all"), *(
                told(interval(float(np.mean([mean for mean, _ in its])), np.mean([drawn for _, drawn in its], axis=0)))
                for its in gains.values())])
    return "## All data sets\n\n" + table(("cases", *(f"{arm}, gain (95 %)" for arm in others)), rows) if rows else ""


def _pretraining(plan: Plan, results: Mapping[str, Any]) -> str:
    names = dict.fromkeys(name for arm in plan.arms for data in plan.data
                          if (name := plan.pretraining(arm, data.name)) is not None)
    rows = [[name.removeprefix("pre-training, "), its["steps"], f"{its['first_loss']:.2f} to {its['last_loss']:.2f}",
             f"{its['seconds'] / 60:.0f}", f"{its['waited']:.1%}"] for name in names if (its := results.get(name))]
    return "## Pre-training\n\n" + table(
        ("arm", "steps", "loss, first to last", "minutes", "waited for data"), rows) if rows else ""


def told(difference: Difference) -> str:
    """A difference with its interval."""
    return f"{difference.mean:+.1f} ({difference.low:+.1f} to {difference.high:+.1f})"


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in (head, ["---"] * len(head), *rows))
