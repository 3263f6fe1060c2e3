"""What the reference says of the sine hash and of what to use instead."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

import fdif_dsl as fd

PAGE = Path(__file__).parents[2] / "docs" / "language.md"
TEXT = """
fn fract(x) = x - floor(x)
shape hash { distance = fract(sin(dot(p.xy, vec2(12.9898, 78.233))) * 43758.5453) }
shape safe { distance = sin(dot(p.xy, vec2(0.7, 1.3))) * 100 }
"""


def differences(library: fd.Library, name: str) -> np.ndarray:
    """How far `cpu` is from `interpret` at voxels."""
    points = np.random.default_rng(0).integers(-48, 48, (4000, 3)).astype(float)
    one, other = (library.shapes[name].distance(points, backend=backend) for backend in ("cpu", "interpret"))
    return np.asarray(abs(one - other))


def test_the_hash_differs_and_what_is_safe_does_not(tmp_path: Path) -> None:
    (tmp_path / "made.sdf").write_text(TEXT)
    library = fd.load_library(tmp_path / "made.sdf")
    assert 0.7 < (differences(library, "hash") > 0.1).mean() < 0.85  # "at three points of four"
    assert differences(library, "safe").max() < 100 * (48 * 2 + 4) / 1e7


def test_the_roughness_of_the_page_is_the_same_everywhere(tmp_path: Path) -> None:
    example = re.search(r"^displacement rough \{.*?^\}", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert example is not None
    (tmp_path / "made.sdf").write_text(example[0])
    rough = fd.load_library(tmp_path / "made.sdf").displacements["rough"]
    points = np.random.default_rng(0).integers(-48, 48, (4000, 3)).astype(float)
    one, other = (np.asarray(rough.offset(points, (96, 96, 96), backend)) for backend in ("cpu", "interpret"))
    assert np.ptp(other) > 1.5 and abs(one - other).max() < 1e-5
