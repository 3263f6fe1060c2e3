"""The names and colours of labels, as ITK-SNAP and 3D Slicer read them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fdif_dsl.compiler.support.files import write_text
from fdif_dsl.runtime.pictures.palette import label_colour

ITK_SNAP, SLICER = "labels-itksnap.txt", "labels-slicer.ctbl"


def colour_tables(labels: Mapping[int, str]) -> dict[str, str]:
    """The text of both tables by the names of their files. `labels` has the name of each number; 0 is not seen."""
    return {file: "".join(line(number, name) for number, name in sorted(labels.items()))
            for file, line in ((ITK_SNAP, _itk_snap), (SLICER, _slicer))}


def write_colour_tables(folder: Path, labels: Mapping[int, str]) -> None:
    """Puts both tables into a folder of label files."""
    for file, text in colour_tables(labels).items():
        write_text(folder / file, text)


def _itk_snap(number: int, name: str) -> str:
    """Index, red, green, blue, opacity, whether it is visible, and whether in 3D; the name."""
    red, green, blue = _colour(number)
    shown = int(number > 0)
    name = name.replace('"', "'")
    return f'{number:5d} {red:5d} {green:4d} {blue:4d} {shown:8d} {shown:2d} {shown:2d}    "{name}"\n'


def _slicer(number: int, name: str) -> str:
    """Index, name, red, green, blue, opacity. Slicer shows blanks for underscores."""
    red, green, blue = _colour(number)
    return f"{number} {'_'.join(name.split()) or number} {red} {green} {blue} {255 if number else 0}\n"


def _colour(number: int) -> tuple[int, int, int]:
    red, green, blue = (round(255 * part) for part in label_colour(number)) if number else (0, 0, 0)
    return red, green, blue
