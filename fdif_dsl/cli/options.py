"""Options and arguments that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])
FilePath = click.Path(path_type=Path)

LibraryPath = click.Path()
"""A text: it may be the name of a built-in library, which a `Path` is not."""


def library(default: str = "standard") -> Callable[[Command], Command]:
    """The option that says where classes come from; `default` is what is taken without it."""
    return click.option(
        "--library", "paths", type=LibraryPath, multiple=True, metavar="NAME|PATH",
        help="A built-in library such as `standard`, a .sdf file, a folder of them, or a compiled library. Given "
        f"several times, all of them are one library. [default: {default}]")


seed = click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True,
                    help="The same seed gives the same volumes on every machine.")
