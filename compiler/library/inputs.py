"""What points, distances, parameters and affines may be, on every back end alike.

Numbers are nested lists, NumPy arrays or torch tensors, of whole or real numbers of any width. The back end `torch`
takes tensors as they are, so that gradients flow; all others take float64 arrays, made of what a tensor holds.
"""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from fdif_dsl.compiler.ir.affine import fault
from fdif_dsl.compiler.ir.parameters import is_tensor, kind_of
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError

Array = Any  # a NumPy array of float64, or a tensor

_POINTS = "wanted are numbers of the shape (N, 3): x, y, z in voxels"
_AFFINE = "wanted is a 4 x 4 matrix from object to world coordinates"


def distances(value: Any, *, tensors: bool) -> Array:
    """Distances of any shape; with `tensors`, a tensor stays one."""
    return _numbers(value, tensors, "E0620", "distances", "wanted are numbers, in an array of any shape",
                    "one distance is -3.0, two are [-3.0, 2.5]")


def points(value: Any, *, tensors: bool) -> Array:
    """Points (N, 3); with `tensors`, a tensor stays one."""
    found = _numbers(value, tensors, "E0605", "points", _POINTS, "one point is [[x, y, z]]")
    if found.ndim != 2 or found.shape[-1] != 3:
        raise FdifError(Diagnostic("E0605", f"points have the shape {tuple(found.shape)}", where="points",
                                   why=_POINTS, hint="one point is [[x, y, z]]"))
    return found


def points_of(mapper: str, value: Any, count: int, *, tensors: bool) -> Array:
    """The point of each of `count` distances, for a mapper that reads it."""
    if value is None:
        raise FdifError(Diagnostic("E0623", f"the mapper `{mapper}` reads the point, and no points are given",
                                   where="points", why="its formula uses `p` or `w`, and not the distance alone",
                                   hint="give the point of each distance, points=[[x, y, z], ...]"))
    found = points(value, tensors=tensors)
    if len(found) != count:
        raise FdifError(Diagnostic("E0624", f"there are {len(found)} points for {count} distances", where="points",
                                   why="each distance is that at one point",
                                   hint="give as many of one as of the other"))
    return found


def columns(space: str, coordinates: Sequence[Array]) -> dict[str, Array]:
    """The input leaves of three coordinates: those of "p", the object's, or of "w", the world's."""
    return {f"{space}.{axis}": column for axis, column in zip("xyz", coordinates, strict=True)}


def slots(given: Mapping[int, Any], *, tensors: bool) -> dict[int, Any]:
    """The values of slots, as `bind` gives them: with `tensors` as they are, else plain numbers."""
    return {slot: v if tensors or not is_tensor(v) else float(v.item()) for slot, v in given.items()}


def inverse(value: Any, *, tensors: bool) -> Array:
    """The inverse (4, 4) of an affine, from world to object coordinates."""
    matrix = _numbers(value, tensors, "E0606", "the affine", _AFFINE, "None leaves the object where it is",
                      where="affine")
    if tuple(matrix.shape) != (4, 4):
        raise FdifError(Diagnostic("E0606", f"the affine has the shape {tuple(matrix.shape)}", where="affine",
                                   why=_AFFINE, hint="None leaves the object where it is"))
    if not is_tensor(matrix):
        _refuse(fault(matrix))
        return np.linalg.inv(matrix)
    import torch

    if not torch._C._are_functorch_transforms_active():  # inside one, a tensor has no value to look at
        _refuse(fault(_held(matrix)))
    # There is no inverse in half precision.
    found = torch.linalg.inv(matrix.to(torch.float64))
    return found.to(matrix.dtype) if matrix.is_floating_point() else found


def to_object(world: Array, given: Mapping[int, Any], matrix: Array | None) -> tuple[tuple[Array, Array, Array],
                                                                                   Array | None]:
    """The columns of points in object coordinates, and the inverse affine for `Backend.evaluate`.

    Where the matrix is a tensor, so are the columns: on the points' device and of their type, if these are a tensor,
    else on that and of that of the first parameter that is one, else of the matrix.
    """
    if matrix is None:
        return (world[:, 0], world[:, 1], world[:, 2]), None
    if is_tensor(matrix) or is_tensor(world):
        import torch

        leaders = [v for v in (world, *given.values(), matrix) if is_tensor(v)]
        dtype = next((v.dtype for v in leaders if v.is_floating_point()), torch.float64)
        world, matrix = (torch.as_tensor(v, dtype=dtype, device=leaders[0].device) for v in (world, matrix))
    x, y, z = world[:, 0], world[:, 1], world[:, 2]
    a, b, c = (row[0] * x + row[1] * y + row[2] * z + row[3] for row in matrix[:3])
    return (a, b, c), matrix


