"""The site: its navigation, its links, and, when asked for, all of it."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SITE = ROOT / "docs" / "site"
_IGNORED = ("node_modules", "build", "demo", "dist", "runs")

_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def pages() -> list[Path]:
    """The Markdown files of the repository."""
    inside = [path for path in ROOT.rglob("*.md") if not any(
        part in _IGNORED or part.startswith(".") for part in path.relative_to(ROOT).parts[:-1])]
    return sorted([*inside, *(ROOT / ".github").rglob("*.md")])


def module(name: str) -> Any:
    """A module of docs/site, which is no package."""
    spec = importlib.util.spec_from_file_location(name, SITE / f"{name}.py")
    assert spec and spec.loader
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def navigation() -> list[str]:
    text = (SITE / "index.md").read_text("utf-8")
    return [line for tree in re.findall(r"^```\{toctree\}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
            for line in tree.splitlines() if line and not line.startswith(":")]


def test_the_navigation_lists_every_page_once() -> None:
    listed = [name for name in navigation() if not name.startswith("gallery/")]
    there = {path.name for path in SITE.glob("*.md")} - {"index.md"}
    for folder in ("docs", "examples", "benchmarks"):
        there |= {path.relative_to(ROOT).as_posix() for path in (ROOT / folder).rglob("*.md") if path.parent != SITE}
    assert {name for name in listed if "/" in name or name in there} == there
    top = [name for name in listed if name not in there]
    assert top and all((ROOT / name).is_file() for name in top)
    assert len(set(listed)) == len(listed)


def slugs(text: str) -> set[str]:
    """The anchors that GitHub and MyST give to the headings of a page."""
    found: list[str] = []
    for heading in re.findall(r"^#+ (.*)$", _FENCE.sub("", text), re.MULTILINE):
        plain = re.sub(r"\]\([^)]*\)", "", heading)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).strip().replace(" ", "-")
        found.append(slug if slug not in found else f"{slug}-{sum(f.startswith(slug) for f in found)}")
    return {*found}


def wrong_links(page: Path) -> list[str]:
    """The relative links of a Markdown file, pictures among them, that lead nowhere. What is made with the site counts
    as there."""
    plain = re.sub(r"`[^`\n]*`", "", _FENCE.sub("", page.read_text("utf-8")))
    wrong = []
    for target in re.findall(r"\]\(([^)\s]+)\)", plain):
        name, _, anchor = target.partition("#")
        if re.match(r"\w+:", target) or (page.parent == SITE and name.startswith("gallery/")):
            continue
        base = ROOT if page.parent == SITE and not (SITE / name).exists() else page.parent  # the site is laid out so
        other = base / name if name else page
        if not other.exists() or (anchor and other.suffix == ".md" and anchor not in slugs(other.read_text("utf-8"))):
            wrong.append(target)
    return wrong


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    assert wrong_links(page) == []


def test_a_wrong_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# A `code` heading, twice\n\n# Same\n\n# Same\n")
    page = tmp_path / "page.md"
    page.write_text("[a](other.md#a-code-heading-twice) [b](other.md#same-1) [c](gone.md) [d](other.md#no) `[e](f)`\n")
    assert wrong_links(page) == ["gone.md", "other.md#no"]


def test_what_pages_link_to_is_laid_out_beside_them(tmp_path: Path) -> None:
    module("layout").lay_out(tmp_path)
    laid = sorted(path for path in tmp_path.rglob("*.md") if path.name != "index.md")
    assert len(laid) > 30
    assert {str(page.relative_to(tmp_path)): wrong for page in laid if (wrong := wrong_links(page))} == {}


def test_links_of_a_built_site_are_checked(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "index.html").write_text('<h1 id="top">A</h1><a href="folder/b.html#x">b</a><a href="c.html">c</a>'
                                         '<a href="https://example.org">d</a><img src="https://example.org/e.png">')
    (tmp_path / "folder" / "b.html").write_text('<a href="../index.html#top">a</a><a href="#x">x</a>')
    (tmp_path / "style.css").write_text("@import url('https://example.org/font.css');")
    assert module("links").mistakes(tmp_path) == [
        "folder/b.html: #x: no such anchor", "index.html: folder/b.html#x: no such anchor",
        "index.html: c.html: no such file",
        "index.html: https://example.org/e.png: loaded from elsewhere",
        "style.css: https://example.org/font.css: loaded from elsewhere"]


def test_every_part_of_the_api_has_its_place() -> None:
    import fdif_dsl

    documented = re.findall(r"^\.\. auto\w+:: fdif_dsl\.(\w+)", (SITE / "api.md").read_text("utf-8"), re.MULTILINE)
    assert sorted(documented) == sorted(fdif_dsl.__all__)


def test_every_class_has_a_page_with_its_source() -> None:
    from fdif_dsl.grammar.parse import parse
    from fdif_dsl.grammar.source import SourceFile

    gallery = module("gallery")
    library = gallery._library()
    assert {"cone", "blob"} <= set(library.shapes) and {"flat", "modular_5"} <= set(library.mappers)
    declared = gallery._declarations()
    for kind in gallery.KINDS:
        for entry in getattr(library, kind).values():
            text = "\n".join(source for _, source in gallery._sources(entry, declared))
            names = [decl.name for decl in parse(SourceFile("page", text)).decls]
            assert names[0] == entry.name and len(names) == len(set(names))
            page = gallery._page(entry, declared)
            assert page.startswith(f"# {entry.name}\n")
            assert all(f"| `{q.name}` |" in page for q in entry.formula.quantities)
    sources = gallery._sources(library.shapes["triangle_concave_prism"], declared)
    whole = "".join(f"{source}\n" for _, source in sources)
    assert re.findall(r"^(\w+ \w+)", whole, re.MULTILINE) == [
        "shape triangle_concave_prism", "profile sector_polygon", "profile waisted", "profile polygon_between",
        "shape prism"]
    # A name of the body, or of a module that is not used, is no declaration.
    assert [place for place, _ in gallery._sources(library.shapes["coil"], declared)] == ["organic"]
    (text,) = (source for _, source in gallery._sources(library.displacements["billows"], declared))
    assert re.findall(r"^\w+ (\w+)", text, re.MULTILINE) == ["billows"]
    texts = dict(gallery._sources(library.shapes["vessel"], declared))
    assert re.findall(r"^(\w+ \w+)", texts["organic"], re.MULTILINE) == ["shape vessel", "shape tube", "fn progress"]


def test_every_word_of_the_language_has_a_colour() -> None:
    from pygments.token import Keyword, Name, Token

    lexer = module("sdf_lexer").SdfLexer()
    for path in (ROOT / "shapes").glob("*.sdf"):
        text = path.read_text("utf-8")
        tokens = list(lexer.get_tokens(text))
        assert "".join(value for _, value in tokens) == text and not any(kind is Token.Error for kind, _ in tokens)
    text = "shape a { r ~ uniform(0, tau)\n distance = min(r, p.x) }"
    kinds = {value: kind for kind, value in lexer.get_tokens(text)}
    assert (kinds["shape"], kinds["uniform"], kinds["min"], kinds["tau"], kinds["r"]) == (
        Keyword, Name.Builtin, Name.Builtin, Name.Constant, Name)


def test_every_dependency_has_its_licence() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    groups = (project["dependencies"], *project["optional-dependencies"].values())
    wanted = {re.split(r"[\[<>=~; ]", text)[0] for group in groups for text in group} - {"fdif-dsl"}
    page = (ROOT / "docs" / "licences.md").read_text("utf-8")
    listed = dict(re.findall(r"^\| ([\w-]+) \| ([^|]+) \|", page, re.MULTILINE))
    del listed["package"], listed["---"]
    assert listed.keys() == wanted
    for name, licence in listed.items():
        try:
            stated = metadata(name).get("License-Expression")
        except PackageNotFoundError:
            continue
        assert not stated or licence in stated, (name, stated)


@pytest.mark.long  # it draws 130 pictures where they are not there yet, and reads some 150 pages
def test_the_site_builds_without_a_warning() -> None:
    pytest.importorskip("sphinx")
    done = subprocess.run([sys.executable, str(SITE / "build.py")], cwd=ROOT, capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert (ROOT / "build" / "site" / "html" / "searchindex.js").is_file()
