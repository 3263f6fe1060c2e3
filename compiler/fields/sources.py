"""The files that a text names as a field, and what is known of them before they are baked.

A path is relative to the file with the text, and stays within its folder: a library from elsewhere reads nothing else
of the disk.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path, PurePosixPath

from fdif_dsl.compiler.fields.problems import problem

ENDINGS = (".nii", ".nii.gz", ".stl", ".obj", ".ply", ".npz")
MASKS = (".nii", ".nii.gz")
MOST_FILES = 4096
LEAST_CELLS, MOST_CELLS = 8, 512
MOST_NUMBERS = (1 << 31) - (1 << 20)
"""Of one field: a kernel counts them with 32 bits."""
_VERSION = 1  # of what baking computes


@dataclass(frozen=True)
class File:
    """A file as it was when the text was read: `name` as seen from the text's folder."""

    path: Path
    name: str
    sha256: str
    stamp: tuple[int, int]

    def changed(self) -> bool:
        """Whether it is another one by now."""
        try:
            return self.stamp != _stamp(self.path) and _digest(self.path, _stamp(self.path)) != self.sha256
        except OSError:
            return True


@dataclass(frozen=True)
class Request:
    """What a text asks for. `label` picks one of a mask's (0: all that are not 0), `organ` one of a bundle's; `cells`
    are the voxels of the grid along the longest side, `bits` those of its numbers. `dataset` is where it comes from, as
    the text says."""

    files: tuple[File, ...]
    label: int = 0
    organ: str = ""
    cells: int = 96
    bits: int = 16
    dataset: str = ""

    @property
    def key(self) -> str:
        """What the field is known by: another one for other contents of the files."""
        told = [_VERSION, self.label, self.organ, self.cells, self.bits, [file.sha256 for file in self.files]]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:24]

    @property
    def bundled(self) -> bool:
        """Whether one file holds all samples."""
        return ending(self.files[0].name) == ".npz"

    @property
    def masks(self) -> bool:
        """Whether the files are masks, which have labels."""
        return all(ending(file.name) in MASKS for file in self.files)

    @cached_property
    def origins(self) -> tuple[dict[str, str], ...]:
        """Of each file its name, its checksum, its licence, and the data set that it is of."""
        return tuple({"file": file.name, "sha256": file.sha256, "licence": licence_of(file.path),
                      "dataset": self.dataset or dataset_of(file.path)} for file in self.files)


def ending(name: str) -> str:
    """The ending that says a file's format; nothing where there is no such format."""
    return next((e for e in sorted(ENDINGS, key=len, reverse=True) if name.lower().endswith(e)), "")


def find(folder: Path, text: str) -> tuple[File, ...]:
    """The files that a path, or a pattern with `*`, stands for, in the order of their names.

    Raises:
        FdifError: it leads out of the folder, or there is none, or one is empty or of no format that is read.
    """
    parts = PurePosixPath(text).parts
    if not text.strip() or text.startswith(("/", "~")) or "\\" in text or ":" in text or ".." in parts or "\0" in text:
        raise problem("E0329", text,
                      "the path leads out of the library's folder" if text.strip() else "the path is empty",
                      "a text reads what lies beside it or below, and nothing else of the disk",
                      "put the file beside the text, and write its path from there with `/`")
    home = folder.resolve()
    if re.search(r"[*?\[]", text):
        try:
            paths = sorted(path for path in folder.glob(text) if path.is_file() and not path.name.startswith("."))
        except (ValueError, OSError, NotImplementedError) as error:
            raise problem("E0320", text, "the pattern names no files", str(error),
                          "write it like `masks/*.nii.gz`") from None
        paths = [path for path in paths if ending(path.name)]
    else:
        paths = [folder / text]
    if not paths:
        raise problem("E0320", text, "no file fits the pattern", "its path is taken from the folder of this text",
                      f"mend it; files end in {', '.join(ENDINGS)}")
    if len(paths) > MOST_FILES:
        raise problem("E0322", text, f"{len(paths)} files fit the pattern", f"a class has {MOST_FILES} samples at most",
                      "name fewer, as in `masks/case_0*.nii.gz`")
    kinds = {ending(path.name) == ".npz" for path in paths}
    if True in kinds and len(paths) > 1:
        raise problem("E0320", text, "the pattern names more than one bundle", "a bundle holds a whole class",
                      "name one of them")
    return tuple(_file(path, home, path.relative_to(folder).as_posix()) for path in paths)


def _file(path: Path, home: Path, name: str) -> File:
    try:
        if not path.is_file():
            raise problem("E0320", name, "there is no such file", "its path is taken from the folder of this text",
                          "mend the path, or put the file there")
        if not path.resolve().is_relative_to(home):
            raise problem("E0329", name, "the path leads out of the library's folder",
                          f"it is a link to {path.resolve()}", "put the file itself beside the text")
        if not ending(name):
            raise problem("E0324", name, "this is no format that fields are made of",
                          f"its ending is none of {', '.join(ENDINGS)}", "convert it, or mend its ending")
        stamp = _stamp(path)
        if not stamp[1]:
            raise problem("E0321", name, "the file is empty", "it has no bytes", "copy it again from where it came")
        return File(path, name, _digest(path, stamp), stamp)
    except OSError as error:
        raise problem("E0320", name, "the file cannot be read", error.strerror or str(error),
                      "check the path and its permissions") from None


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size


@lru_cache(maxsize=MOST_FILES)
def _digest(path: Path, stamp: tuple[int, int]) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def licence_of(path: Path) -> str:
    """What a file beside it says of its licence, in a line."""
    for beside in (path.with_name(f"{path.name}.license"), path.with_name(f"{path.name}.licence"),
                   *(path.parent / name for name in ("LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE"))):
        text = _line(beside)
        if text:
            return text
    told = _told(path)
    return next((str(told[word])[:200] for word in ("licence", "license") if told.get(word)), "")


def dataset_of(path: Path) -> str:
    """The name of the data set in whose folder a file lies, where a `dataset.json` says it."""
    return str(_told(path).get("name", ""))[:200]


def _told(path: Path) -> dict[str, object]:
    """The `dataset.json` beside a file or a folder above, as nnU-Net and the Decathlon have it."""
    for folder in path.parents[:2]:
        try:
            found = json.loads((folder / "dataset.json").read_bytes()[:1 << 20])
        except (OSError, ValueError):
            continue
        if isinstance(found, dict):
            return found
    return {}


def _line(path: Path) -> str:
    try:
        text = path.read_bytes()[:4096].decode("utf-8", "replace") if path.is_file() else ""
    except OSError:
        return ""
    return next((" ".join(line.split())[:200] for line in text.splitlines() if line.strip()), "")
