"""A recipe's choices in one library."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
    """A recipe's lists as formulas of one library, each entry with the same chance, and what its labels mean."""

    shapes: tuple[Formula, ...]
    displacements: tuple[Formula | None, ...]
    mappers: tuple[Formula, ...]
    meaning: Meaning

    @property
    def formulas(self) -> tuple[Formula, ...]:
        """All of them together."""
        return (*self.shapes, *(d for d in self.displacements if d is not None), *self.mappers)


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
    if mistakes:
        raise FdifError(*mistakes)
    meaning = meaning_of(recipe.label, [f.name for f in shapes if f], [d.name if d else None for d in displacements],
                         [f.name for f in mappers if f], recipe.object_range[1])
    for task in meaning.tasks:
        if task.count > MOST:
            raise FdifError(complain(recipe.source, "volume", "label", Wrong(
                f"`{recipe.label}` makes {task.count} classes of this recipe's choices",
                f"a label has at most {MOST}", "choose from fewer classes in [classes], or label by `shape`")))
    return Choices(tuple(f for f in shapes if f), displacements, tuple(f for f in mappers if f), meaning)


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
