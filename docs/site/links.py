"""Checks a built site: each link leads to a file and an anchor that are there, and nothing is loaded from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_LOADED = {"img": "src", "script": "src", "link": "href", "iframe": "src", "source": "srcset"}


class _Page(HTMLParser):
    """What a page links to, loads and may be linked at."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        elif _LOADED.get(tag) in values:
            self.loaded.append(values[_LOADED[tag]])


def mistakes(site: Path) -> list[str]:
    """A line for each wrong link of the HTML files of a folder."""
    pages = {path.resolve(): _Page(path) for path in sorted(site.rglob("*.html"))}
    found = [f"{path.relative_to(site.resolve())}: {target}: {what}" for path, page in pages.items()
             for target, what in _wrong(path, page, pages)]
    for style in sorted(site.rglob("*.css")):
        found += [f"{style.relative_to(site)}: {url}: loaded from elsewhere"
                  for url in re.findall(r"(?:url\(|@import )['\"]?(https?:[^'\")]*)", style.read_text("utf-8"))]
    return found


def _wrong(path: Path, page: _Page, pages: dict[Path, _Page]) -> Iterator[tuple[str, str]]:
    for target in page.links + page.loaded:
        parts = urlsplit(target)
        if parts.scheme or parts.netloc:
            if target in page.loaded and parts.scheme != "data":
                yield target, "loaded from elsewhere"
            continue
        other = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        if not other.is_file():
            yield target, "no such file"
        elif parts.fragment and other in pages and unquote(parts.fragment) not in pages[other].anchors:
            yield target, "no such anchor"
