"""The layout of the Medical Segmentation Decathlon, which MONAI reads.

    imagesTr/case_00000.nii.gz    uint8, grey levels 0 to 128
    labelsTr/case_00000.nii.gz    labels, 0 is background; where they have several tasks, case_00000_shape.nii.gz ...
    imagesVal, labelsVal          the same for validation
    datalist.json                 the list for `monai.data.load_decathlon_datalist`
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fdif_dsl.runtime.datasets.nifti import Nifti
from fdif_dsl.runtime.datasets.plan import Plan
from fdif_dsl.runtime.datasets.record import TRAINING, VALIDATION, Case, Record
from fdif_dsl.runtime.pictures.colour_tables import colour_tables
from fdif_dsl.runtime.recipe.meaning import Task
from fdif_dsl.runtime.scenes.render import Volume
from fdif_dsl.runtime.scenes.scene import Scene

LIST = "datalist.json"


@dataclass(frozen=True)
class Decathlon:
    nifti: Nifti
    name: str = "monai"

    @property
    def options(self) -> Mapping[str, Any]:
        return self.nifti.options

    def check(self, plan: Plan) -> None:
        pass

    def about(self, plan: Plan) -> str:
        return f"""\
The layout of the Medical Segmentation Decathlon: images in `imagesTr`, labels in `labelsTr`, and `{LIST}`, which
names them. Volumes of `validation`, if there are any, are in `imagesVal` and `labelsVal`.

    from monai.data import load_decathlon_datalist
    from monai.transforms import LoadImaged

    cases = load_decathlon_datalist("{LIST}", data_list_key="training")
    load = LoadImaged(keys=["image", "label"], ensure_channel_first=True)
    pair = load(cases[0])
"""

    def folders(self, endings: Sequence[str]) -> list[str]:
        return [f"{what}{ending}" for ending in endings for what in ("images", "labels")]

    def files(self, plan: Plan, case: Case, scene: Scene, volume: Volume) -> dict[str, bytes]:
        note = plan.note(case)
        image, *labels = self._paths(plan, case)
        stacked = volume.label.reshape(len(labels), *volume.image.shape)
        return {image: self.nifti.file(volume.image, note)} | {
            path: self.nifti.file(label, note)
            for path, label in zip(labels, stacked, strict=True)}

    def lists(self, plan: Plan, records: Sequence[Record]) -> dict[str, str]:
        splits: dict[str, list[dict[str, Any]]] = {TRAINING: [], VALIDATION: []}
        for record in records:
            image, *labels = self._paths(plan, record.case)
            splits[record.case.split].append({"image": image, "label": labels[0] if len(labels) == 1 else labels})
        tasks = plan.meaning.tasks
        listed = {
            "name": plan.title, "description": plan.about, "tensorImageSize": "3D", "modality": {"0": "formula"},
            "labels": _names(tasks[0]) if len(tasks) == 1 else {task.name: _names(task) for task in tasks},
            "numTraining": len(splits[TRAINING]), "numTest": 0, **splits, "test": [],
        }
        tables = colour_tables(dict(enumerate(tasks[0].classes))) if len(tasks) == 1 else {}
        return {**tables, LIST: json.dumps(listed, indent=1) + "\n"}

    def _paths(self, plan: Plan, case: Case) -> list[str]:
        """The image and the labels."""
        names = [""] if len(plan.meaning.tasks) == 1 else [f"_{task.name}" for task in plan.meaning.tasks]
        return [f"images{case.ending}/{case.name}{self.nifti.ending}",
                *(f"labels{case.ending}/{case.name}{name}{self.nifti.ending}" for name in names)]


def _names(task: Task) -> dict[str, str]:
    return {str(label): name for label, name in enumerate(task.classes)}
