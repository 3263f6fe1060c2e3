"""The raw data of nnU-Net v2: a folder of `nnUNet_raw`.

    Dataset901_FDIF/imagesTr/case_00000_0000.nii.gz    uint8, grey levels 0 to 128; 0000 is the channel
    Dataset901_FDIF/labelsTr/case_00000.nii.gz         labels, 0 is background
    Dataset901_FDIF/dataset.json
    Dataset902_FDIFValidation/...                      volumes for validation, as nnU-Net has no place for them
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError
from fdif_dsl.runtime.datasets.nifti import Nifti
from fdif_dsl.runtime.datasets.plan import Plan
from fdif_dsl.runtime.datasets.record import Case, Record
from fdif_dsl.runtime.pictures.colour_tables import colour_tables
from fdif_dsl.runtime.scenes.render import Volume
from fdif_dsl.runtime.scenes.scene import Scene

LIST = "dataset.json"
IDS = (1, 999)


@dataclass(frozen=True)
class NnUnet:
    nifti: Nifti
    name: str = "nnunet"

    @property
    def options(self) -> Mapping[str, Any]:
        return self.nifti.options

    def check(self, plan: Plan) -> None:
        if len(plan.meaning.tasks) > 1:
            raise FdifError(Diagnostic(
                "E0921", f"nnU-Net takes one label a voxel, and `{plan.meaning.name}` gives {len(plan.meaning.tasks)}",
                hint="label by `shape_displacement_mapper`, which has a class for each combination, "
                "or write --format monai"))

    def about(self, plan: Plan) -> str:
        number = plan.title.removeprefix("Dataset").partition("_")[0]
        return f"""\
Raw data of nnU-Net v2: this folder belongs into `$nnUNet_raw`.

    nnUNetv2_plan_and_preprocess -d {int(number)} --verify_dataset_integrity
    nnUNetv2_train {int(number)} 3d_fullres all
"""

    def folders(self, endings: Sequence[str]) -> list[str]:
        return ["imagesTr", "labelsTr"]

    def files(self, plan: Plan, case: Case, scene: Scene, volume: Volume) -> dict[str, bytes]:
        note = plan.note(case)
        return {f"imagesTr/{case.name}_0000{self.nifti.ending}": self.nifti.file(volume.image, note),
                f"labelsTr/{case.name}{self.nifti.ending}": self.nifti.file(volume.label, note)}

    def lists(self, plan: Plan, records: Sequence[Record]) -> dict[str, str]:
        listed = {
            "name": plan.title, "description": plan.about, "channel_names": {"0": "formula"},
            "labels": {name: label for label, name in enumerate(plan.meaning.tasks[0].classes)},
            "numTraining": len(records), "file_ending": self.nifti.ending,
        }
        tables = colour_tables(dict(enumerate(plan.meaning.tasks[0].classes)))
        return {**tables, LIST: json.dumps(listed, indent=1) + "\n"}


def place(raw: Path, number: int, name: str) -> Path:
    """The folder of a data set in `nnUNet_raw`.

    Raises:
        FdifError: where another data set has that number; nnU-Net would find neither.
    """
    folder = raw / f"Dataset{number:03d}_{name}"
    taken = sorted(p.name for p in raw.glob(f"Dataset{number:03d}_*") if p.name != folder.name)
    if taken:
        used = {int(m[1]) for p in raw.glob("Dataset*") if (m := re.match(r"Dataset([0-9]{3})_", p.name))}
        free = next((i for i in range(901, 1000) if i not in used), None)
        raise FdifError(Diagnostic(
            "E0920", f"number {number} is taken by {taken[0]}", where=str(raw),
            why="nnU-Net finds a data set by its number alone",
            hint=f"name another one, such as --dataset-id {free}" if free else "name another one with --dataset-id"))
    return folder
