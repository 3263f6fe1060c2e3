"""The gallery: a page with picture, parameters and source for each shape, displacement and mapper."""

from __future__ import annotations

import hashlib
import inspect
import multiprocessing
import os
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path

from PIL import Image

from fdif_dsl.compiler.frontend.built_in import libraries, standard_files
from fdif_dsl.compiler.frontend.modules import load_modules
from fdif_dsl.compiler.library import Library, load_library
from fdif_dsl.compiler.library.entries import Entry, Table
from fdif_dsl.grammar import ast
from fdif_dsl.runtime import pictures
from fdif_dsl.runtime.pictures.portrait import draw

KINDS = {
    "shapes": "Classes of solids. A library's are in the order of their ids, which are the labels of the volumes.",
    "displacements": "Surface textures: what is added to a distance.",
    "mappers": "From distance to grey level.",
}
_WIDTH, _THUMBNAIL = 1240, 220  # pixels
# Where the pictures of `fdifc show` have the solid, and the ball that a mapper paints: left, top, right, bottom.
_SOLID, _BALL = (0.005, 0.216, 0.44, 0.944), (0.62, 0.19, 0.96, 0.93)


def make(cache_folder: Path, pages: Path) -> None:
    """Writes the pages and their pictures into the folder `pages`. Pictures are kept in a folder of `cache_folder` for
    as long as neither a formula nor the code that draws changes."""
    library = _library()
    kept = cache_folder / _state(library)
    for old in cache_folder.glob("*"):
        if old != kept:
            shutil.rmtree(old)
    _draw_missing(library, kept)
    shutil.rmtree(pages, ignore_errors=True)
    declared = _declarations()
    for kind, about in KINDS.items():
        entries = getattr(library, kind)
        folder = pages / kind
        folder.mkdir(parents=True)
        for name, entry in entries.items():
            for picture in (f"{name}.webp", f"{name}.small.webp"):
                os.link(kept / picture, folder / picture)
            (folder / f"{name}.md").write_text(_page(entry, declared), "utf-8")
        (folder / "index.md").write_text(_overview(kind, about, entries), "utf-8")


def _state(library: Library) -> str:
    """A hash of all that the pictures depend on."""
    drawn = [(e.name, e.doc) for kind in KINDS for e in getattr(library, kind).values()]
    how = (inspect.getsource(_draw), _WIDTH, _THUMBNAIL, _SOLID, _BALL)
    state = hashlib.sha256(repr((library.hash, drawn, how)).encode())
    for path in sorted(Path(pictures.__path__[0]).glob("*.py")):
        state.update(path.read_bytes())
    return state.hexdigest()[:16]


