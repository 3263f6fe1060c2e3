"""From masks to a formula: each mask is fitted, all are brought to agree, and what they have in common is written."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fdif_dsl.compiler.frontend.built_in import home, is_library, standard_files
from fdif_dsl.compiler.frontend.builtins import RESERVED
from fdif_dsl.compiler.support.files import write_text
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError
from fdif_dsl.grammar.format import format_source
from fdif_dsl.runtime.fitting.agreement import agree
from fdif_dsl.runtime.fitting.beside import draw_beside
from fdif_dsl.runtime.fitting.descent import Guess
from fdif_dsl.runtime.fitting.distribution import Distribution, distribution_of
from fdif_dsl.runtime.fitting.grey import Levels, levels_of, mapper_text
from fdif_dsl.runtime.fitting.layout import Rows, rows_of, together
from fdif_dsl.runtime.fitting.masks import Masked, find_masks
from fdif_dsl.runtime.fitting.one import Fit, fit_one, inner_points, measured
from fdif_dsl.runtime.fitting.pose import MIRRORED, Pose
from fdif_dsl.runtime.fitting.recipe import grid_of, recipe_text
from fdif_dsl.runtime.fitting.report import draw_report
from fdif_dsl.runtime.fitting.roughness import Roughness, displacement_text, roughness_of
from fdif_dsl.runtime.fitting.target import Target, make_target, middle_of, read_stored, unit_of
from fdif_dsl.runtime.fitting.template import Template
from fdif_dsl.runtime.fitting.text import formula_text
from fdif_dsl.runtime.settings.wording import counted

if TYPE_CHECKING:
    from fdif_dsl.compiler.library import Library

_FORM = 1  # of what is kept of a fit
_SPAN = 1.5  # how much larger or smaller than all instances of a template a mask may be, without a size of its own


@dataclass(frozen=True)
class Hooks:
    """Who is told what: `note` of a line about a mask, `fitted` of a mask that is done, and of how many."""

    note: Callable[[str], None] = lambda text: None
    fitted: Callable[[int, int], None] = lambda done, total: None


@dataclass(frozen=True)
class Fitted:
    """What came of it: the files, and for each mask its name, its Dice and the mean distance of the surfaces, in
    voxels of the recipe. `rows` are the numbers of the masks, and `spread` is their distribution."""

    formula: Path
    recipe: Path
    report: Path
    names: tuple[str, ...]
    dice: tuple[float, ...]
    surface: tuple[float, ...]
    notes: tuple[str, ...]
    rows: Rows = field(repr=False)
    spread: Distribution = field(repr=False)


def fit(masks: str | Path | Sequence[str | Path], output: str | Path, template: str, *,
        label: int | Sequence[int] = 0, labels: Sequence[int] = (), library: str | Path | Library | None = None,
        name: str | None = None, images: str | Path | None = None, grid: tuple[int, int, int] | None = None,
        most: int | None = None, scale: bool | None = None, mirror: bool = True, seed: int = 0, resume: bool = True,
        command: str = "", hooks: Hooks | None = None) -> Fitted:
    """Fit a template to masks, and write its formula with priors, a recipe and a report.

    Args:
        masks: NIfTI files, folders of them, MONAI lists or raw data sets of nnU-Net.
        output: the file to write, `NAME.sdf`; the recipe and the folder `report` come to lie beside it.
        template: the class whose random quantities are fitted.
        label: which label of the masks, or several that are taken as one; 0 is all that is not 0.
        labels: labels that are fitted each by itself, as the parts of one group.
        library: where that class is; without it, among the libraries that come along.
        name: of the shape that is written; without it, that of the file.
        images: a folder with the images of masks that are given as files.
        grid: the voxels (D, H, W) of the recipe; without it, about those of the masks' images.
        most: take the first so many masks.
        scale: whether each mask has a size beside the template's own quantities; None is where these do not reach.
        mirror: whether a mask may be the mirror image of others, along x.
        seed: of all that is random; the same seed gives the same files.
        resume: take masks that an earlier call has fitted from its report.

    Raises:
        FdifError: masks, labels or a template that cannot be used.
    """
    hooks = hooks or Hooks()
    paths = [Path(m) for m in ([masks] if isinstance(masks, str | Path) else masks)]
    output = Path(output)
    name = _name(output, name, template)
    chosen = [(one,) for one in labels] if labels else [(label,) if isinstance(label, int) else tuple(label)]
    found = find_masks(paths, None if images is None else Path(images), most)
    if len(found) < 2:
        raise FdifError(Diagnostic("E0975", "one mask alone tells nothing of how masks differ", where=found[0].name,
                                   hint="give two masks or more; a shape that is one mask is "
                                   f'`shape {name} = field("{found[0].label.name}")`'))
    parts = _parts(found, chosen, hooks)
    targets = [target for part in parts for target in part.targets]
    grid = grid or grid_of(targets)
    lib, module = _library(template, library)
    made = Template(lib, template, min(grid))
    scaled = _needs_scale(made, targets) if scale is None else scale
    report = output.parent / "report"
    report.mkdir(parents=True, exist_ok=True)
    memory = _Memory(report / "fits.json", _key(lib, template, grid, scaled, seed), resume)
    fits, rows = {}, {}
    for number, part in enumerate(parts):
        each = []
        for k, (mask, target) in enumerate(zip(found, part.targets, strict=True)):
            guess = memory.get(mask, part.labels)
            one = measured(made, target, guess) if guess else fit_one(made, target, seed, scaled, _device())
            memory.put(mask, part.labels, one.guess)
            each.append(one)
            hooks.fitted(number * len(found) + k + 1, len(parts) * len(found))
        fits[part.name] = agree(made, each, seed, scaled, mirror and not labels, _device())
        rows[part.name] = rows_of(made, fits[part.name], scaled, part.places if labels else None)
    whole = together(rows) if labels else rows[""]
    spread = distribution_of(whole.numbers, whole.low, whole.high)
    every = [one for each in fits.values() for one in each]
    rough = roughness_of(made, every, seed)
    told = _Found(name, template, module, parts, fits, whole, spread, rough, grid, command or "fd.fit(...)")
    _write(told, output)
    write_text(report / "masks.json", json.dumps(_table(every), indent=1) + "\n")
    draw_report(made, every, output, told.shapes, grid, report)
    if parts[0].levels:
        draw_beside(found, [part.labels for part in parts], output, told.shapes, report / "beside.png")
    return Fitted(output, output.with_suffix(".toml"), report, tuple(f.target.name for f in every),
                  tuple(f.dice for f in every), tuple(f.surface for f in every),
                  tuple(note for part in parts for note in part.notes), whole, spread)


@dataclass(frozen=True)
class _Part:
    """What is fitted to for some labels of all masks: one part of a group, or with no name all that there is. `places`
    (masks, 3) are the middles of the masks from those of their groups."""

    name: str
    labels: tuple[int, ...]
    targets: tuple[Target, ...]
    levels: tuple[Levels, ...]
    places: np.ndarray
    notes: tuple[str, ...]
    unit: float


def _parts(found: Sequence[Masked], chosen: Sequence[tuple[int, ...]], hooks: Hooks) -> list[_Part]:
    """The parts of a group, or the one part that there is; what is to be said of a mask is told."""
    stored = [read_stored(mask.label) for mask in found]
    unit = unit_of(stored)
    parts = []
    for labels in chosen:
        name = "" if len(chosen) == 1 else str(labels[0])
        targets = [make_target(f"{mask.name} {name}".rstrip(), mask.label, one, labels, unit)
                   for mask, one in zip(found, stored, strict=True)]
        levels = [levels_of(mask.image, one, target, unit) for mask, one, target in
                  zip(found, stored, targets, strict=True) if mask.image is not None]
        every = tuple(number for part in chosen for number in part)
        # The middle of a target is told from the middle of its image, that of a group from its corner.
        places = np.stack([t.centre + (t.room - np.array(one.spacing[::-1]) / unit) / 2 - middle_of(one, every, unit)
                           for t, one in zip(targets, stored, strict=True)])
        notes = tuple(f"{target.name} {note}" for target in targets for note in target.notes)
        for note in notes:
            hooks.note(note)
        parts.append(_Part(name, labels, tuple(targets), tuple(levels), places, notes, unit))
    return parts


@dataclass(frozen=True)
class _Found:
    """All that is written down."""

    name: str
    template: str
    module: Path
    parts: Sequence[_Part]
    fits: Mapping[str, Sequence[Fit]]
    rows: Rows
    spread: Distribution
    rough: Roughness
    grid: tuple[int, int, int]
    command: str

    @property
    def shapes(self) -> list[str]:
        """The names of what is written: of the shape, or of the parts of a group."""
        return [f"{self.name}_{part.name}" if part.name else self.name for part in self.parts]


def _write(what: _Found, output: Path) -> None:
    """Write the formula and the recipe."""
    from fdif_dsl.compiler.library import load_library

    every = [fit for each in what.fits.values() for fit in each]
    # A mirrored mask is told by its side, so all have the base of one that is not.
    first = {part: each[0].pose for part, each in what.fits.items()}
    bases = {part: pose.base * (MIRRORED if pose.mirror < 0 else 1) for part, pose in first.items()}
    mirrored = float(np.mean([fit.pose.mirror < 0 for fit in every]))
    about = _about(every, len(every) // len(what.parts), what.parts[0].unit, what.template, what.command)
    text = formula_text(what.name, what.template, what.module.stem, about, what.rows, what.spread, bases, mirrored)
    shapes = what.shapes
    for shape, part in zip(shapes, what.parts, strict=True):
        text += f"\n{mapper_text(shape, part.levels)}" if part.levels else ""
    bumps = f"{what.name}_rough"
    text += f"\n{displacement_text(bumps, what.rough, min(what.grid))}"
    _beside(what.module, output)
    write_text(output, format_source(text))
    levels = {shape: part.levels for shape, part in zip(shapes, what.parts, strict=True) if part.levels}
    write_text(output.with_suffix(".toml"), recipe_text(
        output.stem, shapes, what.grid, what.parts[0].targets, list(load_library().shapes), bumps, levels,
        what.command))


def _name(output: Path, name: str | None, template: str) -> str:
    name = output.stem if name is None else name
    if name == template or name in RESERVED:
        raise FdifError(Diagnostic("E0976", f"the shape cannot be called `{name}`", where="output",
                                   why="that is the template's name" if name == template else "it is built in",
                                   hint="write to a file of another name"))
    if output.suffix != ".sdf" or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        raise FdifError(Diagnostic("E0976", f"`{output}` cannot be written", where="output",
                                   why="the shape is called like its file, by letters, digits and `_`",
                                   hint="write a name such as liver.sdf"))
    return name


def _library(template: str, library: Any) -> tuple[Library, Path]:
    """The library with the template, and the file that declares it."""
    from fdif_dsl.compiler.library import load_library

    if library is None:
        library = home(template, ("shape",)) or None
    lib = load_library(library) if library is None or isinstance(library, str | Path) else library
    place = lib.shapes[template].formula.place.rsplit(":", 2)[0]
    stem = Path(place).stem
    ours = next((path for path in standard_files() if path.stem == stem), None)
    return lib, ours if ours is not None and not Path(place).is_file() else Path(place)


def _beside(module: Path, output: Path) -> None:
    """Put a template's own file beside the formula, which names it."""
    output.parent.mkdir(parents=True, exist_ok=True)
    if not is_library(module.stem) and module.resolve().parent != output.resolve().parent:
        shutil.copy(module, output.parent / module.name)


