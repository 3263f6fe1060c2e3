"""Each construct becomes the tree that it should, and each part of the tree knows its text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fdif_dsl.compiler.frontend.built_in import standard_files
from fdif_dsl.grammar import ast
from fdif_dsl.grammar.parse import MAX_DEPTH, SdfError, keywords, parse, read_source, words
from fdif_dsl.grammar.source import SourceFile


def tree(text: str) -> ast.Module:
    return parse(SourceFile("test.sdf", text))


def formula(text: str) -> ast.Expr:
    value = tree(f"fn f() = {text}").decls[0].value
    assert value is not None
    return value


def show(e: ast.Expr) -> str:
    """The tree as text, with every operation in brackets."""
    match e:
        case ast.Number():
            return repr(e.value)
        case ast.Truth():
            return repr(e.value)
        case ast.Name():
            return e.name
        case ast.Paren():
            return f"({show(e.inner)})"
        case ast.Unary():
            return f"<{e.op} {show(e.operand)}>"
        case ast.Binary():
            return f"<{show(e.left)} {e.op} {show(e.right)}>"
        case ast.Field():
            return f"<{show(e.base)} . {e.name}>"
        case ast.Index():
            return f"<{show(e.base)} at {show(e.index)}>"
        case ast.Array():
            return f"[{', '.join(show(i) for i in e.items)}]"
        case ast.Call():
            args = [f"{a.name}: {show(a.value)}" if a.name else show(a.value) for a in e.args]
            return f"<{show(e.callee)} of {', '.join(args)}>"
        case ast.Reduce():
            when = f" when {show(e.condition)}" if e.condition else ""
            return f"<{e.reducer} {e.var} below {show(e.bound)}{when}: {show(e.body)}>"
    raise AssertionError(e)


@pytest.mark.parametrize(("text", "expected"), [
    ("1", "1"), ("1.", "1.0"), (".5", "0.5"), ("1e3", "1000.0"), ("2.5E-1", "0.25"), ("007", "7"),
    ("2147483647", "2147483647"), ("true", "True"), ("false", "False"), ("x_1", "x_1"),
    # from weakest to strongest: or, and, not, comparison, sum, product, sign, power, what follows a value
    ("a or b and c", "<a or <b and c>>"),
    ("a and b or c and d", "<<a and b> or <c and d>>"),
    ("not a and b", "<<not a> and b>"),
    ("not a < b", "<not <a < b>>"),
    ("not not a", "<not <not a>>"),
    ("a + b < c * d", "<<a + b> < <c * d>>"),
    ("a == -b", "<a == <- b>>"),
    ("a + b * c", "<a + <b * c>>"),
    ("a * b + c", "<<a * b> + c>"),
    ("-a * b", "<<- a> * b>"),
    ("a * -b", "<a * <- b>>"),
    ("a - -b", "<a - <- b>>"),
    ("--a", "<- <- a>>"),
    ("-a ^ b", "<- <a ^ b>>"),
    ("a ^ -b", "<a ^ <- b>>"),
    ("a ^ -b ^ c", "<a ^ <- <b ^ c>>>"),
    ("-1 ^ 2", "<- <1 ^ 2>>"),
    ("2 * a ^ b", "<2 * <a ^ b>>"),
    ("-p.x", "<- <p . x>>"),
    ("a.x ^ b[0]", "<<a . x> ^ <b at 0>>"),
    # from the left, but powers from the right
    ("a - b - c", "<<a - b> - c>"),
    ("a / b * c", "<<a / b> * c>"),
    ("a // b // c", "<<a // b> // c>"),
    ("a or b or c", "<<a or b> or c>"),
    ("a ^ b ^ c", "<a ^ <b ^ c>>"),
    ("(a ^ b) ^ c", "<(<a ^ b>) ^ c>"),
    ("a - (b - c)", "<a - (<b - c>)>"),
    *((f"a {op} b", f"<a {op} b>") for op in (
        "+", "-", "*", "/", "//", "^", "<", "<=", ">", ">=", "==", "!=", "and", "or")),
    # what follows a value
    ("f()", "<f of >"),
    ("f(a, b,)", "<f of a, b>"),
    ("f(a, k = b + 1)", "<f of a, k: <b + 1>>"),
    ("f(a)(b)[c].x", "<<<<f of a> of b> at c> . x>"),
    ("p.xy.x", "<<p . xy> . x>"),
    ("1 .x", "<1 . x>"),
    ("a[i + 1]", "<a at <i + 1>>"),
    ("[1]", "[1]"),
    ("[1, [2], a,]", "[1, [2], a]"),
    ("[1, 2][i]", "<[1, 2] at i>"),
    # reductions, told from functions and names by their bracket
    ("min[i < 3](a[i])", "<min i below 3: <a at i>>"),
    ("max [i < n + 1](i) + 1", "<<max i below <n + 1>: i> + 1>"),
    ("sum[i < 2](any[j < i](j == i))", "<sum i below 2: <any j below i: <j == i>>>"),
    ("all[i < 2](true)", "<all i below 2: True>"),
    ("sum\n[i < 2](i)", "<sum i below 2: i>"),
    ("min[i < 9 when i < k](i)", "<min i below 9 when <i < k>: i>"),
    ("any[i < n + 1 when not a or b](c)", "<any i below <n + 1> when <<not a> or b>: c>"),
    ("sum[i < 2 when any[j < 3 when j < i](c)](i)", "<sum i below 2 when <any j below 3 when <j < i>: c>: i>"),
    ("min(a, b)", "<min of a, b>"),
    ("minimum[0]", "<minimum at 0>"),
    ("sum + any", "<sum + any>"),
    ("a\n\n+ # why\n b", "<a + b>"),
])
def test_formula(text: str, expected: str) -> None:
    assert show(formula(text)) == expected


def test_whole_numbers_are_told_from_others() -> None:
    assert isinstance(formula("3"), ast.Number) and type(formula("3").value) is int  # type: ignore[attr-defined]
    assert type(formula("3.0").value) is float  # type: ignore[attr-defined]
    assert type(formula("3e0").value) is float  # type: ignore[attr-defined]


def test_declarations() -> None:
    module = tree("""
