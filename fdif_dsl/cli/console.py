"""What commands say on the terminal: results on stdout. Progress goes to stderr, see `compiler/support/progress.py`."""

from __future__ import annotations

from rich.console import Console


def stdout() -> Console:
    """The console for results: as wide as the terminal, and wide enough not to break lines for `grep`."""
    console = Console(highlight=False)  # made anew each time, since tests replace `sys.stdout`
    return console if console.is_terminal else Console(highlight=False, width=200)
