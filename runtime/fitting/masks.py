"""Which files are fitted: NIfTI masks by name, those of a MONAI list, or of a raw data set of nnU-Net."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError
from fdif_dsl.runtime.finetuning.data.cases import ENDINGS, bare_name
from fdif_dsl.runtime.finetuning.data.datalists import read_list


@dataclass(frozen=True)
class Masked:
    """A mask, and the image that it was drawn on, where somebody gave one."""

    name: str
    label: Path
    image: Path | None = None


def find_masks(paths: Sequence[Path], images: Path | None = None, most: int | None = None) -> list[Masked]:
    """The masks at some paths, the first `most` of them. `images` is a folder with images of the masks' names; lists
    and data sets of nnU-Net name their images themselves.

    Raises:
        FdifError: nothing is there, or two masks have one name.
    """
    found: list[Masked] = []
    for path in paths:
        if path.name.lower().endswith(ENDINGS):
            found.append(Masked(bare_name(path.name), path, _image(images, path)))
            continue
        if path.is_dir() and not any((path / name).is_file() for name in ("dataset.json", "datalist.json")):
            inside = sorted(p for p in path.iterdir() if p.name.lower().endswith(ENDINGS) and p.name[0] != ".")
            found += [Masked(bare_name(p.name), p, _image(images, p)) for p in inside]
            if inside:
                continue
        cases = read_list(path, renumber=True).cases
        found += [Masked(case.name, case.label, case.images[0]) for case in cases]
    if not found:
        raise FdifError(Diagnostic("E0970", "there is no mask to fit", where=", ".join(map(str, paths)),
                                   hint="name NIfTI files, a MONAI list, or a raw data set of nnU-Net"))
    found = found[:most]
    names = [one.name for one in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise FdifError(Diagnostic("E0970", f"two masks are called {twice}", where="masks",
                                   why="the report has a line for each name",
                                   hint="name each mask once, and rename one of two that share a name"))
    return found


def _image(folder: Path | None, mask: Path) -> Path | None:
    """The image of a mask in a folder of images: of its name, or of that with the number of the first channel."""
    if folder is None:
        return None
    stem = bare_name(mask.name)
    for ending in ENDINGS:
        for name in (f"{stem}{ending}", f"{stem}_0000{ending}"):
            if (folder / name).is_file():
                return folder / name
    raise FdifError(Diagnostic("E0970", f"the mask {mask.name} has no image", where=str(folder),
                               hint=f"put {stem}{ENDINGS[0]} there, or leave --images out"))
