"""A library: the classes, displacements and mappers of some `.sdf` files, ready to evaluate."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, overload

import numpy as np

from fdif_dsl.compiler.backends import NAMES, Backend
from fdif_dsl.compiler.ir.formula import Formula, Quantity
from fdif_dsl.compiler.ir.grid import Grid
from fdif_dsl.compiler.ir.parameters import bind, is_tensor
from fdif_dsl.compiler.support.progress import Progress
from fdif_dsl.compiler.ir.serial import formulas_from_dict, formulas_to_dict
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError, did_you_mean

if TYPE_CHECKING:
    from fdif_dsl.compiler.backends.store.store import Built
    from fdif_dsl.compiler.backends.store.target import Target
    from fdif_dsl.compiler.frontend.modules import Module


class Library:
    """Named formulas in a fixed order, and the backends that evaluate them.

    Attributes:
        shapes: the classes by name, in the order of their ids (id = position + 1).
        displacements, mappers: the same for the other two kinds.
        sources: the text of each file, by module name.
        hash: sha256 of the formulas and their order; two libraries with one hash render alike.
    """

    def __init__(self, formulas: Sequence[Formula], sources: Mapping[str, str], kernels: Path | None = None) -> None:
        """`kernels` is an artefact's folder; kernels that it does not hold are compiled when needed."""
        self.formulas = tuple(formulas)
        self._kernels = kernels
        self.sources = dict(sources)
        self.shapes: Table[Shape] = Table("shape", [Shape(f, self) for f in formulas if f.kind == "shape"])
        self.displacements: Table[Displacement] = Table(
            "displacement", [Displacement(f, self) for f in formulas if f.kind == "displacement"])
        self.mappers: Table[Mapper] = Table("mapper", [Mapper(f, self) for f in formulas if f.kind == "mapper"])
        self._backends: dict[str, Backend] = {}

    @cached_property
    def hash(self) -> str:
        # What only people read (docs, places, priors as text) is left out.
        plain = [{**f, "doc": "", "place": "", "quantities": [{**q, "doc": "", "source": ""} for q in f["quantities"]]}
                 for f in formulas_to_dict(self.formulas)]
        return hashlib.sha256(json.dumps(plain).encode()).hexdigest()

    def __repr__(self) -> str:
        return (f"<Library of {len(self.shapes)} shapes, {len(self.displacements)} displacements and "
                f"{len(self.mappers)} mappers, {self.hash[:12]}>")

    def __reduce__(self) -> tuple[Any, ...]:
        # As flat data: a tree of nodes is deeper than pickle can walk.
        return _unpickle, (formulas_to_dict(self.formulas), self.sources, self._kernels)

    def backend(self, name: str) -> Backend:
        """The backend `cpu`, `cuda` (or `cuda:1` for the second GPU), `torch` or `interpret`, made once.

        Raises:
            FdifError: for an unknown name, or one that this installation cannot offer.
        """
        if name not in self._backends:
            self._backends[name] = self._make_backend(name)
        return self._backends[name]

    def _make_backend(self, name: str) -> Backend:
        if name == "cpu":
            from fdif_dsl.compiler.backends.cpu import CpuBackend

            folder = None if self._kernels is None else self._kernels / "cpu"
            return CpuBackend(self.formulas, directory=folder if folder and folder.is_dir() else None)
        if name == "torch":
            from fdif_dsl.compiler.backends.torch import TorchBackend

            return TorchBackend()
        if name == "interpret":
            from fdif_dsl.compiler.backends.interpret import InterpretBackend

            return InterpretBackend()
        if name == "cuda" or re.fullmatch(r"cuda:\d+", str(name)):
            from fdif_dsl.compiler.backends.cpu import CpuBackend
            from fdif_dsl.compiler.backends.cuda import CudaBackend

            host = self.backend("cpu")
            assert isinstance(host, CpuBackend)
            return CudaBackend(self.formulas, host, self._kernels, int(name.partition(":")[2] or 0))
        raise FdifError(Diagnostic("E0602", f"there is no backend {name!r}", where="backend",
                                   why=f"backends are {', '.join(NAMES)}", hint=did_you_mean(str(name), NAMES)))

    def compile(self, progress: Progress | None = None, formulas: Sequence[Formula] | None = None) -> None:
        """Build every CPU kernel that is not in the cache yet; with `formulas`, those that these need.

        Without this, kernels are built when they are first used. `progress(done, total)` counts what is built; without
        it a bar or a line on stderr tells the user that there is something to wait for.
        """
        from fdif_dsl.compiler.backends.cpu import CpuBackend

        backend = self.backend("cpu")
        assert isinstance(backend, CpuBackend)
        backend.build(progress, formulas)

    def save(self, directory: str | Path, progress: Progress | None = None,
             targets: Sequence[Target] = ()) -> Built:
        """Write the compiled library as a folder, and say how many kernels were new; see `artefact.save_library`."""
        from fdif_dsl.compiler.library.artefact import save_library

        return save_library(self, Path(directory), progress, targets)


class _Entry:
    """What the three kinds share: a name, an id (position + 1), a doc and a formula."""

    def __init__(self, formula: Formula, library: Library) -> None:
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


_E = TypeVar("_E", bound=_Entry)


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


class Shape(_Entry):
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


class Displacement(_Entry):
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


class Mapper(_Entry):
    """A map from distance to grey level."""

    def intensity(self, d: Any, backend: str = "cpu") -> Any:
        """Grey levels, nominally 0 to 128, of distances d (N,) in voxels."""
        if not is_tensor(d):
            d = np.asarray(d, np.float64)
        return self.library.backend(backend).evaluate(self.formula, {"d": d}, {})


def load_library(path: str | Path | Sequence[str | Path] | None = None) -> Library:
    """The standard library; or that of a `.sdf` file, of a folder of them, or a compiled artefact.

    A library holds the closed declarations of its files and of everything they `use`, each file
    after those it uses, so that the standard classes keep their ids when a file adds some.

    Raises:
        FdifError: with every mistake found in the files.
    """
    from fdif_dsl.compiler.library.artefact import MANIFEST, load_artefact

    paths = [] if path is None else [Path(path)] if isinstance(path, str | Path) else [Path(p) for p in path]
    if len(paths) == 1 and (paths[0] / MANIFEST).exists():
        return load_artefact(paths[0])
    # The front end is imported only where there is something to parse: an artefact needs none of it.
    from fdif_dsl.compiler.frontend.modules import load_modules, standard_files

    files: list[Path] = standard_files() if path is None else []
    for one in paths:
        if one.is_dir():
            inside = sorted(one.glob("*.sdf"))
            if not inside:
                raise FdifError(Diagnostic("E0604", "the folder holds no library", where=str(one),
                                           why=f"it has neither .sdf files nor a {MANIFEST}",
                                           hint="name a folder of .sdf files, or one that `fdifc compile` wrote"))
            files += inside
        else:
            files.append(one)
    return from_modules(load_modules(files))


def from_modules(modules: list[Module]) -> Library:
    """The library of loaded modules."""
    from fdif_dsl.compiler.frontend.check import check
    from fdif_dsl.compiler.frontend.elaborate import elaborate

    sources = {}
    for module in modules:
        name = module.name
        while name in sources:  # two folders may hold a file of one name
            name += "_"
        sources[name] = module.tree.file.text
    return Library(elaborate(check(modules)), sources)


def _unpickle(formulas: Any, sources: dict[str, str], kernels: Path | None) -> Library:
    return Library(formulas_from_dict(formulas), sources, kernels)


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
