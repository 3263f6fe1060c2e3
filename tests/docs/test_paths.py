"""What the pages for contributors say of files is so: each file and folder that they name is there."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("benchmarks", "compiler", "docs", "examples", "fdif_dsl", "grammar", "playground", "runtime", "shapes",
           "tests")
FROM_THE_ROOT, FROM_ANYWHERE = ROOT / "CONTRIBUTING.md", ROOT / "docs" / "how-it-works.md"

_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_NAMED = re.compile(r"`([\w./*-]+)`")
_FILE = re.compile(r".*\w\.(?:py|sdf|lark|toml|md|txt|sh)")
_LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


def everything() -> set[str]:
    """The files and folders of the project, as paths from its root; folders end with a slash."""
    found = {f"{path.name}" for path in ROOT.iterdir() if path.is_file()} | {f"{folder}/" for folder in FOLDERS}
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*"):
            if not {"__pycache__", "node_modules"} & set(path.parts):
                found.add(path.relative_to(ROOT).as_posix() + ("/" if path.is_dir() else ""))
    return found


def named(text: str) -> list[str]:
    """What a page names in backticks, outside of examples, that is called like a file or folder of the project."""
    words = _NAMED.findall(_FENCE.sub("", text))
    return [word for word in words if _FILE.fullmatch(word) or word.endswith("/") or (
        "/" in word and word.partition("/")[0] in FOLDERS)]


def is_there(name: str, anywhere: bool, known: set[str]) -> bool:
    """Whether there is a file or folder of that name; `NAME` in it stands for any. A name without a folder may be
    anywhere, and one with a folder too if `anywhere` is true."""
    pattern = name.replace("NAME", "*")
    patterns = [pattern, f"{pattern}/"]
    if anywhere or "/" not in name.rstrip("/"):
        patterns += [f"*/{p}" for p in patterns]
    return any(fnmatch(path, p) for p in patterns for path in known)


@pytest.mark.parametrize("page", [FROM_THE_ROOT, FROM_ANYWHERE], ids=lambda page: page.name)
def test_every_path_exists(page: Path) -> None:
    known, names = everything(), named(page.read_text("utf-8"))
    assert len(names) > 30
    assert [name for name in names if not is_there(name, page == FROM_ANYWHERE, known)] == []


@pytest.mark.parametrize("page", [FROM_THE_ROOT, FROM_ANYWHERE], ids=lambda page: page.name)
def test_every_linked_file_exists(page: Path) -> None:
    links = _LINK.findall(page.read_text("utf-8"))
    assert links and [link for link in links if not (page.parent / link).exists()] == []


def test_a_path_that_is_gone_is_found() -> None:
    known = {"runtime/", "runtime/training/", "runtime/training/networks.py"}
    text = "See `runtime/training/networks.py`, `networks.py` and `training/networks.py`, `network.py`, `train.steps`."
    assert named(text) == ["runtime/training/networks.py", "networks.py", "training/networks.py", "network.py"]
    assert [is_there(name, False, known) for name in named(text)] == [True, True, False, False]
    assert is_there("training/networks.py", True, known) and not is_there("works.py", True, known)
