"""The canonical layout of a file: `fdifc fmt`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from lark import Token

from fdif_dsl.grammar import ast
from fdif_dsl.grammar.parse import MAX_CHARACTERS, SdfError, keywords, parse, too_large, words
from fdif_dsl.grammar.source import SourceFile

_WIDTH = 120  # of a declaration that stays on one line
_INDENT = "  "
_PLAIN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_KINDS = {"SHAPE", "PROFILE", "DISPLACEMENT", "MAPPER", "FN"}
_OPEN, _CLOSE = ("LPAR", "LSQB"), ("RPAR", "RSQB")
_VALUE_ENDS = {"NAME", "NUMBER", "QUOTED", "TEXT", "TRUE", "FALSE", "REDUCER", "PROFILE", "SHAPE", "FOLD", *_CLOSE}


def format_source(text: str, name: str = "<text>") -> str:
    """`text` in the canonical layout. Only white space and needless marks change, never the tree.

    - One declaration, statement, comment line or doc line a line; bodies are indented by two spaces.
      A body of one statement that was written on one line stays there if it fits in 120 columns, and so does a fold.
    - One space around operators, `=`, `~` and `then`; none inside brackets, before `,` and `:`, or after a
      sign. A comment behind code stands two spaces behind it.
    - Line breaks that the author put inside brackets or after a statement's `=` or `~` stay, and no
      others are made. A continued line is one level deeper than the line that opened its innermost
      open bracket, or than the statement; a closing bracket that starts a line is level with it.
    - Between lines, one blank line stays where there were any; none at the ends of a body or a file.
    - Quotes go from names that need none; a comma goes before a closing bracket on the same line.

    Raises:
        SdfError: for a text that does not parse, and for one that outgrows the size limit.
    """
    file = SourceFile(name, text)
    out = _Layout(file, parse(file)).text()
    if len(out) > MAX_CHARACTERS:
        raise SdfError(too_large(name, f"{len(out)} characters in the canonical layout"))
    return out


@dataclass
class _Item:
    """A word or a comment, and where it stood."""

    kind: str
    text: str
    start: int
    end: int
    breaks: int  # line ends between this and the item before


@dataclass
class _Line:
    level: int
    text: str = ""


class _Layout:
    """Puts out the words in order, each with a break, a space or nothing before it."""

    def __init__(self, file: SourceFile, tree: ast.Module) -> None:
        self.items = _items(file, tree)
        # Where a line must start, with its level, and which signs have no left operand: the tree knows.
        self.starts = {u.span.start: 0 for u in tree.uses}
        self.starts.update((d.span.start, 0) for d in tree.decls)
        bodies = [(1, d.span.start, d.body) for d in tree.decls if d.body is not None]
        self.lone: set[int] = set()  # where something starts that may stay on one line
        for level, start, body in bodies:  # grows while it is read
            self.starts.update((item.span.start, level) for item in body)
            bodies += [(level + 1, item.span.start, item.body) for item in body if isinstance(item, ast.Fold)]
            if len(body) == 1 and isinstance(body[0], ast.Stmt):
                self.lone.add(start)
        self.signs = {e.span.start for e in _expressions(tree) if isinstance(e, ast.Unary)}
        self.lines: list[_Line] = []
        self.levels: list[int] = []  # the level of the line of each open bracket
        self.base = 0  # the level of the declaration or statement at hand
        self.depth = 0  # of the bodies around
        self.after_sign = False  # behind the `=` or `~` of a declaration or statement

    def text(self) -> str:
        i = 0
        while i < len(self.items):
            end = self.one_line_end(i)
            if end is not None:
                self.base, self.after_sign, self.levels = self.starts[self.items[i].start], False, []
                self.new_line(self.base, i)
                self.lines[-1].text = self.joined(i, end)
            else:
                end = i
                self.put(i)
            i = end + 1
        return "".join(f"{_INDENT * line.level if line.text else ''}{line.text}\n" for line in self.lines)

    def one_line_end(self, i: int) -> int | None:
        """The last item of a declaration or fold that starts at item i and stays on one line."""
        if self.items[i].start not in self.lone:
            return None
        for j in range(i + 1, len(self.items)):
            item = self.items[j]
            if item.breaks or item.kind in ("DOC", "COMMENT"):
                return None
            if item.kind == "RBRACE":
                indent = len(_INDENT) * self.starts[self.items[i].start]
                return j if indent + len(self.joined(i, j)) <= _WIDTH else None
        return None

    def joined(self, first: int, last: int) -> str:
        return "".join(self.glued(k, k > first) for k in range(first, last + 1) if not self.needless(k))

    def put(self, i: int) -> None:
        item = self.items[i]
        before = self.items[i - 1] if i else None
        if item.start in self.starts:
            self.base, self.after_sign, self.levels = self.starts[item.start], False, []
            self.new_line(self.base, i)
            self.lines[-1].text = self.glued(i, False)
        elif item.kind == "DOC" or (item.kind == "COMMENT" and self.between(i) and (item.breaks or before is None)):
            self.new_line(self.depth, i)
            self.lines[-1].text = item.text
        elif item.kind == "RBRACE":
            self.depth -= 1
            if before is not None and before.kind == "LBRACE":
                self.lines[-1].text += "}"
            else:
                self.new_line(self.depth, i)
                self.lines[-1].text = "}"
        elif item.kind == "COMMENT" and not item.breaks:
            self.lines[-1].text += f"  {item.text}"
        elif not self.needless(i):
            self.word(i)
        if item.kind == "LBRACE":
            self.depth += 1

    def word(self, i: int) -> None:
        """A word inside a declaration's head or a formula."""
        item = self.items[i]
        outer = self.levels[-1] if self.levels else self.base
        if item.kind in _CLOSE:
            self.levels.pop()
        may_break = item.breaks and (self.levels or item.kind in _CLOSE or self.after_sign)
        if may_break or "COMMENT" in (item.kind, self.items[i - 1].kind):
            closes = item.kind in _CLOSE or item.kind == "LBRACE"
            self.lines.append(_Line(outer if closes else outer + 1))
            self.lines[-1].text = self.glued(i, False)
        else:
            self.lines[-1].text += self.glued(i, True)
        if item.kind in _OPEN:
            self.levels.append(self.lines[-1].level)
        if not self.levels and item.kind in ("ASSIGN", "TILDE"):
            self.after_sign = True

    def between(self, i: int) -> bool:
        """Whether comment i stands between declarations or statements, not inside one."""
        rest = (item for item in self.items[i:] if item.kind != "COMMENT")
        item = next(rest, None)
        return item is None or item.kind in ("DOC", "RBRACE") or item.start in self.starts

    def new_line(self, level: int, i: int) -> None:
        item = self.items[i]
        blank = item.breaks > 1 and i > 0 and item.kind != "RBRACE" and self.items[i - 1].kind != "LBRACE"
        if blank:
            self.lines.append(_Line(0))
        self.lines.append(_Line(level))

    def needless(self, i: int) -> bool:
        """A comma before a closing bracket on the same line."""
        if self.items[i].kind != "COMMA" or self.items[i - 1].kind == "COMMENT":
            return False
        return self.items[i + 1].kind in _CLOSE and not self.items[i + 1].breaks

    def glued(self, i: int, follows: bool) -> str:
        """The word with what comes between it and the word before on its line."""
        item = self.items[i]
        if not follows:
            return item.text
        before = self.items[i - 1]
        tight = (
            before.kind in (*_OPEN, "DOT") or (before.kind == "MINUS" and before.start in self.signs)
            or item.kind in (*_CLOSE, "COMMA", "COLON")
            or (item.kind == "DOT" and before.kind != "NUMBER")  # `1 .x` is no `1.x`
            or (item.kind in _OPEN and before.kind in _VALUE_ENDS))
        return item.text if tight else f" {item.text}"


