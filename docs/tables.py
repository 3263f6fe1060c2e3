"""The tables of the pages, made from the tables of the code, so that the two cannot differ.

    python docs/tables.py          bring the pages up to date
    python docs/tables.py --check  exit code 1 where a page is behind

A page has a table between the lines `<!-- table: NAME -->` and `<!-- end -->`.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import itertools
import json
import re
import sys
import textwrap
from collections.abc import Callable, Iterable
from importlib.resources import files
from pathlib import Path

from fdif_dsl.compiler.frontend import elaborate, modules
from fdif_dsl.compiler.frontend.built_in import standard_folder
from fdif_dsl.compiler.frontend.builtins import BUILTINS, CONSTANTS, PRIORS, Builtin
from fdif_dsl.compiler.frontend.modules import load_modules
from fdif_dsl.compiler.ir.ops import OPS
from fdif_dsl.grammar import parse as parsing
from fdif_dsl.grammar.ast import Decl
from fdif_dsl.runtime.recipe import Placement, Scanner
from fdif_dsl.runtime.recipe.rules import FORM

PLACE = re.compile(r"(<!-- table: ([\w ]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _code(text: str) -> str:
    return f"`{text}`"


def _functions(table: dict[str, Builtin]) -> str:
    return _table(("function", "meaning"), ((_code(b.signature), b.doc) for b in table.values()))


def _constants() -> str:
    return _table(("name", "value"), ((_code(name), f"{value:.9f}") for name, value in CONSTANTS.items()))


def _ops() -> str:
    types = {"f": "number", "b": "truth", "s": "samples"}
    return _table(("op", "operands", "result", "meaning"), (
        (_code(op.name), ", ".join(types[t] for t in op.operands), types[op.result], op.doc) for op in OPS.values()))


def _reserved() -> str:
    rules = _lark()
    words = re.findall(r'^[A-Z]+: "([a-z]+)"$', rules, re.MULTILINE)
    built_in = ["grid", "deepest", *CONSTANTS, *PRIORS, *BUILTINS]
    texts = (f"Words of the language: {', '.join(map(_code, words))}.",
             f"Built-in names: {', '.join(map(_code, built_in))}.")
    return "\n\n".join(textwrap.fill(text, 116, break_long_words=False, break_on_hyphens=False) for text in texts)


def _limits() -> str:
    return _table(("what", "at most"), (
        ("characters of a file", f"{parsing.MAX_CHARACTERS:,}"),
        ("characters of a name", f"{parsing.MAX_NAME:,}"),
        ("nesting of a formula as written, and of folds", f"{parsing.MAX_DEPTH:,}"),
        ("a whole number", f"{2**31 - 1:,}"),
        ("values of an array, rounds of a loop", f"{elaborate.MAX_ITEMS:,}"),
        ("calls nested in each other", f"{elaborate.MAX_CALLS:,}"),
        ("operations of one formula", f"{elaborate.MAX_NODES:,}"),
        ("operations of all formulas of a file", f"{elaborate.MAX_WORK:,}"),
        ("files of one library", f"{modules.MAX_MODULES:,}"),
    ))


def _standard(module: str, kind: str) -> str:
    """The declarations of one kind in a module of the standard library."""
    path = standard_folder() / f"{module}.sdf"
    tree = next(m for m in load_modules([path]) if m.name == module).tree
    return _table((kind, "meaning"), ((_code(_signature(d)), _line(d.doc)) for d in tree.decls if d.kind == kind))


def _signature(decl: Decl) -> str:
    name = decl.name if decl.name.replace("_", "").isalnum() else f'"{decl.name}"'
    return name if decl.params is None else f"{name}({', '.join(p.span.text for p in decl.params)})"


def _line(doc: str) -> str:
    """The first paragraph of a doc comment."""
    return " ".join(doc.split("\n\n")[0].split())


def _grammar() -> str:
    """The rules of the grammar file, with plain words and signs in place of the names of terminals."""
    text = "\n".join(line for line in _lark().splitlines() if not line.startswith(("//", "%")))
    rules, terminals = re.split(r"\n(?=USE: )", text)
    spelling = dict(re.findall(r'^([A-Z]+): (".*")$', terminals, re.MULTILINE))
    spelling["REDUCER"] = '("min" | "max" | "sum" | "any" | "all")'
    for name, sign in spelling.items():
        rules = re.sub(rf"\b{name}\b", sign, rules)
    rules = re.sub(r" +-> \w+$", "", rules, flags=re.MULTILINE).replace("?", "")
    patterns = re.findall(r"^(NAME|QUOTED|TEXT|NUMBER|DOC)(?:\.\d)?: /(.*)/$", terminals, re.MULTILINE)
    lexemes = "\n".join(f"{name}: {pattern}" for name, pattern in patterns)
    return f"```text\n{rules.strip()}\n\n{lexemes}\n```"


def _lark() -> str:
    return files("fdif_dsl.grammar").joinpath("sdf.lark").read_text("utf-8")


def _keys(record: type, section: str) -> str:
    """The keys of a section of a recipe, with the values of the paper's and the doc lines of the record's fields."""
    (body,) = ast.parse(inspect.getsource(record)).body
    assert isinstance(body, ast.ClassDef)
    docs = {field.target.id: doc.value.value for field, doc in itertools.pairwise(body.body)
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
            and isinstance(doc, ast.Expr) and isinstance(doc.value, ast.Constant)}
    usual = FORM.defaults[section]
    return _table(("key", "without it", "meaning"), (
        (_code(key), _code(json.dumps(usual[key])), _line(str(docs[key]))) for key in FORM.rules[section]))


TABLES: dict[str, Callable[[], str]] = {
    "constants": _constants,
    "builtins": lambda: _functions(BUILTINS),
    "priors": lambda: _functions(PRIORS),
    "ops": _ops,
    "reserved": _reserved,
    "limits": _limits,
    "grammar": _grammar,
    "std functions": lambda: _standard("std", "fn"),
    "sections profiles": lambda: _standard("sections", "profile"),
    "solids shapes": lambda: _standard("solids", "shape"),
    "displacements displacements": lambda: _standard("displacements", "displacement"),
    "mappers mappers": lambda: _standard("mappers", "mapper"),
    "organic shapes": lambda: _standard("organic", "shape"),
    "textures displacements": lambda: _standard("textures", "displacement"),
    "textures mappers": lambda: _standard("textures", "mapper"),
    "scanner": lambda: _keys(Scanner, "scanner"),
    "placement": lambda: _keys(Placement, "placement"),
}


def updated(page: str) -> str:
    """The text of a page with its tables as they should be."""
    return PLACE.sub(lambda found: f"{found[1]}\n{TABLES[found[2]]()}\n\n{found[3]}", page)


def main() -> int:
    options = argparse.ArgumentParser(description="Bring the tables of the pages up to date.")
    options.add_argument("--check", action="store_true", help="change nothing; exit code 1 where a page is behind")
    check = options.parse_args().check
    behind = 0
    for path in sorted(Path(__file__).parent.glob("*.md")):
        text = path.read_text("utf-8")
        if updated(text) != text:
            behind += 1
            print(f"{path.name} {'is behind' if check else 'brought up to date'}")
            if not check:
                path.write_text(updated(text), "utf-8")
    return 1 if check and behind else 0


if __name__ == "__main__":
    sys.exit(main())
