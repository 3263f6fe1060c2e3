"""What to say where the grammar does not fit: in words of the language, with a likely fix."""

from __future__ import annotations

from lark import Token

from fdif_dsl.grammar.diagnostics import Diagnostic, did_you_mean, error_at, quote
from fdif_dsl.grammar.source import SourceFile, Span

_KINDS = {"SHAPE", "PROFILE", "DISPLACEMENT", "MAPPER", "FN"}
_VALUE = {"NUMBER", "NAME", "TRUE", "FALSE", "LPAR", "REDUCER"}
_SPELLING = {
    "LPAR": "`(`", "RPAR": "`)`", "LSQB": "`[`", "RSQB": "`]`", "LBRACE": "`{`", "RBRACE": "`}`", "COMMA": "`,`",
    "COLON": "`:`", "ASSIGN": "`=`", "TILDE": "`~`", "LT": "`<`", "NAME": "a name", "QUOTED": "a name in quotes", "DOT": "`.`", "MINUS": "`-`",
}
_OPERATORS = {"PLUS", "MINUS", "STAR", "SLASH", "DIV", "CARET", "LT", "LE", "GT", "GE", "EQ", "NE", "AND", "OR", "DOT"}
_OPEN = {"(": ")", "[": "]", "{": "}"}

# What people type from habit, and what it is called here.
_CHARACTER_HINTS = {
    ";": "statements need no end mark: delete it",
    "'": "the language has no strings",
    '"': "the language has no strings",
    "&": "write `and`",
    "|": "write `or`; for an absolute value write `abs(x)`",
    "!": "write `not`, or `!=` for \"differs from\"",
    "%": "write `mod(a, b)`",
    "?": "write `where(condition, a, b)`",
    "@": "for a product of vectors write `dot(a, b)`",
    "$": "names are letters, digits and underscores",
    "\\": "a formula may simply go on in the next line",
    "_": "a name starts with a letter",
    "\N{MIDDLE DOT}": "write `*`",
    "\N{MULTIPLICATION SIGN}": "write `*`",
    "\N{MINUS SIGN}": "write `-` (the plain hyphen)",
    "\N{GREEK SMALL LETTER PI}": "write `pi`",
    "\N{GREEK SMALL LETTER TAU}": "write `tau`",
    "\N{SUPERSCRIPT TWO}": "write `^ 2`",
    "\N{SUPERSCRIPT THREE}": "write `^ 3`",
}


def explain_character(file: SourceFile, offset: int) -> Diagnostic:
    """A character that starts no word of the language."""
    char = file.text[offset]
    name = f"`{char}`" if char.isprintable() else f"U+{ord(char):04X}"
    hint = _CHARACTER_HINTS.get(char, "")
    if not hint and not char.isprintable():
        hint = "save the file as plain UTF-8 text"
    return error_at(Span(file, offset, offset + 1), "E0101", f"the character {name} has no meaning here",
                    "not part of the language", hint=hint)


def explain_token(file: SourceFile, token: Token, expected: set[str]) -> Diagnostic:
    """A word in a place where the grammar does not allow it."""
    if token.type == "$END":
        return _explain_end(file, expected)
    span = Span(file, token.start_pos or 0, token.end_pos or 0)
    before = file.text[: span.start].rstrip()
    title = f"{quote(str(token))} does not fit here"
    label = f"expected {_words(expected)}"
    hint = ""
    if token.type in ("NAME", "NUMBER") and before and (before[-1].isalnum() or before[-1] in ")]"):
        hint = "put an operator between the two values, for example `*`"
    if token.type == "ASSIGN" and ("LT" in expected or "EQ" in expected):
        hint = "to compare write `==`; a statement is `name = formula`"
    elif token.type == "STAR" and before.endswith("*"):
        hint = "a power is written `x ^ y`"
    elif token.type in ("LT", "LE", "GT", "GE", "EQ", "NE"):
        hint = "comparisons do not chain: write `a < b and b < c`"
    elif token.type == "DOC":
        hint = "a doc comment (##) stands before a declaration or a statement; a plain one (#) may stand anywhere"
    elif token.type in _KINDS and "RBRACE" in expected:
        hint = "is the `}` of the declaration before missing?"
    elif token.type in _KINDS | {"USE", "TRUE", "FALSE", "AND", "OR", "NOT"} and "NAME" in expected and len(expected) <= 2:
        hint = f"`{token}` is a word of the language; choose another name"
    elif token.type == "NAME" and _KINDS & expected:
        hint = _declaration_hint(token)
    elif expected == {"ASSIGN", "LSQB", "TILDE"}:
        hint = "the name before starts a statement; if it belongs to the formula before it, an operator is missing"
    notes = []
    if token.type in ("RPAR", "RSQB", "RBRACE"):
        opener = _innermost_open(file, span.start)
        if opener is None:
            hint = "nothing is open here: delete it"
        elif _OPEN[opener.text] != token:
            notes.append((opener, f"this wants `{_OPEN[opener.text]}`"))
    return error_at(span, "E0107", title, label, hint=hint, notes=notes)


def _explain_end(file: SourceFile, expected: set[str]) -> Diagnostic:
    end = len(file.text.rstrip())
    span = Span(file, max(0, end - 1), max(1, end))
    opener = _innermost_open(file, len(file.text))
    notes = [(opener, f"this wants `{_OPEN[opener.text]}`")] if opener else []
    hint = f"add the missing `{_OPEN[opener.text]}`" if opener else ""
    return error_at(span, "E0108", "the file ends too early", f"expected {_words(expected)} after this", hint=hint,
                    notes=notes)


def _declaration_hint(token: Token) -> str:
    habits = {"def": "a function is declared with `fn`", "function": "a function is declared with `fn`",
              "import": "another file is brought in with `use name`",
              "from": "another file is brought in with `use name`",
              "class": "a solid is declared with `shape`",
              "let": "a value is named inside a declaration, as `name = formula`"}
    if str(token) in habits:
        return habits[str(token)]
    return did_you_mean(str(token), ["use", "shape", "profile", "displacement", "mapper", "fn"]) or (
        "a file holds `use` lines and declarations: shape, profile, displacement, mapper, fn")


def _words(expected: set[str]) -> str:
    """The expected terminals in a few words."""
    rest = set(expected)
    out = []
    if rest >= _VALUE:
        out.append("a value")
        rest -= _VALUE | {"MINUS", "NOT", "LSQB"}
    if "OR" in rest:
        out.append("an operator")
        rest -= _OPERATORS | ({"LPAR", "LSQB"} if "DOT" in rest else set())
    if rest >= _KINDS:
        out.append("a declaration")
        rest -= _KINDS | {"USE", "DOC"}
    rest -= {"DOC", "$END"} | ({"QUOTED"} if "NAME" in rest else set())
    out += [_SPELLING.get(t, f"`{t.lower()}`") for t in sorted(rest)]
    return out[0] if len(out) == 1 else ", ".join(out[:-1]) + f" or {out[-1]}" if out else "the end of the file"


def _innermost_open(file: SourceFile, end: int) -> Span | None:
    """The last bracket before `end` that is still open, comments left out."""
    stack: list[int] = []
    i = 0
    while i < end:
        c = file.text[i]
        if c == "#":
            newline = file.text.find("\n", i)
            i = end if newline < 0 else newline
        elif c in _OPEN:
            stack.append(i)
        elif c in ")]}" and stack:
            stack.pop()
        i += 1
    return Span(file, stack[-1], stack[-1] + 1) if stack else None
