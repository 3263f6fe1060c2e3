"""What code was made with, so that what was made with something else is known for it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from fdif_dsl.compiler.backends.store.refusal import refusal


def digest_of(paths: Iterable[Path]) -> str:
    """What changes when one of these files does."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def versions_of(*packages: str) -> dict[str, str]:
    """The versions of these packages; "none" of one that is not installed."""
    def version(package: str) -> str:
        try:
            return metadata.version(package)
        except metadata.PackageNotFoundError:
            return "none"

    return {package: version(package) for package in packages}


def check_compiler(facts: Mapping[str, Any], compiler: str, directory: Path) -> None:
    """Raises `FdifError` where the artefact in `directory`, whose index says `facts`, is of another compiler."""
    if facts["compiler"] != compiler:
        raise refusal(directory, "E0703", "was compiled by another version of fdif-dsl")
