"""A network of the user's: a function named as `package.module:function`."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError, did_you_mean

Patch = tuple[int, int, int]


def load(name: str, where: str) -> Callable[..., Any]:
    """A builder, as a row of the registry has it, that calls the user's function.

    The function is given, by name and where it has such parameters, `in_channels`, `out_channels`, `patch` and
    `features`. Modules are found as Python finds them, and in the current folder.

    Raises:
        FdifError: no such module or function, or an error in it. `where` names the recipe.
    """
    module_name, _, attribute = name.partition(":")

    def wrong(title: str, why: str = "", hint: str = "") -> FdifError:
        return FdifError(Diagnostic("E0852", title, where=f"{where}: train.network", why=why, hint=hint))

    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)  # behind all others, so that it hides nothing
    try:
        module = import_module(module_name)
    except Exception as error:  # whatever the user's own code does
        raise wrong(f"the module `{module_name}` cannot be loaded", f"{type(error).__name__}: {error}",
                    "modules are looked for in the current folder and where Python finds packages") from error
    function = getattr(module, attribute, None)
    if not callable(function):
        raise wrong(f"`{module_name}` has no function `{attribute}`",
                    hint=did_you_mean(attribute, [n for n in vars(module) if not n.startswith("_")])
                    or "write package.module:function")

    def build(features: int, channels: int, patch: Patch, inputs: int = 1) -> Any:
        import torch

        given = {"in_channels": inputs, "out_channels": channels, "patch": patch, "features": features}
        parameters = inspect.signature(function).parameters
        try:
            network = function(**{k: v for k, v in given.items() if k in parameters})
        except Exception as error:
            raise wrong(f"`{name}` fails", f"{type(error).__name__}: {error}",
                        f"it is called with those of {', '.join(given)} that it has parameters for") from error
        if not isinstance(network, torch.nn.Module):
            raise wrong(f"`{name}` makes no network", f"it gives {type(network).__name__}, not a torch.nn.Module",
                        "return the network that the function makes")
        _try(network, patch, inputs, channels, wrong)
        return network

    return build


def _try(network: Any, patch: Patch, inputs: int, channels: int, wrong: Callable[..., FdifError]) -> None:
    """Raises what `wrong` makes where the network cannot take a patch, or answers with another shape."""
    import torch

    training = network.training
    network.eval()
    try:
        with torch.no_grad():
            out = network(torch.zeros(1, inputs, *patch))
    except Exception as error:
        raise wrong(f"the network cannot take patches of {' x '.join(map(str, patch))} voxels",
                    f"{type(error).__name__}: {error}", "change train.patch, or the network") from error
    network.train(training)
    out = out[0] if isinstance(out, list | tuple) else out
    wanted = (1, channels, *patch)
    if tuple(out.shape) != wanted:
        raise wrong(f"the network gives an output of shape {tuple(out.shape)} where {wanted} is expected",
                    f"the recipe's labels have {channels} classes, background among them, and each voxel gets one",
                    "give the function a parameter `out_channels` and use it")
