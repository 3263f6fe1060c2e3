"""A file from anywhere can be checked: whatever it holds, the answer is one message, soon, in little memory.

Only here does time matter, and generously: what takes less than 2 s on a laptop may take 30.
"""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fdif_dsl.compiler.backends.cpu import CpuBackend
from fdif_dsl.compiler.library import load_library

TIMEOUT = 30  # seconds: far more than is needed, so that a busy machine does not matter
MEMORY = 500 * 2**20  # bytes of address space; `fdifc check` of a small file needs about 200 MB
PROGRAM = "from fdif_dsl.cli import main; main()"


def fdifc(*args: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM, *args], cwd=folder, capture_output=True, text=True, timeout=TIMEOUT,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # on a large machine its threads alone take more than that
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY)), check=False)


def ball(formula: str, *, head: str = "") -> str:
    return f"{head}\nshape ball {{ distance = {formula} }}\n"


def chain(call: Callable[[int], str], count: int, *, upwards: bool = True) -> str:
    """`count` functions, each made of the one before."""
    lines = ["fn f0(x) = x + 1", *(f"fn f{i}(x) = {call(i - 1)}" for i in range(1, count))]
    return "\n".join(lines if upwards else reversed(lines))


def statements(*lines: str) -> str:
    return "shape ball {\n" + "\n".join(lines) + "\ndistance = 1\n}\n"


def many(text: str, count: int) -> str:
    """`text` with its number, `count` times."""
    return "\n".join(text.replace("#", str(i)) for i in range(count))


def chain_of_constants(count: int) -> str:
    return "\n".join(["const a0 = 1.5", *(f"const a{i} = a{i - 1} + a{i - 1}" for i in range(1, count))])


def nested_folds(count: int, rounds: int) -> str:
    inside = "".join(f"y{k + 1} = 1. then y{k}\n}}\n" for k in range(count - 1))
    return statements(f"fold[i < {rounds}] {{\n" * count + "y0 = p.x then y0 + 1\n}" + inside)


PROFILES = "\n".join(["profile s0 { distance = length(q) - 3 }", *(
    f"profile s{i}(part: profile = s{i - 1}) {{ distance = part(q) + part(q + 1) }}" for i in range(1, 40))])

