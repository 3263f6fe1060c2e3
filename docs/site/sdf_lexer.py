"""Colours for `.sdf` text, from the tables of the language."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import ClassVar

from pygments.lexer import RegexLexer, words
from pygments.token import Comment, Keyword, Name, Number, Operator, Punctuation, String, Text

from fdif_dsl.compiler.frontend.builtins import BUILTINS, CONSTANTS, PRIORS

_GRAMMAR = files("fdif_dsl.grammar").joinpath("sdf.lark").read_text("utf-8")
_WORDS = re.findall(r'^[A-Z]+: "([a-z]+)"$', _GRAMMAR, re.MULTILINE)


class SdfLexer(RegexLexer):
    """The lexer that Pygments uses for fences marked `sdf`."""

    name = "sdf"
    aliases: ClassVar = ["sdf"]
    filenames: ClassVar = ["*.sdf"]
    tokens: ClassVar = {"root": [
        (r"\s+", Text),
        (r"##[^\n]*", String.Doc),
        (r"#[^\n]*", Comment.Single),
        (r'"[^"\n]*"', Name.Class),
        (words(_WORDS, prefix=r"\b", suffix=r"\b"), Keyword),
        (words([*CONSTANTS, "grid"], prefix=r"\b", suffix=r"\b"), Name.Constant),
        (words([*BUILTINS, *PRIORS, "deepest", "all"], prefix=r"\b", suffix=r"(?=\s*[\[(])"), Name.Builtin),
        (r"[A-Za-z]\w*", Name),
        (r"(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", Number),
        (r"[~=<>!+*/^-]+", Operator),
        (r"[(){}\[\],.:]", Punctuation),
        (r".", Text),  # pages show mistakes too
    ]}
