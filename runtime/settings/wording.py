"""Words that messages have in common."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """A number and what there is of it."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def in_bytes(size: float) -> str:
    """An amount of memory, as a person reads it: 1.5 GB."""
    units = ("bytes", "kB", "MB", "GB", "TB")
    step = next((i for i in range(len(units)) if size < 999.5 * 1000**i), len(units) - 1)
    return f"{size / 1000**step:.3g} {units[step]}"
