"""The shaded picture: what is covered of it, and from where."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest

from fdif_dsl.runtime.play.png import png
from fdif_dsl.runtime.play.solid import Camera, Frame, find_frame, solid

FRAME = Frame((0.0, 0.0, 0.0), 20.0)


def ball(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    return np.asarray(np.sqrt(x * x + y * y + z * z) - 10)


def rod(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Long along x."""
    return np.asarray(np.maximum(np.abs(x) - 16, np.maximum(np.abs(y) - 2, np.abs(z) - 2)))


def covered(picture: np.ndarray) -> np.ndarray:
    return picture[..., 3] == 255


@pytest.mark.parametrize("fine", [False, True])
def test_a_ball_is_a_disc(fine: bool) -> None:
    disc = covered(solid(ball, FRAME, Camera(), 128, fine=fine))
    down, across = np.argwhere(disc).T
    assert abs(down.mean() - 63.5) < 1 and abs(across.mean() - 63.5) < 1
    # Seen from a camera at distance d, a ball of radius r has the tangent r / sqrt(d^2 - r^2).
    d = 20 / np.sin(np.arctan(0.30))
    radius = 64 * 10 / np.sqrt(d * d - 100) / 0.30
    assert np.ptp(down) / 2 == pytest.approx(radius, abs=1.5)
    assert disc.sum() == pytest.approx(np.pi * radius**2, rel=0.03)


def test_draft_and_fine_cover_the_same() -> None:
    draft, fine = (covered(solid(rod, FRAME, Camera(), 128, fine=fine)) for fine in (False, True))
    assert (draft != fine).mean() < 0.004


def test_it_turns_and_comes_closer() -> None:
    along, across = (covered(solid(rod, FRAME, Camera(azimuth, 0.0), 96)) for azimuth in (0.0, 90.0))
    assert across.sum() > 3 * along.sum()
    closer = covered(solid(rod, FRAME, Camera(90.0, 0.0, 2.0), 96))
    assert closer.sum() > 1.5 * across.sum()
    above = covered(solid(rod, FRAME, Camera(0.0, 89.0), 96))
    assert np.ptp(np.argwhere(above)[:, 0]) > 3 * np.ptp(np.argwhere(above)[:, 1])


def test_a_field_without_a_surface_is_clear() -> None:
    def nothing(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        return np.full_like(x, np.nan)

    assert not solid(nothing, FRAME, Camera(), 64).any()
    assert find_frame(nothing, 96) is None
    assert find_frame(lambda x, y, z: ball(x, y, z) + 40, 96) is None


def test_the_frame_is_around_what_is_inside() -> None:
    frame = find_frame(lambda x, y, z: ball(x - 30, y, z + 12), 96)
    assert frame is not None and frame.middle == pytest.approx((30, 0, -12), abs=0.5)
    assert 10 < frame.radius < 20


def test_pictures_are_png() -> None:
    pixels = np.arange(5 * 7 * 4, dtype=np.uint8).reshape(5, 7, 4)
    data = png(pixels)
    assert data.startswith(b"\x89PNG\r\n\x1a\n") and struct.unpack(">II", data[16:24]) == (7, 5)
    at = data.index(b"IDAT")
    (length,) = struct.unpack(">I", data[at - 4 : at])
    rows = np.frombuffer(zlib.decompress(data[at + 4 : at + 4 + length]), np.uint8).reshape(5, 29)
    assert (rows[:, 0] == 0).all() and (rows[:, 1:].reshape(5, 7, 4) == pixels).all()
