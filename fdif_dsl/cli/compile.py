"""`fdifc compile`: compiles a library into kernels that load at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fdif_dsl.cli.options import FilePath, LibraryPath
from fdif_dsl.compiler.frontend.built_in import STANDARD
from fdif_dsl.compiler.support.progress import bar
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError, did_you_mean

if TYPE_CHECKING:
    from fdif_dsl.compiler.backends.store.target import Target

TARGETS = ("cpu", "cpu:x86-64-v3", "cuda", "cuda:sm_90")


@click.command("compile")
@click.argument("paths", nargs=-1, type=LibraryPath)
@click.option("-o", "directory", type=FilePath, metavar="DIR", help="The folder for the compiled library.")
@click.option("--target", "names", multiple=True, metavar="TARGET",
              help="What the kernels run on: cpu (this machine's, the default), a level of CPUs such as cpu:x86-64-v3, "
                   "cuda (this machine's GPU), or a kind of GPU such as cuda:sm_90. Can be given several times.")
@click.option("--explain", is_flag=False, flag_value="", metavar="[NAME]",
              help="Print the formula of the class NAME, or of each, after each pass, with sizes and times.")
def command(paths: tuple[str, ...], directory: Path | None, names: tuple[str, ...], explain: str | None) -> None:
    """Compile PATHS, names of built-in libraries, .sdf files or folders of them, or else the standard library.

    Loading the result compiles nothing. It holds machine code, so load only what you trust.
    """
    from fdif_dsl.compiler.library import load_library

    if directory is None and explain is None:
        raise click.UsageError("say where the compiled library goes with -o DIR, or what to --explain")
    targets = [_target(name) for name in dict.fromkeys(names)]
    library = load_library(paths or None)
    if explain is not None:
        _explain(paths or (STANDARD,), library, explain)
    if directory is not None:
        try:
            with bar("compiling") as advance:
                built = library.save(directory, advance, targets)
        except OSError as error:
            error.filename = error.filename or str(directory)  # a full disk names no file
            raise
        click.echo(f"{len(library.shapes)} shapes, {len(library.displacements)} displacements and "
                   f"{len(library.mappers)} mappers compiled into {directory} "
                   f"({built.compiled} kernel{'' if built.compiled == 1 else 's'} compiled, {built.reused} reused)")


def _target(name: str) -> Target:
    """The target that a name stands for.

    Raises:
        FdifError: where there is none, or nothing to compile for it with.
    """
    if name == "cpu" or name.startswith("cpu:"):
        from fdif_dsl.compiler.backends.cpu.level import level
        from fdif_dsl.compiler.backends.cpu.target import CpuTarget

        return CpuTarget(level(name[4:], "--target").name if name != "cpu" else "")
    if name != "cuda" and not name.startswith("cuda:"):
        raise FdifError(Diagnostic("E0841", f"there is no target `{name}`", where="--target",
                                   why="the targets are cpu, cuda, levels of CPUs such as cpu:x86-64-v3 and kinds "
                                       "of GPU such as cuda:sm_90",
                                   hint=did_you_mean(name, TARGETS)))
    from fdif_dsl.compiler.backends.cuda.target import CudaTarget, require_compiler

    if name == "cuda":
        from fdif_dsl.compiler.backends.cuda.gpu import gpu

        try:
            target = CudaTarget(gpu(0).capability)
        except FdifError as error:
            raise FdifError(*(replace(d, where="--target", hint="name the kind, as in --target cuda:sm_90, which "
                                      "needs none") for d in error.diagnostics)) from None
    else:
        target = CudaTarget.parse(name)
    require_compiler(target)  # before anything else is compiled
    return target


def _explain(paths: tuple[str, ...], library: Any, name: str) -> None:
    """The library's own formulas are optimised already, so the sources are elaborated once more."""
    from fdif_dsl.cli.find import find_class
    from fdif_dsl.compiler.frontend.check import check
    from fdif_dsl.compiler.frontend.elaborate import elaborate
    from fdif_dsl.compiler.frontend.modules import load_modules
    from fdif_dsl.compiler.library.load import sources_of
    from fdif_dsl.compiler.passes.explain import explain

    if name:
        find_class(library, name)
    formulas = elaborate(check(load_modules(sources_of(paths))), optimised=False)
    chosen = [formula for formula in formulas if name in ("", formula.name)]
    click.echo("\n\n".join(explain(formula) for formula in chosen))
