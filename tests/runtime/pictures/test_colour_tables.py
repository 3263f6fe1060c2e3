"""Tables of names and colours, read as the programs read them."""

from __future__ import annotations

import re
from pathlib import Path

from fdif_dsl.runtime.pictures.colour_tables import ITK_SNAP, SLICER, write_colour_tables


def test_both_tables_say_the_same(tmp_path: Path) -> None:
    write_colour_tables(tmp_path, {0: "background", 2035: 'the "left" lung', 40: "liver"})
    # ITK-SNAP: IDX R G B A VIS MSH LABEL; 3D Slicer: number name R G B A, with underscores for blanks.
    snap = [re.fullmatch(r'\s*(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s+([01])\s+([01])\s+([01])\s+"([^"]*)"', line)
            for line in (tmp_path / ITK_SNAP).read_text().splitlines()]
    slicer = [line.split() for line in (tmp_path / SLICER).read_text().splitlines()]
    assert [(int(row[1]), row[8], row[5]) for row in snap if row] == [
        (0, "background", "0"), (40, "liver", "1"), (2035, "the 'left' lung", "1")]
    assert [(int(row[0]), row[1], row[5]) for row in slicer] == [
        (0, "background", "0"), (40, "liver", "255"), (2035, 'the_"left"_lung', "255")]
    colours = [row[2:5] for row in slicer]
    assert colours == [[*row.groups()[1:4]] for row in snap if row] and len({*map(tuple, colours)}) == 3
    assert all(0 <= int(part) <= 255 for colour in colours for part in colour)