WRONG = {  # what it is: (text, code of the one message)
    # syntax
    "ten thousand parentheses": (ball("(" * 10_000 + "1" + ")" * 10_000), "E0104"),
    "open parentheses only": ("fn f() = " + "(" * 60_000, "E0108"),
    "open brackets only": ("fn f() = " + "[" * 60_000, "E0108"),
    "signs only": ("fn f() = " + "-" * 60_000, "E0108"),
    "nots only": ("fn f() = " + "not " * 15_000, "E0108"),
    "braces only": ("{" * 60_000, "E0107"),
    "quotes only": ('"' * 60_000, "E0107"),
    "a sum of thirty thousand": (ball("+".join("1" * 30_000)), "E0104"),
    "deep swizzles": (ball("p" + ".xyz" * 10_000), "E0104"),
    "deep indices": (ball("p" + "[0]" * 10_000), "E0104"),
    "deep calls": (ball("sin(" * 10_000 + "1" + ")" * 10_000), "E0104"),
    "deep reductions": (ball("min[i < 2](" * 5_000 + "1" + ")" * 5_000), "E0104"),
    "a reduction far from its bracket": (ball("min" + " " * 60_000), "E0231"),
    "many reductions far from their brackets": (ball("min    " * 9_000), "E0107"),
    "a line of 5 MB": (ball("1" + " " * 5_000_000), "E0102"),
    "twenty thousand statements": (statements(many("a# = 1", 20_000)), "E0102"),
    "NUL bytes": ("\0" * 1000, "E0101"),
    "a NUL byte in a formula": (ball("1 \0"), "E0101"),
    "terminal escapes": (ball("\x1b[2J\x1b]0;owned\x07"), "E0101"),
    "text that runs backwards": (ball("1 \u202e + 2"), "E0101"),
    "letters that look like others": (ball("r\u0430dius"), "E0101"),
    "a number of 100000 digits": (ball("9" * 100_000), "E0102"),
    "a number of 50000 digits": (ball("9" * 50_000), "E0106"),
    "a fraction of 50000 digits": (ball("0." + "9" * 50_000), "E0106"),
    "a number beyond all": (ball("1e999"), "E0106"),
    "an exponent of 50000 digits": (ball("1e" + "9" * 50_000), "E0106"),
    "a very long name": (ball("x" * 60_000), "E0109"),
    "a very long declaration": (f"shape {'x' * 60_000} {{ distance = 1 }}", "E0109"),
    "a very long module": (f"use {'x' * 300}", "E0109"),
    "a very long quoted name": (f'mapper "{"x" * 60_000}" {{ intensity = d }}', "E0101"),
    # what looks like Python
    "__import__": (ball("__import__(1)"), "E0101"),
    "eval of a string": (ball('eval("1")'), "E0234"),
    "eval": (ball("eval(1)"), "E0234"),
    "os.system": (ball('os.system("x")'), "E0234"),
    "a module of Python": (ball("os.system(1)"), "E0234"),
    "a dunder in a quoted name": ('mapper "__class__" { intensity = d }', "E0107"),
    "a quoted name that ends": ("mapper \"a\\\" + x\" { intensity = d }", "E0107"),
    "a quoted name with a line end": ('mapper "a\nb" { intensity = d }', "E0101"),
    "an attribute": (ball("p.x.real"), "E0243"),
    # sizes
    "a loop of a billion": (ball("sum[i < 1000000000](i)"), "E0301"),
    "an array of a billion": (statements("a[i < 1000000000] = i"), "E0301"),
    "a loop of a negative number": (ball("sum[i < 0 - 5](i)"), "E0301"),
    "nested loops": (ball("sum[i < 4096](sum[j < 4096](sum[k < 4096](p.x * i * j * k)))"), "E0302"),
    "nested loops that do nothing": (ball("sum[i < 4096](sum[j < 4096](sum[k < 0](1)))"), "E0302"),
    "loops beside many names": (
        f"shape ball {{\n{many('a# = 1', 5_000)}\ndistance = sum[i < 4096](sum[j < 40](1))\n}}", "E0302"),
    "sixty doublings": (ball("f59(p.x)", head=chain(lambda i: f"f{i}(x) + f{i}(x)", 60)), "E0304"),
    "thirty doublings": (ball("f29(p.x)", head=chain(lambda i: f"f{i}(x) + f{i}(x)", 30)), "E0302"),
    "thirty doublings inside each other": (ball("f29(p.x)", head=chain(lambda i: f"f{i}(f{i}(x))", 30)), "E0302"),
    "doublings in defaults": (
        "fn f0() = 1\n" + "\n".join(f"fn f{i}(x = f{i - 1}() + f{i - 1}()) = x" for i in range(1, 40))
        + ball("f39()"), "E0302"),
    "doublings of parts": (f"{PROFILES}\nshape ball {{ part = s39\n distance = part(p.xy) }}", "E0302"),
    "a chain of 500 functions": (ball("f499(p.x)", head=chain(lambda i: f"f{i}(x) + 1", 500)), "E0304"),
    "a chain of 500 functions, last first": (
        ball("f499(p.x)", head=chain(lambda i: f"f{i}(x) + 1", 500, upwards=False)), "E0304"),
    "deep formulas in a chain of functions": (
        ball("f38(p.x)", head=chain(lambda i: "(" * 90 + f"f{i}(x)" + ")" * 90, 39)), "E0304"),
    "a thousand shapes that grow": (
        chain(lambda i: f"f{i}(f{i}(x))", 30) + "\n" + many("shape s# { distance = f29(p.x) }", 1_000), "E0302"),
    "a thousand large shapes": (
        chain(lambda i: f"f{i}(f{i}(x))", 12) + "\n" + many("shape s# { distance = f11(p.x) }", 1_000), "E0310"),
    "a fold of a billion rounds": (statements("fold[i < 1000000000] { z = 1 then z }"), "E0301"),
    "forty folds in each other": (nested_folds(40, 2), "E0302"),
    "a thousand folds in each other": (statements("fold[i < 2] {\n" * 1_000 + "z = 1 then z" + "}" * 1_000), "E0104"),
    "folds that grow": (
        statements("fold[i < 4096] { z = p then z + sin(z) * i  y = p then y.zxy + z  x = p then x * y }"), "E0302"),
    "folds in each other that do nothing": (
        statements("fold[i < 4096] { fold[j < 4096] { z = 1 then z } y = 1 then z }"), "E0302"),
    "a fold of many names": (
        statements("fold[i < 4096] {\n" + many("a# = 1. then a#", 2_000) + "}"), "E0302"),
    "a ring of constants": (many("const a# = a0 + 1", 500), "E0236"),
    # numbers
    "an overflow of whole numbers": (ball(" * ".join("9" * 40)), "E0306"),
    "a choice of a hundred thousand": (statements(f"a ~ choice({', '.join('1' * 100_000)})"), "E0102"),
    "a choice of thirty thousand": (statements(f"a ~ choice({','.join('1' * 30_000)})"), "E0302"),
    "a choice of choices that grow": (
        statements("a0 = 1", *(f"a{i + 1} ~ choice(a{i}, a{i} + 1)" for i in range(8)),
                   f"b[i < 4096] ~ choice({', '.join(f'a8 + {i}' for i in range(40))})"), "E0302"),
    "a condition in each of many rounds": (
        ball("min[i < 4096 when any[j < 4096 when j < i](p.x < j)](p.y)"), "E0302"),
    "conditions inside each other": (
        ball("min[i < 2 when " * 120 + "p.x < 1" + "](1) < 1" * 120), "E0104"),
    "a division by zero": (ball("3 // 0"), "E0303"),
    "a remainder by zero": (ball("mod(3, 1 - 1)"), "E0303"),
    "an index behind the end": (ball("[1, 2, 3][3]"), "E0307"),
    "an index before the start": (ball("[1, 2, 3][0 - 1]"), "E0307"),
    # circles
    "a shape of itself": ("shape a = a", "E0236"),
    "shapes of each other": ("shape a { part = b\n distance = part(p) }\nshape b = a", "E0236"),
    "profiles of each other": ("profile a(s: profile = b) = s\nprofile b(s: profile = a) = s", "E0236"),
    "a ring of 500": (many("fn f#(x) = f@(x)", 500).replace("f@", "f0"), "E0236"),
}


