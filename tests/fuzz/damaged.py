"""Files with bytes changed: each is read, or refused in our own words."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import nibabel
import numpy as np
import torch
from checks import Wrong

import fdif_dsl as fd
from fdif_dsl.compiler.library import artefact
from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.runtime.datasets.manifest import MANIFEST, Manifest, read_manifest
from fdif_dsl.runtime.datasets.record import Case, Record
from fdif_dsl.runtime.finetuning.data.nifti import read_volume
from fdif_dsl.runtime.recipe.recipe import Recipe
from fdif_dsl.runtime.training.pretrained import Pretrained

SOURCE = """mapper glow { intensity = 60 - d }
shape ball {
  radius ~ uniform(1, 2)
  distance = length(p) - radius
}
"""
RECIPE = """[volume]
grid = [16, 16, 16]
objects = [1, 3]
[placement]
scale = [0.5, 1.5]
[train]
network = "unet"
steps = 6
lr = 1e-2
"""


class Files:
    """One right file of each kind, in a folder; `damage` changes a copy."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.right = {"recipe.toml": RECIPE.encode(), "scene.json": _scene(), "scan.nii": _scan(folder),
                      "weights.pt": _weights(folder), MANIFEST: _manifest(folder)}

    def damage(self, kind: str, rng: random.Random) -> None:
        """Raises `Wrong`, or whatever else it should not."""
        if kind == "artefact":
            self._artefact(rng)
            return
        path = self.folder / kind
        path.write_bytes(changed(self.right[kind], rng))
        refused_or_read(lambda: READERS[kind](path))

    def _artefact(self, rng: random.Random) -> None:
        """An artefact with one file changed: the same library, or none. Its object code is never run."""
        right, copy = library(self.folder), self.folder / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(right, copy)
        files = sorted(p for p in copy.rglob("*") if p.is_file() and p.suffix != ".py")
        path = rng.choice([p for p in files if p.suffix != ".o"] * 5 + files)
        path.write_bytes(changed(path.read_bytes(), rng))
        found = refused_or_read(lambda: fd.load_library(copy))
        if isinstance(found, fd.Library) and found.hash != fd.load_library(right).hash:
            raise Wrong(f"with {path.name} changed, an artefact is another library")


def _manifest(folder: Path) -> bytes:
    case = Case("train", "ball0", 0)
    record = Record(case, {"imagesTr/ball0.nii.gz": "0" * 64}, ((1,), (1,)), ({1: 5}, {1: 5}))
    Manifest({"seed": 7}, {"train": 1}, {case: record}, {"dataset.json": "0" * 64}).write(folder)
    return (folder / MANIFEST).read_bytes()


READERS: dict[str, Callable[[Path], object]] = {
    "recipe.toml": Recipe.load, "scene.json": fd.Scene.from_json, "scan.nii": read_volume,
    "weights.pt": Pretrained.read,
    MANIFEST: lambda path: read_manifest(path.parent)}
ODD = (b"-", b"9" * 30, b"[" * 50, b"\0", b"null", b'"', b"\xff\xfe", b"1e999", b"nan")
KINDS = (*READERS, "artefact")


def refused_or_read(reading: Callable[[], object]) -> object:
    try:
        return reading()
    except FdifError as error:
        if not error.diagnostics or not all(d.code and d.render() for d in error.diagnostics):
            raise Wrong("an error without a message") from error
    return None


def changed(data: bytes, rng: random.Random) -> bytes:
    """Some bytes exchanged, cut off, doubled or put in."""
    made = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 5])):
        # The start of a file says what the rest is, so it is changed more often.
        place = rng.randrange(min(len(made), rng.choice([64, 400, len(made)])) or 1)
        what = rng.randrange(6)
        if what == 0:
            made[place:place + 1] = bytes([rng.randrange(256)])
        elif what == 1:
            made[place:place + 1] = bytes([made[place] ^ 1 << rng.randrange(8)]) if made else b""
        elif what == 2:
            del made[place:place + rng.choice([1, 4, 100])]
        elif what == 3:
            made[place:place] = made[place:place + rng.choice([1, 8, 50])]
        elif what == 4:
            made[place:place] = rng.choice(ODD)
        else:
            size = rng.choice([2, 4, 8])
            made[place:place + size] = rng.choice([b"\0" * size, b"\xff" * size, b"\xff" * (size - 1) + b"\x7f"])
    return bytes(made)


@cache
def library(folder: Path) -> Path:
    """A compiled library whose one kernel is no code of a processor, as none of it is run."""
    (folder / "own.sdf").write_text(SOURCE)
    fd.load_library(folder / "own.sdf").save(folder / "built")
    assert (folder / "built" / artefact.MANIFEST).is_file()
    return folder / "built"


def _scene() -> bytes:
    return json.dumps({"grid": [16, 16, 16], "objects": [
        {"class": "ball", "params": {"radius": 1.5}, "affine": np.eye(4).tolist(), "displacement": None,
         "mapper": {"name": "glow", "params": {"amplitude": 0.03}}}]}, indent=1).encode()


def _scan(folder: Path) -> bytes:
    path = folder / "right.nii"
    nibabel.save(nibabel.Nifti1Image(np.arange(120, dtype=np.int16).reshape(4, 5, 6), np.diag([1, 1, 2, 1])), path)
    return path.read_bytes()


def _weights(folder: Path) -> bytes:
    path = folder / "right.pt"
    torch.save({"network_weights": {"a.weight": torch.zeros(2, 3)}, "network": "unet", "features": 4,
                "patch": (16, 16, 16), "head": ("a",), "task": "classes", "label": "class", "recipe": {}, "step": 3,
                "tasks": {"classes": ("ball",)}, "library": "0" * 64, "seed": 7, "fdif_dsl": "0.2.0"}, path)
    return path.read_bytes()
