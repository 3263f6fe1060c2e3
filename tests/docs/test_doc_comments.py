"""Doc comments: of the whole standard library, and what belongs to what."""

from __future__ import annotations

from pathlib import Path

from fdif_dsl.compiler.frontend.built_in import standard_files
from fdif_dsl.compiler.frontend.modules import load_modules
from fdif_dsl.compiler.library import load_library
from fdif_dsl.grammar.ast import Stmt


def test_every_standard_declaration_and_random_quantity_says_what_it_is() -> None:
    said = {f"{m.name}.{d.name}": d.doc for m in load_modules(standard_files()) for d in m.tree.decls}
    said |= {f"{m.name}.{d.name}.{s.name}": s.doc for m in load_modules(standard_files()) for d in m.tree.decls
             for s in d.body or () if isinstance(s, Stmt) and s.random}
    assert [name for name, doc in said.items() if not doc.endswith(".")] == []


def test_a_blank_line_ends_a_doc_comment(tmp_path: Path) -> None:
    (tmp_path / "a.sdf").write_text("## About the file.\n## More of it.\n\n## A slab.\n##\n## Thin.\nshape slab {\n"
                                    "  ## Half its height.\n  half = 3.0\n  distance = abs(p.z) - half\n}\n")
    slab = load_library(tmp_path / "a.sdf").shapes["slab"]
    assert slab.doc == "A slab.\n\nThin."
    assert slab.parameters["half"].doc == "Half its height."


def test_quantities_of_a_default_part_have_names_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "a.sdf").write_text(
        "shape ball() { radius ~ uniform(1, 2) distance = length(p) - radius }\n"
        "shape two(a: shape, b: shape = ball()) { radius ~ uniform(3, 4) distance = min(a(p), b(p)) - radius }\n"
        "shape pair = two(ball)\n")
    pair = load_library(tmp_path / "a.sdf").shapes["pair"]
    assert [q.name for q in pair.parameters] == ["radius", "a.radius", "b.radius"]
