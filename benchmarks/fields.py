"""How many volumes of the paper's recipe one costs whose twenty objects were sampled from masks.

    python benchmarks/fields.py [COUNT]

The masks are made of three classes, 64 voxels along each side. Both recipes take turns, COUNT volumes at a time, made
ahead on all threads as a stream makes them; what was baked and compiled before is not counted.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import nibabel
import numpy as np
from recipes import compare

import fdif_dsl as fd

CLASSES = ("torus", "metaballs", "kidney")
SAMPLES = 4
SIDE = 64
LIBRARY = """
use std
use classes
use displacements
use mappers

""" + "\n".join(f'shape scanned_{name} = field("{name}_*.nii.gz")' for name in CLASSES)


def write_masks(folder: Path) -> None:
    """Masks of a few instances of each class, each alone in its image."""
    lib = fd.load_library(["standard", "organic"])
    for name in CLASSES:
        recipe = fd.Recipe.load("paper", [f"volume.grid=[{SIDE}, {SIDE}, {SIDE}]", "volume.objects=1",
                                          f'classes.shapes=["{name}"]', 'classes.displacements=["none"]',
                                          "placement.translate=0"])
        for index in range(SAMPLES):
            label = fd.render(fd.sample_scene(lib, 7, index, recipe), lib).label
            nibabel.save(nibabel.Nifti1Image((np.asarray(label) > 0).astype(np.uint8).T, np.eye(4)),
                         folder / f"{name}_{index}.nii.gz")


def main(count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_masks(Path(folder))
        path = Path(folder) / "scanned.sdf"
        path.write_text(LIBRARY)
        lib = fd.load_library(path)
        scanned = [name for name in lib.shapes if name.startswith("scanned_")]
        of_paper = [name for name in lib.shapes if name not in scanned]
        compare({"paper": (fd.Recipe(shapes=of_paper), lib), "fields": (fd.Recipe(shapes=scanned), lib)}, count)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
