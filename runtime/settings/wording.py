"""Words that messages have in common."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """A number and what there is of it."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
