"""The report: Dice points with paired 95 % confidence intervals, as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from transferring.plan import ARMS, FULL, SCRATCH, Run, Size


def by_class(result: Mapping[str, Any]) -> np.ndarray:
    """The Dice points of each class of one run, a mean over the held-out cases that have it."""
    return np.asarray(np.nanmean(np.array(result["dice"], float), axis=0) * 100)


def interval(values: Sequence[float]) -> tuple[float, float]:
    """The mean, and half the width of its 95 % confidence interval by Student's t: NaN for fewer than two values."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, float("nan")
    return mean, float(stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))


def report(size: Size, results: Mapping[str, Any]) -> str:
    """The tables of what has been found so far. Differences are of the same seed, so of the same cases, batches and new
    tensors; a value is a mean over seeds of the mean over classes."""
    kinds = [*((str(cases), cases, None) for cases in size.cases),
             (f"{size.ablation}, {size.longer} steps", size.ablation, size.longer)]
    return "\n\n".join([_ladder("cases", kinds, size, results), _ablation(size, results),
                        _classes(size, results), _pretraining(results)]) + "\n"


def _means(seeds: Sequence[int], results: Mapping[str, Any], arm: str, cases: int,
           steps: int | None = None) -> dict[int, float]:
    names = {seed: Run(arm, cases, seed, steps).name for seed in seeds}
    return {seed: float(by_class(results[name]).mean()) for seed, name in names.items() if name in results}


def _difference(one: Mapping[int, float], other: Mapping[int, float]) -> str:
    pairs = [one[seed] - other[seed] for seed in one if seed in other]
    if not pairs:
        return ""
    mean, half = interval(pairs)
    return f"{mean:+.1f}" + ("" if np.isnan(half) else f" ({mean - half:+.1f} to {mean + half:+.1f})")


def _mean(values: Mapping[int, float]) -> str:
    return f"{np.mean(list(values.values())):.1f}" if values else ""


def _ladder(head: str, kinds: Sequence[tuple[str, int, int | None]], size: Size, results: Mapping[str, Any]) -> str:
    """A row for each kind of fine-tuning: what it is called, its cases, its steps."""
    arms = [arm for arm in size.ladder if arm != SCRATCH]
    rows = []
    for called, cases, steps in kinds:
        scratch = _means(size.seeds, results, SCRATCH, cases, steps)
        if not scratch:
            continue
        row = [called, str(len(scratch)), _mean(scratch)]
        for arm in arms:
            its = _means(size.seeds, results, arm, cases, steps)
            row += [_mean(its), _difference(its, scratch)]
        rows.append(row)
    return table((head, "seeds", SCRATCH, *(part for arm in arms for part in (arm, "gain (95 %)"))), rows)


def _ablation(size: Size, results: Mapping[str, Any]) -> str:
    found = {arm: _means(size.seeds, results, arm, size.ablation) for arm in ARMS}
    head = ("arm", f"pre-trained on, at {size.ablation} cases", "Dice", f"to {SCRATCH} (95 %)", f"to {FULL} (95 %)")
    return table(head, [
        (arm, ARMS[arm][0], _mean(its), _difference(its, found[SCRATCH]) if arm != SCRATCH else "",
         _difference(its, found[FULL]) if arm != FULL else "") for arm, its in found.items()])


def _classes(size: Size, results: Mapping[str, Any]) -> str:
    found = {arm: [results[name] for seed in size.seeds if (name := Run(arm, size.ablation, seed).name) in results]
             for arm in size.ladder}
    if not all(found.values()):
        return ""
    means = [np.mean([by_class(its) for its in found[arm]], axis=0) for arm in size.ladder]
    return table((f"class, at {size.ablation} cases", *size.ladder), [
        (name, *(f"{value:.1f}" for value in values)) for name, *values in
        zip(found[SCRATCH][0]["classes"], *means, strict=True)])


def _pretraining(results: Mapping[str, Any]) -> str:
    return table(("arm", "steps", "loss, first to last", "Dice of held-out volumes"), [
        (arm, its["steps"], f"{its['first_loss']:.2f} to {its['last_loss']:.2f}",
         ", ".join(f"{value:.3f}" for value in its["dice"].values()))
        for arm in ARMS if (its := results.get(f"pre-training, {arm}"))])


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in (head, ["---"] * len(head), *rows))
