"""The pages say what is so: every example compiles, every stated value is right, every command runs.

A fence's info string says what to do with it:

    sdf                 compiles, and each comment `# call = value where name = value` holds; the names are quantities,
                        `grid`, and for a mapper `p`, the point
    sdf error=E0234     fails with these codes, separated by commas
    ... file=name.sdf   is written under that name, for all other examples of the page
    python              runs, after the page's earlier ones; with `>>>` its output is compared too
    console             lines `$ fdifc ...`, `$ nnUNetv2_...` and `$ export NAME=VALUE ...` run, after all before them;
                        output that follows is compared, `...` standing for anything
    console run=NETWORK before that, the folder of a run that pre-trained this network appears as `run`
"""

from __future__ import annotations

import doctest
import json
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from fdif_dsl.cli import cli
from fdif_dsl.compiler.library import Library, load_library
from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.runtime.training.extra import mend_torchvision

mend_torchvision()  # what it says is no command's output

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("docs/*.md"), *ROOT.glob("docs/tutorials/*.md"), *ROOT.glob("examples/**/*.md"),
                ROOT / "CONTRIBUTING.md"])
LANGUAGES = {"sdf", "python", "console", "text", "toml", "json"}
BACKENDS = ("interpret", "torch", "cpu")
OUTPUT = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
SLOW = ("fdifc pretrain", "nnUNetv2_")  # they load Lightning and train, or start processes that load torch

_FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_STATED = re.compile(r"^# (?P<call>.+?) = (?P<value>-?(?:\d[\w.+-]*|inf|nan))(?: where (?P<given>.+))?$", re.MULTILINE)
_CALL = re.compile(r"(?P<name>[\w.+-]+)\((?P<arguments>[-\d., ]*)\)")


@dataclass(frozen=True)
class Block:
    page: Path
    line: int
    language: str
    options: dict[str, str]
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def _blocks(page: Path) -> list[Block]:
    text = page.read_text("utf-8")
    out = []
    for found in _FENCE.finditer(text):
        language, *options = found[1].split() or [""]
        out.append(Block(page, text.count("\n", 0, found.start()) + 1, language,
                         dict(o.split("=", 1) for o in options), found[2]))
    return out


BLOCKS = {page: _blocks(page) for page in PAGES}


def _of(language: str) -> list[Any]:
    return [pytest.param(b, id=str(b)) for blocks in BLOCKS.values() for b in blocks if b.language == language]