def _refuse(wrong: str) -> None:
    if wrong == "unknown":
        raise FdifError(Diagnostic("E0621", "the affine holds an infinity or NaN", where="affine", why=_AFFINE,
                                   hint="write four rows of four numbers, the last row 0, 0, 0, 1"))
    if wrong == "perspective":
        raise FdifError(Diagnostic("E0622", "the last row of the affine is not 0, 0, 0, 1", where="affine",
                                   why="it maps points, without perspective",
                                   hint="write four rows of four numbers, the last row 0, 0, 0, 1"))
    if wrong:
        raise FdifError(Diagnostic("E0607", "the affine has no inverse", where="affine",
                                   why="distances are taken at the point in object coordinates",
                                   hint="make its first three columns independent"))


def _numbers(value: Any, tensors: bool, code: str, what: str, why: str, hint: str, where: str = "") -> Array:
    """An array of float64, or a tensor of whole or real numbers."""
    where = where or what

    def wrong(found: str) -> FdifError:
        verb = "is" if what.startswith("the ") else "are"
        return FdifError(Diagnostic(code, f"{what} {verb} {found}", where=where, why=why, hint=hint))

    if _holds_tensors(value):
        try:
            value = _stacked(value)
        except (TypeError, ValueError, RuntimeError):
            raise wrong("a list of tensors and others that make no array") from None
    if is_tensor(value):
        if value.dtype.is_complex or str(value.dtype) == "torch.bool":
            raise wrong(f"a tensor of {value.dtype}")
        if str(value.layout) != "torch.strided":
            raise wrong("a sparse tensor")
        return value if tensors else _held(value)
    if value is None or isinstance(value, str | bytes | Mapping | set):
        raise wrong(kind_of(value))
    try:
        found = np.asarray(value)
    except ValueError:
        raise wrong("no array: their rows differ in length") from None
    except (TypeError, RuntimeError):
        raise wrong(kind_of(value)) from None
    if found.dtype.kind == "O" and found.size and all(_real(v) for v in found.flat):  # such as fractions
        try:
            return found.astype(np.float64)
        except OverflowError:
            raise wrong("beyond the range of float64") from None
    if found.dtype.kind not in "iuf" and found.size:
        raise wrong({"U": "text", "S": "text", "b": "truth values", "c": "complex numbers"}.get(
            found.dtype.kind, kind_of(value) if found.ndim == 0 else f"a list of {_stranger(found)}"))
    if found.dtype.kind not in "iuf":  # nothing at all, of whatever type
        return np.zeros(found.shape)
    return found.astype(np.float64)


def _holds_tensors(value: Any) -> bool:
    while isinstance(value, list | tuple) and value:
        if any(is_tensor(v) for v in value):
            return True
        value = value[0]
    return False


def _stacked(value: Any) -> Any:
    """Lists of tensors and of numbers as one tensor, through which gradients flow."""
    import torch

    if not isinstance(value, Sequence):
        return torch.as_tensor(value)
    parts = [_stacked(v) for v in value]
    first = next((v for v in parts if v.is_floating_point()), None)
    if first is None or any(v.dtype.is_complex or v.dtype == torch.bool for v in parts):
        return torch.stack(parts)
    return torch.stack([v.to(first) for v in parts])


def _held(tensor: Any) -> np.ndarray:
    """The numbers that a tensor holds, wherever it is and whatever it records."""
    import torch

    return np.asarray(tensor.detach().to("cpu", torch.float64).numpy())


def _real(value: Any) -> bool:
    return isinstance(value, numbers.Real | Decimal | np.number) and not isinstance(value, bool | np.complexfloating)


def _stranger(found: np.ndarray) -> str:
    """What stands among objects that is no number."""
    return f"others than numbers: {kind_of(next(v for v in found.flat if not _real(v)))}"
