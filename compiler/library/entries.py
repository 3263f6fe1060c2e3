"""The entries of a library: its shapes, displacements and mappers, by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar, overload

import numpy as np

from fdif_dsl.compiler.backends import Backend
from fdif_dsl.compiler.ir.formula import Formula, Quantity
from fdif_dsl.compiler.ir.grid import Grid
from fdif_dsl.compiler.ir.parameters import bind, is_tensor
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError, did_you_mean


class Backends(Protocol):
    """What an entry asks of its library."""

    def backend(self, name: str) -> Backend: ...


class Entry:
    """What the three kinds share: a name, an id (position + 1), a doc and a formula."""

    def __init__(self, formula: Formula, library: Backends) -> None:
        self.formula = formula
        self.library = library
        self.id = 0

    @property
    def name(self) -> str:
        return self.formula.name

    @property
    def doc(self) -> str:
        return self.formula.doc

    def __repr__(self) -> str:
        return f"<{self.formula.kind} {self.name}, id {self.id}>"


_E = TypeVar("_E", bound=Entry)


class Table(Mapping[str, _E]):
    """Entries by name, in order. An unknown name is an error that knows the nearest one."""

    def __init__(self, kind: str, entries: Sequence[_E]) -> None:
        self._kind = kind
        self._entries = {e.name: e for e in entries}
        for i, entry in enumerate(entries):
            entry.id = i + 1

    def __getitem__(self, name: str) -> _E:
        try:
            return self._entries[name]
        except (KeyError, TypeError):
            raise UnknownName(self._kind, name, self._entries) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


class UnknownName(FdifError, KeyError):
    """A shape, displacement or mapper that the library does not have."""

    def __init__(self, kind: str, name: object, known: Mapping[str, Any]) -> None:
        hint = did_you_mean(str(name), known) or (
            f"`fdifc list {kind}s` shows all {len(known)}" if known else f"the library has no {kind}s at all")
        super().__init__(Diagnostic("E0603", f"the library has no {kind} {str(name)!r}", where=kind, hint=hint))
        self._args = (kind, name, dict.fromkeys(known))

    __str__ = FdifError.__str__

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._args


class Parameters(tuple[Quantity, ...]):
    """The named quantities of a class; by position or by name."""

    @overload  # type: ignore[override]
    def __getitem__(self, key: int | str) -> Quantity: ...
    @overload
    def __getitem__(self, key: slice) -> tuple[Quantity, ...]: ...
    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            for q in self:
                if q.name == key:
                    return q
            raise KeyError(key)
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        return any(key == q.name for q in self) or super().__contains__(key)


class Shape(Entry):
    """A class of solids."""

    @property
    def parameters(self) -> Parameters:
        """Every named quantity, random (with a `prior`) or derived, in the order of computation."""
        return Parameters(self.formula.quantities)

    @property
    def integers(self) -> dict[str, int]:
        """The whole numbers that define the class, such as the corners of a polygon."""
        return dict(self.formula.integers)

    def distance(self, points: Any, params: Mapping[str, Any] | None = None, affine: Any = None,
                 backend: str = "cpu", grid: Any = None) -> Any:
        """The signed distance at world points, in voxels of the object's own space, negative inside.

        Args:
            points: (N, 3), x y z in voxels.
            params: values of named quantities, random or derived.
            affine: (4, 4), object to world; None is the identity.
            backend: "cpu" (float32), "interpret" (float64) or "torch" (differentiable).
            grid: (D, H, W); only a quantity that scans the grid and is not given needs it.

        Returns:
            (N,) distances.

        Raises:
            FdifError: unknown, missing or ill-formed parameters.
        """
        slots = bind(self.formula, params or {}, "params")
        x, y, z = _columns(points)
        inverse = None if affine is None else _inverse(affine)
        if inverse is not None:
            x, y, z = (row[0] * x + row[1] * y + row[2] * z + row[3] for row in inverse[:3])
        inputs = {"p.x": x, "p.y": y, "p.z": z}
        return self.library.backend(backend).evaluate(self.formula, inputs, slots, _grid(grid), inverse)


class Displacement(Entry):
    """A surface texture."""

    def offset(self, points: Any, grid: Any, backend: str = "cpu") -> Any:
        """What is added to the distance at world points.

        Args:
            points: (N, 3), x y z in voxels.
            grid: (D, H, W), which amplitude and frequency refer to.
            backend: as for `Shape.distance`.

        Returns:
            (N,) offsets in voxels.
        """
        x, y, z = _columns(points)
        inputs = {"w.x": x, "w.y": y, "w.z": z}
        return self.library.backend(backend).evaluate(self.formula, inputs, {}, _grid(grid))


class Mapper(Entry):
    """A map from distance to grey level."""

    def intensity(self, d: Any, backend: str = "cpu") -> Any:
        """Grey levels, nominally 0 to 128, of distances d (N,) in voxels."""
        if not is_tensor(d):
            d = np.asarray(d, np.float64)
        return self.library.backend(backend).evaluate(self.formula, {"d": d}, {})


def _columns(points: Any) -> tuple[Any, Any, Any]:
    if not is_tensor(points):  # torch tensors stay what they are, so that gradients flow
        try:
            points = np.asarray(points, np.float64)
        except (TypeError, ValueError):
            points = np.zeros(0)
    if points.ndim != 2 or points.shape[-1] != 3:
        raise FdifError(Diagnostic("E0605", f"points have the shape {tuple(points.shape)}", where="points",
                                   why="wanted are numbers of the shape (N, 3): x, y, z in voxels",
                                   hint="one point is [[x, y, z]]"))
    return points[:, 0], points[:, 1], points[:, 2]


def _inverse(affine: Any) -> Any:
    if is_tensor(affine):
        import torch

        matrix, invert = affine, torch.linalg.inv
    else:
        try:
            matrix = np.asarray(affine, np.float64)
        except (TypeError, ValueError):
            matrix = np.zeros(0)
        invert = np.linalg.inv
    if tuple(matrix.shape) != (4, 4):
        raise FdifError(Diagnostic("E0606", f"the affine has the shape {tuple(matrix.shape)}", where="affine",
                                   why="wanted is a 4 x 4 matrix from object to world coordinates",
                                   hint="None leaves the object where it is"))
    try:
        return invert(matrix)
    except (np.linalg.LinAlgError, RuntimeError):  # NumPy's error and torch's
        raise FdifError(Diagnostic("E0607", "the affine has no inverse", where="affine",
                                   why="distances are taken at the point in object coordinates",
                                   hint="make its first three columns independent")) from None


def _grid(grid: Any) -> Grid | None:
    return grid if grid is None or isinstance(grid, Grid) else Grid.of(grid)