@pytest.mark.parametrize("what", WRONG)
def test_one_message(what: str, tmp_path: Path) -> None:
    text, code = WRONG[what]
    (tmp_path / "case.sdf").write_text(text, encoding="utf-8")
    one_message(fdifc("check", "case.sdf", folder=tmp_path), code)


def one_message(done: subprocess.CompletedProcess[str], code: str) -> None:
    assert done.returncode == 1, done.stderr[-2000:]
    assert done.stdout == ""
    assert done.stderr.startswith(f"error[{code}]: ")
    assert done.stderr.count("error[") == 1
    assert len(done.stderr) < 1500
    assert all(c.isprintable() or c == "\n" for c in done.stderr)


RIGHT = {
    "an empty file": "",
    "a file of line ends": "\n" * 60_000,
    "a file of comments": "#\n" * 30_000,
    "a doc of many lines": "##\n" * 15_000 + ball("1"),
    "many statements": statements(many("a# = #.", 4_000)),
    "many statements that use each other": statements("a0 = 1.", many("b# = a0 * p.x", 3_000)),
    "doublings of a sum": statements("a0 = p.x", *(f"a{i + 1} = a{i} + a{i}" for i in range(60))),
    "rounds that double a value": statements("fold[i < 60] { a = p.x then a + a * a + a }"),
    "forty folds of one round in each other": nested_folds(40, 1),
    "a fold of ten thousand names": statements("fold[i < 1] {\n" + many("a# = 1 then 2", 3_000) + "}"),
    "constants that double": f"{chain_of_constants(2_000)}\n{ball('a1999')}",
    "a large array": statements(f"a = [{', '.join('1' * 10_000)}]"),
    "many large arrays": statements(many("a#[i < 4096] = #", 10)),
    "a choice of five thousand": statements(f"a ~ choice({', '.join(map(str, range(5_000)))})"),
    "choices nested 40 deep": statements("a ~ " + "choice(1, " * 40 + "uniform(1, 2)" + ")" * 40),
    "choices 40 deep on both sides": statements("a0 ~ choice(1, 2)", *(
        f"a{i + 1} ~ choice(a{i}, a{i} + choice(a{i}, 1))" for i in range(40))),
    "rounds that do not count": ball("min[i < 90 when i < p.x](min[j < 90 when j > i](p.y - j))"),
    "a large number": ball("2 ^ 99999"),
    "a tower of powers": ball("9 ^ 9 ^ 9 ^ 9 ^ 9"),
    "numbers without a value": ball(
        "1 / 0 + mod(1.5, 0) + sqrt(-1) + log(0) + 0 ^ -1 + (-8) ^ 0.5 + asin(2) + acos(2) + exp(1e9) + sin(1e308 * 10)"
        " + floor(1 / 0) + round(0 / 0) + ceil(-1 / 0) + atan2(0, 0) + tan(1 / 0) + sign(0 / 0) + min(0 / 0, 1)"),
    "an odd quoted name": 'mapper "a-b+c.d_e" { intensity = d }',
    "names of Python": "fn eval(lambda, import) = lambda + import\nshape os { class = eval(1, 2)\n distance = class }\n"
                       "shape None { def = 1\n distance = def * p.x }",
    "a module twice": "use std\n" * 5_000 + ball("onion(length(p), 1)"),
}


NOWHERE_FINITE = ("constants that double", "a large number", "a tower of powers", "numbers without a value")


@pytest.mark.parametrize("what", RIGHT)
def test_nothing_wrong(what: str, tmp_path: Path) -> None:
    (tmp_path / "case.sdf").write_text(RIGHT[what], encoding="utf-8")
    done = fdifc("check", "case.sdf", folder=tmp_path)
    warned = re.findall(r"^\w+\[\w+\]", done.stderr, re.MULTILINE)
    assert (done.returncode, warned) == (0, ["warning[E0312]"] if what in NOWHERE_FINITE else [])
    assert bool(done.stderr) == bool(warned)


