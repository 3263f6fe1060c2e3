"""The wheel holds every folder of the package: the folders are mapped by hand, and one is easily forgotten."""

from __future__ import annotations

import tomllib
from pathlib import Path

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
