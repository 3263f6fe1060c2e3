"""The scores of a fine-tuning as tables."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from rich.markup import escape
from rich.table import Table

from fdif_dsl.grammar.diagnostics import printable
from fdif_dsl.runtime.finetuning import ClassComparison, Classified, Comparison, Difference, Result
from fdif_dsl.runtime.settings.wording import counted

_FEW = 10  # cases; of fewer, a bootstrap draws too narrow an interval
Found = Result | Comparison | Classified | ClassComparison


def score_tables(found: Found) -> Iterator[Any]:
    """What is printed: a table, and of a comparison a sentence that says no more than the figures do."""
    if isinstance(found, Result):
        yield _scores(found)
    elif isinstance(found, Comparison):
        yield _differences(found)
        yield _verdict(found.mean, "Dice points", len(found.pretrained.cases))
    elif isinstance(found, Classified):
        yield _named(found)
    else:
        yield _named_differences(found)
        yield _verdict(found.accuracy, "points of accuracy", len(found.pretrained.truth))


def _scores(result: Result) -> Table:
    table = _table(f"{counted(len(result.cases), 'held-out case')}, {counted(len(result.seeds), 'seed')}",
                   "class", "Dice", "HD95 mm", "cases")
    for name, dice, hd95, k in zip(result.classes, result.by_class(result.dice), result.by_class(result.hd95),
                                   range(len(result.classes)), strict=True):
        table.add_row(_name(name), _number(dice), _number(hd95, 1), str(sum(v == v for v in result.dice[0, :, k])))
    table.add_row("mean", _number(result.mean_dice), _number(result.mean_hd95, 1), "", style="bold")
    return table


def _differences(found: Comparison) -> Table:
    one, other = found.pretrained, found.scratch
    table = _table(f"Dice of {counted(len(one.cases), 'held-out case')}, {counted(len(one.seeds), 'seed')}",
                   "class", "pretrained", "scratch", "difference", "95 % interval")
    rows = zip(one.classes, one.by_class(one.dice), other.by_class(other.dice), found.classes, strict=True)
    for name, mine, its, difference in rows:
        table.add_row(_name(name), _number(mine), _number(its), *_interval(difference))
    table.add_row("mean", _number(one.mean_dice), _number(other.mean_dice), *_interval(found.mean), style="bold")
    return table


def _interval(difference: Difference) -> tuple[str, str]:
    if math.isnan(difference.mean):
        return "", ""
    return f"{difference.mean:+.3f}", f"{difference.low:+.3f} to {difference.high:+.3f}"


def _named(found: Classified) -> Table:
    table = _table(_images(found), "score", "value")
    for name, value in (("accuracy", found.accuracy), ("AUC", found.auc)):
        table.add_row(name, _number(value))
    return table


def _named_differences(found: ClassComparison) -> Table:
    one, other = found.pretrained, found.scratch
    table = _table(_images(one), "score", "pretrained", "scratch", "difference", "95 % interval")
    table.add_row("accuracy", _number(one.accuracy), _number(other.accuracy), *_interval(found.accuracy))
    table.add_row("AUC", _number(one.auc), _number(other.auc), *_interval(found.auc))
    return table


def _images(found: Classified) -> str:
    return f"{counted(len(found.truth), 'test image')}, {counted(len(found.seeds), 'seed')}"


def _verdict(mean: Difference, points: str, cases: int) -> str:
    if math.isnan(mean.mean):
        return "no held-out case has a class, so nothing can be said"
    if not mean.clear:
        text = "the interval holds 0: these cases do not tell the two apart"
    else:
        text = (f"the weights {'gain' if mean.mean > 0 else 'lose'} {abs(100 * mean.mean):.1f} {points} on these "
                f"cases, and the interval does not hold 0")
    return text + ("; with so few cases it is too narrow" if cases < _FEW else "")


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0),
                  min_width=len(title))
    for column in columns:
        table.add_column(column, header_style="dim", overflow="fold", justify="right" if table.columns else "left")
    return table


def _name(name: str) -> str:
    """A class's name as it stands in a file, whatever that is."""
    return escape(printable(name))


def _number(value: float, digits: int = 3) -> str:
    return "" if math.isnan(value) else f"{value:.{digits}f}"
