"""A recipe's choices in one library."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fdif_dsl.compiler.frontend.built_in import home
from fdif_dsl.compiler.ir.fields import origins_of
from fdif_dsl.compiler.ir.formula import Formula
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError, did_you_mean
from fdif_dsl.runtime.recipe.meaning import MOST, Meaning, meaning_of
from fdif_dsl.runtime.recipe.recipe import Recipe
from fdif_dsl.runtime.recipe.rules import FORM
from fdif_dsl.runtime.settings.checks import Wrong
from fdif_dsl.runtime.settings.places import complain

if TYPE_CHECKING:
    from fdif_dsl.compiler.library import Library


@dataclass(frozen=True)
class Choices:
    """A recipe's lists as formulas of one library, each entry with the same chance, and what its labels mean. `groups`
    are the classes that come with one of the shapes, by its name."""

    shapes: tuple[Formula, ...]
    displacements: tuple[Formula | None, ...]
    mappers: tuple[Formula, ...]
    meaning: Meaning
    groups: Mapping[str, tuple[Formula, ...]] = field(default_factory=dict)

    @property
    def formulas(self) -> tuple[Formula, ...]:
        """All of them together."""
        return (*self.drawn_shapes, *(d for d in self.displacements if d is not None), *self.mappers)

    @property
    def drawn_shapes(self) -> tuple[Formula, ...]:
        """The shapes that a volume may have: those to choose from, and what comes with them."""
        return (*self.shapes, *(part for parts in self.groups.values() for part in parts))


def resolve(recipe: Recipe, library: Library) -> Choices:
    """The recipe's choices in a library.

    A list that is the paper's is a wish: what a library of one's own lacks of it is passed over, and
    where nothing is left, all of the library is taken. Any other list was chosen, and a name that the
    library lacks is an error.
    """
    mistakes: list[Diagnostic] = []

    def pick(what: str, known: Mapping[str, Any]) -> tuple[Formula | None, ...]:
        wanted: Sequence[str | None] | None = getattr(recipe, what)
        if wanted is not None and wanted == FORM.defaults["classes"][what]:
            found = [n for n in wanted if n in known]
            wanted = [n for n in wanted if n is None or n in known] if found else [*known, *([None] * (None in wanted))]
        elif wanted is None:
            wanted = list(known)
        unknown = [name for name in wanted if name is not None and name not in known]
        for module, names in _by_home(unknown, what[:-1]).items():
            mistakes.extend([_elsewhere(recipe, what, names, module)] if module else (
                complain(recipe.source, "classes", what, Wrong(
                    f"the library has no {what[:-1]} `{name}`",
                    hint=did_you_mean(name, known) or f"`fdifc list {what}` shows what there is"), quoted=name)
                for name in names))
        if not wanted and what != "displacements":
            mistakes.append(Diagnostic("E0505", f"the library has no {what[:-1]}",
                                       why=f"each object of a volume needs one of its {what}",
                                       hint=f"declare a {what[:-1]} in the library, or add "
                                       f"`use {'classes' if what == 'shapes' else what}` for the standard ones"))
        return tuple(None if n is None else known[n].formula for n in wanted if n is None or n in known)

    shapes, mappers = pick("shapes", library.shapes), pick("mappers", library.mappers)
    shapes = _allowed(recipe, shapes, mistakes)
    displacements = pick("displacements", library.displacements) or (None,)
    followers = {name for group in recipe.groups for name in group[1:]} if recipe.shapes is None else set()
    chosen = tuple(f for f in shapes if f and f.name not in followers)
    groups = _groups(recipe, chosen, library, mistakes)
    if mistakes:
        raise FdifError(*mistakes)
    named = [f.name for f in chosen] + [part.name for parts in groups.values() for part in parts]
    most = recipe.object_range[1] * max(map(len, recipe.groups), default=1)
    meaning = meaning_of(recipe.label, named, [d.name if d else None for d in displacements],
                         [f.name for f in mappers if f], most)
    for task in meaning.tasks:
        if task.count > MOST:
            raise FdifError(complain(recipe.source, "volume", "label", Wrong(
                f"`{recipe.label}` makes {task.count} classes of this recipe's choices",
                f"a label has at most {MOST}", "choose from fewer classes in [classes], or label by `shape`")))
    return Choices(chosen, displacements, tuple(f for f in mappers if f), meaning, groups)


def _groups(recipe: Recipe, shapes: Sequence[Formula], library: Library,
            mistakes: list[Diagnostic]) -> dict[str, tuple[Formula, ...]]:
    """What comes with shapes, by their names."""
    drawn = {shape.name for shape in shapes}
    found: dict[str, tuple[Formula, ...]] = {}

    def wrong(title: str, name: str, why: str, hint: str) -> None:
        mistakes.append(complain(recipe.source, "classes", "groups", Wrong(title, why, hint), quoted=name))

    if recipe.groups and recipe.placement.inside:
        wrong("groups are not placed inside the grid", recipe.groups[0][0],
              "each object finds a place of its own there, and a group has one together",
              "write a number for `translate` in [placement]")
    for first, *others in recipe.groups:
        unknown = [name for name in (first, *others) if name not in library.shapes]
        twice = [name for name in others if name in drawn]
        if unknown:
            wrong(f"the library has no shape `{unknown[0]}`", unknown[0], "a group is made of classes",
                  did_you_mean(unknown[0], library.shapes) or "`fdifc list shapes` shows what there is")
        elif first not in drawn:
            wrong(f"`{first}` is not among the shapes", first, "a group comes where its first class is drawn",
                  "name it in `shapes`")
        elif twice:
            wrong(f"`{twice[0]}` is drawn alone too", twice[0], f"it comes with `{first}`", "leave it out of `shapes`")
        else:
            formulas = [library.shapes[name].formula for name in (first, *others)]
            odd = next((f for f in formulas[1:] if _draws(f) != _draws(formulas[0])), None)
            if odd is not None:
                wrong(f"`{odd.name}` draws other quantities than `{first}`", odd.name,
                      "the classes of a group share the numbers of one object",
                      "make them instances of one template, which draws for all of them")
            found[first] = tuple(formulas[1:])
    return found


def _draws(formula: Formula) -> list[tuple[str, str, str]]:
    return [(q.name, q.type, q.source) for q in formula.quantities if q.random]


def _allowed(recipe: Recipe, shapes: Sequence[Formula | None],
             mistakes: list[Diagnostic]) -> tuple[Formula | None, ...]:
    """The shapes without those that were sampled from a data set that is kept out; one that the recipe names itself is
    a mistake."""
    found = {shape.name: name for shape in shapes if shape for name in recipe.keep_out if _stems_from(shape, name)}
    if recipe.shapes is not None:
        mistakes += [complain(recipe.source, "classes", "shapes", Wrong(
            f"`{shape}` is of a data set that is kept out", f"`keep_out` names `{name}`",
            "leave one of the two out of the recipe"), quoted=shape) for shape, name in found.items()]
    elif found and len(found) == len(shapes):
        mistakes.append(complain(recipe.source, "classes", "keep_out", Wrong(
            "all shapes are kept out", "each object of a volume needs one", "name fewer data sets, or add shapes")))
    return tuple(shape for shape in shapes if shape and shape.name not in found)


def _stems_from(shape: Formula, dataset: str) -> bool:
    """Whether one of the files that a shape was sampled from is of a data set: where its name is said to be that, or a
    word of its path begins with it, as `kits23/case_001.nii.gz` and `medshapenetcore_KITS.npz` are of KiTS."""
    wanted = "".join(_WORDS.findall(dataset.lower()))
    for origin in origins_of(shape.fields):
        said = _WORDS.findall(origin["dataset"].lower())
        words = ["".join(said), *said, *_WORDS.findall(origin["file"].lower())]
        if wanted and any(word.startswith(wanted) for word in words):
            return True
    return False


_WORDS = re.compile(r"[a-z0-9]+")
_LISTED = 3


def _by_home(names: Sequence[str], kind: str) -> dict[str, list[str]]:
    """Names by the built-in module that declares them; those that none declares are under the empty text."""
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(home(name, (kind,)), []).append(name)
    return found


def _elsewhere(recipe: Recipe, what: str, names: Sequence[str], module: str) -> Diagnostic:
    """That names are those of a built-in library which is not used."""
    listed = ", ".join(f"`{name}`" for name in names[:_LISTED])
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return complain(recipe.source, "classes", what, Wrong(
        f"the library has no {what[:-1] if len(names) == 1 else what} {listed}{more}",
        f"{'it is' if len(names) == 1 else 'they are'} of the library `{module}`, which is not used",
        f"write library = {json.dumps([*recipe.library, module])} in [classes], or name `{module}` with --library too"),
        quoted=names[0])
