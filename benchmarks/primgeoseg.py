"""Whether volumes of the recipe `primgeoseg` have the statistics of those that the code of its authors draws.

    git clone https://github.com/SUPER-TADORY/PrimGeoSeg; pip install opencv-python-headless pyyaml tqdm nibabel
    python benchmarks/primgeoseg.py draw PrimGeoSeg/data_generation FOLDER 500 [--mended]
    python benchmarks/primgeoseg.py compare FOLDER 500 [-o PICTURE]

`draw` runs the authors' code, with the random seeds 0, 1, ..., and keeps its volumes; it needs nothing of fdif-dsl. It
takes a second or more for a volume, and goes on where it stood. `compare` makes as many volumes of the recipe and
prints, for each measure, both means and a two-sample Kolmogorov-Smirnov test.

The authors look up an object's size by its number in a list that they sorted before. So an object is left out when it
overlaps by more than 0.7 times the size of *another* one. `--mended` gives it its own size.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

SHOWN = 4  # volumes of each in the picture


@dataclass(frozen=True)
class Sample:
    """A volume: `image` and `label` (D, H, W); the voxels of each object that was drawn, also of those that were left
    out; and the class ids of those that were not."""

    image: np.ndarray
    label: np.ndarray
    sizes: np.ndarray
    classes: np.ndarray


def draw(code: Path, folder: Path, count: int, mended: bool) -> None:
    """Runs the authors' code for the volumes that the folder lacks."""
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(code)
    sys.path.insert(0, str(Path.cwd()))
    sys.argv = ["mk_data.py", "--yaml_path", "config/config001.yaml", "--base_save_dir", str(folder)]
    with contextlib.redirect_stdout(io.StringIO()):
        import mk_data

    tried: list[tuple[int, bool, int]] = []
    place = mk_data.random_setting

    def noting(target: np.ndarray, size: int, filled: np.ndarray) -> Any:
        own = int((target > 0).sum())
        found = place(target, own if mended else size, filled)
        tried.append((own, found[0] is not None, int(target.max())))
        return found

    mk_data.random_setting = noting
    for seed in range(count):
        path = folder / f"{seed}.npz"
        if path.exists():
            continue
        tried.clear()
        random.seed(seed)
        image, label = mk_data.make_data()
        np.savez_compressed(path, image=image.astype(np.uint8), label=label.astype(np.uint8), placed=np.array(tried))
        print(f"volume {seed}", flush=True)


def theirs(folder: Path, count: int) -> Iterator[Sample]:
    """The volumes that `draw` has kept, with the axes z, y, x."""
    for seed in range(count):
        kept = np.load(folder / f"{seed}.npz")
        size, found, number = kept["placed"].T
        yield Sample(np.moveaxis(kept["image"], 2, 0), np.moveaxis(kept["label"], 2, 0), size, number[found > 0])


def ours(count: int) -> Iterator[Sample]:
    from dataclasses import replace

    import fdif_dsl as fd
    from fdif_dsl.runtime.recipe import Placement

    recipe = fd.Recipe.load("primgeoseg")
    middle = replace(recipe, placement=Placement(translate=0, rotation=0, shear=0))
    lib = fd.load_library(recipe.library)
    for index in range(count):
        scene = fd.sample_scene(lib, 0, index, recipe)
        volume = fd.render(scene, lib)
        sizes = fd.render(fd.sample_scene(lib, 0, index, middle), lib).counts
        yield Sample(np.asarray(volume.image), np.asarray(volume.label), np.asarray(sizes),
                     np.array([lib.shapes[o.shape].id for o in scene.objects]))


def measured(sample: Sample) -> dict[str, Any]:
    """What is compared: one number for the volume, or one for each of its objects or classes."""
    seen = np.bincount(sample.label.ravel(), minlength=33)[1:]
    return {
        "class id of an object": sample.classes,
        "voxels of an object": sample.sizes,
        "objects of a volume": len(sample.classes),
        "classes seen in a volume": np.count_nonzero(seen),
        "voxels of a class in a volume": seen[seen > 0],
        "labelled share (%)": 100 * np.mean(sample.label > 0),
        "bright share (%)": 100 * np.mean(sample.image > 0),
        "bright run along x (voxels)": _run(sample.image),
    }


def _run(image: np.ndarray) -> float:
    """The mean length of bright runs along x: the thickness of walls, as rows cut them."""
    bright = np.pad(image > 0, ((0, 0), (0, 0), (1, 0)))
    return float(bright.sum() / (bright[:, :, 1:] & ~bright[:, :, :-1]).sum())


def compare(folder: Path, count: int, picture: Path | None) -> None:
    from scipy.stats import ks_2samp

    shown: list[tuple[np.ndarray, np.ndarray]] = []
    both = []
    for samples in (theirs(folder, count), ours(count)):
        found = []
        for number, sample in enumerate(samples):
            found.append(measured(sample))
            if number < SHOWN:
                shown.append((sample.image, sample.label))
        both.append({name: np.concatenate([np.atleast_1d(one[name]) for one in found]) for name in found[0]})
    print(f"| {count} volumes each | the authors' code | this recipe | D | p |\n| --- | --- | --- | --- | --- |")
    for name in both[0]:
        test = ks_2samp(both[0][name], both[1][name])
        means = (f"{of[name].mean():.4g} ± {of[name].std():.3g}" for of in both)
        print(f"| {name} | {' | '.join(means)} | {test.statistic:.3f} | {test.pvalue:.2g} |")
    if picture is not None:
        from fdif_dsl.runtime.pictures.overview import draw_overview

        draw_overview(shown, {i: str(i) for i in range(1, 33)}, picture, "PrimGeoSeg",
                      f"the first {SHOWN} volumes of the authors' code above, and of the recipe primgeoseg below")


def main() -> None:
    options = argparse.ArgumentParser(description="Compare the recipe primgeoseg with the code of its authors.")
    commands = options.add_subparsers(dest="what", required=True)
    drawing = commands.add_parser("draw", help="run the authors' code and keep its volumes")
    drawing.add_argument("code", type=Path, help="its folder data_generation")
    comparing = commands.add_parser("compare", help="compare with the recipe")
    for command in (drawing, comparing):
        command.add_argument("folder", type=Path, help="where the volumes are kept")
        command.add_argument("count", type=int)
    drawing.add_argument("--mended", action="store_true", help="limit an overlap by an object's own size")
    comparing.add_argument("-o", dest="picture", type=Path, help="a picture of both")
    given = options.parse_args()
    if given.what == "draw":
        draw(given.code, given.folder, given.count, given.mended)
    else:
        compare(given.folder, given.count, given.picture)


if __name__ == "__main__":
    main()
