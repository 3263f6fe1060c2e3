"""What to say where the grammar does not fit: in words of the language, with a likely fix."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from lark import Token

from fdif_dsl.grammar import habits
from fdif_dsl.grammar.diagnostics import Diagnostic, did_you_mean, error_at, quote
from fdif_dsl.grammar.source import SourceFile, Span

_KINDS = {"SHAPE", "PROFILE", "DISPLACEMENT", "MAPPER", "FN", "CONST"}
_RESERVED = _KINDS | {"USE", "FOLD", "THEN", "TRUE", "FALSE", "AND", "OR", "NOT", "WHEN"}
_VALUE = {"NUMBER", "NAME", "TRUE", "FALSE", "LPAR", "REDUCER"}
_VALUE_ENDS = {"NUMBER", "NAME", "TRUE", "FALSE", "RPAR", "RSQB"}
_COMPARISONS = {"LT", "LE", "GT", "GE", "EQ", "NE"}
_OPERATORS = _COMPARISONS | {"PLUS", "MINUS", "STAR", "SLASH", "DIV", "CARET", "AND", "OR", "DOT"}
_STATEMENT = {"ASSIGN", "LSQB", "TILDE"}  # what may follow the name that starts a statement
_SIGNS = {"LPAR": "(", "RPAR": ")", "LSQB": "[", "RSQB": "]", "LBRACE": "{", "RBRACE": "}", "COMMA": ",", "COLON": ":",
          "ASSIGN": "=", "TILDE": "~", "LT": "<", "DOT": ".", "MINUS": "-"}
_SPELLING = {"NAME": "a name", "QUOTED": "a name in quotes", **{kind: f"`{sign}`" for kind, sign in _SIGNS.items()}}
_LIMITING = _COMPARISONS | {"AND", "OR", "COMMA", "COLON"}  # what else people put before a condition
_AUGMENTED = ("PLUS", "MINUS", "STAR", "SLASH", "DIV", "CARET")
_OPEN = {"(": ")", "[": "]", "{": "}"}
_CLOSERS = {"RPAR": "LPAR", "RSQB": "LSQB", "RBRACE": "LBRACE"}

_BETWEEN = "put an operator between the two values, for example `*`"
_UNCLOSED = "is the `}` of the declaration before missing?"

_TEXTS = "only `field(...)` takes a text, in double quotes"

# What people type from habit, and what it is called here.
_CHARACTER_HINTS = {
    ";": "statements need no end mark: delete it",
    "'": _TEXTS,
    '"': _TEXTS,
    "&": "write `and`",
    "|": "write `or`; for an absolute value write `abs(x)`",
    "!": "write `not`, or `!=` for \"differs from\"",
    "%": "write `mod(a, b)`",
    "?": "write `where(condition, a, b)`",
    "@": "a product of matrices is `m * n`; of vectors, `dot(a, b)`",
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
    "\N{DIVISION SIGN}": "write `/`",
    "\N{LESS-THAN OR EQUAL TO}": "write `<=`",
    "\N{GREATER-THAN OR EQUAL TO}": "write `>=`",
    "\N{NOT EQUAL TO}": "write `!=`",
    "\N{SQUARE ROOT}": "write `sqrt(x)`",
    "\N{DEGREE SIGN}": "angles are in radians: write `radians(x)`",
    "\N{LOGICAL AND}": "write `and`",
    "\N{LOGICAL OR}": "write `or`",
    "\N{NOT SIGN}": "write `not`",
    **dict.fromkeys("\N{EN DASH}\N{EM DASH}\N{HYPHEN}", "write `-` (the plain hyphen)"),
    **dict.fromkeys("\N{LEFT DOUBLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}\N{LEFT SINGLE QUOTATION MARK}"
                    "\N{RIGHT SINGLE QUOTATION MARK}", _TEXTS),
}


_NAME_IN_QUOTES = "a name in quotes starts with a letter and holds letters, digits and `_.+-`, 64 at most"


def explain_character(file: SourceFile, offset: int) -> Diagnostic:
    """A character that starts no word of the language."""
    char = file.text[offset]
    name = f"`{char}`" if char.isprintable() else f"U+{ord(char):04X}"
    hint = _CHARACTER_HINTS.get(char, "")
    if char == '"' and file.text[:offset].split()[-1:] and file.text[:offset].split()[-1].upper() in _KINDS:
        hint = _NAME_IN_QUOTES
    if char == "_" and offset and file.text[offset - 1].isdigit():
        hint = "digits stand together, without `_`"
    if not hint and habits.after_slashes(file, offset):
        hint = habits.COMMENT
    plain = unicodedata.normalize("NFKC", char)
    if not hint and plain != char and plain.isascii() and plain.isprintable() and plain != " ":
        hint = f"write `{plain}` (the plain character)"
    if not hint and char.isalpha():
        hint = "names are letters from a to z, digits and underscores"
    if not hint and not char.isprintable():
        hint = "an invisible character: delete it"
    return error_at(Span(file, offset, offset + 1), "E0101", f"the character {name} has no meaning here",
                    "not part of the language", hint=hint or "delete it")


def explain_token(file: SourceFile, token: Token, expected: set[str], before: Sequence[Token]) -> Diagnostic:
    """A word in a place where the grammar does not allow it. `before` are the words up to there."""
    opener = _innermost_open(before)
    if token.type == "$END":
        return _explain_end(file, expected, before[-1], opener)
    if expected == _STATEMENT and _continues(file, token, before):
        # `2 length(p)`: the name was taken for the start of a statement.
        return error_at(_span(file, before[-1]), "E0107", f"{quote(str(before[-1]))} does not fit here",
                        "expected an operator", hint=_habit(file, before[-1], expected, before[:-1]) or _BETWEEN)
    hint = _habit(file, token, expected, before) or _hint(file, token, expected, before)
    notes: list[tuple[Span, str]] = []
    if token.type in _CLOSERS:
        wanted = f"`{_OPEN[str(opener)]}`" if opener else ""
        if opener is None:
            hint = "nothing is open here: delete it"
        elif opener.type == "LBRACE" != _CLOSERS[token.type]:
            hint = f"no `{_SIGNS[_CLOSERS[token.type]]}` is open here: delete it"
        elif opener.type != _CLOSERS[token.type]:
            hint = f"add the missing {wanted}" if token.type == "RBRACE" else f"write {wanted}"
            notes.append((_span(file, opener), f"this wants {wanted}"))
    elif opener is not None and hint == _UNCLOSED:
        notes.append((_span(file, opener), "this wants `}`"))
    return error_at(_span(file, token), "E0107", f"{quote(str(token))} does not fit here",
                    f"expected {_words(expected)}", notes=notes,
                    hint=hint or f"write {_words(expected)} here, or delete {quote(str(token))}")


def _continues(file: SourceFile, token: Token, before: Sequence[Token]) -> bool:
    """Whether a name that no `=` follows goes on with the value before it, rather than starts a statement."""
    if len(before) < 2 or before[-2].type not in _VALUE_ENDS or not _one_line(before[-2:]):
        return False
    assigns = token.type == "COLON" or (token.type in _AUGMENTED and _next(file, token) == "=")
    return not assigns and str(before[-1]) not in habits.STATEMENTS


def _habit(file: SourceFile, token: Token, expected: set[str], before: Sequence[Token]) -> str:
    """What to do about a habit of another language, or nothing."""
    last = before[-1] if before else token
    kind, word = token.type, str(token)
    touching = last.end_pos == token.start_pos
    if token.type == "DIV" or any(t.type == "DIV" and t.line == token.line for t in before):
        return habits.COMMENT
    if (token.type == "SLASH" and file.text[token.end_pos or 0 :][:1] == "*") or (
            token.type == "STAR" and last.type == "SLASH" and touching):
        return habits.COMMENT
    line = file.text[file.text.rfind("\n", 0, token.start_pos or 0) + 1 :]
    if line.lstrip().startswith("--"):
        return "a comment starts with `#`"
    if token.type == "NAME" and last.type == "NUMBER" and touching:
        return habits.number_hint(str(last), word)
    if token.type == "COMMA" and _groups(before):
        count = _values_from(file, before)
        return f"a vector is written `vec{count}({'x, y, z, w'[: 3 * count - 2]})`" if count < 5 else habits.TOO_MANY
    if "WHEN" in expected and (word in ("if", "where") or token.type in _LIMITING):
        return habits.SOME
    named = _next(file, token) in ("=", "~")
    if word in ("if", "else", "elif") or str(last) == "if":
        return habits.CHOICE
    if word == "then" and not named:
        line_before = [str(t) for t in before if t.line == token.line]
        if "if" in line_before:
            return habits.CHOICE
        return habits.ONE_THEN if _in_fold(before) and "then" in line_before else habits.THEN
    if word == "fold" and expected >= _KINDS:
        return habits.FOLD_INSIDE
    if word == "fold" and "NUMBER" in expected:
        return habits.FOLD_STATEMENT
    if last.type == "FOLD" or [t.type for t in before[-2:]] == ["FOLD", "LSQB"] or (
            expected == {"LT"} and [t.type for t in before[-3:-1]] == ["FOLD", "LSQB"] and kind not in _COMPARISONS):
        return habits.FOLD
    if word == "const" and "RBRACE" in expected:
        return habits.CONSTANT_INSIDE
    if [t.type for t in before[-2:]] == ["CONST", "NAME"]:
        return habits.CONSTANT_FORM.get(kind, "")
    if token.type == "COLON" and {"ASSIGN", "LBRACE"} <= expected:
        return "a body stands in braces, as in `shape ball { distance = ... }`"
    if token.type == "NAME" and expected >= _KINDS and "RBRACE" not in expected and _next(file, token) == "=":
        return habits.CONSTANT
    return ""


def _in_fold(before: Sequence[Token]) -> bool:
    """Whether the innermost body is that of a fold."""
    opener = _innermost_open([t for t in before if str(t) in "{}"])
    heads = [t.type for t in before if opener is not None and (t.end_pos or 0) <= (opener.start_pos or 0)
             and t.type in (*_KINDS, "FOLD")]
    return heads[-1:] == ["FOLD"]


def _groups(before: Sequence[Token]) -> bool:
    """Whether the innermost open bracket is a round one that calls nothing."""
    opener = _innermost_open(before)
    if opener is None or opener.type != "LPAR":
        return False
    place = next(i for i, token in enumerate(before) if token is opener)
    return not place or before[place - 1].type not in ("NAME", "RPAR", "RSQB")


def _values_from(file: SourceFile, before: Sequence[Token]) -> int:
    """How many values stand in the innermost open bracket."""
    opener = _innermost_open(before)
    depth, values = 0, 1
    for char in file.text[(opener.end_pos if opener else 0) or 0 :]:
        if char in _OPEN:
            depth += 1
        elif char in _OPEN.values():
            if not depth:
                break
            depth -= 1
        elif char == "," and not depth:
            values += 1
    return values


def _explain_end(file: SourceFile, expected: set[str], last: Token, opener: Token | None) -> Diagnostic:
    hint, notes = "", []
    closer = _OPEN[str(opener)] if opener else ""
    if opener and any(_SIGNS.get(t) == closer for t in expected):
        hint = f"add the missing `{closer}`"
        notes = [(_span(file, opener), f"this wants `{closer}`")]
    return error_at(_span(file, last), "E0108", "the file ends too early", f"expected {_words(expected)} after this",
                    hint=hint or "finish the declaration, or delete its beginning", notes=notes)


def _hint(file: SourceFile, token: Token, expected: set[str], before: Sequence[Token]) -> str:
    """A likely fix, or nothing."""
    kind, word = token.type, str(token)
    last = before[-1] if before else token
    types = [t.type for t in before[-3:]]
    value = kind in ("NAME", "NUMBER", "REDUCER")
    if kind == "DOC":
        return "a doc comment (##) stands before a declaration or a statement; a plain one (#) may stand anywhere"
    if last.type == "DOC" and kind != "NAME":
        return "the doc comment (##) before it ends the formula: write a plain one (#)"
    if types[-1:] == ["USE"] and kind == "QUOTED":
        return "write the plain name, as in `use std`"
    if types[-1:] == ["CONST"] and kind == "QUOTED":
        return "write a plain name, as in `const size = 3`"
    if kind == "TEXT" and types and types[-1] in _KINDS:
        return _NAME_IN_QUOTES
    if kind in ("QUOTED", "TEXT"):
        return _TEXTS
    if types[-2:] == ["USE", "NAME"] and kind in ("DOT", "SLASH"):
        return "write the plain name, as in `use std`"
    continued = "OR" in expected and _one_line([last, token])
    if value and expected >= _KINDS and "RBRACE" not in expected and not continued:
        return _declaration_hint(token)
    if expected == _STATEMENT:
        return _statement_hint(file, token, last)
    if kind in _RESERVED and "NAME" in expected and (len(expected) <= 2 or _next(file, token) in ("=", "~", "[")):
        return f"`{word}` is a word of the language; choose another name"
    if kind == "WHEN" and any(t.type == "WHEN" for t in _inside(before)):
        return "conditions are joined with `and`"
    if kind == "WHEN":
        return habits.ALL if _in_binder(before) else habits.WHEN
    if kind in _KINDS and "RBRACE" in expected:
        return _UNCLOSED
    if kind == "ASSIGN" and len(before) > 1 and before[-2].type not in _VALUE_ENDS and not _one_line(before[-2:]):
        return f"the line above ends in `{before[-2]}`, so its formula goes on here"
    if kind == "ASSIGN" and "OR" in expected:
        return "to compare write `==`; a statement is `name = formula`"
    if kind == "STAR" and last.type == "STAR":
        return "a power is written `x ^ y`"
    if kind in _COMPARISONS and expected == {"LT"}:
        return "a loop starts at 0 and ends below its bound: `[i < n]`"
    if kind in _COMPARISONS and types == ["NAME", "LSQB", "NAME"]:
        return "the reductions are min, max, sum, any and all, as in `sum[i < n](...)`"
    if kind in _COMPARISONS:
        return "comparisons do not chain: write `a < b and b < c`"
    if expected == {"LT"} or types[-2:] == ["REDUCER", "LSQB"]:
        return "a reduction is written `sum[i < n](...)`"
    if kind == "RSQB" and last.type == "LSQB":
        return "an array holds at least one value; an index is one"
    if kind == "NUMBER" and types == ["COLON", "NAME", "LSQB"]:
        return "give the length a name, as in `float[n]`; it fits arrays of every length"
    if kind == "REDUCER" and "NAME" in expected and "NUMBER" not in expected:
        return f"`{word}[...]` is a reduction; choose another name"
    if word == "for":
        return habits.LOOP
    if value and "OR" in expected:
        return _BETWEEN
    if expected == {"NAME", "FOLD", "DOC", "RBRACE"}:
        return "a body holds statements such as `name = formula`"
    return ""


def _in_binder(before: Sequence[Token]) -> bool:
    """Whether the words end in the bracket of an array's statement, `name[i < n`."""
    inside = _inside(before)
    head = before[: len(before) - len(inside)][-2:]
    return [t.type for t in (*head, *inside[:2])] == ["NAME", "LSQB", "NAME", "LT"]