@pytest.mark.parametrize("length", [1, 2, 50, 150])
def test_files_that_use_each_other(length: int, tmp_path: Path) -> None:
    for i in range(length):
        (tmp_path / f"part{i}.sdf").write_text(f"use part{(i + 1) % length}\n")
    one_message(fdifc("check", "part0.sdf", folder=tmp_path), "E0202")


def test_more_files_than_anybody_needs(tmp_path: Path) -> None:
    for i in range(1000):
        (tmp_path / f"part{i}.sdf").write_text(f"use part{i + 1}\n")
    one_message(fdifc("check", "part0.sdf", folder=tmp_path), "E0203")


def unreadable(folder: Path) -> dict[str, tuple[Callable[[], object], str]]:
    path = folder / "case.sdf"
    return {
        "a missing file": (lambda: None, "E0204"),
        "a folder": (path.mkdir, "E0204"),
        "a pipe": (lambda: os.mkfifo(path), "E0204"),
        "a device without end": (lambda: path.symlink_to("/dev/zero"), "E0204"),
        "a link to nothing": (lambda: path.symlink_to("nowhere"), "E0204"),
        "a link to itself": (lambda: path.symlink_to(path), "E0204"),
        "a path through a file": (lambda: None, "E0204"),
        "a path that is too long": (lambda: None, "E0204"),
        "no UTF-8": (lambda: path.write_bytes(b"shape \xff\xfe"), "E0103"),
        "UTF-16": (lambda: path.write_bytes("shape ball".encode("utf-16")), "E0103"),
        "surrogates": (lambda: path.write_bytes(b"# \xed\xa0\x80"), "E0103"),
        "a picture": (lambda: path.write_bytes(b"\x89PNG\r\n\x1a\n\0\0"), "E0103"),
        "a gigabyte of nothing": (lambda: path.touch() or os.truncate(path, 2**30), "E0102"),
    }


@pytest.mark.parametrize("what", unreadable(Path()))
def test_what_is_no_file_of_formulas(what: str, tmp_path: Path) -> None:
    make, code = unreadable(tmp_path)[what]
    make()
    names = {"a path through a file": f"{__file__}/case.sdf", "a path that is too long": "x" * 300 + ".sdf"}
    one_message(fdifc("check", names.get(what, "case.sdf"), folder=tmp_path), code)


def test_a_file_name_with_terminal_escapes(tmp_path: Path) -> None:
    (tmp_path / "\x1b[2J.sdf").write_text("shape")
    one_message(fdifc("check", "\x1b[2J.sdf", folder=tmp_path), "E0108")


def test_many_mistakes_are_cut_short(tmp_path: Path) -> None:
    (tmp_path / "case.sdf").write_text(statements(many("b# = unknown# + a#", 2_000)))
    done = fdifc("check", "case.sdf", folder=tmp_path)
    assert done.returncode == 1
    assert 1 < done.stderr.count("error[") <= 21
    assert "there are more mistakes" in done.stderr


def test_no_name_of_a_file_reaches_generated_code(tmp_path: Path) -> None:
    """Two libraries that differ in names, docs and comments alone have the same kernels, word for word."""
    kernels = []
    for mark in ("a", "__import__"[2:8] * 5):
        (tmp_path / f"{mark}.sdf").write_text(f"""
## {mark} doc
profile {mark}_disc(n{mark}: int, {mark}_lo = 2) {{
  {mark}_radius ~ uniform({mark}_lo, 3)  # {mark}
  {mark}_corner[i{mark} < n{mark}] = {mark}_radius * i{mark}
  distance = length(q) - max[j{mark} < n{mark}]({mark}_corner[j{mark}])
}}
fn {mark}_f({mark}_x) = sin({mark}_x)
shape {mark}_tube({mark}_s: profile) {{
  {mark}_depth = deepest({mark}_s(p.xy))
  distance = {mark}_s(p.xy) + {mark}_f(p.z) * {mark}_depth
}}
shape {mark}_ball = {mark}_tube({mark}_disc(3))
displacement "{mark}.dents" {{ offset = {mark}_f(p.x) * grid.limit.x }}
mapper "{mark}-light" {{ intensity = 2 ^ d }}
""")
        library = load_library(tmp_path / f"{mark}.sdf")
        assert len(library.formulas) == 3
        kernels.append({unit.symbol: unit.source for unit in CpuBackend(library.formulas).units()})
    assert kernels[0] == kernels[1] and kernels[0]
    assert "import" not in "".join(kernels[1])
