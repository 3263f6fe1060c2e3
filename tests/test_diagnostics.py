"""Every mistake has one message, told whole: the source and the rendered error stand side by side in snapshots/*.txt.

To write the messages anew: FDIF_UPDATE_SNAPSHOTS=1 pytest tests/test_diagnostics.py; then read the difference.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

import pytest

from fdif_dsl.compiler.frontend.diagnose import check_files

SNAPSHOTS = sorted(Path(__file__).parent.glob("*/snapshots/*.txt"))
UPDATE = os.environ.get("FDIF_UPDATE_SNAPSHOTS") == "1"
SEVERAL = "(several mistakes)"  # in a title: more than one diagnostic is right


@dataclass
class Case:
    """`=== title`, then the text of case.sdf; `--- other.sdf` starts a further file, `--- python` an expression
    for what is better not written out (bytes, or files by name), and `--- message` what is said."""

    title: str
    parts: list[tuple[str, str]] = field(default_factory=list)

    @property
    def message(self) -> str:
        return dict(self.parts).get("message", "")

    def text(self, message: str) -> str:
        out = [f"=== {self.title}"]
        for name, text in self.parts:
            if name != "message":
                out += [f"--- {name}"] if name != "case.sdf" else []
                out.append(text)
        return "\n".join([*out, "--- message", message])

    def write_files(self, folder: Path) -> None:
        for name, text in self.parts:
            if name == "python":
                made = eval(text)
                for path, data in (made if isinstance(made, dict) else {"case.sdf": made}).items():
                    (folder / path).parent.mkdir(exist_ok=True)
                    (folder / path).write_bytes(data)
            elif name != "message":
                (folder / name).write_text(f"{text}\n", encoding="utf-8")


def read_cases(path: Path) -> list[Case]:
    cases: list[Case] = []
    for block in re.split(r"^=== ", path.read_text("utf-8"), flags=re.MULTILINE)[1:]:
        title, _, rest = block.partition("\n")
        first, *others = re.split(r"^--- ", rest.rstrip("\n"), flags=re.MULTILINE)
        case = Case(title, [("case.sdf", first.rstrip("\n"))] if first.strip() else [])
        case.parts += [(name, text.rstrip("\n")) for name, _, text in (o.partition("\n") for o in others)]
        cases.append(case)
    return cases


CASES = [(path, case) for path in SNAPSHOTS for case in read_cases(path)]


@pytest.mark.parametrize(("path", "case"), [
    pytest.param(p, c, id=f"{p.stem}: {c.title}") for p, c in CASES])
def test_the_message_is_the_one_that_was_read_and_found_good(
        path: Path, case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case.write_files(tmp_path)
    monkeypatch.chdir(tmp_path)
    found = check_files(["case.sdf"])
    said = "\n\n".join(d.render() for d in found)
    if UPDATE:
        update(path, case.title, said)
        return
    assert said == case.message
    assert (len(found) > 1) == (SEVERAL in case.title), "one mistake, one message"


def update(path: Path, title: str, said: str) -> None:
    texts = [c.text(said if c.title == title else c.message) for c in read_cases(path)]
    path.write_text("\n\n".join(texts) + "\n", encoding="utf-8")


def test_titles_are_unique() -> None:
    titles = [case.title for _, case in CASES]
    assert sorted(set(titles)) == sorted(titles)


def test_every_code_has_a_snapshot() -> None:
    front = files("fdif_dsl.compiler.frontend")
    folders = (files("fdif_dsl.grammar"), front, *(f for f in front.iterdir() if f.is_dir()))
    sources = [f for folder in folders for f in folder.iterdir() if f.name.endswith(".py")]
    raised = {code for source in sources for code in re.findall(r'"(E0[0-9]{3})"', source.read_text("utf-8"))}
    shown = {code for _, case in CASES for code in re.findall(r"^error\[(E0[0-9]{3})\]", case.message, re.MULTILINE)}
    assert raised - shown == set()


def test_messages_show_no_word_of_the_implementation() -> None:
    inside = re.compile(r"__ANON|\b(Token|Node|Instance|None|Traceback|LPAR|RPAR|RSQB|LSQB|RBRACE|LBRACE|NAME)\b")
    assert [case.title for _, case in CASES if inside.search(case.message)] == []


def test_every_message_has_a_hint() -> None:
    bare = [error.splitlines()[0] for _, case in CASES for error in re.split(r"\n\n(?=error\[)", case.message)
            if "hint: " not in error]
    assert bare == []
