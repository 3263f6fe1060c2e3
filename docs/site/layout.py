"""The pages of the site, laid out as in the repository: a link in Markdown leads to the same place here and there."""

from __future__ import annotations

import shutil
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FOLDERS = ("benchmarks", "examples")  # what else pages link to
FILES = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE", "Dockerfile", "runtime/play/static/licences.txt")


def lay_out(source: Path) -> None:
    """Copies of every page, and of what pages link to, in the folder `source`. (Not links: MyST would follow them.)"""
    shutil.copytree(ROOT / "docs", source / "docs", ignore=lambda folder, names: {HERE.name, "tables.py"} & {*names})
    for path in HERE.glob("*.md"):
        shutil.copy2(path, source)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, source / name)
