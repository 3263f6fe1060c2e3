"""What notebooks show of values."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fdif_dsl as fd
from fdif_dsl.runtime.pictures import view
from fdif_dsl.runtime.pictures.volume import draw_volume

RECIPE = {"grid": (24, 28, 32), "objects": 2}


@pytest.fixture
def small(shapes: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(view, "_SIDE", 60)
    return fd.load_library(shapes)


def pixels(png: bytes) -> np.ndarray:
    from matplotlib.image import imread

    return np.asarray(imread(BytesIO(png), format="png"))


def test_an_entry_is_the_picture_of_fdifc_show(small: Any, tmp_path: Path) -> None:
    from fdif_dsl.runtime.pictures.portrait import draw

    for table, name in ((small.shapes, "ball"), (small.displacements, "waves"), (small.mappers, "glow")):
        draw(small, name, tmp_path / "shown.png")
        assert np.array_equal(pixels(table[name]._repr_png_()), pixels((tmp_path / "shown.png").read_bytes()))


def test_a_volume_is_three_planes_of_image_and_label(small: Any) -> None:
    recipe = fd.Recipe(grid=(24, 28, 32), objects=2, displacements=[], mappers=["glow"])
    volume: Any = fd.render(fd.sample_scene(small, seed=1, index=0, recipe=recipe), small)
    picture = pixels(volume._repr_png_())
    grey = np.ptp(picture[..., :3], axis=-1) < 0.02
    half = picture.shape[0] // 2
    assert grey[: half - 30].mean() > 0.99  # above no colour,
    assert (~grey[half:]).mean() > 0.02  # below the labels in theirs


def test_the_planes_that_show_the_most_and_their_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.figure import Figure

    said: list[str] = []
    text = Figure.text
    monkeypatch.setattr(Figure, "text", lambda self, x, y, s, **more: said.append(s) or text(self, x, y, s, **more))
    label = np.zeros((8, 9, 10), np.uint8)
    label[5, 6, 7] = 3
    draw_volume(label * 40, label, tmp_path / "a.png", {3: "ball"})
    assert said[:3] == ["z = 5 of 8", "y = 6 of 9", "x = 7 of 10"] and said[-1] == "ball"


def test_a_scene_is_a_table_of_its_objects(small: Any) -> None:
    recipe = fd.Recipe(grid=(24, 28, 32), objects=2, displacements=["waves"], mappers=["glow"])
    scene: Any = fd.sample_scene(small, seed=1, index=0, recipe=recipe)
    html = scene._repr_html_()
    assert "A scene of 2 objects, grid 24 × 28 × 32" in html
    rows = re.findall("<tr>(.*?)</tr>", html)
    assert len(rows) == 3
    for row, o in zip(rows[1:], scene.objects, strict=True):
        cells = re.findall(">([^<]*)</td>", row)
        assert cells[1] == o.shape and cells[4:] == ["waves", "glow"]
        assert cells[2].split()[0] in o.params


def test_a_library_is_a_table_of_all_that_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "odd.sdf"
    path.write_text("## Where x < 1 & y > 2.\nshape ball {\n  distance = length(p) - 4\n}\n")
    html = fd.load_library(path)._repr_html_()  # type: ignore[attr-defined]
    assert "1 shape<" in html and "0 displacements<" in html and "Where x &lt; 1 &amp; y &gt; 2." in html
    parser, opened = HTMLParser(), []

    def start(tag: str, attributes: Any) -> None:
        opened.append(tag)

    def end(tag: str) -> None:
        assert opened.pop() == tag

    parser.handle_starttag, parser.handle_endtag = start, end  # type: ignore[method-assign]
    parser.feed(html)
    assert not opened
