"""What pre-training is worth on real scans: a few cases of data sets of yours, against a fair start from scratch.

    python benchmarks/scans.py --data hippocampus@1 --data sarcoma@4 -o scans
    python benchmarks/scans.py --data sarcoma@4 --part choose --seeds 101,102 --set train.lr=1e-3 -o choosing

`--data` is a data set as `fdifc finetune` reads it, and the voxels that the network sees: `@4` is 4 mm along every
axis, `@3,1,1` is z, y, x; `@4:48,32,32` has patches of that many voxels. Each is dealt once and for all
(`scanning/parts.py`): settings are chosen on one part, `--part choose`, which has cases of its own to train on and to
score, and reported on the other, which no choice has seen.

Each arm (`scanning/plan.py`) pre-trains the same network for as many steps; copies of it are fine-tuned on 1, 2, 4 and
more cases, with the same seeds, cases, batches, steps and settings as networks with random weights, and scored on the
way. The report has the gains with paired 95 % intervals over cases and seeds, the learning curves, when an arm is where
scratch ends, and what a mean shape at the mean place scores, since many data sets are cut out around what is labelled.

`results.json` has every run as soon as it is done: an interrupted benchmark goes on when it is called again. In
`pictures/` are slices of held-out cases, with their label and what each run found.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import click
from scanning.ledger import Ledger
from scanning.parts import PARTS, REPORT, deal_parts
from scanning.picture import draw_curves
from scanning.plan import ARMS, LEAST, SCRATCH, USUAL, Arm, DataSet, Plan, Value
from scanning.report import report
from scanning.runs import finetune_scans, pretrain_arm, score_mean_shape
from scanning.work import Task, processes, work_off

from fdif_dsl.cli.errors import report_errors
from fdif_dsl.compiler.support.files import write_text
from fdif_dsl.runtime.finetuning import FinetuneRecipe, open_data


def measure(plan: Plan, folder: Path, say: Callable[[str], None]) -> str:
    """Runs what of a plan has not been run yet in `folder`; returns the report, which is written there too.

    Raises:
        FileExistsError: the folder holds results of other settings.
        ValueError: a data set has too few cases for the plan, or values are for one that is not there.
        FdifError: a data set, a recipe, the network or the machine does not do.
    """
    names = [data.name for data in plan.data]
    for value in plan.values:
        if value.data and value.data not in names:
            raise ValueError(f"`{value}` is for `{value.data}`, and the data sets are {', '.join(names)}")
    lists = {data.name: _deal(plan, data, folder / "parts" / data.name) for data in plan.data}
    ledger = Ledger(folder / "results.json", {"version": version("fdif-dsl"), **plan.fixed})
    with processes(plan.jobs) as pool:
        work_off(_tasks(plan, folder, lists), pool, plan.jobs, ledger, say)
    draw_curves(plan, ledger.results, folder)
    text = report(plan, ledger.results)
    write_text(folder / "report.md", text)
    return text


def _deal(plan: Plan, data: DataSet, folder: Path) -> Path:
    """The data list of the plan's part of a data set, once it is known that there are enough cases."""
    checked = open_data(FinetuneRecipe.load("small", data.overrides(data.path))).data
    part = deal_parts(checked, folder)[plan.part]
    if max(plan.cases) > part.train:
        raise ValueError(f"{data.name} has {part.train} cases to train on in the part `{plan.part}`, and "
                         f"{max(plan.cases)} are asked for: leave that number out of --cases, where 0 is all")
    return part.path


def _tasks(plan: Plan, folder: Path, lists: dict[str, Path]) -> list[Task]:
    """All runs, the pre-trainings first; an arm that learns from unlabelled scans is pre-trained for each data set."""
    first = {}
    for data in plan.data:
        for arm in plan.arms:
            if (name := plan.pretraining(arm, data.name)) is not None:
                first[name] = Task(name, (pretrain_arm, folder / "pretrained" / name, ARMS[arm].recipe,
                                          plan.pretrain_values(arm, lists[data.name])))
    spacings = {data.name: data for data in plan.data}
    tunings = [Task(run.name, (finetune_scans, lists[run.data], spacings[run.data], run, plan, folder / "pictures",
                              *((name,) if (name := ARMS[run.arm].weights) else ())),
                    plan.pretraining(run.arm, run.data)) for run in plan.runs]
    shapes = [Task(f"{data.name}, mean shape", (score_mean_shape, lists[data.name], data)) for data in plan.data]
    return [*first.values(), *shapes, *tunings]


