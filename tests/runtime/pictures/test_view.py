"""Pictures: the ray marcher against geometry, and files that are whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fdif_dsl.runtime.pictures import palette, view
from fdif_dsl.runtime.pictures.overview import draw_overview
from fdif_dsl.runtime.pictures.shading import Box, bounds, shade
from fdif_dsl.runtime.pictures.view import Portrait, brief


def ball(points: np.ndarray) -> np.ndarray:
    return np.asarray(np.linalg.norm(points - [3.0, 0.0, -2.0], axis=1) - 10)


def nothing(points: np.ndarray) -> np.ndarray:
    return np.ones(len(points))


def test_bounds_hold_the_inside() -> None:
    box = bounds(ball, 40)
    assert box is not None
    assert (box.low <= [-7, -10, -12]).all() and (box.high >= [13, 10, 8]).all()
    assert (box.high - box.low < 26).all()


def test_bounds_of_nothing() -> None:
    assert bounds(nothing, 40) is None


def test_a_shaded_ball_is_a_disc_lit_from_above() -> None:
    box = bounds(ball, 40)
    assert box is not None
    picture = shade(ball, box, (0.2, 0.4, 0.8), side=64)
    assert picture.shape == (64, 64, 4) and picture.min() >= 0 and picture.max() <= 1
    solid = picture[..., 3] == 1
    height, width = (np.ptp(np.flatnonzero(solid.any(axis=axis))) + 1 for axis in (1, 0))
    assert abs(height - width) <= 2
    assert 0.6 * 64 < width < 64
    assert abs(solid.sum() / (np.pi / 4 * width * height) - 1) < 0.05
    rows = np.flatnonzero(solid.any(axis=1))
    light = picture[..., :3].sum(axis=-1)
    upper, lower = (light[a:b][solid[a:b]].mean() for a, b in ((rows[0], rows[0] + 20), (rows[-1] - 20, rows[-1])))
    assert upper > 1.3 * lower


def test_an_empty_field_is_an_empty_picture() -> None:
    picture = shade(nothing, Box(np.full(3, -5.0), np.full(3, 5.0)), (1, 1, 1), side=8)
    assert not picture[..., 3].any()


@pytest.mark.parametrize(("span", "step"), [(0.47, 0.1), (25.0, 5.0), (1300.0, 200.0)])
def test_contour_levels_are_round(span: float, step: float) -> None:
    levels = view._levels(span)
    assert np.allclose(np.diff(levels), step) and 0 in levels and np.abs(levels).max() <= span


@pytest.mark.parametrize(("value", "text"), [
    (3, "3"), (31.23456, "31.23"), ([1.0, -2.5], "1 -2.5"), ([[1.0, 2.0], [3.0, 4.0]], "2 points"), ((), "")])
def test_brief(value: object, text: str) -> None:
    assert brief(value) == text


def test_a_class_with_nothing_inside_has_a_picture(tmp_path: Path) -> None:
    view.draw_shape(Portrait("empty", "", "shape 1 of 1", reach=20.0), nothing, tmp_path / "empty.png")
    with Image.open(tmp_path / "empty.png") as image:
        assert image.width > 1000


def constant(value: float) -> view.Field:
    return lambda points: np.full(len(points), value)


def upper(points: np.ndarray) -> np.ndarray:
    """Finite only above the planes of the picture through the middle of its inside."""
    return np.where(points[:, 2] > 5, np.abs(points[:, 2]) - 9, np.nan)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("field", "wanted"), [
    (constant(np.nan), ["nothing inside", "the distance is NaN everywhere"]),
    (constant(np.inf), ["nothing inside", "the distance is infinite everywhere"]),
    (constant(-np.inf), ["no surface: the inside has no finite distance", "the distance is infinite everywhere"]),
    (lambda p: np.where(p[:, 0] > 0, np.inf, np.nan), ["nothing inside", "the distance is NaN or infinite everywhere"]),
    (upper, []), (constant(0), []), (constant(-1e38), []), (ball, []),
])
def test_a_picture_says_where_nothing_is_finite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, field: view.Field,
                                                wanted: list[str]) -> None:
    said: list[str] = []
    monkeypatch.setattr(view, "_say", lambda where, text, place=(0, 0): said.append(text))
    monkeypatch.setattr(view, "_SIDE", 40)
    view.draw_shape(Portrait("odd", "", "shape 1 of 1", reach=20.0), field, tmp_path / "odd.png")
    assert said == wanted and (tmp_path / "odd.png").exists()
    said.clear()
    view.draw_displacement(Portrait("odd", "", "displacement"), field, tmp_path / "odd.png", size=20.0)
    assert bool(wanted) == any(text.startswith("the offset is") for text in said)
    view.gallery([(Portrait("odd", "", "", reach=20.0), field)], tmp_path / "gallery.png")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("value", "wanted"), [
    (np.nan, ["the intensity is NaN everywhere"]), (-np.inf, ["the intensity is infinite everywhere"]), (3.0, [])])
def test_a_curve_says_where_nothing_is_finite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: float,
                                              wanted: list[str]) -> None:
    said: list[str] = []
    monkeypatch.setattr(view, "_say", lambda where, text, place=(0, 0): said.append(text))
    view.draw_mapper(Portrait("odd", "", "mapper"), lambda d, points: np.full(len(d), value), tmp_path / "odd.png")
    assert said == wanted


def test_a_picture_that_fails_leaves_no_file(tmp_path: Path) -> None:
    def broken(points: np.ndarray) -> np.ndarray:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        view.draw_shape(Portrait("broken", "", "shape 1 of 1"), broken, tmp_path / "broken.png")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("count", [1, 5])
def test_overview(tmp_path: Path, count: int) -> None:
    rng = np.random.default_rng(0)
    volumes = [(rng.integers(0, 129, (4, 8, 12), dtype=np.uint8), rng.integers(0, 3, (4, 8, 12), dtype=np.uint8))
               for _ in range(count)]
    draw_overview(volumes, {1: "ball", 2: "cube"}, tmp_path / "overview.png", "Some volumes")
    with Image.open(tmp_path / "overview.png") as image:
        colours = {colour for _, colour in image.convert("RGB").getcolors(2**24) or []}
    square = tuple(round(255 * v) for v in palette.label_colour(2))  # the legend's
    assert any(max(abs(a - b) for a, b in zip(colour, square, strict=True)) <= 1 for colour in colours)


def test_label_colours_differ() -> None:
    colours = np.array([palette.label_colour(i) for i in range(1, 110)])
    apart = np.abs(colours[:, None] - colours[None]).max(axis=-1)
    assert apart[~np.eye(len(colours), dtype=bool)].min() > 0.01
    few = apart[:6, :6]
    assert few[~np.eye(6, dtype=bool)].min() > 0.2


def test_overlay_leaves_the_background_grey() -> None:
    image = np.full((4, 4), 64, dtype=np.uint8)
    label = np.zeros((4, 4), dtype=np.uint8)
    label[:, 2:] = 5
    picture = palette.label_overlay(image, label)
    assert np.allclose(picture[:, :2], 0.5)
    assert not np.allclose(picture[:, 3], 0.5)
