"""On which devices a run trains: what the recipe asks for, and what torchrun, Slurm and the machine say."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from fdif_dsl.compiler.backends.cuda.backend import simulated
from fdif_dsl.compiler.backends.cuda.target import require_packages
from fdif_dsl.compiler.support.progress import tell
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError
from fdif_dsl.runtime.recipe import Recipe
from fdif_dsl.runtime.settings.checks import Wrong
from fdif_dsl.runtime.settings.places import Sources, complain


@dataclass(frozen=True)
class Place:
    """What Lightning's `Trainer` is given, and how many processes that makes."""

    accelerator: str
    devices: int
    nodes: int
    precision: Any

    @property
    def world(self) -> int:
        return self.devices * self.nodes

    @property
    def strategy(self) -> str:
        return "ddp" if self.world > 1 else "auto"


def find_place(recipe: Recipe) -> tuple[Place, list[Diagnostic]]:
    """Where to train, and what of the recipe this machine cannot do."""
    import torch

    training = recipe.training
    gpus = torch.cuda.device_count()
    accelerator, mistakes = find_accelerator(training.accelerator, recipe.source, "demo")
    if training.volumes == "gpu" and not simulated():
        if accelerator == "gpu":
            require_packages("drawing volumes on a GPU", "train.volumes")
        else:
            mistakes.append(complain(recipe.source, "train", "volumes", Wrong(
                "volumes are to be drawn on the GPU that trains, and the processor trains",
                hint="leave out train.volumes"), code="E0836"))
    outside = launched()
    tell_of_tasks()
    devices, nodes = outside or (training.devices, training.nodes)
    if accelerator == "gpu" and devices > gpus > 0 and not outside:  # Slurm may show each process a GPU of its own
        mistakes.append(complain(recipe.source, "train", "devices", Wrong(
            f"{devices} processes a machine, and torch finds {gpus} {'GPU' if gpus == 1 else 'GPUs'}",
            "each process has a GPU of its own", f"at most train.devices={gpus}"), code="E0836"))
    return Place(accelerator, devices, nodes, find_precision(training.precision, accelerator)), mistakes


def find_accelerator(wanted: str, source: Sources, small: str) -> tuple[str, list[Diagnostic]]:
    """`gpu` or `cpu`, and what is wrong where a GPU is wanted and there is none. `small` is a recipe for a CPU."""
    import torch

    gpus = torch.cuda.device_count()
    if wanted == "gpu" and not gpus:
        return wanted, [complain(source, "train", "accelerator", Wrong(
            "the recipe trains on a GPU, and torch finds none",
            f"torch {torch.__version__} " + ("was built without CUDA" if torch.version.cuda is None
                                             else "was built for CUDA, but there is no device or driver"),
            "train.accelerator=cpu trains on the processor, which takes far longer; "
            f"the recipe `{small}` is made for that"), code="E0836")]
    return ("gpu" if gpus else "cpu") if wanted == "auto" else wanted, []


def find_precision(wanted: str, accelerator: str) -> Any:
    """What Lightning is told of the precision: half of it needs a GPU."""
    if wanted == "32":
        return "32-true"
    if accelerator == "gpu":
        return wanted
    # Torch's bfloat16 convolutions on CPUs give NaN now and then, in gradients of small networks.
    if is_first():
        tell(f"half precision ({wanted}) needs a GPU; training in single precision")
    return "32-true"


def launched() -> tuple[int, int] | None:
    """The processes a machine and the machines that torchrun or Slurm started, or None."""
    if "LOCAL_WORLD_SIZE" in os.environ and "WORLD_SIZE" in os.environ:
        local = int(os.environ["LOCAL_WORLD_SIZE"])
        return local, int(os.environ["WORLD_SIZE"]) // local
    if by_srun():
        tasks, nodes = int(os.environ["SLURM_NTASKS"]), int(os.environ.get("SLURM_NNODES", 1))
        if (tasks > 1 and os.environ.get("SLURM_NTASKS_PER_NODE") != str(tasks // nodes)) or tasks % nodes:
            raise FdifError(Diagnostic(
                "E0838", f"srun has started {tasks} processes, and it is not said how many run on each machine",
                why="each must know its place among those beside it",
                hint=f"srun --ntasks-per-node={max(1, tasks // nodes)} fdifc pretrain ..."))
        return max(1, tasks // nodes), nodes
    return None


def by_srun() -> bool:
    """Whether srun has started this process. In the script of a job and in a shell on a node Slurm's variables are set
    too, but there it is one process, however many tasks the job may have."""
    return ("SLURM_STEP_ID" in os.environ and "SLURM_NTASKS" in os.environ and "SLURM_PROCID" in os.environ
            and os.environ.get("SLURM_JOB_NAME") not in ("bash", "interactive"))


def tell_of_tasks() -> None:
    """Says it where a job of Slurm has tasks that nobody has started."""
    tasks = os.environ.get("SLURM_NTASKS", "1")
    if tasks.isdecimal() and int(tasks) > 1 and launched() is None and is_first():
        tell(f"the job has {tasks} tasks of Slurm, but srun has not started this process: it runs without them")


def is_first() -> bool:
    """Whether this is the process that writes files and speaks to the user."""
    names = ("RANK", "LOCAL_RANK", "NODE_RANK", *(("SLURM_PROCID",) if by_srun() else ()))
    return all(os.environ.get(name, "0") == "0" for name in names)
