"""What kernels are compiled for, and how."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from fdif_dsl.compiler.backends.store.unit import Unit


class Target(Protocol):
    """A kind of processor: a value that can be pickled. Two targets are one if their names are."""

    @property
    def name(self) -> str:
        """Of the folder of its kernels, in the cache and in an artefact."""
        ...

    def fingerprint(self) -> str:
        """What code depends on, besides its source, in 20 hexadecimal digits: two that differ share no code."""
        ...

    def compile(self, unit: Unit, source: Path) -> bytes:
        """The code of a unit whose text stands in the file `source`. Loads the compiler."""
        ...

    def files(self, symbol: str, code: bytes) -> dict[str, bytes]:
        """The files, by name, that an artefact keeps of a unit's code."""
        ...

    def code(self, files: Mapping[str, bytes]) -> bytes:
        """The code that these files are of."""
        ...

    def facts(self) -> dict[str, Any]:
        """What an artefact's index says about the code in it."""
        ...

    def check(self, facts: Mapping[str, Any], directory: Path) -> None:
        """Raises `FdifError` where code of which an artefact's index says this cannot be used here. A fact that is
        missing is a `KeyError`."""
        ...
