"""The command line `fdifc`. One file a command; a command is imported when it is called."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from importlib.metadata import version

import click

from fdif_dsl.cli.errors import report_errors
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError, did_you_mean

# The command's name, which is its module's too but for dashes, and its line in `fdifc --help`.
COMMANDS = {
    "check": "Say what is wrong in formula files.",
    "fmt": "Bring formula files into the canonical layout.",
    "lsp": "Serve an editor: mistakes, docs and completion while typing.",
    "play": "Show shapes in the browser while they are written.",
    "compile": "Compile a library into kernels that load at once.",
    "list": "List the classes, recipes or networks.",
    "show": "Show one class: its picture and its parameters.",
    "generate": "Write a data set of labelled volumes.",
    "fit": "Learn a formula with priors from a few masks.",
    "verify": "Check a data set, and make a sample of it again.",
    "pretrain": "Pre-train a network on a stream of volumes.",
    "finetune": "Fine-tune a network on labelled images, and score it.",
    "predict": "Segment new images with a fine-tuned network.",
    "export": "Give pre-trained weights to nnU-Net, nnssl or MONAI.",
    "nnunet-plans": "Add a configuration for pre-trained weights to nnU-Net's plans.",
    "bench": "Measure how fast volumes come on this machine.",
}
_NOTE_PATHS = {"generate", "fit", "pretrain", "finetune", "predict", "export", "nnunet-plans"}
"""Commands that put the paths that they are given into files of text."""


class Commands(click.Group):
    """A group that imports a command when it is needed, and reports errors as diagnostics."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"fdif_dsl.cli.{cmd_name.replace('-', '_')}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            raise click.UsageError(f"no such command `{name}`. {did_you_mean(name, COMMANDS)}".rstrip(), ctx)
        if name in _NOTE_PATHS:
            for argument in args[1:]:
                _check_text(argument)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):  # click's own version would import every command for its help line
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> object:
        with report_errors():
            return super().invoke(ctx)


def _check_text(argument: str) -> None:
    """Raises `FdifError` for an argument whose bytes are no UTF-8: Python passes such bytes on as halves of letters,
    which no file of text can hold."""
    try:
        argument.encode("utf-8")
    except UnicodeEncodeError:
        shown = os.fsencode(argument).decode("utf-8", "backslashreplace")
        raise FdifError(Diagnostic(
            "E0805", f"`{shown}` is not UTF-8", where="command line",
            why="recipes, lists and cards name paths, and are UTF-8 text",
            hint="rename it, or give it a second name with `ln -s`")) from None


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("fdif-dsl"), prog_name="fdifc")
def cli() -> None:
    """Formulas in, labelled 3-D volumes and pre-trained networks out."""


def main() -> None:
    """The entry point of the `fdifc` program."""
    try:
        cli(prog_name="fdifc")
    except KeyboardInterrupt:  # outside of any command, while Python modules load
        print("interrupted", file=sys.stderr)
        sys.exit(130)
