"""Random smooth unions of two classes of a library, in the language: classes with names and priors of their own."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fdif_dsl.compiler.frontend.built_in import standard_folder
from fdif_dsl.compiler.frontend.modules import Module
from fdif_dsl.compiler.library import from_modules
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError
from fdif_dsl.grammar.parse import parse
from fdif_dsl.grammar.source import SourceFile

if TYPE_CHECKING:
    from fdif_dsl.compiler.library import Library

FILE = "unions.sdf"
_TEMPLATE = """\
## Two solids that flow into each other: each is turned, and the second is moved along the x axis.
shape joined_at_random(first: shape, second: shape) {
  ## Width of the fillet between them, in voxels.
  fillet ~ uniform(0.01, 0.15) * grid.min
  ## How far the second is moved, in voxels.
  apart ~ uniform(0.1, 0.3) * grid.min
  ## The axis that the first is turned about, and by how much.
  axis_1 ~ vec3(normal(0, 1), normal(0, 1), normal(0, 1))
  angle_1 ~ uniform(-pi, pi)
  ## The same for the second.
  axis_2 ~ vec3(normal(0, 1), normal(0, 1), normal(0, 1))
  angle_2 ~ uniform(-pi, pi)
  distance = smooth_union(
    first(rotate(p, axis_1, angle_1)), second(rotate(translate(p, vec3(apart, 0, 0)), axis_2, angle_2)), fillet)
}
"""


def with_unions(library: Library, shapes: Sequence[str] | None, seed: int, count: int) -> tuple[Library, str]:
    """A library with `count` more classes after its own, and the text that declares them.

    Each is made of two of `shapes` (None: all of the library). The pairs are a function of the seed and the names, no
    pair comes twice, and those of a smaller count are the first of a larger one.

    Raises:
        FdifError: where there are not so many pairs.
    """
    # A name in quotes cannot be used in a formula.
    plain = sorted(name for name in (library.shapes if shapes is None else shapes)
                   if name in library.shapes and re.fullmatch(r"\w+", name))
    pairs = sorted(itertools.combinations(plain, 2), key=lambda pair: _rank(seed, pair))
    if count > len(pairs):
        pair = "1 pair" if len(pairs) == 1 else f"{len(pairs)} pairs"
        raise FdifError(Diagnostic("E0925", f"{count} unions of two of {len(plain)} classes", where="--unions",
                                   why=f"so many make {pair}", hint="ask for fewer, or choose from more classes"))
    sources = {"std": _standard(), **library.sources}  # where the library has one itself, it is that
    text = "\n".join([
        f"## {count} random smooth unions of two classes, drawn with the seed {seed}.\n",
        *(f"use {name}" for name in sources), "", _TEMPLATE,
        *(f"## The smooth union of `{a}` and `{b}`.\nshape {union_name(a, b)} = joined_at_random({a}, {b})"
          for a, b in pairs[:count])]) + "\n"
    return _library({**sources, FILE.removesuffix(".sdf"): text}), text


def union_name(first: str, second: str) -> str:
    """What the union of two classes is called."""
    return f"union_{first}_{second}"


def _rank(seed: int, pair: tuple[str, str]) -> bytes:
    return hashlib.sha256(f"{seed} {' '.join(pair)}".encode()).digest()


def _standard() -> str:
    return (standard_folder() / "std.sdf").read_text(encoding="utf-8")


def _library(sources: dict[str, str]) -> Library:
    """The library of modules by name, each after those that it uses."""
    modules: dict[str, Module] = {}
    for name, text in sources.items():
        tree = parse(SourceFile(f"{name}.sdf", text))
        modules[name] = Module(Path(f"{name}.sdf"), tree, tuple(modules[use.name] for use in tree.uses), False)
    return from_modules(list(modules.values()))
