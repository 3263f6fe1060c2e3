"""What a data set is made of and how a network is trained on it: a value, and TOML on disk.

No shape, displacement or mapper is named in Python: the paper's choices stand in `recipes/paper.toml`,
and whatever a recipe leaves out is taken from there.
"""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fdif_dsl.compiler.formula import Formula
from fdif_dsl.compiler.parameters import kind_of
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError, Label, did_you_mean
from fdif_dsl.grammar.source import SourceFile, Span
from fdif_dsl.runtime import checks
from fdif_dsl.runtime.checks import Rule, Wrong
from fdif_dsl.runtime.meaning import MEANINGS, MOST, Meaning, meaning_of
from fdif_dsl.runtime.overrides import parse_override

if TYPE_CHECKING:
    from fdif_dsl.compiler.library import Library

Sources = tuple[SourceFile, ...]

PAPER: Any = None
"""What a field holds until the paper's value is put in its place."""

_TOML = "a recipe has sections like [volume] and lines like objects = 20"
OBJECTS = 10_000
"""The most objects of a volume."""


@dataclass(frozen=True)
class Placement:
    """Where an object may lie; but for `grid_scale`, each number is the half-width of a uniform distribution around
    zero."""

    translate: float = PAPER
    """Shift along each axis, as a fraction of the axis's own size."""
    rotation: float = PAPER
    """Turn about each axis, in degrees."""
    shear: float = PAPER
    """Each of the three numbers of the symmetric shear; below 1/2, so that no object is flattened."""
    grid_scale: float = PAPER
    """How much of the grid is seen: below 1, the voxels of an axis are spread evenly over that part of it, around the
    middle and with both ends, so objects look larger and `translate` moves them further."""

    def __post_init__(self) -> None:
        _complete(self, "placement")


@dataclass(frozen=True)
class Training:
    """How a network is trained: what it learns, the optimisation, and on which devices."""

    task: str = PAPER
    """`segmentation`, or `classification` of volumes that hold one object."""
    network: str = PAPER
    """A name of `fdifc list networks`, or a function of one's own as `package.module:function`."""
    features: int = PAPER
    """The width of networks that can be had in several."""
    batch: int = PAPER
    """Volumes a step, on each device, and each time where gradients are accumulated."""
    crops: int = PAPER
    """Crops of each volume."""
    patch: tuple[int, int, int] | None = PAPER
    """The size (D, H, W) of a crop; None is the whole volume."""
    dice: str = PAPER
    """Which classes the Dice loss is a mean of: `all`, or those `present` in the crop."""
    optimizer: str = PAPER
    """`adamw`, or `sgd` with a Nesterov momentum of 0.99."""
    lr: float = PAPER
    weight_decay: float = PAPER
    schedule: str = PAPER
    """How the learning rate falls to 0: `cosine`, `poly` (power 0.9), or `constant`, which does not fall."""
    steps: int = PAPER
    """Steps of the optimiser."""
    warmup: int = PAPER
    """Steps until the learning rate is `lr`; from there it falls."""
    accumulate: int = PAPER
    """Batches whose gradients make one step."""
    clip: float = PAPER
    """The greatest norm of a gradient; 0 does not clip."""
    ema: float = PAPER
    """The decay of the mean of the weights that is validated and exported; 0 takes the weights themselves."""
    precision: str = PAPER
    compile: bool = PAPER
    """Whether `torch.compile` compiles the network."""
    recompute: bool = PAPER
    """Whether activations are computed again in the backward pass, which saves memory and costs time."""
    accelerator: str = PAPER
    """`gpu`, `cpu`, or `auto`, a GPU where there is one."""
    devices: int = PAPER
    """Processes on each machine, each on a device of its own; torchrun and Slurm say it themselves."""
    nodes: int = PAPER
    """Machines."""
    volumes: str = PAPER
    """Where volumes are drawn: `cpu`, or `gpu`, the one that trains on them."""
    workers: int = PAPER
    """Processes that render, for each device; 0 renders in threads of the training process."""
    seed: int = PAPER

    def __post_init__(self) -> None:
        _complete(self, "train")


