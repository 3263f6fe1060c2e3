"""`fdifc verify`: whether a data set is whole, and what it was made to be."""

from __future__ import annotations

from pathlib import Path

import click

from fdif_dsl.cli.options import FilePath, library
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError

_LISTED = 10  # files in a message
_AGAIN = "give the command that made it again; it makes anew what is missing or changed"
_OTHER = "was it made by another version of fdif-dsl?"


@click.command("verify")
@click.argument("directory", type=FilePath, metavar="DIR")
@click.option("--sample", type=click.IntRange(0), default=10, show_default=True, metavar="N",
              help="How many volumes to render again, evenly spread.")
@library("what the data set was made from")
def command(directory: Path, sample: int, paths: tuple[str, ...]) -> None:
    """Check the data set in DIR, made by `fdifc generate`.

    Compares the checksum of each file with that of the moment when it was written, and renders some volumes again.
    """
    from fdif_dsl.cli.progress import rate_bar
    from fdif_dsl.compiler.library import load_library
    from fdif_dsl.runtime.datasets.folder import read_folder
    from fdif_dsl.runtime.datasets.verify import check_files, named, read_plan, render_again, spread
    from fdif_dsl.runtime.scanner.scan import prepare

    manifest = read_folder(directory)
    records = list(manifest.records.values())
    plan = read_plan(load_library(paths or named(manifest)), manifest, directory) if sample and records else None
    missing, changed = check_files(directory, manifest, rate_bar)
    different, again = [], spread(records, sample)
    if plan is not None:
        plan.library.compile(formulas=plan.choices.formulas)
        prepare(plan.library, plan.recipe)
        bad = {*missing, *changed}
        different = [path for path in render_again(plan, directory, again, rate_bar) if path not in bad]
    problems = [_problem(code, paths, what, directory, hint) for code, paths, what, hint in (
        ("E0940", missing, "missing", _AGAIN), ("E0941", changed, "not what was written", _AGAIN),
        ("E0942", different, "not what is rendered now", _OTHER)) if paths]
    if manifest.lists is None:
        total = sum(manifest.counts.values())
        why = f"it has {len(records)} of {total} volumes" if len(records) < total else "its lists are not written yet"
        problems.append(Diagnostic("E0943", f"{directory} is not whole", why=why,
                                   hint="give the command that makes it again; it goes on from there"))
    if problems:
        raise FdifError(*problems)
    files = sum(len(record.files) for record in records) + len(manifest.lists or ())
    click.echo(f"{directory}: {len(records)} volumes, {files} files as they were written" +
               (f", {len(again)} volumes rendered again, the same" if again else ""))


def _problem(code: str, paths: list[str], what: str, directory: Path, hint: str) -> Diagnostic:
    listed = ", ".join(paths[:_LISTED]) + (f" and {len(paths) - _LISTED} more" if len(paths) > _LISTED else "")
    files = "1 file" if len(paths) == 1 else f"{len(paths)} files"
    return Diagnostic(code, f"{files} of {directory} {'is' if len(paths) == 1 else 'are'} {what}",
                      why=listed, hint=hint)