def _items(file: SourceFile, tree: ast.Module) -> list[_Item]:
    """Words and comments in the order of the text."""
    found = []
    before: Token | None = None
    for t in words(file):
        name = before is not None and before.type in _KINDS  # elsewhere a text in quotes is an argument
        found.append((t.start_pos or 0, t.end_pos or 0, t.type, _spelling(t, name=name)))
        before = t
    found += [(s.start, s.end, "COMMENT", s.text.rstrip()) for s in tree.comments]
    out: list[_Item] = []
    for start, end, kind, text in sorted(found):
        breaks = file.text.count("\n", out[-1].end if out else 0, start)
        out.append(_Item(kind, text, start, end, breaks))
    return out


def _spelling(token: Token, *, name: bool) -> str:
    if token.type == "QUOTED" and name:
        inner = token[1:-1]
        return inner if _PLAIN_NAME.fullmatch(inner) and inner not in keywords() else str(token)
    if token.type == "DOC":
        return f"## {token[2:].strip()}".rstrip()
    return str(token)


def _expressions(tree: ast.Module) -> Iterator[ast.Expr]:
    stack: list[ast.Expr] = []
    for decl in tree.decls:
        stack += [p.default for p in decl.params or () if p.default is not None]
        stack += [decl.value] if decl.value is not None else []
        stack += ast.formulas(decl.body)
    while stack:
        expr = stack.pop()
        yield expr
        stack.extend(expr.children())
