"""Builds the site: Markdown of the repository, pages made from the code, and the gallery.

    python docs/site/build.py      into build/site/html; needs the extra `docs`, and no network

The pages are laid out as in the repository, so that a link in Markdown leads to the same place here and there.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import gallery
import links
from sphinx.cmd.build import main as sphinx

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = ROOT / "build" / "site"
FOLDERS = ("benchmarks", "examples")  # what else pages link to
FILES = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE")


def main() -> int:
    source, site = BUILD / "source", BUILD / "html"
    shutil.rmtree(source, ignore_errors=True)
    lay_out(source)
    gallery.make(BUILD / "pictures", source / "gallery")
    shutil.rmtree(site, ignore_errors=True)  # what is no page any more would stay
    if failed := sphinx(["-E", "-b", "html", "-W", "--keep-going", "-q", "-c", str(HERE), "-d", str(BUILD / "trees"),
                         str(source), str(site)]):
        return failed
    if wrong := links.mistakes(site):
        print(*wrong, sep="\n", file=sys.stderr)
        return 1
    print(f"the site is built: {site / 'index.html'}")
    return 0


def lay_out(source: Path) -> None:
    """Copies of every page, and of what pages link to, in the folder `source`. (Not links: MyST would follow them.)"""
    shutil.copytree(ROOT / "docs", source / "docs", ignore=lambda folder, names: {HERE.name, "tables.py"} & {*names})
    for path in HERE.glob("*.md"):
        shutil.copy2(path, source)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy2(ROOT / name, source)


if __name__ == "__main__":
    sys.exit(main())
