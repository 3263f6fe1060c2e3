"""The example scripts run and say what they promise. The walks in `examples/*/README.md` run in tests/docs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

nbclient: Any = pytest.importorskip("nbclient")
nbformat: Any = pytest.importorskip("nbformat")

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"


def _run(script: str, folder: Path) -> str:
    # In the clone's root, as a reader of the examples would.
    done = subprocess.run([sys.executable, f"examples/{script}", folder], cwd=ROOT, capture_output=True, text=True,
                          env=os.environ, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_sample_and_render(tmp_path: Path) -> None:
    said = _run("sample_and_render.py", tmp_path)
    assert "d(minor) = -3.000" in said
    assert "fitted: major 18.00, minor 5.00" in said
    assert "'image': ((2, 1, 64, 64, 64), torch.float32)" in said
    assert (tmp_path / "scene.json").exists() and (tmp_path / "slices.png").stat().st_size > 10_000


@pytest.mark.slow  # a process of its own that draws five pictures
def test_the_notebook_runs_and_shows_pictures(tmp_path: Path) -> None:
    pytest.importorskip("ipykernel")
    notebook = nbformat.read(EXAMPLES / "tour.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert all(not cell.outputs for cell in notebook.cells if cell.cell_type == "code")  # what runs makes them
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3",
                            resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [set(output.get("data", {})) for cell in notebook.cells if cell.cell_type == "code"
             for output in cell.outputs]
    assert sum("image/png" in kinds for kinds in shown) == 5 and sum("text/html" in kinds for kinds in shown) == 2
    said = notebook.cells[-1].outputs[-1]["data"]["text/plain"]
    assert "'image': (1, 64, 64, 64)" in said


@pytest.mark.parametrize("recipe", sorted(EXAMPLES.glob("**/*.toml")), ids=lambda p: str(p.relative_to(EXAMPLES)))
def test_recipes_fit_the_library_beside_them(recipe: Path) -> None:
    from fdif_dsl.compiler.library import load_library
    from fdif_dsl.runtime.recipe import Recipe, resolve

    beside = sorted(recipe.parent.glob("*.sdf"))
    resolve(Recipe.load(recipe), load_library(beside or None))


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("**/*.sdf")), ids=lambda p: str(p.relative_to(EXAMPLES)))
def test_formula_files_are_in_the_canonical_layout(file: Path) -> None:
    from fdif_dsl.grammar.format import format_source

    assert format_source(file.read_text("utf-8")) == file.read_text("utf-8")
