"""What a command says on the way, line by line, with bars that come and go between them."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TypeVar

import click

Self = TypeVar("Self", bound="Report")


class Report:
    """`begun` says whether all was checked; bars are entered into `bars`, and gone when it is closed."""

    def __init__(self) -> None:
        self.begun = False
        self.bars = ExitStack()

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Takes bars off the terminal."""
        self.bars.close()

    def begin(self, about: str) -> None:
        """All is checked."""
        self.begun = True
        click.echo(about)
