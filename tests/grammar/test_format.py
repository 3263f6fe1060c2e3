"""The canonical layout: it changes no tree, loses no comment, and is its own canonical layout."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fdif_dsl.compiler.frontend.built_in import standard_files
from fdif_dsl.grammar import ast
from fdif_dsl.grammar.format import format_source
from fdif_dsl.grammar.parse import MAX_CHARACTERS, SdfError, keywords, parse, words
from fdif_dsl.grammar.source import SourceFile, Span


def plain(node: Any) -> Any:
    """A tree without places and text, to compare."""
    if isinstance(node, tuple):
        return [plain(n) for n in node]
    if is_dataclass(node):
        parts = {f.name: getattr(node, f.name) for f in fields(node)}
        return type(node).__name__, {
            name: plain(part) for name, part in parts.items()
            if not isinstance(part, (Span, SourceFile)) and name != "comments"}
    return repr(node)


def comments(module: ast.Module) -> list[str]:
    return [span.text.rstrip() for span in module.comments]


def formatted(text: str) -> str:
    """The layout of the text, with the properties that every layout has."""
    out = format_source(text)
    before, after = parse(SourceFile("before", text)), parse(SourceFile("after", out))
    assert plain(after) == plain(before)
    assert comments(after) == comments(before)
    assert format_source(out) == out
    lines = out.split("\n")
    assert lines.pop() == "" and all(line == line.rstrip() for line in lines)
    assert not out.startswith("\n") and "\n\n\n" not in out and not out.endswith("\n\n")
    return out


@pytest.mark.parametrize("path", standard_files(), ids=lambda p: p.stem)
def test_the_standard_library_is_in_the_canonical_layout(path: Path) -> None:
    text = path.read_text("utf-8")
    assert formatted(text) == text


@pytest.mark.parametrize("path", standard_files(), ids=lambda p: p.stem)
def test_a_squeezed_file_keeps_its_tree(path: Path) -> None:
    """The library with its words as close as they go, one line a word, and all on few lines."""
    text = path.read_text("utf-8")
    tokens = words(SourceFile("x", text))
    for gap in (" ", "\n", "\n\n\n", "\t", "\r\n"):
        squeezed = ""
        for word in tokens:
            if word.startswith("##"):  # has a line of its own
                squeezed += word + "\n" if squeezed[-1:] in ("", "\n") else f"\n{word}\n"
            else:
                squeezed += word + gap
        formatted(squeezed)


@pytest.mark.parametrize(("written", "expected"), [
    ("", ""),
    ("\n\n  \n", ""),
    ("# alone", "# alone\n"),
    # spaces
    ("use   std", "use std\n"),
    ("fn f(a,b:int=3,v:vec2 [ n ])=a*-b+f (a , k=1) [ 0 ] . x",
     "fn f(a, b: int = 3, v: vec2[n]) = a * -b + f(a, k = 1)[0].x\n"),
    ("fn f()=not a<b and-c^-d//e", "fn f() = not a < b and -c ^ -d // e\n"),
    ("fn f()=- ( - 3 ) - - 4", "fn f() = -(-3) - -4\n"),
    ("fn f() = [ 1,2 ]", "fn f() = [1, 2]\n"),
    ("fn f() = min [ i<3 ] ( i )", "fn f() = min[i < 3](i)\n"),
    ("fn f() = min[ i<3  when  not-i<k ](i)", "fn f() = min[i < 3 when not -i < k](i)\n"),
    ("fn f() = min[i<3\nwhen(i<k)](i)", "fn f() = min[i < 3\n  when (i < k)](i)\n"),
    ("fn f() = 1 .x + 1. .x", "fn f() = 1 .x + 1. .x\n"),
    ("shape s{r[i<n]~uniform(1,2) distance=r[0]}", "shape s {\n  r[i < n] ~ uniform(1, 2)\n  distance = r[0]\n}\n"),
    ("shape s{fold [ i<n ]{r=length(z) z=c  then z*z-  c} distance=z}",
     "shape s {\n  fold[i < n] {\n    r = length(z)\n    z = c then z * z - c\n  }\n  distance = z\n}\n"),
    ("const   n=3 ##d\nconst m=2".replace("##d\n", "\n\n\n"), "const n = 3\n\nconst m = 2\n"),
    # short bodies
    ("fn f(x){ fold[i<3]{value=x then 2*value} }",
     "fn f(x) {\n  fold[i < 3] { value = x then 2 * value }\n}\n"),
    ("fn f(x){ fold[i<3]{\nvalue=x then 2*value} }",
     "fn f(x) {\n  fold[i < 3] {\n    value = x then 2 * value\n  }\n}\n"),
    ("fn f(x){fold[i<3]{fold[j<3]{value=x then value}}}",
     "fn f(x) {\n  fold[i < 3] {\n    fold[j < 3] { value = x then value }\n  }\n}\n"),
    ("fn f(x) { fold[i<3] {} }", "fn f(x) {\n  fold[i < 3] {}\n}\n"),
    (f"fn f(d) {{ fold[i < 3] {{ value = d then {'d + ' * 24}d }} }}",
     f"fn f(d) {{\n  fold[i < 3] {{\n    value = d then {'d + ' * 24}d\n  }}\n}}\n"),
    ("mapper m{intensity=d}", "mapper m { intensity = d }\n"),
    ("mapper m{\nintensity=d}", "mapper m {\n  intensity = d\n}\n"),
    ("mapper m {\n}", "mapper m {}\n"),
    ("mapper m { intensity = d } # end", "mapper m { intensity = d }  # end\n"),
    ("mapper m { intensity = d # end\n}", "mapper m {\n  intensity = d  # end\n}\n"),
    (f"mapper m {{ intensity = {'d + ' * 30}d }}", f"mapper m {{\n  intensity = {'d + ' * 30}d\n}}\n"),
    # needless marks
    ('mapper "plain" = linear(10,)', "mapper plain = linear(10)\n"),
    ('mapper "slope_2.5" = linear(10)', 'mapper "slope_2.5" = linear(10)\n'),
    ('mapper "shape" = linear(10)', 'mapper "shape" = linear(10)\n'),
    ("fn f(a,) = [a,]", "fn f(a) = [a]\n"),
    ("fn f() = g(\na,\n)", "fn f() = g(\n  a,\n)\n"),
    # line breaks in formulas
    ("fn f(a)=max(a,\n      b,\n c)", "fn f(a) = max(a,\n  b,\n  c)\n"),
    ("fn f(a)\n=\na\n+ b", "fn f(a) =\n  a\n  + b\n"),
    ("shape\ns\n{\ndistance\n=\n1\n}", "shape s {\n  distance =\n    1\n}\n"),
    ("shape s {\n distance = g(h(\n1,\n2\n),\n(\n3))\n}",
     "shape s {\n  distance = g(h(\n    1,\n    2\n  ),\n    (\n      3))\n}\n"),
    ("fn f(\na,\nb = 2\n) { value = a }", "fn f(\n  a,\n  b = 2\n) {\n  value = a\n}\n"),
    ("fn f(x) {\nfold[i < 3] {\nvalue = x\nthen\nvalue\n+ 1\n}\n}",
     "fn f(x) {\n  fold[i < 3] {\n    value = x\n      then\n      value\n      + 1\n  }\n}\n"),
    # blank lines
    ("\n\nuse a\n\n\n\nuse b\nuse c\n\n", "use a\n\nuse b\nuse c\n"),
    ("shape s {\n\n  a = 1\n\n\n  distance = a\n\n}", "shape s {\n  a = 1\n\n  distance = a\n}\n"),
    ("fn f() = max(1,\n\n\n 2)", "fn f() = max(1,\n  2)\n"),
    # docs and comments
    ("##A ball.\n##\n##  Round.\nshape s {\n##  Doc\ndistance = 1 }",
     "## A ball.\n##\n## Round.\nshape s {\n  ## Doc\n  distance = 1\n}\n"),
    ("## Head.\n\n\n## Doc.\nfn f() = 1", "## Head.\n\n## Doc.\nfn f() = 1\n"),
    ("#a\n\n\n# b \nshape s { # c\n#d\n  distance = 1 #e\n# f\n}\n#g",
     "#a\n\n# b\nshape s {  # c\n  #d\n  distance = 1  #e\n  # f\n}\n#g\n"),
    ("fn f() = max( # a\n1, # b\n# c\n2 # d\n# e\n)", "fn f() = max(  # a\n  1,  # b\n  # c\n  2  # d\n  # e\n)\n"),
    ("fn f() = [a # c\n , ]", "fn f() = [a  # c\n  ,]\n"),
    ("shape # a\ns # b\n{ distance = 1 }", "shape  # a\n  s  # b\n{\n  distance = 1\n}\n"),
    ("shape s {\n  # nothing yet\n}", "shape s {\n  # nothing yet\n}\n"),
    ("fn f(x) {\n# a\nfold[i < 3] { # b\n#c\n## doc\nvalue = x then 1 #d\n#e\n} #f\n}",
     "fn f(x) {\n  # a\n  fold[i < 3] {  # b\n    #c\n    ## doc\n    value = x then 1  #d\n    #e\n  }  #f\n}\n"),
    # the comment keeps the name from being read as a reduction
    ("fn f() = min # c\n[1]", "fn f() = min  # c\n  [1]\n"),
])
def test_layout(written: str, expected: str) -> None:
    assert format_source(written) == expected
    assert formatted(written) == expected


def test_a_text_that_does_not_parse_stays_an_error() -> None:
    with pytest.raises(SdfError) as caught:
        format_source("shape {", "bad.sdf")
    assert str(caught.value).splitlines()[1] == "  --> bad.sdf:1:7"


def test_a_layout_that_could_not_be_read_back_is_refused() -> None:
    text = "shape s{" + "a=1 " * (MAX_CHARACTERS // 5) + "}"
    assert len(text) < MAX_CHARACTERS
    with pytest.raises(SdfError) as caught:
        format_source(text)
    assert caught.value.diagnostics[0].code == "E0102"


# -- generated modules: words of a right program, with white space and comments anywhere between them

names = st.sampled_from(["a", "b2", "long_name", "min", "sum", "all", "p"])
quoted = st.sampled_from(['"a"', '"use"', '"x_2.5"', '"a-b"'])
numbers = st.sampled_from(["1", "2.", ".5", "1e-3", "12.5E2"])
binary = st.sampled_from(["+", "-", "*", "/", "//", "^", "<", "<=", "==", "!=", "and", "or"])
Words = list[str]


def joined(*parts: str | Words) -> Words:
    return [w for part in parts for w in ([part] if isinstance(part, str) else part)]


def wrapped(e: Words) -> Words:
    return ["(", *e, ")"]


def separated(items: list[Words], comma: bool) -> Words:
    out = [w for item in items for w in [*item, ","]]
    return out if comma else out[:-1]


def compound(inner: st.SearchStrategy[Words]) -> st.SearchStrategy[Words]:
    args = st.lists(st.one_of(inner, st.builds(lambda n, e: [n, "=", *e], names, inner)), max_size=3)
    return st.one_of(
        st.builds(wrapped, inner),
        st.builds(lambda a, op, b: [*wrapped(a), op, *wrapped(b)], inner, binary, inner),
        st.builds(lambda a, op, b: [*wrapped(a), op, "-", *wrapped(b)], inner, st.sampled_from(["+", "-", "^"]), inner),
        st.builds(lambda a: ["-", *wrapped(a)], inner), st.builds(lambda a: ["not", *wrapped(a)], inner),
        st.builds(lambda a, n: [*wrapped(a), ".", n], inner, names),
        st.builds(lambda a, n: [a, ".", n], numbers, names),
        st.builds(lambda a, i: [*wrapped(a), "[", *wrapped(i), "]"], inner, inner),
        st.builds(lambda n, a, c: [n, "(", *separated(a, c and bool(a)), ")"], names, args, st.booleans()),
        st.builds(lambda a, c: ["[", *separated(a, c), "]"], st.lists(inner, min_size=1, max_size=3), st.booleans()),
        st.builds(lambda r, v, n, when, e: joined(r + "[", v, "<", wrapped(n), when, "]", wrapped(e)),
                  st.sampled_from(["min", "max", "any"]), names, inner,
                  st.just([]) | inner.map(lambda e: ["when", *e]), inner))


exprs = st.recursive(st.one_of(names, numbers, st.sampled_from(["true", "false"])).map(lambda w: [w]), compound,
                     max_leaves=6)
docs = st.lists(st.sampled_from(["\n## doc\n", "\n##\n", "\n##  more  \n", "\n### odd\n"]), max_size=2)
params = st.none() | st.lists(st.builds(
    lambda n, t, d: joined(n, [":", *t] if t else [], ["=", *d] if d else []),
    names, st.none() | st.sampled_from([["int"], ["profile"], ["vec2", "[", "n", "]"]]), st.none() | exprs), max_size=3)
stmts = st.builds(
    lambda doc, n, b, sign, e: joined(doc, n, ["[", "i", "<", *wrapped(b), "]"] if b else [], sign, e),
    docs, st.sampled_from(["a", "distance", "r1"]), st.none() | exprs, st.sampled_from("=~"), exprs)
rounds = st.builds(lambda stmt, then: joined(stmt, ["then", *then] if then else []), stmts, st.none() | exprs)


def a_fold(inside: st.SearchStrategy[Words]) -> st.SearchStrategy[Words]:
    return st.builds(lambda doc, b, body: joined(doc, "fold", "[", "i", "<", wrapped(b), "]", "{", *body, "}"),
                     docs, exprs, st.lists(inside, max_size=3))


folds = st.recursive(a_fold(rounds), lambda inner: a_fold(rounds | inner), max_leaves=3)
constants = st.builds(lambda doc, n, e: joined(doc, "const", n, "=", e), docs, names, exprs)
decls = st.builds(
    lambda doc, kind, n, ps, rest: joined(doc, kind, n, [] if ps is None else ["(", *separated(ps, False), ")"], rest),
    docs, st.sampled_from(["shape", "profile", "displacement", "mapper", "fn"]), names | quoted, params,
    st.one_of(exprs.map(lambda e: ["=", *e]),
              st.lists(stmts | folds, max_size=3).map(lambda body: ["{", *(w for s in body for w in s), "}"])))
uses = st.builds(lambda doc, n: [*doc, "use", n], docs, names)
modules = st.lists(uses | decls | constants, max_size=4).map(lambda parts: [w for part in parts for w in part])
gaps = st.sampled_from([
    " ", " ", " ", "\n", "\n\n\n", "\t", "\r\n", " # note\n", "\n# own line\n", "\n\n#\n\n# two \r\n"])


@st.composite
def texts(draw: st.DrawFn) -> str:
    return draw(gaps) + "".join(word + draw(gaps) for word in draw(modules))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(texts())
def test_any_module(text: str) -> None:
    try:
        parse(SourceFile("generated", text))
    except SdfError:  # a doc comment with nothing behind it, or `sum [` on one line
        return
    formatted(text)


def test_keywords_are_those_of_the_grammar() -> None:
    assert keywords() == {
        "use", "shape", "profile", "displacement", "mapper", "fn", "const", "fold", "then", "true", "false", "and",
        "or", "not", "when"}
