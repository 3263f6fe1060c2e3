"""The entries of a library: its shapes, displacements and mappers, by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar, overload

from fdif_dsl.compiler.backends import Backend
from fdif_dsl.compiler.ir.formula import Formula, Quantity
from fdif_dsl.compiler.ir.grid import Grid
from fdif_dsl.compiler.ir.parameters import bind
from fdif_dsl.compiler.library import inputs
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

    @property
    def parameters(self) -> Parameters:
        """Every named quantity, random (with a `prior`) or derived, in the order of computation."""
        return Parameters(self.formula.quantities)

    @property
    def integers(self) -> dict[str, int]:
        """The whole numbers that define the class, such as the corners of a polygon."""
        return dict(self.formula.integers)

    def __repr__(self) -> str:
        return f"<{self.formula.kind} {self.name}, id {self.id}>"

    def _slots(self, params: Mapping[str, Any] | None, tensors: bool) -> dict[int, Any]:
        return inputs.slots(bind(self.formula, {} if params is None else params, "params"), tensors=tensors)


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

    def distance(self, points: Any, params: Mapping[str, Any] | None = None, affine: Any = None,
                 backend: str = "cpu", grid: Any = None) -> Any:
        """The signed distance at world points, in voxels of the object's own space, negative inside.

        Points, parameters and affine may be lists, NumPy arrays or torch tensors of whole or real numbers, on every
        back end; gradients flow on "torch" alone.

        Args:
            points: (N, 3), x y z in voxels.
            params: values of named quantities, random or derived.
            affine: (4, 4), object to world, with the last row 0, 0, 0, 1; None is the identity.
            backend: "cpu" (float32), "cuda" (float32), "interpret" (float64) or "torch" (differentiable).
            grid: (D, H, W); only a quantity that scans the grid and is not given needs it.

        Returns:
            (N,) distances.

        Raises:
            FdifError: unknown, missing or ill-formed parameters, points or affine.
        """
        chosen = self.library.backend(backend)
        tensors = chosen.name == "torch"
        slots = self._slots(params, tensors)
        world = inputs.points(points, tensors=tensors)
        matrix = None if affine is None else inputs.inverse(affine, tensors=tensors)
        (x, y, z), matrix = inputs.to_object(world, slots, matrix)
        return chosen.evaluate(self.formula, {"p.x": x, "p.y": y, "p.z": z}, slots, _grid(grid), matrix)


class Displacement(Entry):
    """A surface texture."""

    def offset(self, points: Any, grid: Any, backend: str = "cpu", params: Mapping[str, Any] | None = None) -> Any:
        """What is added to the distance at world points.

        Args:
            points: (N, 3), x y z in voxels.
            grid: (D, H, W), which amplitude and frequency refer to.
            backend: as for `Shape.distance`.
            params: values of named quantities, random or derived.

        Returns:
            (N,) offsets in voxels.

        Raises:
            FdifError: unknown, missing or ill-formed parameters or points.
        """
        chosen = self.library.backend(backend)
        tensors = chosen.name == "torch"
        slots, world = self._slots(params, tensors), inputs.points(points, tensors=tensors)
        return chosen.evaluate(self.formula, inputs.columns("w", world.T), slots, _grid(grid))


class Mapper(Entry):
    """A map from distance, and where it is written so from the point too, to grey level."""

    def intensity(self, d: Any, backend: str = "cpu", params: Mapping[str, Any] | None = None, points: Any = None,
                  affine: Any = None, grid: Any = None) -> Any:
        """Grey levels, nominally 0 to 128, of distances d in voxels.

        Args:
            d: an array of any shape, or one number.
            backend: as for `Shape.distance`.
            params: values of named quantities, random or derived.
            points: (N, 3), x y z in voxels: the world point of each of the N distances, in their order. Only a mapper
                that reads `p` or `w` needs them.
            affine: (4, 4), object to world, as for `Shape.distance`: `p` is its inverse times the point.
            grid: (D, H, W); only a mapper that reads the grid needs it.

        Returns:
            Grey levels of the shape of d.

        Raises:
            FdifError: unknown, missing or ill-formed parameters, distances, points or affine.
        """
        chosen = self.library.backend(backend)
        tensors = chosen.name == "torch"
        slots, distances = self._slots(params, tensors), inputs.distances(d, tensors=tensors)
        seen = {"d": distances.reshape(-1)}
        if self.formula.sees:
            world = inputs.points_of(self.name, points, len(seen["d"]), tensors=tensors)
            matrix = None if affine is None else inputs.inverse(affine, tensors=tensors)
            here, _ = inputs.to_object(world, slots, matrix)
            seen |= inputs.columns("p", here) | inputs.columns("w", world.T)
        return chosen.evaluate(self.formula, seen, slots, _grid(grid)).reshape(tuple(distances.shape))


def _grid(grid: Any) -> Grid | None:
    return grid if grid is None or isinstance(grid, Grid) else Grid.of(grid)