use std
use sections

shape ball { distance = length(p) }
shape ring(n: int, section: profile, r = 0.5, v: vec2[m] = [q],) = tube(n)
mapper "slope_2.5" = slope(2.5)
fn three() = 3
displacement none {}
""")
    assert [u.name for u in module.uses] == ["std", "sections"]
    ball, ring, slope, three, none = module.decls
    assert (ball.kind, ball.name, ball.params, ball.value) == ("shape", "ball", None, None)
    assert ball.body is not None and [s.name for s in ball.body] == ["distance"]
    assert ring.params is not None and ring.body is None
    assert [(p.name, p.type and (p.type.name, p.type.length), p.default and show(p.default)) for p in ring.params] == [
        ("n", ("int", None), None), ("section", ("profile", None), None), ("r", None, "0.5"),
        ("v", ("vec2", "m"), "[q]")]
    assert (slope.name, slope.name_span.text) == ("slope_2.5", '"slope_2.5"')
    assert three.params == () and three.value is not None
    assert none.body == ()


def test_statements() -> None:
    [decl] = tree("shape s { r ~ uniform(1, 2) a[i < n // 2] = i b[j < 3] ~ normal(0, j) distance = 1 }").decls
    assert decl.body is not None
    assert [(s.name, s.random, s.binder and (s.binder.var, show(s.binder.bound)), show(s.value))
            for s in decl.body] == [
        ("r", True, None, "<uniform of 1, 2>"),
        ("a", False, ("i", "<n // 2>"), "i"),
        ("b", True, ("j", "3"), "<normal of 0, j>"),
        ("distance", False, None, "1")]


def test_line_ends_do_not_matter() -> None:
    written = "shape s {\n  a = 1\n  distance = a\n}\n"
    for text in (written, written.replace("\n", " "), written.replace("\n", "\r\n"), written.replace(" ", "\n\t")):
        [decl] = tree(text).decls
        assert decl.body is not None and [s.name for s in decl.body] == ["a", "distance"]


def test_docs_and_comments() -> None:
    module = tree("""## The head of the file.

