"""The folder of a run: its files by name, and what stands in those for people: the recipe, and versions."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fdif_dsl.compiler.support.files import replacing, write_text
from fdif_dsl.runtime.recipe import resolve

if TYPE_CHECKING:
    from fdif_dsl.compiler.library import Library
    from fdif_dsl.runtime.recipe import Recipe
    from fdif_dsl.runtime.training.networks import Network

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


def facts_of(recipe: Recipe, network: Network, tasks: Mapping[str, Sequence[str]], library: Library,
             processes: int) -> dict[str, Any]:
    """What stands in `weights.pt` beside the weights and the step: plain values, which `pretrained.py` reads. `tasks`
    are those of the objective."""
    training = recipe.training
    return {"network": training.network, "features": training.features, "patch": list(training.patch or recipe.grid),
            "head": list(network.head), "task": training.task, "label": recipe.label,
            "tasks": {name: list(classes) for name, classes in tasks.items()}, "recipe": recipe.to_dict(),
            "library": library.hash, "seed": training.seed, "processes": processes,
            "origins": library.origins(resolve(recipe, library).shapes), "fdif_dsl": version("fdif-dsl")}


def write_recipe(path: Path, recipe: Any, name: str) -> None:
    """Puts a recipe of any kind, which is called `name`, into a TOML file."""
    write_text(path, recipe.to_toml(f"The recipe {name}, in full."))


def write_about(directory: Path, name: str, its: Mapping[str, Any]) -> None:
    """Writes down what a run of the recipe `name` was made with."""
    write_json(directory / ABOUT, {"recipe": name, **its, "versions": versions()})


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=2) + "\n")


def on_cpu(weights: Mapping[str, Any]) -> dict[str, Any]:
    """The same tensors on the CPU. Names that share a tensor still do, which keeps files small."""
    seen: dict[tuple[int, Any], Any] = {}
    return {name: seen.setdefault((tensor.data_ptr(), tensor.shape), tensor.detach().cpu())
            for name, tensor in weights.items()}


def save_whole(value: Any, path: Path) -> None:
    """Has torch put a value into a file, whole or not at all. Raises an `OSError` that names `path`."""
    import torch

    with replacing(path) as temporary, temporary.open("wb") as file:
        torch.save(value, file)
