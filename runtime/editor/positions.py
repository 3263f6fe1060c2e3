"""Places as the protocol counts them: lines that end in any line end, and UTF-16 units in a line."""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lsprotocol import types as lsp

_LINE_END = re.compile(r"\r\n|\r|\n")


class Lines:
    """The lines of a text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.starts = [0, *(match.end() for match in _LINE_END.finditer(text))]

    def position(self, offset: int) -> lsp.Position:
        """The place of a character offset."""
        from lsprotocol import types as lsp  # not by who only reads files

        offset = max(0, min(offset, len(self.text)))
        line = bisect_right(self.starts, offset) - 1
        return lsp.Position(line, _units(self.text[self.starts[line] : offset]))

    def range(self, start: int, end: int) -> lsp.Range:
        from lsprotocol import types as lsp

        return lsp.Range(self.position(start), self.position(end))

    def offset(self, position: lsp.Position) -> int:
        """The character offset of a place; what lies behind the end of a line or of the text is its end."""
        if position.line >= len(self.starts):
            return len(self.text)
        start = self.starts[max(0, position.line)]
        end = self.starts[position.line + 1] if position.line + 1 < len(self.starts) else len(self.text)
        line = self.text[start:end].rstrip("\r\n")
        if line.isascii():
            return start + max(0, min(position.character, len(line)))
        units = 0
        for i, char in enumerate(line):
            if units >= position.character:
                return start + i
            units += _units(char)
        return start + len(line)


def _units(text: str) -> int:
    return len(text) + sum(char > "\uffff" for char in text)