def _needs_scale(template: Template, targets: Sequence[Target]) -> bool:
    """Whether masks are larger or smaller than all that the template's own lengths give."""
    if not template.numbers.length.any():
        return True
    step = 1.5 * template.side / 24
    volumes = [len(inner_points(template, values)) * step**3 for values in template.instances(24, 0)]
    sizes = [t.volume for t in targets]
    return min(sizes) < min(volumes) / _SPAN or max(sizes) > _SPAN * max(volumes)


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _about(fits: Sequence[Fit], masks: int, unit: float, template: str, command: str) -> list[str]:
    """Where a formula comes from: what a reader has to know of the masks, and nothing of any of them alone."""
    volumes = np.array([f.target.volume for f in fits]) * unit**3
    dice = np.array([f.dice for f in fits])
    cut = sum(any("border" in note for note in f.target.notes) for f in fits)
    sizes = f"{volumes.min():.0f} to {volumes.max():.0f} mm3, {unit:g} mm a voxel"
    lines = [f"A `{template}` fitted to {counted(masks, 'mask')} of {sizes}; mean Dice {dice.mean():.3f}, the "
             f"least {dice.min():.3f}.", ""]
    if cut:
        lines.append(f"{cut} of them {'are' if cut > 1 else 'is'} cut by the border of the image.")
    return [*lines, f"Made by `{command or 'fd.fit(...)'}`."]


