"""The layout of the Medical Segmentation Decathlon, which MONAI reads.

    imagesTr/case_00000.nii.gz   uint8, grey levels 0 to 128
    labelsTr/case_00000.nii.gz   class ids, 0 is background
    scenesTr/case_00000.json     on request: the scene, from which the volume can be rendered again
    datalist.json                the list for `monai.data.load_decathlon_datalist`
    overview.png                 slices of the first volumes

Volumes are arrays (D, H, W), that is z, y, x; NIfTI files hold x, y, z. So axes are reversed when they are
written, and voxel (i, j, k) of a file is voxel [k, j, i] of the volume. Voxels are cubes of 1 mm and the
affine is the identity.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fdif_dsl.compiler.files import claim_directory, replacing, write_text
from fdif_dsl.compiler.progress import Progress
from fdif_dsl.runtime.ahead import ahead
from fdif_dsl.runtime.recipe import Recipe, resolve
from fdif_dsl.runtime.render import Volume, render
from fdif_dsl.runtime.sampler import sample_scene

if TYPE_CHECKING:
    from fdif_dsl.compiler.library import Library

LIST = "datalist.json"
_SHOWN = 8  # volumes in the overview


def write(library: Library, recipe: Recipe, directory: Path, *, name: str, count: int, seed: int, scenes: bool = False,
          progress: Progress | None = None) -> None:
    """Writes volumes 0 to `count` - 1 of a seed into `directory`; `name` is what the recipe is called.

    A data set that an earlier run left there is replaced. The list is taken away first and written last, so
    a folder with a list is complete. `progress` is called with the number of volumes done and of all.

    Raises:
        FdifError: where the recipe does not fit the library, or the folder holds something else.
    """
    choices = resolve(recipe, library)  # a mistake is told before anything is touched
    claim_directory(directory, LIST)
    (directory / LIST).unlink(missing_ok=True)
    for folder in ("imagesTr", "labelsTr", *(["scenesTr"] if scenes else [])):
        (directory / folder).mkdir(exist_ok=True)

    def make(i: int) -> Volume:
        scene = sample_scene(library, seed=seed, index=i, recipe=recipe)
        volume = render(scene, library)
        case = f"case_{i:05d}"
        write_nifti(volume.image, directory / "imagesTr" / f"{case}.nii.gz")
        write_nifti(volume.label, directory / "labelsTr" / f"{case}.nii.gz")
        if scenes:
            scene.to_json(directory / "scenesTr" / f"{case}.json")
        return volume

    shown = []
    for i, volume in enumerate(ahead(make, range(count))):
        if i < _SHOWN:
            shown.append((volume.image, volume.label))
        if progress is not None:
            progress(i + 1, count)
    _remove_other_cases(directory, count, scenes)
    names = {library.shapes[f.name].id: f.name for f in choices.shapes}
    _draw(shown, names, directory / "overview.png", name, recipe, count, seed)
    write_text(directory / LIST, json.dumps(_datalist(name, count, seed, names), indent=2) + "\n")


def write_nifti(volume: np.ndarray, path: Path) -> None:
    """A volume (D, H, W) as a gzipped NIfTI file with axes x, y, z."""
    from nibabel.nifti1 import Nifti1Image

    image = Nifti1Image(np.ascontiguousarray(volume.transpose(2, 1, 0)), np.eye(4))  # type: ignore[no-untyped-call]
    image.header.set_xyzt_units("mm")  # type: ignore[no-untyped-call]
    with replacing(path) as temporary:
        image.to_filename(temporary)


def _datalist(name: str, count: int, seed: int, names: dict[int, str]) -> dict[str, Any]:
    cases = [f"case_{i:05d}.nii.gz" for i in range(count)]
    return {
        "name": name,
        "description": f"Formula-driven volumes: recipe {name}, seed {seed}",
        "tensorImageSize": "3D",
        "modality": {"0": "formula"},
        "labels": {"0": "background"} | {str(value): names[value] for value in sorted(names)},
        "numTraining": count,
        "numTest": 0,
        "training": [{"image": f"imagesTr/{case}", "label": f"labelsTr/{case}"} for case in cases],
        "validation": [],
        "test": [],
    }


def _remove_other_cases(directory: Path, count: int, scenes: bool) -> None:
    """What is left of an earlier and larger data set would no longer belong to the list."""
    keep = {f"case_{i:05d}" for i in range(count)}
    for folder, wanted in (("imagesTr", True), ("labelsTr", True), ("scenesTr", scenes)):
        for file in (directory / folder).glob("case_*"):
            if not wanted or file.name.partition(".")[0] not in keep:
                file.unlink()


def _draw(shown: list[tuple[np.ndarray, np.ndarray]], names: dict[int, str], path: Path, name: str, recipe: Recipe,
          count: int, seed: int) -> None:
    from fdif_dsl.runtime.overview import draw_overview

    size = " x ".join(map(str, recipe.grid))
    draw_overview(shown, names, path, f"{count} {'volume' if count == 1 else 'volumes'} of the recipe {name}",
                  f"{size} voxels, seed {seed}; the image above, its labels below")
