"""What pre-training on FDIF is worth on a task that it has nothing in common with, a phantom; `scans.py` asks scans.

    python benchmarks/transfer.py --size cpu -o transfer
    python benchmarks/transfer.py --size gpu -o transfer-gpu

The task is to segment liver, spleen, kidneys, stomach, vessels and lesions of a phantom (`phantom/`), half of whose
cases are CT and half MR. Each arm (`transferring/plan.py`) pre-trains one network with `pretrain`; then `finetune`
trains copies of it on 2, 4, 8 and 16 cases and scores them on others, with the same seeds, cases, batches and steps as
networks with random weights.

`results.json` in the folder has every result as soon as it is there: an interrupted benchmark goes on when it is called
again. `report.md` has the tables, with paired 95 % confidence intervals over seeds.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import click
from phantom.dataset import write_phantom
from transferring.ledger import Ledger
from transferring.picture import draw_phantom
from transferring.plan import ARMS, SCRATCH, SIZES, Size
from transferring.report import report
from transferring.runs import finetune_once, pretrain_arm
from transferring.work import Task, processes, work_off

from fdif_dsl.cli.errors import report_errors
from fdif_dsl.compiler.support.files import write_text

FREE = ("jobs", "cases", "ablation", "seeds", "ladder", "longer")
"""What may change between calls: it says which runs there are, not what a run finds."""


def measure(size: Size, folder: Path, say: Callable[[str], None]) -> str:
    """Runs what of a size has not been run yet in `folder`; returns the report, which is written there too.

    Raises:
        FileExistsError: the folder holds results of other settings.
        FdifError: a recipe, the network or the machine does not do.
    """
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"arms": ARMS, "version": version("fdif-dsl")} | {
        key: value for key, value in dataclasses.asdict(size).items() if key not in FREE}
    ledger = Ledger(folder / "results.json", settings)
    with processes(os.cpu_count() or 1) as pool:
        data = write_phantom(folder / "phantom", size.training, size.validation, size.voxel, size.phantom_seed,
                             pool.map)
    draw_phantom(data, folder / "phantom.png")
    say(f"the phantom: {data}, and a picture beside its folder")
    with processes(size.jobs) as pool:
        work_off(_tasks(size, folder, data), pool, size.jobs, ledger, say)
    text = report(size, ledger.results)
    write_text(folder / "report.md", text)
    return text


def _tasks(size: Size, folder: Path, data: Path) -> list[Task]:
    """All runs, the pre-trainings first."""
    first = [Task(f"pre-training, {arm}",
                  (pretrain_arm, folder / "pretrained" / arm, "paper", (*size.pretrain, *values)))
             for arm, (_, values) in ARMS.items() if arm != SCRATCH]
    return first + [Task(run.name, (finetune_once, data, run, size.finetune),
                         None if run.arm == SCRATCH else f"pre-training, {run.arm}") for run in size.runs]


@click.command(help=(__doc__ or "").replace("    python", "\b\n    python"))
@click.option("--size", type=click.Choice(list(SIZES)), default="cpu", show_default=True,
              help="cpu: two cores, within an hour. gpu: one card, many hours.")
@click.option("-o", "folder", type=click.Path(path_type=Path, file_okay=False), default=Path("transfer"),
              show_default=True, help="The folder for the phantom, the networks and the results.")
def main(size: str, folder: Path) -> None:
    with report_errors():
        try:
            click.echo(measure(SIZES[size], folder, click.echo))
        except FileExistsError as error:
            raise click.ClickException(str(error)) from None


if __name__ == "__main__":
    main()
