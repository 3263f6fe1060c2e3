"""Which files make an image."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count, takewhile
from pathlib import Path

from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError, did_you_mean
from fdif_dsl.runtime.finetuning.data.cases import ENDINGS, bare_name, hidden
from fdif_dsl.runtime.finetuning.data.itk import is_series

_CHANNEL = re.compile(r"(.+)_(\d{4})")


@dataclass(frozen=True)
class Image:
    """`files` are those of its channels, or one file that holds them all; the folder of a DICOM series is one."""

    name: str
    files: tuple[Path, ...]


def find_images(paths: Sequence[Path], channels: int) -> list[Image]:
    """The images that are meant by files, folders of DICOM series, and folders of both, each once. `a_0000.nii.gz`,
    `a_0001.nii.gz` and so on are the channels of one, as in nnU-Net; to a file that is given its other channels are
    added, for a network that has several.

    Raises:
        FdifError: a path is not there, or a folder has no image; two images have the same name.
    """
    mistakes: list[Diagnostic] = []
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            there = [path] if is_series(path) else [file for file in sorted(path.iterdir()) if _is_image(file)]
            files += there
            if not there:
                mistakes.append(Diagnostic(
                    "E0952", f"there is no image in {path}", why="it holds no DICOM series, and no file's name ends in "
                    f"{', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}"))
        elif path.is_file():
            files.append(path)
            if channels > 1:
                files += _others(path)
        else:
            beside = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
            mistakes.append(Diagnostic("E0952", f"there is no image {path}", hint=did_you_mean(path.name, beside) or
                                       "give image files, or folders of them"))
    if mistakes:
        raise FdifError(*mistakes)
    return _named(_grouped(files))


def _is_image(path: Path) -> bool:
    """Whether what lies in a folder is an image by its name, or the folder of a series."""
    return is_series(path) or (path.is_file() and not hidden(path) and path.name.lower().endswith(ENDINGS))


def _others(path: Path) -> list[Path]:
    """All channels of the image that a file is one of, as far as they are there."""
    bare = bare_name(path.name)
    if not (found := _CHANNEL.fullmatch(bare)):
        return []
    ending = path.name.removeprefix(bare)
    return list(takewhile(Path.exists, (path.with_name(f"{found[1]}_{k:04d}{ending}") for k in count())))


def _grouped(files: Iterable[Path]) -> list[Image]:
    """The images of files. A number at the end of a name is that of a channel where there is channel 0 too."""
    files = list(dict.fromkeys(files))
    its = [(file.parent, _CHANNEL.fullmatch(bare_name(file.name))) for file in files]
    first = {(folder, found[1]) for folder, found in its if found and found[2] == "0000"}
    groups: dict[tuple[Path, str], list[Path]] = {}
    for file, (folder, found) in zip(files, its, strict=True):
        name = found[1] if found and (folder, found[1]) in first else bare_name(file.name)
        groups.setdefault((folder, name), []).append(file)
    return [Image(name, tuple(sorted(its))) for (_, name), its in groups.items()]


def _named(images: list[Image]) -> list[Image]:
    """The images, those whose names are not their own with their folders' before them."""
    names = [image.name for image in images]
    images = [image if names.count(image.name) == 1 else
              Image(f"{image.files[0].resolve().parent.name}-{image.name}", image.files) for image in images]
    first: dict[str, Image] = {}
    for image in images:
        other = first.setdefault(image.name, image)
        if other is not image:
            raise FdifError(Diagnostic(
                "E0952", f"two images would have the same prediction, {image.name}",
                why=f"they are {other.files[0]} and {image.files[0]}",
                hint="predict them into two folders, or rename one of them"))
    return images
