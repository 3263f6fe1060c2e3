"""A library: the classes, displacements and mappers of some `.sdf` files, ready to evaluate."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fdif_dsl.compiler.backends import NAMES, Backend
from fdif_dsl.compiler.fields import stored
from fdif_dsl.compiler.ir import fields
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

    @cached_property
    def fields(self) -> list[str]:
        """The keys of the fields that its formulas read."""
        return list(dict.fromkeys(key for formula in self.formulas for key in formula.fields))

    def origins(self, formulas: Sequence[Formula] | None = None) -> list[dict[str, str]]:
        """The files that shapes (None: all of them) were sampled from, each with its checksum, data set and licence."""
        return fields.origins_of(self.fields if formulas is None else [key for f in formulas for key in f.fields])

    def __repr__(self) -> str:
        return (f"<Library of {len(self.shapes)} shapes, {len(self.displacements)} displacements and "
                f"{len(self.mappers)} mappers, {self.hash[:12]}>")

    def __reduce__(self) -> tuple[Any, ...]:
        # As flat data: a tree of nodes is deeper than pickle can walk.
        held = {key: (found.path or found, found.origins) for key in self.fields if (found := fields.baked(key))}
        return _unpickle, (formulas_to_dict(self.formulas), self.sources, self._kernels, held)

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
        backend.build(progress, formulas)  # which bakes the fields that the kernels read

    def save(self, directory: str | Path, progress: Progress | None = None,
             targets: Sequence[Target] = ()) -> Built:
        """Write the compiled library as a folder, and say how many kernels were new; see `artefact.save`."""
        from fdif_dsl.compiler.library import artefact

        return artefact.save(artefact.Contents(self.formulas, self.sources), Path(directory), progress, targets)


def _unpickle(formulas: Any, sources: dict[str, str], kernels: Path | None,
              held: Mapping[str, tuple[Path | fields.Baked, Any]]) -> Library:
    for key, (what, origins) in held.items():
        fields.declare(key, partial(stored.read, what) if isinstance(what, Path) else partial(replace, what), origins)
    return Library(formulas_from_dict(formulas), sources, kernels)