def _inside(before: Sequence[Token]) -> Sequence[Token]:
    """The words behind the innermost bracket that is open."""
    opener = _innermost_open(before)
    return before if opener is None else before[next(i for i, token in enumerate(before) if token is opener) + 1 :]


def _statement_hint(file: SourceFile, token: Token, name: Token) -> str:
    """What to do where a statement's name is not followed by `=`, `~` or `[`."""
    if str(name) in habits.STATEMENTS:
        return habits.STATEMENTS[str(name)]
    if token.type == "COLON":
        return habits.QUANTITY
    if token.type in _AUGMENTED and _next(file, token) == "=":
        return "a name keeps its value; give the new one a name of its own"
    if token.type == "DOT":
        return "a component cannot be set; make a new vector, such as `v = vec2(x, y)`"
    if token.type == "LPAR":
        return "a function is declared outside, as in `fn double(x) = 2 * x`"
    return f"`{name}` starts a statement: write `{name} = ...`"


def _next(file: SourceFile, token: Token) -> str:
    """The first character behind a word that is no white space."""
    return file.text[token.end_pos or 0 :].lstrip()[:1]


def _one_line(two: Sequence[Token]) -> bool:
    return two[0].line == two[-1].line


def _span(file: SourceFile, token: Token) -> Span:
    return Span(file, token.start_pos or 0, token.end_pos or 0)


