"""A model repository of the Hugging Face hub: weights as safetensors, their configuration, and the card."""

from __future__ import annotations

from pathlib import Path

from fdif_dsl.runtime.exports.form import Form, configuration, facts
from fdif_dsl.runtime.exports.monai import grey_levels, lines
from fdif_dsl.runtime.exports.weights import untrained, widened, without
from fdif_dsl.runtime.training.networks import NETWORKS
from fdif_dsl.runtime.training.pretrained import Pretrained
from fdif_dsl.runtime.training.weights_file import CONFIG, TENSORS, save_tensors

PLACE = "USER/NAME"
"""Stands in the card for the repository's name, as long as that is not known."""


def form(pretrained: Pretrained, channels: int) -> Form:
    """The whole network, head and all, so that it is what the run left; but no decoder that was never trained."""
    weights = without(widened(pretrained, channels), untrained(pretrained))
    its = facts(pretrained, channels)

    def save(weights: object, path: Path) -> None:
        save_tensors(path, dict(weights), its)  # type: ignore[call-overload]

    return Form(TENSORS, weights, _usage(pretrained, channels),
                lambda path: f"fdifc export {pretrained.path} --to hub --push {PLACE}", "fdif-dsl", (),
                {CONFIG: configuration(pretrained, channels, TENSORS)}, save)


def _usage(pretrained: Pretrained, channels: int) -> str:
    known = pretrained.network in NETWORKS
    what, given = ("`CLASSES` is the number of yours, background among them", "out_channels=CLASSES") if known else (
        "`NETWORK` is a network that your function made", "network=NETWORK")
    ours = f"""\
{what}. `pip install 'fdif-dsl[hub,train]'`, then:

```python
import fdif_dsl as fd

network = fd.load_pretrained("hf://{PLACE}", {given})
print(network.pretraining)
```

`fdifc finetune small --data ... --weights hf://{PLACE}` fine-tunes it on labelled images.
"""
    if not known:
        return f"{ours}\nGive the network {grey_levels(pretrained)}.\n"
    return f"""{ours}
Without fdif-dsl:

```python
import torch
from safetensors.torch import load_file
{lines(pretrained, channels)}
weights = {{name: tensor for name, tensor in load_file("{TENSORS}").items() if not name.startswith({pretrained.head})}}
missing, unexpected = network.load_state_dict(weights, strict=False)
```

`unexpected` is empty. Give the network {grey_levels(pretrained)}.
"""
