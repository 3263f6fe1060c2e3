"""Whatever is written, the answer is a tree and formulas, or an error of ours; never another exception."""

from __future__ import annotations

import random
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fdif_dsl.compiler.frontend.built_in import standard_folder
from fdif_dsl.compiler.frontend.check import check
from fdif_dsl.compiler.frontend.elaborate import elaborate
from fdif_dsl.compiler.frontend.modules import Module, load_modules
from fdif_dsl.compiler.ir.formula import Formula
from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.grammar.format import format_source
from fdif_dsl.grammar.parse import SdfError, keywords, parse, words
from fdif_dsl.grammar.source import SourceFile

BUDGET = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))

SOUP = [
    *sorted(keywords()), *"()[]{},:.=~+-*/^<>#\"'_;!&|%$@\\",
    "//", "<=", ">=", "==", "!=", "**", "##", "## doc\n",
    "# c\n", "\n", "\r\n", "\t", "\0", "\x1b[31m",
    "\ufeff", "\u202e", "²", "0", "1", "2.5", ".5", "1e3", "1e999",
    "9" * 50, "x", "p", "q", "t", "d", "n", "grid", "distance", "value", "uniform", "min", "max [", "sum[i < 3](",
    "any", "vec3", "float", "profile[n]", '"a-b"', '"use"', "std"]


@settings(BUDGET, max_examples=400)
@given(st.lists(st.sampled_from(SOUP), max_size=25).flatmap(
    lambda w: st.sampled_from(["", " "]).map(lambda gap: gap.join(w))))
def test_word_soup(text: str) -> None:
    read(text)


@settings(BUDGET, max_examples=200)
@given(st.text(max_size=60))
def test_letter_soup(text: str) -> None:
    read(text)


def read(text: str) -> None:
    try:
        parse(SourceFile("soup", text))
    except SdfError as error:
        assert len(error.diagnostics) == 1
        assert all(c.isprintable() or c == "\n" for c in str(error))
        assert error.diagnostics[0].to_dict()["code"].startswith("E01")
    else:
        parse(SourceFile("again", format_source(text)))


# -- programs that are nearly right: a declaration with words exchanged, and something that uses it

PARTS = """
use std
use sections
use solids

profile plain { distance = length(q) - 3 }
profile gone(section: profile = plain) = onioned(section)
profile weighted(xs: float[n]) {
  a[i < n] ~ normal(xs[i], 1)
  distance = sum[i < n](a[i]) - q.x
}
shape tube(section: profile) { distance = min(section(p.xy), section(p.yz)) }
shape two(a: shape, b: shape) { distance = min(a(p), b(p)) }
shape hollow {
  d = deepest(length(p) - 3)
  distance = length(p) - d
}
shape whole {
  part = prism(plain)
  k = 7 // 2
  m = mod(k, 3)
  ok = m < k
  distance = where(ok, part(p), part(p - 1))
}
fn count(xs: vec2[n], b: bool = true) = where(b, len(xs), n)
const sides = 2 * 2
const spin = mat2(0, 1, 0 - 1, 0)
fn carried(x, m: mat2, n: int) {
  fold[i < n] {
    k = len(a) + i
    value = x then where(ok, value * k + v.x, value)
    v = vec2(x) then m * v
    a = [1, x] then [a[1], a[0] + v.y]
    fold[j < sides] { w = v then w.yx + j }
    ok = true then not ok or w.x < 3
    t = spin then t * m
  }
}
shape rounds {
  r ~ uniform(1, 2)
  fold[i < sides] {
    z = vec4(p, r) then abs(z.wzyx) - size
    size = r then size / 2
    d = 1e9 then min(d, length(z) - size)
  }
  distance = d
}
"""
MORE = """
mapper light { intensity = where(any[i < 3](d > i) and not all[i < 2](d < i), min(d, 1, 2), d ^ 2) }
displacement dents(amplitude = 2) { offset = amplitude * sin(p.x) * grid.limit.x }
"""
EXPRESSIONS = [
    "deepest(section)", "deepest(1)", "section(q, t)", "section", "p", "q", "t", "d", "n", "i", "p.xy", "grid.min",
    "grid.limit", "[1, 2]", "[1, 2][0]", "len([1])", "true", "(1 < 2)", "vec2(1, 2)",
    "vec4(1)", "mat2(1)", "sides", "spin", "carried(1, spin, 3)", "plain", "prism(plain)", "hollow",
    "0", "1", "(-3)", "100", "4096", "2147483647", "1e-9", "0.0", "1e308", "uniform(0, 1)", "choice(1, 2)",
    "integer(1, 3)", "unit_vec2()", "sum[i < n](i)", "min[i < 3](i)", "min[i < 3 when i < n](i)",
    "max[i < 2 when p.x < i](p)", "any[i < 2 when i < 0](ok)", "mod(7, 3)", "min(1, 2)"]
