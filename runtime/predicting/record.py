"""What a folder of predictions was made with, so that a later call goes on with it or says why it cannot."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fdif_dsl.compiler.support.files import check_directory
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError
from fdif_dsl.runtime.predicting.images import Image
from fdif_dsl.runtime.predicting.tuned import Tuned
from fdif_dsl.runtime.training.run_folder import versions, write_json

if TYPE_CHECKING:
    from fdif_dsl.runtime.finetuning.inference import Sliding

RECORD = "predictions.json"
_ANEW = "--overwrite makes all anew, -o names another folder"


@dataclass
class Record:
    """`made_with` decides whether predictions can lie in one folder; `about` is said beside it. `images` has the files
    of each image that is done, and that of its prediction, by its name."""

    made_with: Mapping[str, Any]
    about: Mapping[str, Any]
    images: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, run: Path, networks: Sequence[Tuned], sliding: Sliding) -> Record:
        """The record of predictions that are about to be made."""
        tuned = networks[0]
        return cls({"weights": [its.digest for its in networks], "overlap": sliding.overlap, "flips": sliding.flips,
                    "labels": dict(zip(tuned.classes, tuned.numbers, strict=True)),
                    "spacing": tuned.spacing and list(tuned.spacing)},
                   {"run": str(run), "versions": versions()})

    def check(self, folder: Path, images: Sequence[Image], overwrite: bool) -> None:
        """Raises `FdifError` where the folder holds something else, or predictions that these cannot be mixed with."""
        check_directory(folder, RECORD)
        before = _read(folder)
        if overwrite or before is None:
            return
        changed = [key for key, value in self.made_with.items() if before.get(key) != value]
        if changed:
            raise FdifError(Diagnostic(
                "E0953", f"{folder} holds predictions that were made in another way",
                why=f"their {changed[0]} {'are' if changed[0].endswith('s') else 'is'} not the same", hint=_ANEW))
        for image in images:
            its = before["images"].get(image.name)
            if its is not None and its["image"] != _sources(image):
                raise FdifError(Diagnostic(
                    "E0953", f"{folder} holds the prediction of another image that is called {image.name}",
                    why=f"that image is {its['image'][0]}", hint=_ANEW))

    def begin(self, folder: Path, overwrite: bool) -> None:
        """Takes over what is done already, or, to overwrite, removes it."""
        before = (_read(folder) or {}).get("images", {})
        if overwrite:
            for its in before.values():
                for file in its["files"]:
                    (folder / file).unlink(missing_ok=True)
            before = {}
        self.images = before
        self._write(folder)

    def has(self, folder: Path, image: Image) -> bool:
        """Whether an image is done."""
        its = self.images.get(image.name)
        return its is not None and (folder / its["files"][0]).is_file()

    def add(self, folder: Path, image: Image, *files: Path) -> None:
        """An image is done, and these are its files."""
        self.images[image.name] = {"image": _sources(image), "files": [str(file.relative_to(folder)) for file in files]}
        self._write(folder)

    def _write(self, folder: Path) -> None:
        write_json(folder / RECORD, {**self.about, **self.made_with, "images": self.images})


def _sources(image: Image) -> list[str]:
    return [str(file.resolve()) for file in image.files]


def _read(folder: Path) -> dict[str, Any] | None:
    """The record in a folder; None where there is none."""
    path = folder / RECORD
    if not path.is_file():
        return None
    try:
        stored = json.loads(path.read_text("utf-8"))
        for its in stored["images"].values():
            assert isinstance(its["image"], list) and its["files"]
    except (ValueError, KeyError, TypeError, AttributeError, AssertionError):
        raise FdifError(Diagnostic(
            "E0953", f"{path} is damaged", why="it says what the predictions beside it were made with",
            hint="remove it with them, or name another folder with -o")) from None
    out: dict[str, Any] = stored
    return out
