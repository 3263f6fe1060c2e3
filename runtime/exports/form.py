"""What an export consists of, and what every one of them says about itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fdif_dsl.runtime.training.pretrained import Pretrained
from fdif_dsl.runtime.training.run_folder import save_whole
from fdif_dsl.runtime.training.weights_file import ABOUT


@dataclass(frozen=True)
class Form:
    """An export for one tool.

    `name` is the file that the tool reads, `stored` what `save` puts into it, `texts` further files by their names.
    `usage` is Markdown: how to use it. `next` says, given that file, the command or line that a user needs next;
    `notes` what they should know before. `library` is the tool's name at Hugging Face.
    """

    name: str
    stored: Any
    usage: str
    next: Callable[[Path], str]
    library: str
    notes: tuple[str, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict)
    save: Callable[[Any, Path], None] = save_whole


def facts(pretrained: Pretrained, channels: int) -> dict[str, Any]:
    """What stands in an exported file under `ABOUT`, as plain values; `channels` are those of the images that the
    weights take."""
    return {"network": pretrained.network, "features": pretrained.features, "patch": list(pretrained.patch),
            "head": list(pretrained.head), "channels": channels, "task": pretrained.task, "label": pretrained.label,
            "tasks": {task: list(classes) for task, classes in pretrained.tasks.items()},
            "normalise": pretrained.normalise, "recipe": {k: dict(v) for k, v in pretrained.recipe.items()},
            "library": pretrained.library, "seed": pretrained.seed, "step": pretrained.step,
            "origins": [dict(origin) for origin in pretrained.origins], "fdif_dsl": pretrained.version}


def configuration(pretrained: Pretrained, channels: int, file: str) -> str:
    """The text of `CONFIG` beside the weights in `file`: what they are, for whoever loads them, and a name for the
    hub, which counts downloads by it."""
    return json.dumps({"model_type": pretrained.network, "library_name": "fdif-dsl",
                       ABOUT: {**facts(pretrained, channels), "file": file}}, indent=2) + "\n"


def file_stem(pretrained: Pretrained) -> str:
    """A file name for a network, without an ending."""
    return f"fdif_{pretrained.network.rpartition(':')[2]}"
