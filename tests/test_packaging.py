"""The wheel holds every folder of the package: the folders are mapped by hand, and one is easily forgotten."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("fdif_dsl", "grammar", "compiler", "runtime", "shapes")


def test_every_folder_is_a_listed_package() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    found = set()
    for folder in FOLDERS:
        for path in [ROOT / folder, *(ROOT / folder).rglob("*")]:
            if path.is_dir() and path.name != "__pycache__" and not path.name.startswith("."):
                inside = ".".join(path.relative_to(ROOT).parts)
                found.add(inside if folder == "fdif_dsl" else f"fdif_dsl.{inside}")
    assert found == set(listed)


def test_the_installed_package_has_its_data() -> None:
    import fdif_dsl

    home = Path(fdif_dsl.__file__).parent
    if home == ROOT / "fdif_dsl":  # an editable install reads the folders themselves
        return
    for folder in FOLDERS[1:]:
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".sdf", ".toml", ".lark", ".py"):
                assert (home / path.relative_to(ROOT)).is_file(), path


@pytest.mark.slow  # it builds a wheel
def test_the_wheel_holds_what_is_needed_and_nothing_else(tmp_path: Path) -> None:
    pytest.importorskip("setuptools")
    copy, out = tmp_path / "copy", tmp_path / "out"
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, copy / folder, ignore=lambda place, names: {
            name for name in names if name == "__pycache__" or (Path(place) / name).is_symlink()})
    for name in ("pyproject.toml", "README.md", "LICENSE", "MANIFEST.in"):
        shutil.copy(ROOT / name, copy)
    (copy / "tests").mkdir()
    (copy / "tests" / "test_no_part_of_it.py").touch()
    build = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", build, str(out)], cwd=copy, capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = out.glob("*.whl")
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    wanted = set()
    for folder in FOLDERS:
        home = "" if folder == "fdif_dsl" else "fdif_dsl/"
        wanted |= {home + path.relative_to(copy).as_posix() for path in (copy / folder).rglob("*") if path.is_file()}
    assert held == wanted
    text = zipfile.ZipFile(wheel)
    metadata = text.read(next(name for name in text.namelist() if name.endswith("/METADATA"))).decode()
    assert "License-Expression: Apache-2.0" in metadata and any(n.endswith("/LICENSE") for n in text.namelist())


def test_every_extra_is_pinned() -> None:
    """`make` and `.ci/run` install under the constraints: what is missing there may change from one day to the next."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = {_name(text) for texts in (project["dependencies"], *project["optional-dependencies"].values())
             for text in texts}
    pinned = {_name(line) for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line}
    assert asked - {"fdif_dsl"} <= pinned


def _name(requirement: str) -> str:
    return re.split(r"[\[<>=~; ]", requirement)[0].replace("-", "_")


def test_the_citation_names_the_paper_and_the_licence() -> None:
    text = (ROOT / "CITATION.cff").read_text("utf-8")
    assert "cff-version: 1.2.0" in text and "license: Apache-2.0" in text and "arXiv:2603.23199" in text


def test_the_conda_recipe_asks_for_the_same() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    text = (ROOT / "conda" / "recipe.yaml").read_text("utf-8")
    assert f'version: "{project["version"]}"' in text
    names = {"matplotlib": "matplotlib-base", "torch": "pytorch", "zlib-ng": "python-zlib-ng"}  # on conda-forge
    wanted = {"python" + project["requires-python"]}
    for requirement in project["dependencies"]:
        name = re.split("[<>=~]", requirement)[0]
        wanted.add(names.get(name, name) + requirement.removeprefix(name))
    run = text.partition("  run:\n")[2].partition("  run_constraints:")[0]
    assert {line.strip("- ").replace(" ", "") for line in run.splitlines()} == wanted
