"""Fine-tuned networks, read from what `fdifc finetune` leaves."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError, did_you_mean
from fdif_dsl.runtime.finetuning.data.cases import Region
from fdif_dsl.runtime.finetuning.data.normalisation import Levels
from fdif_dsl.runtime.finetuning.preflight import PRETRAINED, SCRATCH
from fdif_dsl.runtime.finetuning.runs import FOLD, RECIPE
from fdif_dsl.runtime.training.networks import find_network
from fdif_dsl.runtime.training.run_folder import ABOUT, WEIGHTS

_GIVE = "give the folder of a run of `fdifc finetune`, or a weights.pt in it"
_NEEDED = ("network", "features", "patch", "recipe", "tasks", "labels", "channels", "spacing", "orientation",
           "normalise")


@dataclass(frozen=True)
class Tuned:
    """A network and what it needs to see an image as in its training. `classes` are their names, background first,
    and `numbers` what files hold for each; `regions` of them, where there are any, are what it was trained on. `names`
    are those of the channels, as far as they are known. `spacing` (z, y, x) is None where images keep theirs.
    `normalise` has the scheme and the levels of each channel."""

    path: Path
    network: Any = field(repr=False)
    kind: str
    features: int
    patch: tuple[int, int, int]
    classes: tuple[str, ...]
    regions: tuple[Region, ...]
    numbers: tuple[int, ...]
    channels: int
    names: tuple[str, ...]
    spacing: tuple[float, float, float] | None
    orientation: str
    normalise: tuple[tuple[str, Levels], ...]
    precision: str
    overlap: float

    @property
    def outputs(self) -> int:
        """How many numbers it says of a voxel."""
        return len(self.regions) or len(self.classes)

    @property
    def digest(self) -> str:
        """A hash of the file that it was read from."""
        with self.path.open("rb") as file:
            return blake2b(file.read(), digest_size=16).hexdigest()

    @classmethod
    def read(cls, path: Path) -> Tuned:
        """Reads a weights.pt.

        Raises:
            FdifError: it is no file of a fine-tuned network, or of another kind.
        """
        stored = _load(path)
        missing = [key for key in _NEEDED if key not in stored]
        if stored.get("task") == "classification":
            raise _wrong(path, "names whole images, and no voxels",
                         "it was trained to classify", "networks that segment can predict")
        if "spacing" in missing and "labels" in missing:
            raise _wrong(path, "was pre-trained, and not fine-tuned", "it knows classes of formulas, and none of yours",
                         "fine-tune it on labelled images first: fdifc finetune small --data ... --weights ...")
        if missing:
            raise _wrong(path, f"does not say its `{missing[0]}`",
                         f"it was left by fdif-dsl {stored.get('fdif_dsl', 'of an earlier version')}, which did not "
                         "keep it", "fine-tune again with this version")
        row = find_network(stored["network"], str(path))
        d, h, w = stored["patch"]
        classes, channels = tuple(stored.get("classes") or stored["tasks"]["classes"]), int(stored["channels"])
        regions = tuple(Region(name, tuple(places), number) for name, places, number in stored.get("regions", ()))
        network = row.build(stored["features"], len(regions) or len(classes), (d, h, w), channels)
        network.load_state_dict(stored["network_weights"])
        recipe = stored["recipe"]
        return cls(path, network.eval(), row.name, stored["features"], (d, h, w), classes, regions,
                   tuple(stored["labels"]), channels, tuple(stored.get("channel_names", ())),
                   stored["spacing"] and tuple(stored["spacing"]),
                   stored["orientation"], tuple((how, Levels(**levels)) for how, levels in stored["normalise"]),
                   recipe["train"]["precision"], recipe["validate"]["overlap"])


def read_tuned(run: Path) -> list[Tuned]:
    """The networks of a run: of all its seeds, those that began with weights if there are any, else those from scratch;
    or the one of a weights.pt or of its folder.

    Raises:
        FdifError: nothing is there, it is something else, or the run has not ended.
    """
    return [Tuned.read(file) for file in _files(run)]


def _files(run: Path) -> Sequence[Path]:
    if not run.exists():
        beside = [entry.name for entry in run.parent.iterdir()] if run.parent.is_dir() else []
        raise FdifError(Diagnostic("E0950", f"there is no run {run}", hint=did_you_mean(run.name, beside) or _GIVE))
    if not run.is_dir():
        return [run]
    if (run / WEIGHTS).is_file():
        return [run / WEIGHTS]
    if folds := sorted(run.glob(f"{FOLD}-*/{WEIGHTS}"), key=_by_number):
        return folds
    if not (run / RECIPE).is_file():
        raise FdifError(Diagnostic("E0950", f"{run} is no run of `fdifc finetune`",
                                   why=f"it has neither {RECIPE} nor {WEIGHTS}", hint=_GIVE))
    found = next(filter(None, (sorted([*run.glob(f"{start}-*/{WEIGHTS}"), *run.glob(f"{start}-*/{FOLD}-*/{WEIGHTS}")],
                                      key=_by_number) for start in (PRETRAINED, SCRATCH))), [])
    if not found or not (run / ABOUT).is_file():
        raise FdifError(Diagnostic(
            "E0950", f"the fine-tuning in {run} has not ended", why=f"it has no {ABOUT}, which is written last",
            hint=f"wait for it, or give a network of it that is there: {found[0].parent}" if found else
            "wait for it, or start it anew with --overwrite"))
    return found


def _by_number(path: Path) -> list[tuple[int, str]]:
    """So that fold 10 comes after fold 9."""
    return [(len(part), part) for part in path.parts]


def _load(path: Path) -> Mapping[str, Any]:
    """What a file holds; nothing in it is executed."""
    import torch

    stored: Any = None
    if zipfile.is_zipfile(path):  # torch has written nothing else for years, and warns of what it finds there
        try:
            stored = torch.load(path, map_location="cpu", weights_only=True)
        except Exception:  # a damaged file makes torch stumble anywhere
            stored = None
    if not isinstance(stored, dict) or "network_weights" not in stored or "fdif" in stored:
        raise _wrong(path, "holds no fine-tuned network", "it was written by another program, or is damaged", _GIVE)
    return stored


def _wrong(path: Path, title: str, why: str, hint: str) -> FdifError:
    return FdifError(Diagnostic("E0951", f"the network in {path} {title}" if not title.startswith("holds") else
                                f"{path} {title}", why=why, hint=hint))