GIVEN = {
    "int": ["3", "0", "5", "-1"], "float": ["2.5", "0", "grid.min"], "bool": ["true"], "vec2": ["vec2(1, 2)"],
    "vec3": ["vec3(1, 2, 3)"], "vec4": ["vec4(1, 2, 3, 4)"], "mat2": ["spin"], "mat3": ["mat3(2)"],
    "shape": ["hollow", "whole", "two(hollow, hollow)"],
    "profile": ["plain", "gone", "waisted(disc)", "onioned(star_polygon(3))", "polygon_between(3, 1, 2)"]}


def declarations() -> list[list[str]]:
    """The words of each declaration of the library and of the parts above."""
    texts = [(standard_folder() / f"{name}.sdf").read_text("utf-8") for name in (
        "std", "sections", "solids", "displacements", "mappers")]
    out = []
    for text in [*texts, PARTS + MORE]:
        file = SourceFile("x", text)
        starts = [d.span.start for d in parse(file).decls]
        all_words = [w for w in words(file) if not w.startswith("##")]
        for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
            out.append([str(w) for w in all_words if start <= (w.start_pos or 0) < end])
    return out


DECLARATIONS = declarations()
MODULES = load_modules([standard_folder() / "solids.sdf"])


def nearly_right(rng: random.Random) -> str:
    mutant = list(rng.choice(DECLARATIONS))
    mutant[1] = "mutant"
    names = [w for w in mutant if w[0].isalpha()]
    for _ in range(rng.choice([0, 1, 1, 2])):
        places = [i for i, w in enumerate(mutant) if w[0].isalnum() and i > 1]
        if not places:
            break
        place, kind = rng.choice(places), rng.random()
        if kind < 0.1:
            mutant[rng.randrange(len(mutant))] = rng.choice(rng.choice(DECLARATIONS))
        elif kind < 0.5:
            mutant[place] = rng.choice(EXPRESSIONS)
        elif mutant[place][0].isdigit():
            mutant[place] = rng.choice([e for e in EXPRESSIONS if e[0].isdigit()])
        else:
            mutant[place] = rng.choice(names)
    text = " ".join(mutant)
    out = [PARTS, text]
    try:
        decls = parse(SourceFile("mutant", text)).decls
    except SdfError:
        decls = ()
    for i, decl in enumerate(decls):
        given = [rng.choice(GIVEN.get(p.type.name if p.type else "float", ["1"])) for p in decl.params or ()]
        args = ", ".join(f"[{g}, {g}]" if p.type and p.type.length else g
                         for p, g in zip(decl.params or (), given, strict=True))
        made = f"{decl.name}({args})" if args else decl.name
        if decl.kind == "profile":
            out.append(f"shape use{i} = {rng.choice(['prism', 'tube'])}({made})")
        elif decl.kind == "fn":
            out.append(f"shape use{i} {{ distance = {decl.name}({args}) }}")
        else:
            out.append(f"{decl.kind} use{i} = {made}")
    return "\n".join(out)


def compile_text(text: str) -> list[Formula]:
    tree = parse(SourceFile("fuzz", text))
    by_name = {m.name: m for m in MODULES}
    used = tuple(by_name[u.name] for u in tree.uses if u.name in by_name)
    return elaborate(check([*MODULES, Module(Path("fuzz.sdf"), tree, used, False)]))


@settings(BUDGET, max_examples=300)
@given(st.integers(0, 2**32).map(lambda seed: nearly_right(random.Random(seed))))
def test_nearly_right_programs(text: str) -> None:
    try:
        compile_text(text)
    except FdifError as error:
        assert error.diagnostics
        assert all(d.code.startswith(("E01", "E02", "E03")) and d.to_dict() for d in error.diagnostics)


def test_some_of_them_are_right() -> None:
    """The fuzzer would find nothing if all its programs failed early."""
    right = 0
    for seed in range(100):
        try:
            compile_text(nearly_right(random.Random(seed)))
            right += 1
        except FdifError:
            pass
    assert right >= 10
