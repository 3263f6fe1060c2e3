"""The files of a run by name, and what stands in those for people: versions, and how it went."""

from __future__ import annotations

import json
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from fdif_dsl.compiler.files import write_text

LAST, BEST = "last.ckpt", "best.ckpt"
WEIGHTS, BEST_WEIGHTS = "weights.pt", "best.pt"
FOLDER = "checkpoints"
RECIPE, ABOUT, SUMMARY = "recipe.toml", "run.json", "summary.json"
_PACKAGES = ("fdif-dsl", "torch", "lightning", "monai", "dynamic_network_architectures", "numpy", "numba")


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that have a part in a run, those that are installed."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=2) + "\n")