def _table(fits: Sequence[Fit]) -> list[dict[str, Any]]:
    return [{"mask": f.target.name, "dice": round(f.dice, 4), "surface_distance": round(f.surface, 3),
             "mirrored": f.pose.mirror < 0, "notes": list(f.target.notes)} for f in fits]


def _key(lib: Library, template: str, grid: tuple[int, int, int], scaled: bool, seed: int) -> str:
    told = json.dumps([_FORM, sorted(lib.sources.items()), template, grid, scaled, seed])
    return hashlib.sha256(told.encode()).hexdigest()


class _Memory:
    """Masks that are fitted, in a file of the report: by what is fitted how, and the checksum of each mask."""

    def __init__(self, path: Path, key: str, resume: bool) -> None:
        self._path, self._key = path, key
        self._fits: dict[str, Any] = {}
        if resume and path.is_file():
            try:
                kept = json.loads(path.read_text("utf-8"))
                self._fits = kept["fits"] if kept["key"] == key else {}
            except (ValueError, KeyError, TypeError):  # what is damaged is fitted again
                pass

    def get(self, mask: Masked, labels: tuple[int, ...]) -> Guess | None:
        kept = self._fits.get(_sum(mask.label, labels))
        if kept is None:
            return None
        pose = kept["pose"]
        turn, shift, base = (np.array(pose[key]) for key in ("turn", "shift", "base"))
        return Guess(Pose(turn, shift, pose["scale"], base, pose["mirror"]), np.array(kept["z"]),
                     np.array(kept["values"]), kept["loss"])

    def put(self, mask: Masked, labels: tuple[int, ...], guess: Guess) -> None:
        told = asdict(guess)
        pose = {key: np.asarray(value).tolist() for key, value in told["pose"].items()}
        self._fits[_sum(mask.label, labels)] = {"pose": pose, "z": guess.z.tolist(), "values": guess.values.tolist(),
                                        "loss": guess.loss}
        write_text(self._path, json.dumps({"key": self._key, "fits": self._fits}) + "\n")


def _sum(path: Path, labels: tuple[int, ...]) -> str:
    return f"{hashlib.sha256(path.read_bytes()).hexdigest()} {','.join(map(str, labels))}"
