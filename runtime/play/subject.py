"""What a page shows, made of its text: closed formulas, and the functions of space that pictures are drawn from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fdif_dsl.compiler.backends.cpu import CpuBackend
from fdif_dsl.compiler.frontend.check.scope import Program, mentions
from fdif_dsl.compiler.frontend.elaborate.declaration import Elaborator
from fdif_dsl.compiler.frontend.modules import Module
from fdif_dsl.compiler.ir.formula import Formula
from fdif_dsl.compiler.ir.grid import Grid
from fdif_dsl.grammar import ast
from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.runtime.editor.project import Analysis, Project
from fdif_dsl.runtime.play.quantities import Quantities
from fdif_dsl.runtime.play.solid import Field

BALL = 0.33
"""The radius of the ball that displacements and mappers are shown on, as a share of the grid's least side."""
_KEPT = 12  # formulas that are not in the text any more


class NotDrawn(Exception):
    """Why there is no picture, in one sentence."""


class Formulas:
    """The closed formulas of a text that changes, each with the kernels that it has so far."""

    def __init__(self, root: Path) -> None:
        self.project = Project(root)
        self._made: dict[ast.Decl, tuple[frozenset[ast.Decl], Formula, CpuBackend]] = {}
        self._analysis: Analysis | None = None
        self._path: Path | None = None

    def put(self, path: Path, text: str) -> None:
        """The text of the file that is shown."""
        if self._path is not None and self._path != path:
            self.project.put(self._path, None)
        self._path = path
        if self.project.document(path).opened != text:
            self.project.put(path, text)
        self._analysis = self.project.analyse()  # what did not change is not read again

    def find(self, kind: str, name: str) -> tuple[Formula, CpuBackend]:
        """A closed declaration of the file, of what it uses, or of the standard library.

        Raises:
            NotDrawn: where there is none, or it has a mistake.
        """
        analysis = self._analysis
        assert analysis is not None and self._path is not None
        own = analysis.modules.get(self._path)
        modules = [own] if own else []
        modules += [m for m in analysis.modules.values() if m is not own and (m.standard or _uses(own, m))]
        for module in modules:
            for decl in module.tree.decls:
                if decl.name == name and decl.kind == kind and decl.params is None:
                    return self._formula(analysis, module, decl)
        raise NotDrawn(f"there is no {kind} `{name}`")

    def names(self, kind: str) -> list[str]:
        """The closed declarations of a kind that can be chosen: the file's first."""
        analysis = self._analysis
        assert analysis is not None and self._path is not None
        own = analysis.modules.get(self._path)
        modules = sorted(analysis.modules.values(), key=lambda m: (m is not own, m.standard))
        found = (decl.name for m in modules for decl in m.tree.decls if decl.kind == kind and decl.params is None)
        return list(dict.fromkeys(found))

    def _formula(self, analysis: Analysis, module: Module, decl: ast.Decl) -> tuple[Formula, CpuBackend]:
        program = analysis.program
        parts = frozenset(_parts(program, module, decl))
        known = self._made.pop(decl, None)
        if known is None or known[0] != parts:
            if parts & program.faulty or not parts <= program.names.keys():
                raise NotDrawn(f"`{decl.name}` has a mistake")
            try:
                formula = Elaborator(program, decl).formula(program.scopes[module], True)
            except FdifError as error:
                raise NotDrawn(f"`{decl.name}`: {error.diagnostics[0].title}") from None
            known = parts, formula, CpuBackend([formula])
        self._made[decl] = known  # as the newest
        while len(self._made) > _KEPT:
            del self._made[next(iter(self._made))]
        return known[1], known[2]


def _uses(user: Module | None, wanted: Module) -> bool:
    stack, seen = [user] if user else [], set[Module]()
    while stack:
        one = stack.pop()
        if one is wanted:
            return True
        if one not in seen:
            seen.add(one)
            stack += one.uses
    return False


def _parts(program: Program, module: Module, decl: ast.Decl) -> list[ast.Decl]:
    """A declaration and all that it is made of."""
    seen: dict[ast.Decl, None] = {}
    stack = [(decl, program.scopes[module])]
    while stack:
        one, inside = stack.pop()
        if one not in seen:
            seen[one] = None
            stack += [found for name in mentions(one) if (found := inside.find(name)) is not None]
    return list(seen)


@dataclass(frozen=True)
class Choice:
    """What to show: a declaration with a displacement and a mapper, and which instance of it. `held` are values by the
    kind of what they belong to and by name."""

    kind: str
    name: str
    grid: Grid
    seed: int
    displacement: str | None = None
    mapper: str | None = None
    held: Mapping[str, Mapping[str, Any]] | None = None


class Subject:
    """One instance, ready to be drawn: a displacement or a mapper on a ball, a shape with both if they are chosen."""

    def __init__(self, formulas: Formulas, choice: Choice) -> None:
        """Raises:
            NotDrawn: where the text has a mistake.
            FdifError: for a held value that does not fit.
        """
        self.choice, self.grid = choice, choice.grid
        names = {"displacement": choice.displacement, "mapper": choice.mapper, choice.kind: choice.name}
        self.parts: dict[str, tuple[Formula, CpuBackend]] = {
            kind: formulas.find(kind, name) for kind, name in names.items() if name}
        held = choice.held or {}
        self.quantities = {
            kind: Quantities(backend, formula, choice.grid, choice.seed, held.get(kind, {}))
            for kind, (formula, backend) in self.parts.items()}
        self.radius = BALL * float(min(self.grid.size))
        self.distance = self._distance()
        self.intensity = self._intensity()

    def _filled(self, kind: str) -> Callable[..., np.ndarray]:
        formula, backend = self.parts[kind]
        return backend.filled(formula, self.quantities[kind].slots, self.grid)

    def _distance(self) -> Field:
        solid = self._filled("shape") if "shape" in self.parts else self._ball
        if "displacement" not in self.parts:
            return solid
        offset = self._filled("displacement")
        return lambda x, y, z: solid(x, y, z) + offset(x, y, z)

    def _ball(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        return np.asarray(np.sqrt(x * x + y * y + z * z) - np.float32(self.radius))

    def _intensity(self) -> Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray] | None:
        """Grey levels of distances and their points; None without a mapper."""
        if "mapper" not in self.parts:
            return None
        shade = self._filled("mapper")
        formula, backend = self.parts["mapper"]
        names = backend.inputs(formula)

        def intensity(d: np.ndarray, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
            # Upright in the middle of the grid, the object's own point and the world's are one.
            known = {"d": d, "p.x": x, "p.y": y, "p.z": z, "w.x": x, "w.y": y, "w.z": z}
            return shade(*(known[name] for name in names))

        return intensity
