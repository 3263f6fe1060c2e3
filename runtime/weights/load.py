"""`load_pretrained`: a network with trained weights, and a head for one's own classes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError
from fdif_dsl.runtime.training.networks import Network, check_size, find_network
from fdif_dsl.runtime.training.pretrained import Pretrained
from fdif_dsl.runtime.weights.source import read_weights
from fdif_dsl.runtime.weights.transfer import Taken, take_over

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Pretraining:
    """What a network was trained on before. `classes` are those that it learnt to tell, background among them, by what
    they are classes of; `normalise` says how grey levels were given to it, `taken` which tensors came from the weights.
    `library` is the hash of the formulas."""

    source: Path
    network: str
    patch: tuple[int, int, int]
    task: str
    classes: dict[str, tuple[str, ...]]
    normalise: str
    step: int
    library: str
    version: str
    taken: Taken

    def __str__(self) -> str:
        """A few lines for a log."""
        learnt = ", ".join(f"{len(names)} outputs for {what}" for what, names in self.classes.items())
        patch = " x ".join(map(str, self.patch))
        return (f"{self.network} of {self.source}, step {self.step}: {self.task}, {learnt}\n"
                f"patches of {patch} (z, y, x), grey levels {self.normalise}\n{self.taken}")


def load_pretrained(where: str | Path, network: str | torch.nn.Module | None = None, *,
                    out_channels: int | None = None, in_channels: int | None = None,
                    patch: tuple[int, int, int] | None = None) -> torch.nn.Module:
    """A network with trained weights, whose attribute `pretraining` says on what.

        network = fd.load_pretrained("hf://user/name", out_channels=5)
        print(network.pretraining)

    Args:
        where: a run of `fdifc pretrain` or `fdifc finetune`, an export, a file of either, `hf://user/name` for the
            Hugging Face hub, or the name of weights that come with the package.
        network: None builds the network of the weights. A module of one's own is filled in its place, as far as names
            and shapes are those of the weights, but for the head; a name of `fdifc list networks` is checked.
        out_channels: the last layers are made anew for so many classes, background among them. None keeps them as
            they were trained.
        in_channels: channels of the images, else those that the weights are for. Kernels that read the image are
            repeated for them.
        patch: (D, H, W), for a network of a fixed patch; else that of the weights.

    Returns:
        The network, in training mode. From (b, in_channels, D, H, W) it gives (b, out_channels, D, H, W).

    Raises:
        FdifError: nothing is there, it is something else, the hub cannot be reached, or it does not fit.
    """
    pretrained = read_weights(where)
    if isinstance(network, str) and network != pretrained.network:
        find_network(network, "network")
        raise _wrong(f"the weights are of `{pretrained.network}`, and not of `{network}`", pretrained,
                     "leave out `network` to build that of the weights")
    row, patch = find_network(pretrained.network, str(pretrained.path)), patch or pretrained.patch
    keeps = out_channels is None and (network is None or isinstance(network, str))
    if network is None or isinstance(network, str):
        made: Any = _built(row, pretrained, out_channels, in_channels or pretrained.inputs, patch)
    else:
        if (out_channels, in_channels) != (None, None):
            raise _wrong("a module of your own has the channels that it has", pretrained,
                         "leave out out_channels and in_channels, or `network`")
        made = network
    taken = take_over(made, row, pretrained, patch, head=keeps)
    if keeps and (lacking := [name for name in taken.new if row.head and name.startswith(row.head)]):
        raise _wrong("these weights have no head", pretrained, "give out_channels, the number of your classes",
                     f"{lacking[0]} is not among them")
    made.pretraining = Pretraining(
        pretrained.path, row.name, pretrained.patch, pretrained.task, dict(pretrained.tasks), pretrained.normalise,
        pretrained.step, pretrained.library, pretrained.version, taken)
    out: torch.nn.Module = made
    return out


def _built(row: Network, pretrained: Pretrained, out_channels: int | None, in_channels: int,
           patch: tuple[int, int, int]) -> Any:
    check_size(row, pretrained.features, patch, "load_pretrained")
    if not row.takes(in_channels):
        raise _wrong(f"`{row.name}` cannot take images of {in_channels} channels", pretrained,
                     f"it takes {row.inputs} channels")
    made = row.build(pretrained.features, pretrained.channels if out_channels is None else out_channels, patch,
                     in_channels)
    decoder: Any = getattr(made, "decoder", None)
    if hasattr(decoder, "deep_supervision"):  # nnU-Net's: one output, and not a list of them
        decoder.deep_supervision = False
    return made


def _wrong(title: str, pretrained: Pretrained, hint: str, why: str = "") -> FdifError:
    return FdifError(Diagnostic("E0962", title, where=str(pretrained.path), why=why, hint=hint))
