"""MONAI, and PyTorch without any framework: a state dict without the head."""

from __future__ import annotations

import json

from fdif_dsl.runtime.exports.definitions import DEFINITIONS, Code, as_python
from fdif_dsl.runtime.exports.form import Form, configuration, file_stem
from fdif_dsl.runtime.exports.weights import untrained, widened, without
from fdif_dsl.runtime.training.networks import NETWORKS
from fdif_dsl.runtime.training.pretrained import Pretrained
from fdif_dsl.runtime.training.weights_file import CONFIG

_INPUT = {"unit": "grey levels scaled to between 0 and 1 (`ScaleIntensityd`)",
          "zscore": "grey levels of mean 0 and standard deviation 1 (`NormalizeIntensityd`)"}


def form(pretrained: Pretrained, channels: int) -> Form:
    """The weights by their names, and nothing else, so that `load_state_dict(strict=False)` takes them as they are."""
    weights = widened(pretrained, channels)
    notes: list[str] = []
    known = pretrained.network in NETWORKS
    if not known:
        notes.append("which layers of a network of your own are its head is not known, so they are among the weights; "
                     "with another number of classes, remove them before you load the others")
    elif pretrained.task == "classification":
        notes.append("the network learnt to classify, so its decoder is left out")
        weights = without(weights, untrained(pretrained))
    else:
        weights = without(weights, pretrained.head)
    name = f"{file_stem(pretrained)}.pt"
    return Form(name, weights, _usage(pretrained, name, channels) if known else _usage_of_own(pretrained, name),
                lambda path: f"network.load_state_dict(torch.load({json.dumps(str(path))}, weights_only=True)"
                             + (", strict=False)" if known else ")"),
                "monai" if pretrained.network not in ("resenc_l", "primus_m") else "pytorch", tuple(notes),
                {CONFIG: configuration(pretrained, channels, name)})


def lines(pretrained: Pretrained, channels: int) -> str:
    """Python that makes the network, for `CLASSES` classes."""
    return as_python(DEFINITIONS[pretrained.network](pretrained.features, pretrained.patch, channels, Code("CLASSES")))


def grey_levels(pretrained: Pretrained) -> str:
    """What the network is to be given."""
    return f"{_INPUT[pretrained.normalise]}: it was pre-trained with such"


def _usage(pretrained: Pretrained, name: str, channels: int) -> str:
    fixed = "" if pretrained.network not in ("unetr", "primus_m") else (
        f" This network takes patches of {' x '.join(map(str, pretrained.patch))} voxels, and of no other size.")
    rest = "the decoder" if pretrained.task == "classification" else "the last layers"
    return f"""\
`CLASSES` is the number of yours, background among them.

```python
import torch
{lines(pretrained, channels)}
missing, unexpected = network.load_state_dict(torch.load("{name}", weights_only=True), strict=False)
```

`unexpected` is empty, and `missing` names {rest}, which you train anew.

Give the network {grey_levels(pretrained)}.{fixed}
"""


def _usage_of_own(pretrained: Pretrained, name: str) -> str:
    return f"""\
The weights are those of your function `{pretrained.network}`, by the names that they have in the network that it makes:

    network.load_state_dict(torch.load("{name}", weights_only=True))

That fits a network with as many classes. For another number remove the weights of its last layers from what is loaded,
and pass `strict=False`.

Give the network {grey_levels(pretrained)}.
"""