@dataclass(frozen=True)
class Augmentation:
    """What happens to a crop before the network sees it, on the device."""

    normalise: str = PAPER
    """`unit`, grey levels from 0 to 1; or `zscore`, mean 0 and standard deviation 1 in each volume."""
    flip: float = PAPER
    """The chance of a flip along each axis."""
    turn: float = PAPER
    """The chance of one to three quarter turns about an axis."""
    shift: float = PAPER
    """The chance of a constant that is added to all grey levels."""
    shift_by: float = PAPER
    """The greatest such constant, to either side, after normalisation."""

    def __post_init__(self) -> None:
        _complete(self, "augment")


@dataclass(frozen=True)
class Monitor:
    """How a run is watched: validation on volumes that are never trained on, checkpoints, loggers."""

    validate: int = PAPER
    """Steps from one validation to the next; 0 does not validate."""
    volumes: int = PAPER
    """Volumes of the validation set."""
    checkpoint: int = PAPER
    """Steps from one checkpoint to the next."""
    keep: int = PAPER
    """How many of the last checkpoints are kept, beside the best."""
    wandb: str | None = PAPER
    """The project to log to with Weights & Biases; None does not."""

    def __post_init__(self) -> None:
        _complete(self, "monitor")


@dataclass(frozen=True)
class Recipe:
    """What the volumes of a data set are drawn from.

    A field that is left out has the paper's value. Lists come out as tuples, each entry with the same
    chance. Raises `FdifError` with one diagnostic for each impossible value.
    """

    grid: tuple[int, int, int] = PAPER
    """Voxels (D, H, W)."""
    objects: int | tuple[int, int] = PAPER
    """How many objects a volume has: a number, or (least, most)."""
    shapes: Sequence[str] | None = None
    """Classes to choose from; None is all of the library."""
    displacements: Sequence[str | None] = PAPER
    """Displacements to choose from; the entry None (in TOML "none") is no displacement, and so is an empty list."""
    mappers: Sequence[str] = PAPER
    label: str = PAPER
    """What a label means: `shape`, the object's class; `shape_mapper` and `shape_displacement_mapper`, a class for each
    combination; `multi_task`, three labels, for shape, displacement and mapper. See `meaning.py`."""
    placement: Placement = field(default_factory=Placement)
    training: Training = field(default_factory=Training)
    augment: Augmentation = field(default_factory=Augmentation)
    monitor: Monitor = field(default_factory=Monitor)
    source: Sources = field(default=(), repr=False, compare=False)
    """The texts it was read from, the one that overrides the others first; for messages."""

    def __post_init__(self) -> None:
        values = _complete(self, "volume", "classes")
        patch = self.training.patch
        if patch is not None and any(p > n for p, n in zip(patch, values["grid"], strict=True)):
            raise FdifError(complain(self.source, "train", "patch", Wrong(
                f"a crop of {list(patch)} does not fit into a volume of {list(values['grid'])}",
                hint="make the patch smaller, the grid larger, or leave the patch out to take the whole volume")))

    @property
    def object_range(self) -> tuple[int, int]:
        """The least and the most objects of a volume."""
        return (self.objects, self.objects) if isinstance(self.objects, int) else self.objects

    @classmethod
    def load(cls, name_or_path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
        """A built-in recipe by its name, or the recipe in a TOML file.

        `overrides` are texts like `train.steps=1000` that replace its values; a warm-up that is not among them
        ends with the run at the latest. Raises `FdifError` with one diagnostic for each mistake, at its line of the
        file.
        """
        known = _built_in_names()
        if isinstance(name_or_path, str) and name_or_path in known:
            return _read(_built_in_source(name_or_path), overrides) if overrides else _built_in(name_or_path)
        path = Path(name_or_path)
        if path.suffix != ".toml" and not path.exists():
            raise FdifError(Diagnostic(
                "E0501", f"no recipe is called `{name_or_path}`",
                why=f"the built-in recipes are {', '.join(f'`{r}`' for r in known)}",
                hint=did_you_mean(str(name_or_path), known) or "a recipe of your own is a file that ends in .toml"))
        try:
            return _read(SourceFile(str(path), path.read_text(encoding="utf-8")), overrides)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise FdifError(Diagnostic("E0502", "cannot read the recipe", where=str(path), why=str(reason),
                                       hint="check the path; `fdifc list recipes` shows the built-in ones")) from None

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """The recipe as the sections and keys of its TOML form; for a record beside a data set."""
        return {
            "volume": {"grid": list(self.grid), "objects": self.objects if isinstance(self.objects, int)
                       else list(self.objects), "label": self.label},
            "placement": asdict(self.placement),
            "classes": {"shapes": "all" if self.shapes is None else list(self.shapes),
                        "displacements": ["none" if d is None else d for d in self.displacements],
                        "mappers": list(self.mappers)},
            "train": asdict(self.training) | {"patch": list(self.training.patch) if self.training.patch else "grid"},
            "augment": asdict(self.augment),
            "monitor": asdict(self.monitor) | {"wandb": self.monitor.wandb or "none"},
        }

    def to_toml(self, about: str) -> str:
        """The recipe in full as a TOML text, which `load` reads again."""
        sections = (f"[{name}]\n" + "".join(f"{key} = {_toml(value)}\n" for key, value in table.items())
                    for name, table in self.to_dict().items())
        return f"about = {_toml(about)}\n\n" + "\n".join(sections)


def _toml(value: Any) -> str:
    """A value as TOML; JSON writes texts, numbers, truth values and lists of them alike."""
    return json.dumps(value, ensure_ascii=False)


@dataclass(frozen=True)
class Choices:
    """A recipe's lists as formulas of one library, each entry with the same chance, and what its labels mean."""

    shapes: tuple[Formula, ...]
    displacements: tuple[Formula | None, ...]
    mappers: tuple[Formula, ...]
    meaning: Meaning

    @property
    def formulas(self) -> tuple[Formula, ...]:
        """All of them together."""
        return (*self.shapes, *(d for d in self.displacements if d is not None), *self.mappers)


def recipes() -> dict[str, str]:
    """The built-in recipes: name to description."""
    return {name: str(_parse(_built_in_source(name)).get("about", "")) for name in _built_in_names()}


def resolve(recipe: Recipe, library: Library) -> Choices:
    """The recipe's choices in a library.

    A list that is the paper's is a wish: what a library of one's own lacks of it is passed over, and
    where nothing is left, all of the library is taken. Any other list was chosen, and a name that the
    library lacks is an error.
    """
    mistakes: list[Diagnostic] = []

    def pick(what: str, known: Mapping[str, Any]) -> tuple[Formula | None, ...]:
        wanted: Sequence[str | None] | None = getattr(recipe, what)
        if wanted is not None and wanted == _paper("classes")[what]:
            found = [n for n in wanted if n in known]
            wanted = [n for n in wanted if n is None or n in known] if found else [*known, *([None] * (None in wanted))]
        elif wanted is None:
            wanted = list(known)
        mistakes.extend(complain(recipe.source, "classes", what, Wrong(
            f"the library has no {what[:-1]} `{name}`",
            hint=did_you_mean(name, known) or f"`fdifc list {what}` shows what there is"), quoted=name)
            for name in wanted if name is not None and name not in known)
        if not wanted and what != "displacements":
            mistakes.append(Diagnostic("E0505", f"the library has no {what[:-1]}",
                                       why=f"each object of a volume needs one of its {what}",
                                       hint=f"declare a {what[:-1]} in the library, or add "
                                       f"`use {'classes' if what == 'shapes' else what}` for the standard ones"))
        return tuple(None if n is None else known[n].formula for n in wanted if n is None or n in known)

    shapes, mappers = pick("shapes", library.shapes), pick("mappers", library.mappers)
    displacements = pick("displacements", library.displacements) or (None,)
    if mistakes:
        raise FdifError(*mistakes)
    meaning = meaning_of(recipe.label, [f.name for f in shapes if f], [d.name if d else None for d in displacements],
                         [f.name for f in mappers if f])
    for task in meaning.tasks:
        if task.count > MOST:
            raise FdifError(complain(recipe.source, "volume", "label", Wrong(
                f"`{recipe.label}` makes {task.count} classes of this recipe's choices",
                f"a label has at most {MOST}", "choose from fewer classes in [classes], or label by `shape`")))
    return Choices(tuple(f for f in shapes if f), displacements, tuple(f for f in mappers if f), meaning)


def as_recipe(recipe: str | Path | Recipe) -> Recipe:
    """A recipe, from itself, its name or its path."""
    if not isinstance(recipe, str | Path | Recipe):
        raise FdifError(Diagnostic("E0501", f"{kind_of(recipe)} where a recipe is expected",
                                   hint="give a name, the path of a TOML file, or a `Recipe`"))
    return recipe if isinstance(recipe, Recipe) else Recipe.load(recipe)


def _objects(value: Any) -> int | tuple[int, int]:
    count = checks.whole(0, OBJECTS)
    if not isinstance(value, list | tuple):
        return int(count(value))
    if len(value) != 2:
        raise Wrong(f"a list of {len(value)} where a number or [least, most] is expected",
                    hint="write one number, or two like [1, 20]")
    least, most = (int(count(v)) for v in value)
    if least > most:
        raise Wrong(f"[{least}, {most}] is no range", hint=f"write the smaller number first: [{most}, {least}]")
    return least, most


def _shapes(value: Any) -> tuple[str, ...] | None:
    if value is None or value == "all":
        return None
    return _some("shape")(value)


def _displacements(value: Any) -> tuple[str | None, ...]:
    if isinstance(value, list | tuple):
        value = ["none" if v is None else v for v in value]
    return tuple(None if v == "none" else v for v in checks.names(value))


def _some(what: str) -> Callable[[Any], tuple[str, ...]]:
    def rule(value: Any) -> tuple[str, ...]:
        found = checks.names(value)
        if not found:
            raise Wrong("the list is empty", f"each object needs a {what}", "leave it out to keep the paper's choice")
        return found

    return rule


def _wandb(value: Any) -> str | None:
    return None if value is None or value == "none" else str(checks.text(value))


def _patch(value: Any) -> tuple[int, int, int] | None:
    return None if value is None or value == "grid" else checks.sides(value)


_RULES: dict[str, dict[str, Rule]] = {
    "volume": {
        "grid": checks.sides,
        "objects": _objects,
        "label": checks.one_of(*MEANINGS),
    },
    "placement": {
        "translate": checks.real(0, 10),
        "rotation": checks.real(0, 180),
        "shear": checks.real(0, 0.5, open_end=True),
        "grid_scale": checks.real(0.01, 1),
    },
    "classes": {"shapes": _shapes, "displacements": _displacements, "mappers": _some("mapper")},
    "train": {
        "task": checks.one_of("segmentation", "classification"),
        "network": checks.text,
        "features": checks.whole(1, 4096),
        "batch": checks.whole(1, 65536),
        "crops": checks.whole(1, 65536),
        "patch": _patch,
        "dice": checks.one_of("all", "present"),
        "optimizer": checks.one_of("adamw", "sgd"),
        "lr": checks.real(0, 1000),
        "weight_decay": checks.real(0, 1000),
        "schedule": checks.one_of("cosine", "poly", "constant"),
        "steps": checks.whole(1, 10**9),
        "warmup": checks.whole(0, 10**9),
        "accumulate": checks.whole(1, 65536),
        "clip": checks.real(0, 10**9),
        "ema": checks.real(0, 1, open_end=True),
        "precision": checks.one_of("16-mixed", "bf16-mixed", "32"),
        "compile": checks.truth,
        "recompute": checks.truth,
        "accelerator": checks.one_of("auto", "cpu", "gpu"),
        "devices": checks.whole(1, 1024),
        "nodes": checks.whole(1, 65536),
        "volumes": checks.one_of("cpu", "gpu"),
        "workers": checks.whole(0, 1024),
        "seed": checks.whole(0, 2**64 - 1),
    },
    "augment": {
        "normalise": checks.one_of("unit", "zscore"),
        "flip": checks.real(0, 1),
        "turn": checks.real(0, 1),
        "shift": checks.real(0, 1),
        "shift_by": checks.real(0, 10),
    },
    "monitor": {
        "validate": checks.whole(0, 10**9),
        "volumes": checks.whole(1, 10**6),
        "checkpoint": checks.whole(1, 10**9),
        "keep": checks.whole(1, 1000),
        "wandb": _wandb,
    },
}


def _complete(record: Any, *sections: str) -> dict[str, Any]:
    """Fills a frozen record's empty fields from the paper and checks the others, by the rules of the sections."""
    mistakes: list[Diagnostic] = []
    values: dict[str, Any] = {}
    source = getattr(record, "source", ())
    for section in sections:
        for key, rule in _RULES[section].items():
            value = getattr(record, key)
            try:
                # None stands for the paper's value, but in a list that "all" or "grid" can leave empty.
                values[key] = _paper(section)[key] if value is None else rule(value)
            except Wrong as wrong:
                mistakes.append(complain(source, section, key, wrong))
            else:
                object.__setattr__(record, key, values[key])
    if not mistakes and values.get("warmup", 0) > values.get("steps", math.inf):
        mistakes.append(complain(source, "train", "warmup", Wrong(
            f"{values['warmup']} steps of warm-up in a run of {values['steps']} steps",
            hint="make `warmup` smaller or `steps` larger")))
    if mistakes:
        raise FdifError(*mistakes)
    return values


@cache
def _paper(section: str) -> dict[str, Any]:
    """The paper's values of a section. `paper.toml` gives every key."""
    table = _parse(_built_in_source("paper"))[section]
    return {key: rule(table[key]) for key, rule in _RULES[section].items()}


@cache
def _built_in_names() -> tuple[str, ...]:
    found = [f.name.removesuffix(".toml") for f in files("fdif_dsl.runtime.recipes").iterdir()
             if f.name.endswith(".toml")]
    return tuple(sorted(found, key=lambda name: (name != "paper", name)))


@cache
def _built_in_source(name: str) -> SourceFile:
    return SourceFile(f"{name}.toml", (files("fdif_dsl.runtime.recipes") / f"{name}.toml").read_text(encoding="utf-8"))


@cache
def _built_in(name: str) -> Recipe:
    return _read(_built_in_source(name))


def _parse(source: SourceFile) -> dict[str, Any]:
    try:
        return tomllib.loads(source.text)
    except tomllib.TOMLDecodeError as error:
        message = re.fullmatch(r"(.*) \(at line (\d+), column (\d+)\)", str(error))
        if message is None:  # the end of the file
            raise FdifError(Diagnostic("E0503", "the recipe is not TOML", where=source.name, why=str(error),
                                       hint=_TOML)) from None
        why, line, column = message.groups()
        start = sum(len(text) for text in source.text.splitlines(keepends=True)[: int(line) - 1]) + int(column) - 1
        label = Label(Span(source, start, start + 1))
        raise FdifError(Diagnostic("E0503", "the recipe is not TOML", (label,), why=why, hint=_TOML)) from None
    except RecursionError:
        raise FdifError(Diagnostic("E0503", "the recipe is nested too deeply", where=source.name, hint=_TOML)) from None


def _read(source: SourceFile, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe that a TOML text holds, with some values replaced."""
    mistakes: list[Diagnostic] = []
    given: dict[str, dict[str, Any]] = {section: {} for section in _RULES}
    sources: Sources = (source,)
    _take(_parse(source), source, given, mistakes)
    replaced: set[tuple[str, str]] = set()
    for text in overrides:
        table, its = parse_override(text)
        _take(table, its, given, mistakes)
        sources = (its, *sources)
        replaced |= {(section, key) for section in table for key in table[section]}
    if mistakes:
        raise FdifError(*mistakes)
    train = given["train"]
    if ("train", "steps") in replaced and ("train", "warmup") not in replaced:  # a recipe that was made for long runs
        train["warmup"] = min(train.get("warmup", _paper("train")["warmup"]), train["steps"])
    try:
        return Recipe(**given["volume"], **given["classes"], placement=Placement(**given["placement"]),
                      training=Training(**train), augment=Augmentation(**given["augment"]),
                      monitor=Monitor(**given["monitor"]), source=sources)
    except FdifError as error:  # values that are wrong together; a nested record does not know its file
        raise FdifError(*(_in_file(sources, d) for d in error.diagnostics)) from None


def _take(tables: Mapping[str, Any], source: SourceFile, given: dict[str, dict[str, Any]],
          mistakes: list[Diagnostic]) -> None:
    """Puts the values of a parsed text into `given`, by the rules, and notes what is wrong with them."""
    for section, table in tables.items():
        if section == "about" and isinstance(table, str):
            continue
        if section not in _RULES:
            what = "section" if isinstance(table, dict) else "key"
            mistakes.append(complain((source,), "", section, Wrong(
                f"a recipe has no {what} `{section}`", f"its sections are {_listed(_RULES)}",
                _home(section) or did_you_mean(section, _RULES) or "leave it out")))
        elif not isinstance(table, dict):
            mistakes.append(complain((source,), "", section, Wrong(
                f"`{section}` is a section, not a key", hint=f"write [{section}] on a line of its own")))
        else:
            for key, value in table.items():
                try:
                    given[section][key] = _rule(section, key)(value)
                except Wrong as wrong:
                    mistakes.append(complain((source,), section, key, wrong))


def _rule(section: str, key: str) -> Rule:
    if key in _RULES[section]:
        return _RULES[section][key]
    raise Wrong(f"[{section}] has no key `{key}`", f"its keys are {_listed(_RULES[section])}",
                _home(key) or did_you_mean(key, _RULES[section]) or "leave it out")


def _home(key: str) -> str:
    """A hint to the section that a key belongs to, or an empty string."""
    return next((f"`{key}` belongs to [{section}]" for section, keys in _RULES.items() if key in keys), "")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{n}`" for n in names)


def _in_file(sources: Sources, diagnostic: Diagnostic) -> Diagnostic:
    match = re.fullmatch(r"recipe: (\w+)\.(\w+)", diagnostic.where)
    if match is None:
        return diagnostic
    return complain(sources, match[1], match[2], Wrong(diagnostic.title, diagnostic.why, diagnostic.hint))


def complain(sources: Sources, section: str, key: str, wrong: Wrong, quoted: str = "",
             code: str = "E0504") -> Diagnostic:
    """A diagnostic at a key of a recipe, in the first of its texts that has it; `quoted` is a name in its value."""
    span = next((found for found in (_find(source, section, key, quoted) for source in sources) if found), None)
    place = f"{section}.{key}" if section else key
    labels = (Label(span),) if span else ()
    where = "" if span else f"{sources[-1].name if sources else 'recipe'}: {place}"
    return Diagnostic(code, wrong.title, labels, where, wrong.why, wrong.hint)


def _find(source: SourceFile, section: str, key: str, quoted: str) -> Span | None:
    """Where a key stands, or a quoted name after it. TOML has spellings that this plain search misses."""
    here, start = "", 0
    for line in source.text.splitlines(keepends=True):
        header = re.match(r"\s*\[\s*([\w-]+)\s*\]", line)
        entry = re.match(r"\s*(?:([\w-]+)\s*\.\s*)?([\w-]+)\s*=", line)  # `key =`, or `section.key =`
        at = None
        if header and not section and header[1] == key:
            at = header.span(1)
        elif entry and (entry[1] or here) == section and entry[2] == key:
            at = entry.span(2)
        elif entry and not section and entry[1] == key:
            at = entry.span(1)
        if at:
            value = source.text.find(f'"{quoted}"', start) if quoted else -1
            if value >= 0:
                return Span(source, value, value + len(quoted) + 2)
            return Span(source, start + at[0], start + at[1])
        here = header[1] if header else here
        start += len(line)
    return None
