"""A pre-trained network, read from what `fdifc pretrain` leaves."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError, did_you_mean
from fdif_dsl.runtime.training.run_folder import BEST_WEIGHTS, WEIGHTS

if TYPE_CHECKING:
    import torch

ABOUT = "fdif"
"""The key in an exported file under which it says what the weights are, beside what its tool reads."""

MEASURES = {"segmentation": "Dice", "classification": "share named right", "structure": "Dice",
            "masked": "share explained"}
"""What a validation scores by, for each task."""

_GIVE = f"give the folder of a run of `fdifc pretrain`, or {BEST_WEIGHTS} or {WEIGHTS} in it"
_ZIP = b"PK\x03\x04"  # how a file of torch begins


@dataclass(frozen=True)
class Pretrained:
    """The weights of a run, and what they were made from.

    `weights` are CPU tensors by their names in the network alone; names that share a tensor still do. `network`,
    `features` and `patch` (D, H, W) say which network it is, `head` how the names of its last layers' parameters begin,
    empty where that is unknown. `tasks` has the classes of each label that it learnt, the first of which is background.
    `task` and `label` stand in the recipe too; `recipe` is that as sections of keys, `library` the formulas' hash.
    `step` is the step after which these weights were taken, `version` that of fdif-dsl.
    """

    path: Path
    weights: Mapping[str, torch.Tensor] = field(repr=False)
    network: str
    features: int
    patch: tuple[int, int, int]
    head: tuple[str, ...]
    task: str
    label: str
    tasks: Mapping[str, tuple[str, ...]]
    recipe: Mapping[str, Mapping[str, Any]] = field(repr=False)
    library: str
    seed: int
    step: int
    version: str

    @property
    def steps(self) -> int:
        """The steps that the run was to have."""
        return int(self.recipe["train"]["steps"])

    @property
    def normalise(self) -> str:
        """How grey levels were normalised: `unit`, from 0 to 1, or `zscore`, mean 0 and standard deviation 1."""
        return str(self.recipe["augment"]["normalise"])

    @property
    def channels(self) -> int:
        """The channels of the network's output. One that learnt to classify has a single one, which it never used."""
        return 1 if self.task == "classification" else sum(len(classes) for classes in self.tasks.values())

    @classmethod
    def read(cls, path: str | Path) -> Pretrained:
        """Reads weights.pt or best.pt, or the run's folder: its best.pt, or its weights.pt where it was not validated.

        Raises:
            FdifError: nothing is there, or it is something else.
        """
        file = _find(Path(path))
        stored = _load(file)
        try:
            return cls(
                file, _bare(stored["network_weights"], ":" in stored["network"]), str(stored["network"]),
                int(stored["features"]), _three(stored["patch"]), tuple(stored["head"]), str(stored["task"]),
                str(stored["label"]),
                {task: tuple(classes) for task, classes in stored["tasks"].items()}, stored["recipe"],
                str(stored["library"]), int(stored["seed"]), int(stored["step"]), str(stored["fdif_dsl"]))
        except (KeyError, AttributeError, TypeError, ValueError) as error:
            raise _foreign(file, stored) from error


def over_channels(kernel: torch.Tensor, channels: int) -> torch.Tensor:
    """A kernel (out, 1, ...) over one channel as one over several: it is repeated, and divided by their number, so that
    the same image in all of them gives what it gave in one."""
    return kernel.repeat_interleave(channels, 1) / channels


def _find(path: Path) -> Path:
    """The file to read for what a user named."""
    if path.is_dir():
        for name in (BEST_WEIGHTS, WEIGHTS):
            if (path / name).is_file():
                return path / name
        raise FdifError(Diagnostic("E0862", f"there are no weights in {path}",
                                   why=f"it has neither {BEST_WEIGHTS} nor {WEIGHTS}", hint=_GIVE))
    if not path.exists():
        folder = path.parent
        beside = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
        raise FdifError(Diagnostic("E0861", f"there is no checkpoint {path}",
                                   hint=did_you_mean(path.name, beside) or _GIVE))
    return path


def _load(path: Path) -> Any:
    """What a file holds; nothing in it is executed."""
    import torch

    with path.open("rb") as file:
        start = file.read(len(_ZIP))
    if start and start != _ZIP:  # torch has written nothing else for years, and warns of what it finds there
        raise _foreign(path, None)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise FdifError(Diagnostic(
            "E0863", f"{path} holds no weights of `fdifc pretrain`",
            why="it holds other Python objects than tensors and plain values", hint=_GIVE)) from error
    except Exception as error:  # a damaged file makes torch stumble anywhere
        if _is_other_archive(path):
            raise _foreign(path, None) from error
        raise FdifError(Diagnostic(
            "E0864", f"{path} is damaged", why="a part of it is missing" if start else "it is empty",
            hint="it may have been cut off while it was copied; copy it again")) from error


def _is_other_archive(path: Path) -> bool:
    """Whether a file is a whole archive of something else than torch's."""
    try:
        with zipfile.ZipFile(path) as archive:
            return not any(name.endswith("/data.pkl") for name in archive.namelist())
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return False


def _foreign(path: Path, stored: Any) -> FdifError:
    """What is wrong with a file that torch reads and that is not what a run leaves."""
    if isinstance(stored, dict) and "pytorch-lightning_version" in stored:
        return FdifError(Diagnostic(
            "E0865", f"{path} is the whole state of a training",
            why="it is there to go on from, and does not say which network it is",
            hint=f"give the run's {BEST_WEIGHTS} or {WEIGHTS}, which has the weights and what they were made from"))
    why = "it was written by another program"
    if isinstance(stored, dict) and "network_weights" in stored:
        why = "it is what `fdifc export` made of some" if ABOUT in stored else \
            "it has weights, and does not say from which network and recipe"
    return FdifError(Diagnostic("E0863", f"{path} holds no weights of `fdifc pretrain`", why=why, hint=_GIVE))


def _three(patch: Any) -> tuple[int, int, int]:
    d, h, w = (int(side) for side in patch)
    return d, h, w


def _bare(weights: Mapping[str, torch.Tensor], own: bool) -> dict[str, torch.Tensor]:
    """Weights by their names without what a wrapper put before all of them; a network of the user's `own` may well have
    one part that is called `module`."""
    for wrapper in ("_orig_mod.",) if own else ("_orig_mod.", "module."):  # torch.compile, DistributedDataParallel
        if weights and all(name.startswith(wrapper) for name in weights):
            return _bare({name.removeprefix(wrapper): tensor for name, tensor in weights.items()}, own)
    return dict(weights)
