"""`fdifc bench`: how fast volumes come on this machine."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

import click

from fdif_dsl.cli.console import stdout
from fdif_dsl.cli.options import FilePath, LibraryPath, seed
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError

REPORT, PICTURE = "bench.json", "scaling.png"


@click.command("bench")
@click.argument("paths", nargs=-1, type=LibraryPath)
@click.option("--recipe", default="paper", show_default=True, metavar="NAME|FILE",
              help="A built-in recipe, or a TOML file.")
@click.option("--count", type=click.IntRange(1), metavar="N", help="How many volumes. [default: 200; 20 with --quick]")
@seed
@click.option("--quick", is_flag=True, help="Three rounds instead of five, and fewer volumes.")
@click.option("--compare", type=FilePath, metavar="FILE", help="Show the ratio to an earlier run, a bench.json.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON instead of tables.")
@click.option("-o", "directory", type=FilePath, metavar="DIR",
              help=f"A folder for the report, {REPORT}, and a picture, {PICTURE}.")
def command(paths: tuple[str, ...], recipe: str, count: int | None, seed: int, quick: bool, compare: Path | None,
            as_json: bool, directory: Path | None) -> None:
    """Measure the library in PATHS, names of built-in libraries, .sdf files or folders of them, or else the recipe's.

    Volumes 0 to N - 1 of a seed are sampled and rendered; then fewer of them with more and less voxels, objects and
    threads; in rounds, all of it in each round. Figures are the median of the rounds, with the least and the most.
    """
    from fdif_dsl.compiler.library import load_library
    from fdif_dsl.compiler.support.files import claim_directory, write_text
    from fdif_dsl.compiler.support.progress import bar
    from fdif_dsl.runtime.bench.report import bench
    from fdif_dsl.runtime.recipe import Recipe, resolve

    # What can go wrong goes wrong now, not after a minute.
    old = None if compare is None else _read(compare)
    chosen = Recipe.load(recipe)
    library = load_library(paths or chosen.library)
    resolve(chosen, library)
    if directory is not None:
        claim_directory(directory, REPORT)
    with tempfile.TemporaryDirectory(prefix="fdifc-bench-") as temporary:
        artefact = Path(temporary) / "library"
        with bar("compiling") as advance:
            library.save(artefact, advance)
        with bar("volumes") as advance:
            report = bench(library, artefact, recipe, seed=seed, count=count or (20 if quick else 200),
                           rounds=3 if quick else 5, progress=advance)
    text = json.dumps(report, indent=1)
    if as_json:
        click.echo(text)
    else:
        _print(report, old)
    if directory is not None:
        from fdif_dsl.runtime.bench.picture import draw_scaling

        draw_scaling(report, directory / PICTURE)
        write_text(directory / REPORT, f"{text}\n")
        if not as_json:
            click.echo(f"\nreport in {directory / REPORT}, picture in {directory / PICTURE}")


def _read(path: Path) -> dict[str, Any]:
    """An earlier report, with all that is to be shown of it."""
    from fdif_dsl.runtime.bench.figures import figures
    from fdif_dsl.runtime.bench.report import FORMAT

    try:
        report = json.loads(path.read_bytes())
        found = report["format"]
        if found == FORMAT:
            figures(report), _about(report)
            return dict(report)
        why = f"its format is {found!r}, and this version reads {FORMAT}"
    except (ValueError, LookupError, TypeError, AttributeError):
        why = "it is damaged, or something else"
    raise FdifError(Diagnostic("E0845", f"{path} is no report of `fdifc bench`", where="--compare", why=why,
                               hint=f"name the {REPORT} of an earlier run"))


def _about(report: Mapping[str, Any]) -> list[str]:
    """What was measured, and on which machine."""
    from fdif_dsl.runtime.bench.figures import counted, grid_name

    machine, settings, library = report["machine"], report["settings"], report["library"]
    busy = "" if machine["load"] is None else f", {machine['load']:.1f} other tasks"
    return [
        f"recipe {settings['recipe']}, seed {settings['seed']}: {grid_name(settings['grid'])} voxels, "
        f"{counted(settings['objects'], 'objects')}, on {counted(settings['threads'], 'threads')}",
        f"{settings['rounds']} rounds of {counted(settings['count'], 'volumes')}, "
        f"and of {report['scaling']['volumes']} at each point of a curve",
        f"{machine['cpu']}, {counted(machine['cpus'], 'CPUs')}{busy}, {machine['system']}; "
        f"fdif-dsl {machine['fdif-dsl']}, library {library['hash'][:12]} of {counted(library['shapes'], 'shapes')}"]


def _print(report: Mapping[str, Any], old: Mapping[str, Any] | None) -> None:
    from rich.table import Table
    from rich.text import Text

    from fdif_dsl.grammar.diagnostics import printable
    from fdif_dsl.runtime.bench.figures import figures, number

    console = stdout()
    lines = [*_about(report), *(["before:", *(f"  {line}" for line in _about(old))] if old else [])]
    for line in lines:
        console.print(Text(printable(line)))
    before = {(f.group, f.name): f.value for f in figures(old)} if old else {}
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("", "median", "", "least", "most", *(("before", "now to before") if old else ()), ""):
        table.add_column(heading, justify="right" if heading else "left", overflow="fold")
    for group, rows in groupby(figures(report), key=lambda f: f.group):
        table.add_row()
        table.add_row(Text(group, "bold"))
        for f in rows:
            then = before.get((f.group, f.name))
            cells = [number(f.value), f.unit, *("" if end is None else number(end) for end in (f.least, f.most))]
            if old:
                cells += ["" if then is None else number(then), number(f.value / then) if then else ""]
            table.add_row(Text(f"  {f.name}"), *cells, Text(f.note, "dim"))
    console.print(table)
