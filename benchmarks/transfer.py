"""What pre-training on FDIF is worth on a task that it has nothing in common with.

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
import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
from phantom.dataset import write_phantom
from transferring.ledger import Ledger
from transferring.picture import draw_phantom
from transferring.plan import ARMS, SCRATCH, SIZES, Size
from transferring.report import report
from transferring.runs import finetune_once, pretrain_arm, set_up

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
    with _processes(os.cpu_count() or 1) as pool:
        data = write_phantom(folder / "phantom", size.training, size.validation, size.voxel, size.phantom_seed,
                             pool.map)
    draw_phantom(data, folder / "phantom.png")
    say(f"the phantom: {data}, and a picture beside its folder")
    with _processes(size.jobs) as pool:
        _work_off(_tasks(size, folder, data), pool, size.jobs, ledger, say)
    text = report(size, ledger.results)
    write_text(folder / "report.md", text)
    return text


@dataclasses.dataclass(frozen=True)
class Task:
    """A run by its name. `call` is a function and its arguments; of a run that `needs` another one's weights, it lacks
    these as its last argument."""

    name: str
    call: tuple[Any, ...]
    needs: str | None = None

    def complete(self, ledger: Ledger) -> tuple[Any, ...]:
        return (*self.call, ledger[self.needs]["weights"]) if self.needs else self.call


def _tasks(size: Size, folder: Path, data: Path) -> list[Task]:
    """All runs, the pre-trainings first."""
    first = [Task(f"pre-training, {arm}", (pretrain_arm, folder / "pretrained" / arm, (*size.pretrain, *values)))
             for arm, (_, values) in ARMS.items() if arm != SCRATCH]
    return first + [Task(run.name, (finetune_once, data, run, size.finetune),
                         None if run.arm == SCRATCH else f"pre-training, {run.arm}") for run in size.runs]


def _work_off(tasks: list[Task], pool: ProcessPoolExecutor, jobs: int, ledger: Ledger,
              say: Callable[[str], None]) -> None:
    """Runs what is not in the ledger yet, in this order as far as the weights are there that a run needs."""
    left = [task for task in tasks if task.name not in ledger]
    count, running = len(left), dict[Future[Any], Task]()
    while left or running:
        ready = [task for task in left if task.needs is None or task.needs in ledger]
        for task in ready[: jobs - len(running)]:
            left.remove(task)
            running[pool.submit(*task.complete(ledger))] = task
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            task = running.pop(future)
            ledger.add(task.name, future.result())
            say(f"{count - len(left) - len(running)} of {count}: {task.name}, {future.result()['seconds']:.0f} s")


@contextmanager
def _processes(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that share the cores; what waits for them is dropped when something fails or Ctrl-C comes."""
    threads = max(1, (os.cpu_count() or 1) // jobs)
    pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), set_up, (threads,))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


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