def _draw_missing(library: Library, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    names = [name for kind in KINDS for name in getattr(library, kind) if not (folder / f"{name}.small.webp").exists()]
    if not names:
        return
    library.compile()
    print(f"drawing {len(names)} pictures, which takes minutes the first time", flush=True)
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
        for done in pool.map(_draw, names, [folder] * len(names)):
            print(f"  {done}", flush=True)


def _draw(name: str, folder: Path) -> str:
    library = _library()
    whole = folder / f"{name}.png"
    draw(library, name, whole)
    with Image.open(whole) as opened:
        picture = opened.convert("RGB")
    picture.resize((_WIDTH, _WIDTH * picture.height // picture.width), Image.Resampling.LANCZOS).save(
        folder / f"{name}.webp", quality=88)
    part = _BALL if name in library.mappers else _SOLID
    corners = [round(at * side) for at, side in zip(part, picture.size * 2, strict=True)]
    small = picture.crop((corners[0], corners[1], corners[2], corners[3]))
    small.resize((_THUMBNAIL, _THUMBNAIL), Image.Resampling.LANCZOS).save(folder / f"{name}.small.webp", quality=85)
    whole.unlink()
    return name


@cache
def _library() -> Library:
    """All libraries that come along, as one."""
    return load_library(libraries())


def _overview(kind: str, about: str, entries: Table[Entry]) -> str:
    modules = dict.fromkeys(_module(entry) for entry in entries.values())
    parts = [f"# {kind.capitalize()}", f"{about} There are {len(entries)}; each page has a picture drawn by "
             "`fdifc show`, the parameters and the source."]
    for module in modules:
        cards = "\n".join(f"[![]({name}.small.webp)<br>{name.replace('_', '_<wbr>')}]({name}.md)"
                          for name, entry in entries.items() if _module(entry) == module)
        parts += [f"## Of `{module}`", f":::{{container}} gallery\n{cards}\n:::"]
    names = "\n".join(entries)
    return "\n\n".join(parts) + f"\n\n```{{toctree}}\n:hidden:\n{names}\n```\n"


def _module(entry: Entry) -> str:
    """The module that declares a class."""
    return Path(entry.formula.place.rsplit(":", 2)[0]).stem


def _page(entry: Entry, declared: dict[tuple[str, str], ast.Decl]) -> str:
    formula = entry.formula
    rows = [(f"`{name}`", "int", f"`{value}`", "fixed: part of the class") for name, value in formula.integers.items()]
    rows += [(f"`{q.name}`", q.type, f"`{'~' if q.random else '='} {q.source}`", q.doc) for q in formula.quantities]
    parts = [f"# {entry.name}", f"{entry.doc}", f"A {formula.kind} of the library `{_module(entry)}`.",
             f"![The picture that fdifc show makes of {entry.name}]({entry.name}.webp)"]
    if rows:
        table = ["| parameter | type | value | about |", "| --- | --- | --- | --- |"]
        table += ["| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in row) + " |" for row in rows]
        parts += ["## Parameters", "`~` is a random quantity with its prior, `=` one computed from others.",
                  "\n".join(table)]
    parts.append("## Source")
    parts += [f"In `shapes/{file}.sdf`:\n\n```sdf\n{text}\n```" for file, text in _sources(entry, declared)]
    if any(q.random for q in formula.quantities):
        parts.append(f"```console\n$ fdifc show {entry.name} -o {entry.name}.png --seed 1    # another one\n```")
    return "\n\n".join(parts) + "\n"


def _declarations() -> dict[tuple[str, str], ast.Decl]:
    """Every declaration that comes along, by the name of its module and its own, but those of `std`: functions
    that the reference of the language lists."""
    return {(module.name, decl.name): decl for module in load_modules(standard_files()) if module.name != "std"
            for decl in module.tree.decls}


def _sources(entry: Entry, declared: dict[tuple[str, str], ast.Decl]) -> Iterator[tuple[str, str]]:
    """The declaration of a class and those it is made of: module and text, joined where they stand in one module."""
    first = (_module(entry), entry.name)
    found, open_ends = [first], [first]
    while open_ends:
        key = open_ends.pop()
        meant = {_home(name, key[0], declared) for name in _names(declared[key])}
        new = [key for key in declared if key in meant and key not in found]
        found += new
        open_ends += new
    for module in dict.fromkeys(module for module, _ in found):
        yield module, "\n\n".join(_text(declared[key]) for key in found if key[0] == module)


def _home(name: str, module: str, declared: dict[tuple[str, str], ast.Decl]) -> tuple[str, str] | None:
    """What a name in a module means: a declaration of its own, or of a module that it uses."""
    return next(((place, name) for place in _seen()[module] if (place, name) in declared), None)


@cache
def _seen() -> dict[str, list[str]]:
    """Each module with those that it uses after it."""
    return {module.name: [module.name, *(used.name for used in module.uses)]
            for module in load_modules(standard_files())}


def _names(decl: ast.Decl) -> set[str]:
    """The names that a declaration uses and does not define itself."""
    stmts = list(_statements(decl.body or ()))
    values = [value for stmt in stmts for value in stmt.formulas()] + ([decl.value] if decl.value else [])
    values += [p.default for p in decl.params or () if p.default]
    own = {stmt.name for stmt in stmts} | {p.name for p in decl.params or ()}
    return {expr.name for expr in ast.walk(*values) if isinstance(expr, ast.Name)} - own


def _statements(body: Iterable[ast.Stmt | ast.Fold]) -> Iterator[ast.Stmt]:
    """Those of a body, and of its folds."""
    for item in body:
        if isinstance(item, ast.Fold):
            yield from _statements(item.body)
        else:
            yield item


def _text(decl: ast.Decl) -> str:
    """A declaration as it is written, with its doc comment."""
    lines, first = decl.span.file.text.splitlines(), decl.span.file.line_column(decl.span.start)[0] - 1
    last = decl.span.file.line_column(decl.span.end)[0]
    if decl.body is not None:  # its span ends with the brace that opens it; the canonical layout shows the other
        while not lines[last - 1].endswith("}") or lines[last - 1].startswith(" "):  # a fold has braces too
            last += 1
    while first and lines[first - 1].startswith("##"):
        first -= 1
    return "\n".join(lines[first:last])
