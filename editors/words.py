"""The colours of `.sdf` files, for the playground and for editors without the language server: made from the tables
of the language.

    python editors/words.py          bring the files up to date
    python editors/words.py --check  exit code 1 where one is behind
"""

from __future__ import annotations

import argparse
import json
import sys
from importlib.resources import files
from pathlib import Path

from lark import Lark

from fdif_dsl.compiler.frontend.builtins import BUILTINS, CONSTANTS, PRIORS
from fdif_dsl.compiler.frontend.check.types import INPUTS, PARAM_TYPES, RESULTS
from fdif_dsl.grammar.parse import keywords, starters

HERE = Path(__file__).parent
VALUES = {"true", "false"}


def _terminal(name: str) -> str:
    """The pattern of a terminal of the grammar."""
    lark = Lark(files("fdif_dsl.grammar").joinpath("sdf.lark").read_text("utf-8"), parser="lalr", start="module")
    return str(next(t.pattern.value for t in lark.terminals if t.name == name))


def _lists() -> dict[str, list[str]]:
    """The words of the language by what they are."""
    words = {
        "declaration": starters(),
        "operator": starters("fn f() = 0 ") - starters() | {"not"},
        "value": VALUES,
        "constant": CONSTANTS,
        "prior": PRIORS,
        "function": {*BUILTINS, "deepest", *_terminal("REDUCER").partition(")")[0].removeprefix("(?:").split("|")},
        "type": {*PARAM_TYPES} - keywords(),
        "given": {"grid", *RESULTS.values(), *(name for names in INPUTS.values() for name in names)},
    }
    words["other"] = keywords() - set().union(*words.values())
    out: dict[str, list[str]] = {}
    for kind, found in words.items():  # a word is of the first kind that has it, but for functions named like types
        out[kind] = sorted(set(found) - {w for kind in out for w in out[kind]})
    return out


def textmate() -> str:
    words = _lists()
    scopes = {
        "declaration": "keyword.declaration.sdf", "operator": "keyword.operator.word.sdf",
        "other": "keyword.control.sdf", "value": "constant.language.sdf", "constant": "constant.language.sdf",
        "prior": "support.function.prior.sdf", "function": "support.function.sdf",
        "type": "support.type.sdf", "given": "variable.language.sdf",
    }
    kinds = "|".join(words["declaration"])
    patterns = [
        {"name": "comment.block.documentation.sdf", "match": "##.*$"},
        {"name": "comment.line.number-sign.sdf", "match": "#.*$"},
        {"match": rf'\b({kinds})\s+([A-Za-z]\w*|"[^"]*")',
         "captures": {"1": {"name": scopes["declaration"]}, "2": {"name": "entity.name.type.sdf"}}},
        {"name": "constant.numeric.sdf", "match": rf"(?<![A-Za-z_]){_terminal('NUMBER')}"},
        {"name": "string.quoted.double.sdf", "match": '"[^"\\n]*"'},
        {"match": r"(\.)([xyzw]{1,4})\b", "captures": {"2": {"name": "variable.other.member.sdf"}}},
        *({"name": scopes[kind], "match": rf"\b({'|'.join(found)})\b"} for kind, found in words.items() if found),
        {"name": "entity.name.function.sdf", "match": r"\b[A-Za-z]\w*(?=\s*\()"},
        {"name": "keyword.operator.sdf", "match": r"[-+*/^<>=!~]+"},
    ]
    return json.dumps({"scopeName": "source.sdf", "name": "sdf", "fileTypes": ["sdf"], "patterns": patterns},
                      indent=2) + "\n"


def vim() -> str:
    words = _lists()
    groups = {"declaration": "Structure", "operator": "Operator", "other": "Keyword", "value": "Boolean",
              "constant": "Constant", "prior": "Function", "function": "Function", "type": "Type",
              "given": "Identifier"}
    lines = ['" Colours of shape formulas. Made by editors/words.py.', "if exists('b:current_syntax')", "  finish",
             "endif", ""]
    lines += [f"syntax keyword sdf{kind.title()} {' '.join(found)}" for kind, found in words.items() if found]
    lines += [
        r"syntax match sdfNumber /\<\d\+\.\?\d*\%([eE][-+]\?\d\+\)\?\>\|\.\d\+\%([eE][-+]\?\d\+\)\?\>/",
        'syntax match sdfName /"[^"]*"/',
        r"syntax match sdfSign /[-+*\/^<>=!~]/",
        "syntax match sdfComment /#.*$/ contains=@Spell", "syntax match sdfDoc /##.*$/ contains=@Spell", ""]
    lines += [f"highlight default link sdf{kind.title()} {group}" for kind, group in groups.items() if words[kind]]
    lines += [f"highlight default link sdf{kind} {group}" for kind, group in (
        ("Number", "Number"), ("Name", "String"), ("Sign", "Operator"), ("Comment", "Comment"),
        ("Doc", "SpecialComment"))]
    return "\n".join([*lines, "", "let b:current_syntax = 'sdf'", ""])


def playground() -> str:
    return json.dumps(_lists(), indent=1) + "\n"


FILES = {HERE / "vscode" / "syntaxes" / "sdf.tmLanguage.json": textmate, HERE / "vim" / "syntax" / "sdf.vim": vim,
         HERE.parent / "playground" / "src" / "words.json": playground}


def main() -> int:
    options = argparse.ArgumentParser(description="Bring the colours of .sdf files up to date.")
    options.add_argument("--check", action="store_true", help="change nothing; exit code 1 where a file is behind")
    check = options.parse_args().check
    behind = 0
    for path, make in FILES.items():
        if not path.exists() or path.read_text("utf-8") != make():
            behind += 1
            print(f"{path.name} {'is behind' if check else 'brought up to date'}")
            if not check:
                path.write_text(make(), "utf-8")
    return 1 if check and behind else 0


if __name__ == "__main__":
    sys.exit(main())
