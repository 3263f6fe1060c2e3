"""Weights of a pre-trained network in one for other channels, classes and patches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError
from fdif_dsl.runtime.training.networks import Network
from fdif_dsl.runtime.training.pretrained import Pretrained, over_channels

Patch = tuple[int, int, int]
_POSITIONS = ("position_embeddings", "pos_embed")
"""How names of tensors (1, tokens, width) end that hold something for each token of a patch."""
_NAMED = 3


@dataclass(frozen=True)
class Taken:
    """Names of tensors: `same` are those of the weights, `adapted` were made from those for other channels or another
    patch, `new` are as the network was made."""

    same: tuple[str, ...]
    adapted: tuple[str, ...]
    new: tuple[str, ...]

    @property
    def body(self) -> frozenset[str]:
        """All that came from the weights."""
        return frozenset((*self.same, *self.adapted))

    def __str__(self) -> str:
        parts = [f"taken {len(self.body)} of {len(self.body) + len(self.new)} tensors"]
        parts += [f"{what}: {_few(names)}" for what, names in (("adapted", self.adapted), ("new", self.new)) if names]
        return "; ".join(parts)


def take_over(network: Any, row: Network, pretrained: Pretrained, patch: Patch, head: bool = False) -> Taken:
    """Puts the weights into a network, by name: all, or all but the `head`'s.

    A kernel over the channels of the images becomes one over other channels: each has the sum of the kernel divided by
    their number, so that the same image in all of them gives what it gave. Position embeddings for another patch are
    interpolated.

    Raises:
        FdifError: nothing fits.
    """
    # Who learnt to classify has a decoder that nobody trained.
    unlearnt = (*(() if head else pretrained.head or row.head),
                *(row.decoder if pretrained.task == "classification" else ()))
    its: Mapping[str, Any] = network.state_dict()
    same, adapted, new, found = [], [], [], {}
    for name, tensor in its.items():
        source = pretrained.weights.get(name)
        if source is None or (unlearnt and name.startswith(unlearnt)):
            new.append(name)
        elif source.shape == tensor.shape:
            same.append(name)
            found[name] = source
        elif (fitted := _fit(name, source, tensor, pretrained, patch)) is not None:
            adapted.append(name)
            found[name] = fitted
        else:
            new.append(name)
    if not found:
        raise FdifError(Diagnostic(
            "E0937", f"none of the weights fits `{row.name}`", where=str(pretrained.path),
            why=f"they are of `{pretrained.network}` with {pretrained.features} features",
            hint="take a network of that kind and width; in a recipe leave out train.network and train.features"))
    network.load_state_dict(found, strict=False)
    return Taken(tuple(same), tuple(adapted), tuple(new))


def _fit(name: str, source: Any, tensor: Any, pretrained: Pretrained, patch: Patch) -> Any:
    """A tensor of the weights in the shape of the network's, or None."""
    if name.endswith(_POSITIONS) and source.ndim == 3 and source.shape[::2] == tensor.shape[::2]:
        return _resized(source, pretrained.patch, patch, tensor.shape[1])
    other = (*source.shape[:1], *source.shape[2:]) == (*tensor.shape[:1], *tensor.shape[2:])
    if source.ndim == 5 and source.shape[1] == pretrained.inputs and other:
        return over_channels(source, tensor.shape[1])
    return None


def _resized(positions: Any, before: Patch, patch: Patch, tokens: int) -> Any:
    """Position embeddings (1, tokens, width) of one patch for another, by linear interpolation between tokens."""
    from torch.nn import functional

    side = round((before[0] * before[1] * before[2] / positions.shape[1]) ** (1 / 3))
    old, new = (tuple(n // side for n in size) for size in (before, patch))
    if side < 1 or old[0] * old[1] * old[2] != positions.shape[1] or new[0] * new[1] * new[2] != tokens:
        return None
    grid = positions.transpose(1, 2).reshape(1, -1, *old)
    return functional.interpolate(grid, new, mode="trilinear", align_corners=False).flatten(2).transpose(1, 2)


def _few(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:_NAMED])
    return f"{shown} and {len(names) - _NAMED} more" if len(names) > _NAMED else shown
