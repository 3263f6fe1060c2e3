"""Where a template lies in the frame of a mask: moved, turned, mirrored and scaled.

A turn is the vector tan(angle / 2) times its axis, in front of a turn that a fit begins with; as a quaternion it is
(turn, 1) with length 1, so it has no angle at which it breaks, and the language says it in one line.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

MIRRORED = np.array([1.0, -1.0, -1.0, 1.0])
"""What a mirror along x does to a quaternion; to a turn, the first three."""


@dataclass(frozen=True)
class Pose:
    """`base` is a quaternion (x, y, z, w) and `turn` what comes after it; `mirror` is -1 where x is mirrored, before
    all else."""

    turn: np.ndarray
    shift: np.ndarray
    scale: float
    base: np.ndarray
    mirror: float = 1.0

    def rebased(self, base: np.ndarray) -> Pose:
        """The same place, told from another base."""
        whole = multiply(quaternion(self.turn), self.base)
        rest = multiply(whole, base * [-1, -1, -1, 1])
        return replace(self, base=base, turn=rest[:3] / (rest[3] if abs(rest[3]) > 1e-3 else 1e-3))


def quaternion(turn: np.ndarray) -> np.ndarray:
    """The quaternion of a turn."""
    q = np.append(turn, 1.0)
    found: np.ndarray = q / np.linalg.norm(q)
    return found


def multiply(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """First b, and then a."""
    v, w = a[:3], b[:3]
    return np.append(a[3] * w + b[3] * v + np.cross(v, w), a[3] * b[3] - v @ w)


def of_matrix(matrix: np.ndarray) -> np.ndarray:
    """The quaternion of a rotation matrix."""
    four = np.array([[matrix[0, 0] - matrix[1, 1] - matrix[2, 2], 0, 0, 0],
                     [matrix[0, 1] + matrix[1, 0], matrix[1, 1] - matrix[0, 0] - matrix[2, 2], 0, 0],
                     [matrix[0, 2] + matrix[2, 0], matrix[1, 2] + matrix[2, 1],
                      matrix[2, 2] - matrix[0, 0] - matrix[1, 1], 0],
                     [matrix[2, 1] - matrix[1, 2], matrix[0, 2] - matrix[2, 0], matrix[1, 0] - matrix[0, 1],
                      np.trace(matrix)]]) / 3
    found: np.ndarray = np.linalg.eigh(four)[1][:, -1]  # of the lower triangle
    return found if found[3] >= 0 else -found


def rotations(turns: Any, bases: Any) -> Any:
    """Rotation matrices (n, 3, 3) of tensors of turns (n, 3), each after its base (n, 4)."""
    import torch

    ones = torch.ones_like(turns[:, :1])
    q = torch.nn.functional.normalize(torch.cat([turns, ones], dim=1), dim=1)
    v, w, a, b = q[:, :3], bases[:, :3], q[:, 3:], bases[:, 3:]
    x, y, z = (a * w + b * v + torch.linalg.cross(v, w)).unbind(1)
    r = a[:, 0] * b[:, 0] - (v * w).sum(1)
    rows = [1 - 2 * (y * y + z * z), 2 * (x * y - z * r), 2 * (x * z + y * r),
            2 * (x * y + z * r), 1 - 2 * (x * x + z * z), 2 * (y * z - x * r),
            2 * (x * z - y * r), 2 * (y * z + x * r), 1 - 2 * (x * x + y * y)]
    return torch.stack(rows, dim=1).reshape(-1, 3, 3)


def to_template(points: Any, rotation: Any, shift: Any, scale: Any, mirror: Any) -> Any:
    """Points (n, m, 3) of masks in the frames of their templates."""
    import torch

    turned = torch.einsum("bji,bmj->bmi", rotation, (points - shift[:, None])) / scale[:, None, None]
    return torch.cat([turned[..., :1] * mirror[:, None, None], turned[..., 1:]], dim=-1)
