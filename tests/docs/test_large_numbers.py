"""What the reference says of the sine hash and of what to use instead."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import fdif_dsl as fd

TEXT = """
shape sine { distance = fract(sin(dot(p.xy, vec2(12.9898, 78.233))) * 43758.5453) }
shape safe { distance = sin(dot(p.xy, vec2(0.7, 1.3))) * 100 }
shape instead { distance = hash(p) }
shape rough { distance = noise(p / 7) }
"""


def differences(library: fd.Library, name: str) -> np.ndarray:
    """How far `cpu` is from `interpret` at voxels."""
    points = np.random.default_rng(0).integers(-48, 48, (4000, 3)).astype(float)
    one, other = (library.shapes[name].distance(points, backend=backend) for backend in ("cpu", "interpret"))
    return np.asarray(abs(one - other))


def test_the_hash_differs_and_what_is_safe_does_not(tmp_path: Path) -> None:
    (tmp_path / "made.sdf").write_text(TEXT)
    library = fd.load_library(tmp_path / "made.sdf")
    assert 0.7 < (differences(library, "sine") > 0.1).mean() < 0.85  # "at three points of four"
    assert differences(library, "safe").max() < 100 * (48 * 2 + 4) / 1e7
    assert not differences(library, "instead").any() and differences(library, "rough").max() < 1e-5
