"""Keeping a fine-tuned network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fdif_dsl.runtime.finetuning.preflight import Settled
from fdif_dsl.runtime.finetuning.recipe import FinetuneRecipe
from fdif_dsl.runtime.training.pretrained import Pretrained
from fdif_dsl.runtime.training.run_folder import on_cpu, save_whole


def save_weights(path: Path, network: Any, settled: Settled, recipe: FinetuneRecipe, seed: int,
                 pretrained: Pretrained | None, trained_on: Sequence[str], more: Mapping[str, Any]) -> None:
    """Puts a fine-tuned network into a file: what `Pretrained` reads, and what is needed to use it on another image."""
    chosen = settled.plan
    save_whole({
        "network_weights": on_cpu(network.state_dict()), "network": chosen.row.name, "features": chosen.features,
        "patch": list(chosen.patch), "head": list(chosen.row.head), "label": "classes", "recipe": recipe.to_dict(),
        "pretrained": str(pretrained.path) if pretrained else None, "library": pretrained.library if pretrained else "",
        "trained_on": list(trained_on), "seed": seed, "step": recipe.train.steps, "fdif_dsl": version("fdif-dsl"),
        **more}, path)
