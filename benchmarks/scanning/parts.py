"""A data set dealt once and for all into a part on which settings are chosen and one on which they are reported."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fdif_dsl.compiler.support.files import write_text
from fdif_dsl.runtime.finetuning.data.cases import Case
from fdif_dsl.runtime.finetuning.data.fingerprint import Checked

CHOOSE, REPORT = "choose", "report"
PARTS = (CHOOSE, REPORT)
_DEAL = 777  # the deal is the same for everybody, so that no seed can be picked for its cases
_LEAST = 22  # cases of the part for choices, or a quarter of the data set where that is more


@dataclass(frozen=True)
class Part:
    """The data list of a part, and how many of its cases are trained on."""

    path: Path
    train: int


def deal_parts(data: Checked, folder: Path) -> dict[str, Part]:
    """A data list for each part, written into `folder`: its training cases, and as validation those that are scored.

    The first cases of a shuffled list are the part for choices: a quarter of them, or 22 where that is more. Half of a
    part is trained on and half scored; of the part for choices, at most 16 cases are trained on.

    Raises:
        ValueError: there are too few cases for two parts.
    """
    cases = data.list.cases + data.list.held_out
    order = np.random.default_rng(_DEAL).permutation(len(cases))
    chosen = max(_LEAST, len(cases) // 4)
    if len(cases) < chosen + 12:
        raise ValueError(f"{data.list.path} has {len(cases)} cases, and {_LEAST + 12} are needed: {_LEAST} of them to "
                         "choose settings on, and others to report on")
    out = {}
    for part, some in ((CHOOSE, order[:chosen]), (REPORT, order[chosen:])):
        its = [cases[i] for i in some]
        train = min(len(its) // 2, 16) if part == CHOOSE else len(its) // 2
        path = folder / f"{part}.json"
        folder.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps({
            "labels": dict(zip(map(str, data.numbers), data.classes, strict=True)),
            "modality": {str(i): name for i, name in enumerate(data.list.channels)},
            "training": [_entry(case) for case in its[:train]],
            "validation": [_entry(case) for case in its[train:]]}, indent=1))
        out[part] = Part(path, train)
    return out


def _entry(case: Case) -> dict[str, object]:
    images = [str(path.resolve()) for path in case.images]
    return {"image": images if len(images) > 1 else images[0], "label": str(case.label.resolve())}
