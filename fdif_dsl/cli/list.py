"""`fdifc list`: what a library holds, and what can be done with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from fdif_dsl.cli.console import stdout
from fdif_dsl.cli.find import of_kind
from fdif_dsl.cli.options import library

WHAT = ("shapes", "displacements", "mappers", "recipes", "networks", "weights")


@click.command("list")
@click.argument("what", required=False, type=click.Choice(WHAT))
@library()
def command(what: str | None, paths: tuple[str, ...]) -> None:
    """List the classes of one kind with their parameters, or the recipes, the networks, or the weights that come with
    the package; or else all of them."""
    tables = [_table(each, paths) for each in ((what,) if what else WHAT)]
    console = stdout()
    for table in tables:
        console.print(table)


def _table(what: str, paths: tuple[str, ...]) -> Table:
    table = Table(title=what, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    if what == "recipes":
        from fdif_dsl.runtime.finetuning import finetune_recipes
        from fdif_dsl.runtime.recipe import recipes

        rows = [("pretrain", *row) for row in recipes().items()]
        _fill(table, ("for", "name", "about"), [*rows, *(("finetune", *row) for row in finetune_recipes().items())])
    elif what == "networks":
        _fill(table, ("name", "parameters", "memory", "recipe", "sides of a patch", "about"), networks())
        table.caption = ("memory: an estimate of what a training step of the recipe takes beside the program itself\n"
                         "any other network: a function, in a recipe as network = \"package.module:function\"")
        table.caption_justify = "left"
    elif what == "weights":
        _fill(table, ("name", "network", "patch", "steps", "learnt"), weights())
    else:
        from fdif_dsl.compiler.library import load_library

        formulas = [c.formula for c in of_kind(load_library(paths or None), what.removesuffix("s")).values()]
        columns: dict[str, list[str]] = {"name": [f.name for f in formulas]}
        if what == "shapes":
            columns = {"id": [str(i) for i in range(1, len(formulas) + 1)], **columns}
        if len({module(f) for f in formulas}) > 1:
            columns["module"] = [module(f) for f in formulas]
        if what == "shapes" or any(parameters(f) for f in formulas):
            columns["parameters"] = [parameters(f) for f in formulas]
        if any(f.fields for f in formulas):
            columns["sampled from"] = [origin(f) for f in formulas]
        columns["about"] = [line(f.doc) for f in formulas]
        _fill(table, tuple(columns), zip(*columns.values(), strict=True))
    return table


def _fill(table: Table, columns: tuple[str, ...], rows: Any) -> None:
    for column in columns:
        table.add_column(column, style="bold" if column == "name" else "", header_style="dim",
                         justify="right" if column == "id" else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_escape(cell) for cell in row))


def _escape(cell: str) -> str:
    from rich.markup import escape

    from fdif_dsl.grammar.diagnostics import printable

    return escape(printable(cell))


def networks() -> Iterator[tuple[str, ...]]:
    """For each network what it is, and how large it and its recipe are."""
    from fdif_dsl.compiler.library import load_library
    from fdif_dsl.grammar.diagnostics import FdifError
    from fdif_dsl.runtime.recipe import Recipe, resolve
    from fdif_dsl.runtime.training.networks import NETWORKS
    from fdif_dsl.runtime.training.sizes import size_of

    lib = load_library()
    for n in NETWORKS.values():
        recipe = Recipe.load(n.recipe)
        try:
            size = size_of(n, recipe, resolve(recipe, lib).meaning)
            figures = f"{size.parameters / 1e6:.1f} M", f"{size.memory / 2**30:.1f} GiB"
        except FdifError as error:  # a package that is not installed
            figures = error.diagnostics[0].hint.removeprefix("pip install "), ""
        yield n.name, *figures, n.recipe, f"multiples of {n.divisor}, at least {n.least}", n.about


def weights() -> Iterator[tuple[str, ...]]:
    """For each file of weights that comes along what it is of, and what it learnt."""
    from fdif_dsl.grammar.diagnostics import FdifError
    from fdif_dsl.runtime.training.pretrained import Pretrained
    from fdif_dsl.runtime.weights.source import shipped

    for name, path in shipped().items():
        try:
            its = Pretrained.read(path)
        except FdifError as error:  # a package that is not installed
            yield name, error.diagnostics[0].hint.removeprefix("pip install "), "", "", ""
            continue
        learnt = ", ".join(its.tasks) if its.task == "structure" else f"{its.channels} classes"
        yield (name, its.network, " x ".join(map(str, its.patch)), f"{its.step:,}", f"{its.task}: {learnt}")


def module(formula: Any) -> str:
    """The name of the file that declares a class."""
    return Path(formula.place.rsplit(":", 2)[0]).stem


def parameters(formula: Any) -> str:
    """The random quantities of a class, and the whole numbers that define it."""
    fixed = [f"{name}={value}" for name, value in formula.integers.items()]
    return ", ".join([*fixed, *(q.name for q in formula.quantities if q.random)])


def origin(formula: Any) -> str:
    """The files that a class was sampled from: the one, or the first and how many more; and their data set."""
    from fdif_dsl.compiler.ir.fields import origins_of

    found = origins_of(formula.fields)
    if not found:
        return ""
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    sets = ", ".join(dict.fromkeys(o["dataset"] for o in found if o["dataset"]))
    return f"{found[0]['file']}{more}" + (f" ({sets})" if sets else "")


def line(doc: str) -> str:
    """The first sentence of a doc comment, on one line."""
    return " ".join(doc.split("\n\n")[0].split())