## A ball.
##   Round.
# not this
shape ball {
  ## How far
  ##
  ## it goes.
  distance = 1 # inside
}
fn f() = 1
""")
    ball, f = module.decls
    assert ball.doc == "A ball.\nRound."
    assert ball.body is not None and ball.body[0].doc == "How far\n\nit goes."
    assert f.doc == ""
    assert [c.text for c in module.comments] == ["# not this", "# inside"]


def test_an_empty_file() -> None:
    for text in ("", "\n \t\r\n", "# only a comment"):
        assert tree(text).decls == ()


def nodes(module: ast.Module) -> Iterator[ast.Expr]:
    stack: list[ast.Expr] = []
    for d in module.decls:
        stack += [p.default for p in d.params or () if p.default] + ([d.value] if d.value else [])
        statements = list(d.body or ())
        while statements:
            s = statements.pop()
            if isinstance(s, ast.Fold):
                stack.append(s.binder.bound)
                statements += s.body
            else:
                stack += s.formulas()
    while stack:
        e = stack.pop()
        yield e
        stack += e.children()


@pytest.mark.parametrize("path", standard_files(), ids=lambda p: p.stem)
def test_the_text_of_a_span_is_the_very_expression(path: Path) -> None:
    """Each part of a real file, read alone, is the part it was in the file."""
    module = parse(read_source(path))
    seen = {}
    for e in nodes(module):
        seen[e.span.text] = show(e)
    assert {text: show(formula(text)) for text in seen} == seen


def test_spans() -> None:
    module = tree("use std\nshape ball(n: int = 3, v: vec2[m]) {\n  r[i < n] ~ f(a.x, k = -b) # c\n}\n"
                  "fn g(x) = min[j < 2](x)\n")
    ball, g = module.decls
    [use], [stmt] = module.uses, ball.body or ()
    n, v = ball.params or ()
    assert (use.span.text, use.name_span.text) == ("use std", "std")
    assert (ball.span.text, ball.name_span.text) == ("shape ball", "ball")
    assert (n.span.text, n.name_span.text, n.type and n.type.span.text) == ("n: int = 3", "n", "int")
    assert (v.span.text, v.type and v.type.span.text) == ("v: vec2[m]", "vec2[m]")
    assert (stmt.span.text, stmt.name_span.text) == ("r[i < n] ~ f(a.x, k = -b)", "r")
    assert stmt.binder is not None and (stmt.binder.span.text, stmt.binder.var_span.text) == ("[i < n]", "i")
    call = stmt.value
    assert isinstance(call, ast.Call) and [a.span.text for a in call.args] == ["a.x", "k = -b"]
    field = call.args[0].value
    assert isinstance(field, ast.Field) and (field.span.text, field.name_span.text) == ("a.x", "x")
    assert (g.span.text, g.value and g.value.span.text) == ("fn g(x) = min[j < 2](x)", "min[j < 2](x)")
    assert isinstance(g.value, ast.Reduce) and g.value.var_span.text == "j"
    assert str(stmt.span) == "test.sdf:3:3"


def test_depth_is_limited_and_said_at_the_place() -> None:
    formula("(" * (MAX_DEPTH - 1) + "1" + ")" * (MAX_DEPTH - 1))
    for deep in ("(" * MAX_DEPTH + "1" + ")" * MAX_DEPTH, "-" * MAX_DEPTH + "1", " + ".join(["1"] * (MAX_DEPTH + 1)),
                 "a" + ".x" * MAX_DEPTH, "a" + "[0]" * MAX_DEPTH, "f(" * MAX_DEPTH + "1" + ")" * MAX_DEPTH,
                 "[" * MAX_DEPTH + "1" + "]" * MAX_DEPTH, "2 ^ " * MAX_DEPTH + "1", "not " * MAX_DEPTH + "true"):
        with pytest.raises(SdfError) as caught:
            formula(deep)
        assert [d.code for d in caught.value.diagnostics] == ["E0104"]


def test_one_mistake_leaves_the_parser_as_it_was() -> None:
    """The parser is made once; a file with a mistake must not leave comments or text behind."""
    with pytest.raises(SdfError):
        tree("# one\nshape {")
    assert tree("# two\nfn f() = 1").comments[0].text == "# two"


def test_words_are_those_of_the_text() -> None:
    assert [str(w) for w in words(SourceFile("t", "fn f(x) = x # no\n ^ 2"))] == [
        "fn", "f", "(", "x", ")", "=", "x", "^", "2"]


@pytest.mark.parametrize("word", sorted(keywords()))
def test_no_keyword_is_a_name(word: str) -> None:
    with pytest.raises(SdfError):
        tree(f"fn {word}() = 1")


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "a.sdf"
    path.write_bytes(b"\xef\xbb\xbfuse std\n")
    assert parse(read_source(path)).uses[0].span.start == 0
