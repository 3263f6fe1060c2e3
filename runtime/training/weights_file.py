"""A file of weights: where it lies in what a user names, and what stands in it. Nothing in it is executed.

Whatever wrote it, what comes out is a dictionary of `network_weights` and of facts beside them:

    weights.pt, best.pt       of a run of `fdifc pretrain` or `finetune`, which are such dictionaries
    fdif_*.pth, checkpoint_*  of exports for nnU-Net and nnssl, with the facts under `ABOUT`
    fdif_*.pt                 of an export for MONAI: weights alone, with the facts in `CONFIG` beside
    *.safetensors             of an export for the hub, with the facts in its header
"""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fdif_dsl.compiler.support.files import replacing
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError, did_you_mean
from fdif_dsl.runtime.training.extra import require
from fdif_dsl.runtime.training.run_folder import BEST_WEIGHTS, WEIGHTS

ABOUT = "fdif"
"""The key in an exported file under which it says what the weights are, beside what its tool reads."""
CONFIG = "config.json"
TENSORS = "model.safetensors"

GIVE = f"give the folder of a run of `fdifc pretrain`, or {BEST_WEIGHTS} or {WEIGHTS} in it"
_ZIP = b"PK\x03\x04"  # how a file of torch begins
_EXPORTED = (TENSORS, "fdif_*.pt", "fdif_*.pth", "checkpoint_final.pth")
_ALIASES = "aliases"


def find(path: Path) -> Path:
    """The file to read for what a user named: a file, or the folder of a run or of an export.

    Raises:
        FdifError: nothing is there.
    """
    if path.is_dir():
        for name in (BEST_WEIGHTS, WEIGHTS, *_EXPORTED):
            for file in sorted(path.glob(name)):
                return file
        tuned = sorted(path.glob(f"*-seed-*/{WEIGHTS}"))
        if len(tuned) == 1:
            return tuned[0]
        if tuned:
            raise FdifError(Diagnostic(
                "E0862", f"there are {len(tuned)} networks in {path}",
                why="it is a run of `fdifc finetune` with several seeds or starts",
                hint=f"name one of them: {', '.join(str(file.parent) for file in tuned)}"))
        raise FdifError(Diagnostic("E0862", f"there are no weights in {path}",
                                   why=f"it has neither {BEST_WEIGHTS} nor {WEIGHTS}", hint=GIVE))
    if not path.exists():
        folder = path.parent
        beside = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
        raise FdifError(Diagnostic("E0861", f"there is no checkpoint {path}",
                                   hint=did_you_mean(path.name, beside) or GIVE))
    return path


def load(path: Path) -> Any:
    """What a file of any of these kinds holds, as one dictionary; anything else as torch gives it.

    Raises:
        FdifError: it is no file of weights, or damaged.
    """
    if path.suffix == ".safetensors":
        return _read_tensors(path)
    stored = _read_torch(path)
    if isinstance(stored, dict) and isinstance(stored.get(ABOUT), dict) and "network_weights" in stored:
        return {**stored[ABOUT], "network_weights": stored["network_weights"]}
    if isinstance(stored, dict) and "network_weights" not in stored and (about := _beside(path)) is not None:
        return {**about, "network_weights": stored}
    return stored


def save_tensors(path: Path, weights: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
    """Puts weights and facts into a safetensors file, whole or not at all. Of names that share a tensor the first is
    kept, and the others stand in the header."""
    torch_format = require("safetensors.torch", who="a safetensors file")
    first: dict[tuple[int, tuple[int, ...]], str] = {}
    aliases, kept = {}, {}
    for name, tensor in weights.items():
        its = first.setdefault((tensor.data_ptr(), tuple(tensor.shape)), name)
        if its == name:
            kept[name] = tensor.contiguous()
        else:
            aliases[name] = its
    header = {"format": "pt", ABOUT: json.dumps({**facts, _ALIASES: aliases})}
    with replacing(path) as temporary:
        torch_format.save_file(kept, temporary, header)


def _read_tensors(path: Path) -> Any:
    safe = require("safetensors", who="a safetensors file")
    try:
        with safe.safe_open(path, framework="pt") as file:
            about = (file.metadata() or {}).get(ABOUT)
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dictionary)
    except safe.SafetensorError as error:
        raise FdifError(Diagnostic("E0864", f"{path} is damaged", why=str(error),
                                   hint="it may have been cut off while it was copied; copy it again")) from error
    try:
        facts = json.loads(about or "")
        return {**facts, "network_weights": weights | {name: weights[its]
                                                       for name, its in facts.pop(_ALIASES, {}).items()}}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise foreign(path, None) from None


def _beside(path: Path) -> Any:
    """The facts in the configuration that lies beside an export; None where there are none."""
    try:
        about = json.loads((path.parent / CONFIG).read_text("utf-8"))[ABOUT]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return about if isinstance(about, dict) and about.get("file") == path.name else None


def _read_torch(path: Path) -> Any:
    import torch

    with path.open("rb") as file:
        start = file.read(len(_ZIP))
    if start and start != _ZIP:  # torch has written nothing else for years, and warns of what it finds there
        raise foreign(path, None)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise FdifError(Diagnostic(
            "E0863", f"{path} holds no weights of `fdifc pretrain`",
            why="it holds other Python objects than tensors and plain values", hint=GIVE)) from error
    except Exception as error:  # a damaged file makes torch stumble anywhere
        if _is_other_archive(path):
            raise foreign(path, None) from error
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


def foreign(path: Path, stored: Any) -> FdifError:
    """What is wrong with a file that can be read and is not one of ours."""
    if isinstance(stored, dict) and "pytorch-lightning_version" in stored:
        return FdifError(Diagnostic(
            "E0865", f"{path} is the whole state of a training",
            why="it is there to go on from, and does not say which network it is",
            hint=f"give the run's {BEST_WEIGHTS} or {WEIGHTS}, which has the weights and what they were made from"))
    why = "it was written by another program"
    if isinstance(stored, dict) and "network_weights" in stored:
        why = "it has weights, and does not say from which network and recipe"
    return FdifError(Diagnostic("E0863", f"{path} holds no weights of `fdifc pretrain`", why=why, hint=GIVE))
