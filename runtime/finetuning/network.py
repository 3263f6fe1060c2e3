"""Which network a recipe fine-tunes: what it leaves open is as in the weights."""

from __future__ import annotations

from dataclasses import dataclass

from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.runtime.finetuning.recipe import FinetuneRecipe
from fdif_dsl.runtime.finetuning.rules import AUTO
from fdif_dsl.runtime.recipe import Recipe
from fdif_dsl.runtime.settings.checks import Wrong
from fdif_dsl.runtime.settings.places import complain
from fdif_dsl.runtime.training.networks import Network, check_size, find_network
from fdif_dsl.runtime.training.pretrained import Pretrained

_ELSE = "unet"  # without weights


@dataclass(frozen=True)
class Plan:
    """A network: its row in the registry, its width, and the patch (D, H, W) that it sees."""

    row: Network
    features: int
    patch: tuple[int, int, int]


def plan(recipe: FinetuneRecipe, pretrained: Pretrained | None, name: str,
         image: tuple[int, int, int] | None = None) -> Plan:
    """The recipe's network. Where images are looked at as a whole, the patch is the least that holds an `image`.

    Raises:
        FdifError: it contradicts the weights, or cannot have that size. `name` is what the recipe is called.
    """
    train = recipe.train

    def contradiction(key: str, mine: object, its: object) -> FdifError:
        assert pretrained is not None
        return FdifError(complain(recipe.source, "train", key, Wrong(
            f"the recipe's {key} is {mine}, and that of the weights is {its}", f"the weights are {pretrained.path}",
            f'leave it out, or write {key} = "{AUTO}", to take that of the weights'), code="E0935"))

    network = train.network
    if network == AUTO:
        network = pretrained.network if pretrained else _ELSE
    elif pretrained is not None and network != pretrained.network:
        find_network(network, name)  # a name that is none is the greater mistake
        raise contradiction("network", network, pretrained.network)
    row = find_network(network, name)
    usual = Recipe.load(row.recipe) if row.recipe else Recipe()
    if isinstance(train.features, int):
        features = train.features
        if pretrained is not None and row.feature_step is not None and features != pretrained.features:
            raise contradiction("features", features, pretrained.features)
    else:
        features = pretrained.features if pretrained else usual.training.features
    if not isinstance(train.patch, str):
        patch = train.patch
    elif image is not None:
        d, h, w = (max(row.least, -(-side // row.divisor) * row.divisor) for side in image)
        patch = d, h, w
    elif pretrained is not None:
        patch = pretrained.patch
    else:
        patch = usual.training.patch or usual.grid
    check_size(row, features, patch, name)
    return Plan(row, features, patch)
