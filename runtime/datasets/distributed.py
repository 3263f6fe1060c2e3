"""Lets the workers of a dask cluster make the cases of a data set.

A case is a task with a key of its own, and a function of its number. So when a worker is lost, its tasks are done
again elsewhere, and nothing about the data set changes. Workers write into the folder themselves, so all of them, and
this process, must see it under the same path.
"""

from __future__ import annotations

import hashlib
import json
import logging
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from itertools import islice
from typing import TYPE_CHECKING, Any

from fdif_dsl.compiler.backends.cpu.driver import one_thread, thread_count
from fdif_dsl.compiler.support.progress import tell
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError
from fdif_dsl.runtime.datasets.case import Job
from fdif_dsl.runtime.datasets.record import Case, Record

if TYPE_CHECKING:
    from fdif_dsl.runtime.datasets.write import Engine

LOCAL = "local"
_AHEAD = 4  # tasks a thread that wait on the cluster, so that no worker waits for this process
_DEATHS = 100  # of workers, while one and the same case was in hand, until it is given up
_PATIENCE = 30  # seconds for a scheduler to answer


@contextmanager
def cluster(scheduler: str, workers: int | None = None) -> Iterator[Engine]:
    """What makes cases on the cluster of a scheduler, such as `tcp://10.0.0.1:8786`; or on a cluster of `workers`
    processes on this machine, where the scheduler is `local`.

    Raises:
        FdifError: where dask is not installed, the scheduler does not answer, or a worker lacks this package.
    """
    try:
        import distributed
        from dask import config
    except ImportError:
        raise FdifError(Diagnostic("E0930", "--scheduler needs the package distributed, which is not installed",
                                   hint="pip install 'fdif-dsl[distributed]'")) from None
    dask: Any = distributed
    if scheduler == LOCAL:
        settings = {"distributed.scheduler.allowed-failures": _DEATHS}
        with config.set(settings), dask.LocalCluster(
                n_workers=workers or thread_count(), threads_per_worker=1, processes=True, preload=__name__,
                dashboard_address="127.0.0.1:0", silence_logs=logging.CRITICAL) as local, dask.Client(local) as client:
            yield lambda job, cases: _make(client, job, cases)
        return
    try:
        client = dask.Client(scheduler, timeout=_PATIENCE)
    except (OSError, ValueError, TimeoutError) as error:
        why = (str(error) or "it is silent").splitlines()[0]
        raise FdifError(Diagnostic(
            "E0931", f"no scheduler answers at {scheduler}", where="--scheduler", why=why,
            hint="give the address that `dask scheduler` printed, such as tcp://10.0.0.1:8786, or `local`")) from None
    with client:
        if not client.scheduler_info()["workers"]:
            tell(f"waiting for workers of {scheduler}")
            client.wait_for_workers(1)
        _compare_versions(client)
        yield lambda job, cases: _make(client, job, cases)


def dask_setup(worker: Any) -> None:
    """Called by dask in each process of a local cluster. Ctrl-C reaches them too, but it is this one that ends them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _make(client: Any, job: Job, cases: Iterable[Case]) -> Iterator[Record]:
    """The cases in the order in which they are done."""
    import distributed

    dask: Any = distributed

    job = replace(job, directory=job.directory.resolve())
    name = _name(job)
    # A task too, so that it is made again where the workers that have it are lost.
    there = client.submit(_take, job, key=f"fdif-{name}")

    def submit(case: Case) -> Any:
        return client.submit(_one, there, case, key=f"fdif-{name}-{case.split}-{case.name}")

    waiting = iter(cases)
    threads = sum(client.nthreads().values())
    done = dask.as_completed([submit(case) for case in islice(waiting, _AHEAD * max(threads, 1))])
    try:
        for future in done:
            record = future.result()
            for case in islice(waiting, 1):
                done.add(submit(case))
            yield record
    except dask.scheduler.KilledWorker as error:
        raise FdifError(Diagnostic("E0932", "workers of the cluster end again and again", why=str(error.task),
                                   hint="their logs say why; too little memory is the usual reason. What is done is "
                                   "kept: the same command goes on")) from None
    except FileNotFoundError as error:
        raise FdifError(Diagnostic(
            "E0933", f"a worker of the cluster does not see {job.directory}", why=str(error),
            hint="put the data set on a file system that all of them share")) from None


def _take(job: Job) -> Job:
    return job


def _one(job: Job, case: Case) -> Record:
    with one_thread():
        return job.make(case)


def _name(job: Job) -> str:
    """A name of the data set for the keys of its tasks, as a scheduler may serve several."""
    text = json.dumps([job.plan.identity(), str(job.directory)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _compare_versions(client: Any) -> None:
    """Raises `FdifError` where a worker has no fdif-dsl, or another one."""
    own = version("fdif-dsl")
    for address, found in client.get_versions(packages=["fdif_dsl"])["workers"].items():
        theirs = found["packages"].get("fdif_dsl")
        if theirs != own:
            raise FdifError(Diagnostic(
                "E0934", f"the worker at {address} has {f'fdif-dsl {theirs}' if theirs else 'no fdif-dsl'}",
                why=f"this is fdif-dsl {own}", hint="install the same version in the environment of the workers"))