def _numbers(context: click.Context, parameter: click.Parameter, text: str) -> tuple[int, ...]:
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise click.BadParameter(f"`{text}` is no list of whole numbers like 1,2,4") from None
    if parameter.name == "patch" and len(numbers) != 3:
        raise click.BadParameter(f"`{text}` is not three numbers: z, y, x")
    return numbers if parameter.name == "patch" else tuple(dict.fromkeys(numbers))


def _data(context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> tuple[DataSet, ...]:
    try:
        return tuple(map(DataSet.read, texts))
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _values(context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> tuple[Value, ...]:
    try:
        return tuple(map(Value.read, texts))
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _arms(context: click.Context, parameter: click.Parameter, names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if name not in ARMS:
            raise click.BadParameter(f"there is no arm `{name}`: arms are {', '.join(ARMS)}")
    return names


def _weights(context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> tuple[str, ...]:
    """The names of arms of weights; they are arms like any other from here on."""
    for text in texts:
        name, _, where = text.partition("=")
        if not (name.isidentifier() and where) or name in ARMS:
            raise click.BadParameter(f"`{text}` is not NAME=WHERE, or there is an arm of that name")
        ARMS[name] = Arm(f"weights of {where}", weights=where)
    return tuple(text.partition("=")[0] for text in texts)


@click.command(help=(__doc__ or "").replace("    python", "\b\n    python"))
@click.option("--data", multiple=True, required=True, callback=_data,
              help="PATH@MM, or PATH@MM:PATCH; may be given several times.")
@click.option("--part", type=click.Choice(PARTS), default=REPORT, show_default=True)
@click.option("--arm", "arms", multiple=True, callback=_arms,
              help=f"Those to run; {', '.join(USUAL)} if none is given.")
@click.option("--weights", multiple=True, callback=_weights, is_eager=True, metavar="NAME=WHERE",
              help="An arm of its own: weights that there are already, as `fdifc finetune --weights` takes them.")
@click.option("--cases", default="1,2,4,8,0", show_default=True, callback=_numbers, help="0 is all.")
@click.option("--seeds", default="1,2,3,4,5", show_default=True, callback=_numbers)
@click.option("--steps", type=click.IntRange(LEAST), default=Plan.steps, show_default=True, help="Of fine-tuning.")
@click.option("--pretrain", type=click.IntRange(1), default=Plan.pretrain, show_default=True,
              help="Steps of pre-training.")
@click.option("--network", default=Plan.network, show_default=True, help="A name of `fdifc list networks`.")
@click.option("--features", type=click.IntRange(1), default=Plan.features, show_default=True, help="Its width.")
@click.option("--patch", default="32,32,32", show_default=True, callback=_numbers, help="z, y, x.")
@click.option("--set", "values", multiple=True, callback=_values,
              help="KEY=VALUE of the recipe `small`; ARM:KEY=VALUE or @DATA:KEY=VALUE for an arm or a data set (its "
              "folder's name), ARM@DATA:KEY=VALUE for both, pretrained:KEY=VALUE for all arms but scratch.")
@click.option("--jobs", type=click.IntRange(1), default=Plan.jobs, show_default=True, help="Runs side by side.")
@click.option("-o", "folder", type=click.Path(path_type=Path, file_okay=False), default=Path("scans"),
              show_default=True, help="The folder for the networks and the results.")
def main(data: tuple[DataSet, ...], part: str, arms: tuple[str, ...], weights: tuple[str, ...], cases: tuple[int, ...],
         seeds: tuple[int, ...], steps: int, pretrain: int, network: str, features: int, patch: tuple[int, int, int],
         values: tuple[Value, ...], jobs: int, folder: Path) -> None:
    chosen = tuple(dict.fromkeys((SCRATCH, *(arms or (() if weights else USUAL)), *weights)))
    plan = Plan(data, part, chosen, cases, seeds, steps, pretrain, network, features, patch, values, jobs)
    with report_errors():
        try:
            click.echo(measure(plan, folder, click.echo))
        except (FileExistsError, ValueError) as error:
            raise click.ClickException(str(error)) from None


if __name__ == "__main__":
    main()
