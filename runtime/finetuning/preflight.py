"""What is settled before the first run starts: the weights, the network, the device, and then the data set.

What a recipe leaves open of its network is as in the weights.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from fdif_dsl.compiler.support.progress import Progress
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError
from fdif_dsl.runtime.finetuning.data.cases import Case
from fdif_dsl.runtime.finetuning.data.normalisation import schemes, told
from fdif_dsl.runtime.finetuning.data.preprocessing import Bank, open_data
from fdif_dsl.runtime.finetuning.data.split import Split, splits
from fdif_dsl.runtime.finetuning.recipe import FinetuneRecipe
from fdif_dsl.runtime.finetuning.rules import AUTO
from fdif_dsl.runtime.recipe import Recipe
from fdif_dsl.runtime.settings.checks import Wrong
from fdif_dsl.runtime.settings.places import complain
from fdif_dsl.runtime.settings.wording import counted
from fdif_dsl.runtime.training.devices import Place, find_accelerator, find_precision, tell_of_tasks
from fdif_dsl.runtime.training.extra import require
from fdif_dsl.runtime.training.networks import Network, check_size, find_network
from fdif_dsl.runtime.training.pretrained import Pretrained
from fdif_dsl.runtime.weights.source import read_weights

PRETRAINED, SCRATCH = "pretrained", "scratch"
_ELSE = "unet"  # without weights


@dataclass(frozen=True)
class Plan:
    """A network: its row in the registry, its width, and the patch (D, H, W) that it sees."""

    row: Network
    features: int
    patch: tuple[int, int, int]


@dataclass(frozen=True)
class Settled:
    """`pretrained` is None where the recipe names no weights."""

    pretrained: Pretrained | None
    plan: Plan
    place: Place

    def start(self, scratch: bool) -> str:
        """What a run starts from."""
        return PRETRAINED if self.pretrained is not None and not scratch else SCRATCH


def settle(recipe: FinetuneRecipe, name: str, compare: bool, image: tuple[int, int, int] | None = None) -> Settled:
    """Reads the weights and chooses the network. `name` is what the recipe is called; `image` (D, H, W) is the size of
    images that are looked at as a whole.

    Raises:
        FdifError: packages are missing, the recipe names no data, or, to `compare` with, no weights; the weights, the
            network or the machine do not do.
    """
    require("lightning.pytorch")
    require("monai.losses")
    require("scipy.ndimage")
    accelerator, mistakes = find_accelerator(recipe.train.accelerator, recipe.source, "small")
    if recipe.data.path == "none":
        mistakes.append(complain(recipe.source, "data", "path", Wrong(
            "the recipe does not say which data set it fine-tunes on",
            hint="give it with --data PATH, or as `path` in [data]"), code="E0907"))
    if compare and recipe.train.weights == "none":
        mistakes.append(complain(recipe.source, "train", "weights", Wrong(
            "there are no weights to compare with a start from scratch",
            hint="give those of a run of `fdifc pretrain` with --weights"), code="E0945"))
    if mistakes:
        raise FdifError(*mistakes)
    tell_of_tasks()
    pretrained = None if recipe.train.weights == "none" else read_weights(recipe.train.weights)
    return Settled(pretrained, plan(recipe, pretrained, name, image),
                   Place(accelerator, 1, 1, find_precision(recipe.train.precision, accelerator)))


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


@dataclass(frozen=True)
class Work:
    """A recipe, called `name`, with the network and the data that it names. `splits` are the cases that may be trained
    on and those that are scored, for an ensemble of each fold; `warnings` are of what works and is hardly meant."""

    recipe: FinetuneRecipe
    name: str
    settled: Settled
    bank: Bank
    splits: tuple[Split, ...]
    warnings: tuple[Diagnostic, ...] = ()

    @property
    def train(self) -> tuple[Case, ...]:
        """All cases that may be trained on."""
        return tuple(dict.fromkeys(case for train, _ in self.splits for case in train))

    @property
    def held_out(self) -> tuple[Case, ...]:
        """All cases that are scored."""
        return tuple(case for _, held_out in self.splits for case in held_out)

    @property
    def schemes(self) -> tuple[str, ...]:
        """How the grey levels of each channel are normalised."""
        data = self.bank.data
        return schemes(self.recipe.data.normalise, data.list.channels, data.channels)

    def __str__(self) -> str:
        """What is about to happen."""
        data, recipe = self.bank.data, self.recipe
        count = recipe.data.cases or len(self.train)
        spacing = self.bank.spacing
        voxels = "" if spacing is None else "; voxels (z, y, x) of {:.3g} x {:.3g} x {:.3g} mm".format(*spacing)
        steps = counted(recipe.train.steps, "step")
        cases = (f"on {count} of {counted(len(self.train), 'case')}, with {len(self.held_out)} held out"
                 if len(self.splits) == 1 else f"for each of {len(self.splits)} folds of {len(self.held_out)} cases")
        return (f"fine-tuning {self.settled.plan.row.name} for {steps} {cases}{self._why_these}\n"
                f"{data.list.path}: {self._learnt}, "
                f"{counted(data.channels, 'channel')}{voxels}\n"
                f"grey levels: {told(self.schemes, data.list.channels)}")

    @property
    def _learnt(self) -> str:
        data = self.bank.data
        ignored = "" if data.list.ignore is None else f" (voxels labelled {data.list.ignore} are left out)"
        if data.list.regions:
            return counted(len(data.scored), "region") + ignored
        return f"{len(data.scored)} {'class' if len(data.scored) == 1 else 'classes'}{ignored}"

    @property
    def _why_these(self) -> str:
        """Which choice of held-out cases it is, where the data set comes with one."""
        data, settings = self.bank.data.list, self.recipe.data
        if data.folds is None:
            return ""
        return ": those of its validation list, not of its folds" if self.held_out == data.held_out else (
            f": fold {settings.fold} of {data.folds.source}" if not settings.ensemble else f": {data.folds.source}")


def begin(recipe: FinetuneRecipe, name: str, compare: bool, data: Bank | None = None,
          progress: Progress | None = None) -> Work:
    """Reads and checks what the recipe names; nothing is written.

    Raises:
        FdifError: the data, the weights, the network or the machine do not do.
    """
    settled = settle(recipe, name, compare)
    if data is None:
        data = open_data(recipe, progress)
    elif not data.fits(recipe):
        raise ValueError("these prepared cases are of another data set, spacing or orientation")
    row = settled.plan.row
    if not row.takes(data.data.channels):
        raise FdifError(Diagnostic(
            "E0938", f"`{row.name}` cannot take images of {data.data.channels} channels",
            where=f"{name}: train.network", why=f"it repeats its input until it has {row.repeats} channels",
            hint=f"take another network, or {row.inputs} channels"))
    if ":" in row.name:  # a network of the user's is tried before anything is written
        row.build(settled.plan.features, data.data.outputs, settled.plan.patch, data.data.channels)
    work = Work(recipe, name, settled, data, splits(data.data.list, recipe))
    train, held_out = work.train, work.held_out
    drawn = recipe.data.cases * len(recipe.train.seeds) * len(work.splits) or len(train)
    return replace(work, warnings=data.data.warnings + data.check_memory(train, held_out, drawn))
