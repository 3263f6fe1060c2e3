"""One function to compile, for whatever target."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Unit:
    """`function` in the module text `source`, under the name `symbol`; `signature` has a letter a parameter, and each
    target's build.py says what they stand for. Units that differ in any of these differ in their symbol."""

    symbol: str
    source: str
    function: str
    signature: str
