"""`bench`: what it prints and writes, and what it says to wrong input before it measures anything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from fdif_dsl.compiler.library import load_library


def test_a_run(fdifc: Any, shapes: Path, recipe: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = fdifc("bench", shapes, "--recipe", recipe, "--count", 1, "--seed", 3, "--quick", "--json", "-o", out)
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["settings"]["count"] == 1 and report["settings"]["seed"] == 3 and report["settings"]["rounds"] == 3
    assert report["library"] == {"hash": load_library(shapes).hash, "shapes": 2}
    assert sorted(p.name for p in out.iterdir()) == ["bench.json", "scaling.png"]
    assert json.loads((out / "bench.json").read_text()) == report
    with Image.open(out / "scaling.png") as image:
        assert image.format == "PNG"

    # Once more, beside the first: as tables, and into the same folder.
    result = fdifc("bench", shapes, "--recipe", recipe, "--count", 1, "--quick", "--compare", out / "bench.json",
                   "-o", out)
    assert result.exit_code == 0, result.output
    again = json.loads((out / "bench.json").read_text())
    lines = [line.split() for line in result.stdout.splitlines()]
    now, then = (r["volume"]["per_second"] for r in (again, report))
    found = next(line for line in lines if line[:3] == ["volumes", "a", "second"])
    assert [float(cell) for cell in found[3:]] == [pytest.approx(n, rel=0.01) for n in (now, then, now / then)]
    assert ["16³"] in [line[:1] for line in lines] and ["a", "fresh", "process"] in lines and ["before:"] in lines
    assert result.stdout.endswith(f"\nreport in {out / 'bench.json'}, picture in {out / 'scaling.png'}\n")


@pytest.mark.parametrize(("text", "why"), [
    ('{"format": 0}', "its format is 0, and this version reads 1"),
    ("{", "it is damaged, or something else"),
    ('{"format": 1}', "it is damaged, or something else"),
    ("[]", "it is damaged, or something else"),
])
def test_something_else_to_compare_with(fdifc: Any, tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "old.json"
    path.write_text(text)
    result = fdifc("bench", "--compare", path)
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", (
        f"error[E0845]: {path} is no report of `fdifc bench`\n  --> --compare\n  why: {why}\n"
        "  hint: name the bench.json of an earlier run\n"))


def test_mistakes_are_found_before_the_work(fdifc: Any, shapes: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").touch()
    (tmp_path / "wrong.toml").write_text('[classes]\nshapes = ["bell"]\n')
    for arguments, code in (
            (("--compare", tmp_path / "none.json"), "E0801"),
            (("--recipe", "papr"), "E0501"),
            ((shapes, "--recipe", tmp_path / "wrong.toml"), "E0504"),
            ((tmp_path / "none.sdf",), "E0204"),
            ((shapes, "-o", tmp_path / "full"), "E0804")):
        result = fdifc("bench", *arguments)
        assert result.exit_code == 1 and result.stderr.startswith(f"error[{code}]"), result.stderr
    assert fdifc("bench", "--count", 0).exit_code == 2
    assert [p.name for p in (tmp_path / "full").iterdir()] == ["thesis.tex"]