def _declaration_hint(token: Token) -> str:
    if str(token) in habits.DECLARATIONS:
        return habits.DECLARATIONS[str(token)]
    return did_you_mean(str(token), ["use", "shape", "profile", "displacement", "mapper", "fn", "const"]) or (
        "a file holds `use` lines and declarations: shape, profile, displacement, mapper, fn, const")


def _words(expected: set[str]) -> str:
    """The expected terminals in a few words."""
    rest = set(expected)
    out = []
    if rest >= _VALUE:
        out.append("a value")
        rest -= _VALUE | {"MINUS", "NOT", "LSQB"}
    if rest & {"PLUS", "OR"}:
        out.append("an operator")
        rest -= _OPERATORS | ({"LPAR", "LSQB"} if "DOT" in rest else set())
    if rest >= {"NAME", "FOLD"}:
        out.append("a statement")
        rest -= {"NAME", "FOLD"}
    if rest >= _KINDS:
        out.append("a declaration")
        rest -= _KINDS | {"USE", "DOC"}
    rest -= {"DOC", "$END", "TEXT"} | ({"QUOTED"} if "NAME" in rest else set())
    out += [_SPELLING.get(t, f"`{t.lower()}`") for t in sorted(rest)]
    return out[0] if len(out) == 1 else ", ".join(out[:-1]) + f" or {out[-1]}" if out else "the end of the file"


def _innermost_open(before: Sequence[Token]) -> Token | None:
    """The last bracket that is still open."""
    stack: list[Token] = []
    for token in before:
        if str(token) in _OPEN:
            stack.append(token)
        elif token.type in _CLOSERS and stack:
            stack.pop()
    return stack[-1] if stack else None
