"""One case of a data set: rendered, encoded, written."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

from fdif_dsl.compiler.support.files import write_bytes
from fdif_dsl.runtime.datasets.manifest import count_voxels, digest, file_digest
from fdif_dsl.runtime.datasets.plan import Plan
from fdif_dsl.runtime.datasets.record import Case, Record
from fdif_dsl.runtime.scanner.scan import scan
from fdif_dsl.runtime.scenes.render import Volume
from fdif_dsl.runtime.scenes.sampler import sample_scene
from fdif_dsl.runtime.scenes.scene import Scene
from fdif_dsl.runtime.scenes.unseen import lost_to_nan


@dataclass(frozen=True)
class Job:
    """A plan and the folder that it goes to. A case is a function of its number, so whoever makes it, and how often,
    changes nothing."""

    plan: Plan
    directory: Path

    def make(self, case: Case) -> Record:
        """Writes the files of a case, each whole or not at all, and says what they are."""
        scene, volume = draw(self.plan, case)
        files = encode(self.plan, case, scene, volume)
        for path, data in files.items():
            write_bytes(self.directory / path, data)
        meaning = self.plan.meaning
        labels = volume.label.reshape(len(meaning.tasks), -1)
        return Record(case, {path: digest(data) for path, data in files.items()},
                      tuple(map(meaning.labels, scene.objects, itertools.count(1))), tuple(map(count_voxels, labels)),
                      lost_to_nan(scene, self.plan.library, volume.counts.tolist()))

    def lacks(self, record: Record) -> bool:
        """Whether a file of the case is missing, or is not what was written."""
        return any(file_digest(self.directory / path) != checksum for path, checksum in record.files.items())


def draw(plan: Plan, case: Case) -> tuple[Scene, Volume]:
    """The scene of a case and its volume."""
    scene = sample_scene(plan.library, plan.seed, case.index, plan.recipe)
    return scene, scan(scene, plan.library, plan.recipe, plan.seed, case.index, meaning=plan.meaning)


def encode(plan: Plan, case: Case, scene: Scene, volume: Volume) -> dict[str, bytes]:
    """The files of a case, by their paths."""
    files = plan.form.files(plan, case, scene, volume)
    if plan.scenes:
        files[f"scenes{case.ending}/{case.name}.json"] = scene.to_text().encode()
    return files
