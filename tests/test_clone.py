"""Whoever works in the root of a clone, where the folder `fdif_dsl` hides the installed package, has all of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PARTS = ("grammar", "compiler", "runtime", "shapes")
USE = "import fdif_dsl as fd; lib = fd.load_library(); print(len(lib.shapes), fd.__version__ != '')"


def there(*arguments: str, place: Path = ROOT, typed: str | None = None) -> str:
    """What a Python that is started in the root prints."""
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONSAFEPATH", "PYTHONPATH")}
    done = subprocess.run([sys.executable, *arguments], cwd=place, env=environment, input=typed, capture_output=True,
                          text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_command_and_a_session() -> None:
    assert there("-c", USE) == "109 True\n"
    assert there("-i", "-q", typed=USE) == "109 True\n"


def test_the_parts_are_those_of_the_clone() -> None:
    code = "import fdif_dsl.compiler as c, fdif_dsl.runtime as r; print(c.__file__); print(r.__file__)"
    assert {Path(line).resolve() for line in there("-c", code).splitlines()} == {
        ROOT / "compiler" / "__init__.py", ROOT / "runtime" / "__init__.py"}


def test_pytest() -> None:
    chosen = ("tests/test_packaging.py", "-k", "folder or data")
    assert "2 passed" in there("-m", "pytest", "-p", "no:cacheprovider", *chosen)


def test_mypy_and_with_it_what_editors_ask() -> None:
    assert "Success" in there("-m", "mypy", "examples/sample_and_render.py")


def test_where_a_checkout_has_no_links(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "fdif_dsl", tmp_path / "fdif_dsl", ignore=lambda *_: PARTS)
    for part in PARTS:
        # What git writes there for a link where it makes none.
        (tmp_path / "fdif_dsl" / part).write_text(f"../{part}")
        (tmp_path / part).symlink_to(ROOT / part)
    assert there("-c", USE, place=tmp_path) == "109 True\n"


@pytest.mark.parametrize("part", PARTS)
def test_links_lead_to_the_parts(part: str) -> None:
    link = ROOT / "fdif_dsl" / part
    assert not link.is_symlink() or link.resolve() == ROOT / part
