"""An nnU-Net trainer that starts Primus-M from pre-trained weights, for any classes, channels and patch.

nnU-Net's `-pretrained_weights` wants every shape to be the same, and in Primus those of the decoder depend on the
classes, that of the stem on the channels, and that of the positional embedding on the patch.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import torch
from nnunetv2.training.nnUNetTrainer.primus.primus_trainers import nnUNet_Primus_M_Trainer

WEIGHTS = "pretrained_weights"
"""The key of a configuration in nnU-Net's plans that names the file; `fdifc nnunet-plans` writes it."""

_STEM, _POSITIONS = "down_projection.proj.weight", "eva.pos_embed"
_DECODER, _LAST = "up_projection.", "up_projection.decode.2."
_TOKEN = 8  # voxels along each side of a token

Weights = Mapping[str, torch.Tensor]


class FdifPrimusTrainer(nnUNet_Primus_M_Trainer):  # type: ignore[misc]
    """Primus-M from the weights that the configuration names, with a third of nnU-Net's learning rate for it."""

    def __init__(self, plans: dict[str, Any], configuration: str, fold: int, dataset_json: dict[str, Any],
                 device: torch.device = torch.device("cuda")) -> None:  # noqa: B008
        continued = bool(plans.get("continue_training"))  # nnU-Net takes this out of the plans
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.initial_lr = 1e-4
        self._continued = continued

    def initialize(self) -> None:
        super().initialize()
        if self._continued and any(Path(self.output_folder).glob("checkpoint_*.pth")):
            return  # nnU-Net goes on with the weights in there
        path = self.configuration_manager.configuration.get(WEIGHTS)
        if path is None or not Path(path).is_file():
            raise RuntimeError(f"there are no pre-trained weights at {path}; `{WEIGHTS}` in the configuration "
                               f"{self.configuration_name} says where they are, which `fdifc nnunet-plans` writes")
        stored = torch.load(path, map_location="cpu", weights_only=True)
        facts = stored.get("fdif", stored)  # of an export, or of what a run left
        network: Any = getattr(self.network, "module", self.network)  # DistributedDataParallel
        network = getattr(network, "_orig_mod", network)  # torch.compile
        state = network.state_dict()
        weights = stored["network_weights"]
        if facts["task"] == "classification":  # it did not train the decoder
            weights = {name: tensor for name, tensor in weights.items() if not name.startswith(_DECODER)}
        fitted = fit(weights, state, facts["patch"], self.configuration_manager.patch_size)
        network.load_state_dict(state | fitted)
        fresh = [name for name in state if name not in fitted]
        self.print_to_log_file(f"{len(fitted)} of {len(state)} tensors are pre-trained, from {path}; made anew: "
                               + ", ".join(fresh))


def fit(weights: Weights, state: Weights, before: list[int], now: list[int]) -> dict[str, torch.Tensor]:
    """The pre-trained weights for a network with the tensors `state`, from patches (D, H, W) `before` to `now`.

    The stem is repeated for its channels and divided by their number, the positional embedding interpolated. The
    decoder is taken but for its last layer, or, where the number of classes made it another width, not at all.

    Raises:
        ValueError: these are not the weights of such a network.
    """
    decoder = [name for name in state if name.startswith(_DECODER) and not name.startswith(_LAST)]
    kept = all(name in weights and weights[name].shape == state[name].shape for name in decoder)
    fitted = {}
    for name, target in state.items():
        if name.startswith(_DECODER) and not (kept and name in decoder):
            continue
        if name not in weights:
            raise ValueError(f"the pre-trained weights have no {name}: they are not those of Primus-M")
        tensor = weights[name]
        if name == _STEM and tensor.shape[1] != target.shape[1]:
            tensor = tensor.sum(1, keepdim=True).expand_as(target) / target.shape[1]
        if name == _POSITIONS and before != now:
            tensor = _resized(tensor, before, now)
        if tensor.shape != target.shape:
            raise ValueError(f"the pre-trained {name} has the shape {tuple(tensor.shape)}, and the network's "
                             f"{tuple(target.shape)}: they are not those of Primus-M")
        fitted[name] = tensor
    return fitted


def _resized(positions: torch.Tensor, before: list[int], now: list[int]) -> torch.Tensor:
    """Positional embeddings (1, tokens, width) for another patch, by trilinear interpolation."""
    old, new = ([side // _TOKEN for side in patch] for patch in (before, now))
    grid = positions[0].T.reshape(1, -1, *old)
    grid = torch.nn.functional.interpolate(grid.float(), size=new, mode="trilinear", align_corners=False)
    return grid.reshape(1, -1, prod(new)).transpose(1, 2).to(positions.dtype)
