"""A library: the classes, displacements and mappers of some `.sdf` files, ready to evaluate."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fdif_dsl.compiler.backends import NAMES, Backend
from fdif_dsl.compiler.ir.formula import Formula
from fdif_dsl.compiler.ir.serial import formulas_from_dict, formulas_hash, formulas_to_dict
from fdif_dsl.compiler.library.entries import Displacement, Mapper, Shape, Table
from fdif_dsl.compiler.support.progress import Progress
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError, did_you_mean

if TYPE_CHECKING:
    from fdif_dsl.compiler.backends.store.store import Built
    from fdif_dsl.compiler.backends.store.target import Target


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
        return formulas_hash(self.formulas)

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
            from fdif_dsl.compiler.backends.cpu import CpuBackend, target

            return CpuBackend(self.formulas, directory=self._kernels and target.best(self._kernels))
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
        """Write the compiled library as a folder, and say how many kernels were new; see `artefact.save`."""
        from fdif_dsl.compiler.library import artefact

        return artefact.save(artefact.Contents(self.formulas, self.sources), Path(directory), progress, targets)


def _unpickle(formulas: Any, sources: dict[str, str], kernels: Path | None) -> Library:
    return Library(formulas_from_dict(formulas), sources, kernels)
