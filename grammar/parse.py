"""Text to tree. Lark's LALR parser calls the builders below while it parses, so nothing recurses."""

from __future__ import annotations

import math
from functools import cache
from importlib.resources import files
from pathlib import Path
from threading import Lock
from typing import Any

from lark import Lark, Token, Transformer
from lark.exceptions import UnexpectedCharacters, UnexpectedToken, VisitError

from fdif_dsl.grammar import ast
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError, error_at
from fdif_dsl.grammar.source import SourceFile, Span
from fdif_dsl.grammar.syntax_errors import explain_character, explain_token

MAX_CHARACTERS = 64 * 1024  # about a second of parsing
MAX_DEPTH = 100
TOO_DEEP = "E0104"  # the code of what nests deeper
MAX_NAME = 64
_MAX_DIGITS = 40


class SdfError(FdifError):
    """A `.sdf` file that cannot be compiled."""


def read_source(path: Path, name: str | None = None) -> SourceFile:
    """The text of a file.

    Raises:
        SdfError: if it is no UTF-8 text or too large.
        OSError: if it cannot be read.
    """
    name = name or str(path)
    size = path.stat().st_size
    if size > 4 * MAX_CHARACTERS:
        raise SdfError(too_large(name, f"{size / 2**20:.1f} MiB"))
    try:
        return SourceFile(name, path.read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise SdfError(Diagnostic("E0103", "the file is not UTF-8 text", where=f"{name}: byte {error.start}",
                                  why=f"byte 0x{error.object[error.start]:02x} does not fit there",
                                  hint="save it as UTF-8; is it a .sdf file at all?")) from None


def parse(file: SourceFile, text: str | None = None) -> ast.Module:
    """The syntax tree of a file; or of `text`, which is the file's with some of it blanked out.

    Raises:
        SdfError: with one diagnostic, for the first place that the grammar does not allow.
    """
    if len(file.text) > MAX_CHARACTERS:
        raise SdfError(too_large(file.name, f"{len(file.text)} characters"))
    text = file.text if text is None else text
    lark, build = _parser()
    with _LOCK:
        build.start(file)
        try:
            module = lark.parse(text)
        except UnexpectedCharacters as error:
            raise SdfError(explain_character(file, error.pos_in_stream or 0)) from None
        except UnexpectedToken as error:
            end = len(text) if error.token.type == "$END" else error.token.start_pos
            before = list(lark.lex(text[:end]))
            raise SdfError(explain_token(file, error.token, set(error.accepts or error.expected), before)) from None
        except VisitError as error:
            raise error.orig_exc from None
    assert isinstance(module, ast.Module)
    return module


def words(file: SourceFile) -> list[Token]:
    """The words of a file that parses, in order, comments left out."""
    lark, build = _parser()
    with _LOCK:
        build.start(file)
        return list(lark.lex(file.text))


@cache
def keywords() -> frozenset[str]:
    """The words that can be no names."""
    return frozenset(t.pattern.value for t in _parser()[0].terminals if t.pattern.value.isalpha())


@cache
def starters(before: str = "") -> frozenset[str]:
    """The words of the language that may come next behind a text that parses so far: in the beginning those that start
    a declaration."""
    lark, build = _parser()
    signs = {t.name: t.pattern.value for t in lark.terminals}
    with _LOCK:
        build.start(SourceFile("", before))
        parser = lark.parse_interactive(before)
        parser.exhaust_lexer()
    return frozenset(signs[t] for t in parser.accepts() if t in signs) & keywords()  # type: ignore[no-untyped-call]


def too_large(name: str, size: str) -> Diagnostic:
    return Diagnostic("E0102", f"the file is too large: {size}", where=name,
                      why=f"a source file may have {MAX_CHARACTERS} characters",
                      hint="split it into modules and bring them together with `use`")


_LOCK = Lock()  # the builder below holds the file that is being parsed


class _Build(Transformer[Token, Any]):
    """Grammar rules to tree nodes; a rule's method has the rule's name."""

    def start(self, file: SourceFile) -> None:
        self.file = file
        self.comments: list[Span] = []

    def comment(self, token: Token) -> Token:
        self.comments.append(self._span(token))
        return token

    def word(self, token: Token) -> Token:
        if len(token) > MAX_NAME:
            raise SdfError(error_at(self._span(token), "E0109", f"a name of {len(token)} characters",
                                    f"at most {MAX_NAME}", hint="shorten it"))
        return token

    def _span(self, first: Any, last: Any = None) -> Span:
        start = first.start_pos if isinstance(first, Token) else first.span.start
        last = first if last is None else last
        end = last.end_pos if isinstance(last, Token) else last.span.end
        return self.file.span(start or 0, end or 0)

    def _shallow(self, node: ast.Expr) -> ast.Expr:
        if node.depth > MAX_DEPTH:
            raise SdfError(error_at(
                Span(self.file, node.span.start, node.span.start + 1), TOO_DEEP,
                f"the formula nests more than {MAX_DEPTH} deep", "starts here",
                hint="give parts of it names, or use a reduction such as `sum[i < n](...)`"))
        return node

    # -- the file

    def module(self, items: list[Any]) -> ast.Module:
        return ast.Module(self.file, tuple(i for i in items if isinstance(i, ast.Use)),
                          tuple(i for i in items if isinstance(i, ast.Decl)), tuple(self.comments))

    def dangling(self, docs: list[Token]) -> None:
        if docs:
            raise SdfError(error_at(self._span(docs[0], docs[-1]), "E0105", "a doc comment that describes nothing",
                                    "nothing follows",
                                    hint="put it before a declaration, or write a plain comment with a single #"))

    def use(self, items: list[Any]) -> ast.Use:
        docs, keyword, name = items
        return ast.Use(self._span(keyword, name), docs, str(name), self._span(name))

    def docs(self, tokens: list[Token]) -> str:
        for token in tokens:
            line = self.file.text.rfind("\n", 0, token.start_pos) + 1
            if self.file.text[line : token.start_pos].strip():
                raise SdfError(error_at(
                    self._span(token), "E0110", "a doc comment behind what it describes", "would describe what follows",
                    hint="put it on the line before, or write a plain comment with a single #"))
        # What a blank line sets apart, such as the head of a file, is not about what comes next.
        breaks = [i for i in range(1, len(tokens)) if (tokens[i].line or 0) > (tokens[i - 1].line or 0) + 1]
        return "\n".join(t[2:].strip() for t in tokens[breaks[-1] if breaks else 0:])

    def kind(self, items: list[Token]) -> Token:
        return items[0]

    def alias(self, items: list[Any]) -> ast.Decl:
        docs, kind, name, params, _, value = items
        return ast.Decl(self._span(kind, value), docs, str(kind), name.strip('"'), self._span(name), params, value,
                        None)

    def block(self, items: list[Any]) -> ast.Decl:
        docs, kind, name, params, _, *body = items
        statements = tuple(s for s in body if isinstance(s, ast.Stmt | ast.Fold))
        return ast.Decl(self._span(kind, name), docs, str(kind), name.strip('"'), self._span(name), params, None,
                        statements)

    def constant(self, items: list[Any]) -> ast.Decl:
        docs, keyword, name, _, value = items
        return ast.Decl(self._span(keyword, value), docs, str(keyword), str(name), self._span(name), None, value, None)

    def params(self, items: list[Any]) -> tuple[ast.Param, ...]:
        return tuple(i for i in items if isinstance(i, ast.Param))

    def param(self, items: list[Any]) -> ast.Param:
        name, _, type_, _, default = items
        last = default or type_ or name
        return ast.Param(self._span(name, last), str(name), self._span(name), type_, default)

    def type(self, items: list[Any]) -> ast.TypeRef:
        name, *length = items
        bracket = [t for t in length if t is not None]
        return ast.TypeRef(self._span(name, bracket[-1] if bracket else name), str(name),
                           str(bracket[1]) if bracket else None)

    def stmt(self, items: list[Any]) -> ast.Stmt:
        docs, name, binder, sign, value = items
        return ast.Stmt(self._span(name, value), docs, str(name), self._span(name), binder, sign == "~", value)

    def round(self, items: list[Any]) -> ast.Stmt:
        docs, name, binder, sign, value, _, next_ = items
        return ast.Stmt(self._span(name, next_ or value), docs, str(name), self._span(name), binder, sign == "~", value,
                        next_)

    def fold(self, items: list[Any]) -> ast.Fold:
        docs, keyword, binder, _, *body, close = items
        fold = ast.Fold(self._span(keyword, close), docs, binder,
                        tuple(s for s in body if isinstance(s, ast.Stmt | ast.Fold)))
        if fold.depth > MAX_DEPTH:
            raise SdfError(error_at(self._span(keyword), TOO_DEEP, f"folds nest more than {MAX_DEPTH} deep",
                                    "starts here", hint="put inner folds into functions"))
        return fold

    def binder(self, items: list[Any]) -> ast.Binder:
        open_, var, _, bound, close = items
        return ast.Binder(self._span(open_, close), str(var), self._span(var), bound)

    # -- expressions

    def number(self, items: list[Token]) -> ast.Expr:
        token = items[0]
        span = self._span(token)
        if len(token) > _MAX_DIGITS:
            raise SdfError(error_at(span, "E0106", f"a number of {len(token)} digits", f"at most {_MAX_DIGITS}",
                                    hint="17 digits are all that a number holds"))
        value: float | int = int(token) if token.isdecimal() else float(token)
        if math.isinf(value) or (isinstance(value, int) and value >= 2**31):
            raise SdfError(error_at(span, "E0106", "the number is too large",
                                    "whole numbers end at 2147483647, others at 1.7e308",
                                    hint="write it with an exponent, as in `3e9`" if isinstance(value, int) else
                                    "write a smaller number"))
        return ast.Number(span, value)

    def name(self, items: list[Token]) -> ast.Expr:
        return ast.Name(self._span(items[0]), str(items[0]))

    def truth(self, items: list[Token]) -> ast.Expr:
        return ast.Truth(self._span(items[0]), items[0] == "true")

    def text(self, items: list[Token]) -> ast.Expr:
        return ast.Text(self._span(items[0]), str(items[0])[1:-1])

    def paren(self, items: list[Any]) -> ast.Expr:
        return self._shallow(ast.Paren(self._span(items[0], items[2]), items[1]))

    def unary(self, items: list[Any]) -> ast.Expr:
        op, operand = items
        return self._shallow(ast.Unary(self._span(op, operand), str(op), operand))

    def binary(self, items: list[Any]) -> ast.Expr:
        left, op, right = items
        return self._shallow(ast.Binary(self._span(left, right), str(op), left, right, self._span(op)))

    def field(self, items: list[Any]) -> ast.Expr:
        base, _, name = items
        return self._shallow(ast.Field(self._span(base, name), base, str(name), self._span(name)))

    def index(self, items: list[Any]) -> ast.Expr:
        base, _, index, close = items
        return self._shallow(ast.Index(self._span(base, close), base, index))

    def call(self, items: list[Any]) -> ast.Expr:
        callee, *rest = items
        args = tuple(a for a in rest if isinstance(a, ast.Arg))
        return self._shallow(ast.Call(self._span(callee, items[-1]), callee, args))

    def arg(self, items: list[Any]) -> ast.Arg:
        return ast.Arg(items[0].span, None, items[0])

    def keyword_arg(self, items: list[Any]) -> ast.Arg:
        name, _, value = items
        return ast.Arg(self._span(name, value), str(name), value)

    def array(self, items: list[Any]) -> ast.Expr:
        values = tuple(i for i in items if isinstance(i, ast.Expr))
        return self._shallow(ast.Array(self._span(items[0], items[-1]), values))

    def reduce(self, items: list[Any]) -> ast.Expr:
        reducer, _, var, _, bound, _, condition, _, _, body, close = items
        return self._shallow(ast.Reduce(self._span(reducer, close), str(reducer), str(var), self._span(var), bound,
                                        condition, body))


@cache
def _parser() -> tuple[Lark, _Build]:
    text = files("fdif_dsl.grammar").joinpath("sdf.lark").read_text("utf-8")
    build = _Build()
    # The basic lexer keeps keywords reserved everywhere, so `shape` can never be a name.
    lark = Lark(text, parser="lalr", lexer="basic", start="module", keep_all_tokens=True, maybe_placeholders=True,
                transformer=build, lexer_callbacks={"COMMENT": build.comment, "NAME": build.word})
    return lark, build
