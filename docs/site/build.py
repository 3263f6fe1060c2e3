"""Builds the site: Markdown of the repository, pages made from the code, and the gallery.

    python docs/site/build.py      into build/site/html; needs the extra `docs`, and no network
"""

from __future__ import annotations

import shutil
import sys

import gallery
import links
from layout import HERE, ROOT, lay_out
from sphinx.cmd.build import main as sphinx

BUILD = ROOT / "build" / "site"


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


if __name__ == "__main__":
    sys.exit(main())