def _examples() -> list[Any]:
    """The pages with blocks that run."""
    out = []
    for page, blocks in BLOCKS.items():
        texts = [b.text for b in blocks if b.language in ("python", "console")]
        slow = [pytest.mark.slow] if any(name in text for text in texts for name in SLOW) else []
        out += [pytest.param(page, id=str(page.relative_to(ROOT)), marks=slow)] if texts else []
    return out


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _write_files(page: Path, folder: Path) -> None:
    for block in BLOCKS[page]:
        if "file" in block.options:
            (folder / block.options["file"]).write_text(block.text, "utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_fences_are_understood(page: Path) -> None:
    for block in BLOCKS[page]:
        assert block.language in LANGUAGES, block
        assert block.options.keys() <= {"error", "file", "run"}, block


@pytest.mark.parametrize("block", _of("sdf"))
def test_sdf(block: Block, folder: Path) -> None:
    _write_files(block.page, folder)
    path = folder / block.options.get("file", "example.sdf")
    if "error" in block.options:
        path.write_text(block.text, "utf-8")
        with pytest.raises(FdifError) as caught:
            load_library(path)
        assert {d.code for d in caught.value.diagnostics} == set(block.options["error"].split(","))
        return
    stated = list(_STATED.finditer(block.text))
    assert len(stated) == len(re.findall(r"^# .* = ", block.text, re.MULTILINE)), "a value that is not understood"
    path.write_text(block.text, "utf-8")
    lib = load_library(path)
    formulas = [_formula(s["call"], lib) for s in stated]
    if any(name.startswith("stated") for name, _ in formulas):  # what calls no class of the library: a formula
        plain = "".join(f"\nmapper stated{i} {{ intensity = {s['call']} }}" for i, s in enumerate(stated)
                        if formulas[i][0] == "stated")
        path.write_text(block.text + plain, "utf-8")
        lib = load_library(path)
    for i, (found, (name, arguments)) in enumerate(zip(stated, formulas, strict=True)):
        for backend in BACKENDS:
            got = _evaluate(lib, f"stated{i}" if name == "stated" else name, arguments, found["given"] or "", backend)
            np.testing.assert_allclose(got, float(found["value"]), rtol=1e-5, atol=1e-5, equal_nan=True,
                                       err_msg=f"{block}: {found[0]} on {backend}")


def _formula(call: str, lib: Library) -> tuple[str, list[float]]:
    found = _CALL.fullmatch(call)
    if found and any(found["name"] in kind for kind in (lib.shapes, lib.displacements, lib.mappers)):
        return found["name"], json.loads(f"[{found['arguments']}]")
    return "stated", [0.0]


def _evaluate(lib: Library, name: str, arguments: list[float], given: str, backend: str) -> float:
    params = {}
    for assignment in given.split(" and ") if given else []:
        key, value = assignment.split(" = ")
        params[key] = float(value) if value in ("nan", "inf") else json.loads(value)
    grid = params.pop("grid", None)
    grid = [grid] * 3 if isinstance(grid, int) else grid
    if name in lib.mappers:
        points = [params.pop("p")] if "p" in params else None  # its own coordinates and the world's are the same here
        return float(lib.mappers[name].intensity(arguments, backend, params, points, grid=grid)[0])
    if name in lib.shapes:
        return float(lib.shapes[name].distance([arguments], params, backend=backend, grid=grid)[0])
    return float(lib.displacements[name].offset([arguments], grid or [8, 8, 8], backend, params)[0])


@pytest.mark.parametrize("page", _examples())
def test_examples(page: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    _write_files(page, folder)
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in BLOCKS[page]:
        if "run" in block.options:
            run = request.getfixturevalue("a_run")(block.options["run"], "augment.normalise=zscore")
            shutil.copytree(run, folder / "run", copy_function=os.link)
        if block.language == "python":
            names = _run_python(block, names)
        elif block.language == "console":
            for part in re.split(r"^\$ ", block.text.replace("\\\n", " "), flags=re.MULTILINE)[1:]:
                _run_command(block, part, monkeypatch)


def _run_python(block: Block, names: dict[str, Any]) -> dict[str, Any]:
    """Runs a block, and gives the names that are there after it."""
    if ">>> " not in block.text:
        exec(compile(block.text, str(block), "exec"), names)
        return names
    test = doctest.DocTestParser().get_doctest(block.text, names, str(block), str(block.page), block.line)
    report: list[str] = []
    doctest.DocTestRunner(optionflags=OUTPUT).run(test, out=report.append, clear_globs=False)
    assert not report, "".join(report)
    return test.globs


def _run_command(block: Block, part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs a command, the first line of `part`, and compares its output with the others."""
    command, _, wanted = part.partition("\n")
    program, *words = shlex.split(command, comments=True)
    if program == "export":
        for word in words:
            name, _, value = word.partition("=")
            monkeypatch.setenv(name, value.replace("$PWD", os.fspath(Path.cwd())))
    elif program.startswith("nnUNetv2_"):
        _run_nnunet(block, program, words)
    elif program == "fdifc":
        result = CliRunner().invoke(cli, words, prog_name="fdifc")
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == (1 if "error[" in wanted else 0), f"{block}: {command}\n{result.output}"
        # Where a machine is slow, commands say that they compile, or wait for another that does.
        output = "".join(f"{line.rstrip()}\n" for line in result.output.splitlines()
                         if not line.startswith(("fdif-dsl: compiling", "fdif-dsl: waiting")))
        assert not wanted or doctest.OutputChecker().check_output(wanted, output, OUTPUT), \
            f"{block}: {command}\n{output}"


def _run_nnunet(block: Block, program: str, words: list[str]) -> None:
    """Runs a program of nnU-Net in a process of its own."""
    found = [point.value for point in entry_points(group="console_scripts", name=program)]
    if not found:
        pytest.skip("nnunetv2 is not installed; CONTRIBUTING says how to")
    module, _, function = found[0].partition(":")
    done = subprocess.run([sys.executable, "-c", f"from {module} import {function}; {function}()", *words],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{block}: {program}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"


@pytest.mark.parametrize("page", [p for p in PAGES if p.parent.name != "docs"], ids=lambda p: str(p.relative_to(ROOT)))
def test_files_shown_are_the_files(page: Path) -> None:
    for block in BLOCKS[page]:
        path = page.parent / block.options.get("file", "-")
        if path.exists():
            assert path.read_text("utf-8") == block.text, f"{block} differs from {path.relative_to(ROOT)}"


@pytest.mark.parametrize("page", sorted(ROOT.glob("docs/*.md")), ids=lambda p: p.name)
def test_tables_are_those_of_the_code(page: Path) -> None:
    tables = runpy.run_path(str(ROOT / "docs" / "tables.py"))
    text = page.read_text("utf-8")
    assert tables["updated"](text) == text, "bring the page up to date: python docs/tables.py"
