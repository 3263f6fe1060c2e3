"""What to say of a symbol: its signature, its doc comment, its type, when it is computed, and its value."""

from __future__ import annotations

from collections.abc import Mapping

from fdif_dsl.compiler.frontend.builtins import CONSTANTS
from fdif_dsl.compiler.frontend.check.scope import Program
from fdif_dsl.compiler.frontend.check.types import GRID_FIELDS, INPUTS, RESULTS, UNKNOWN
from fdif_dsl.grammar import ast
from fdif_dsl.runtime.editor.elaboration import Note
from fdif_dsl.runtime.editor.names import Symbol

_INPUTS = {
    ("shape", "p"): "the point, in voxels from the middle of the object",
    ("profile", "q"): "the point of the section, in voxels",
    ("profile", "t"): "the place along the axis, from -1 to 1; 0 where nobody gives it",
    ("displacement", "p"): "the point in the world, in voxels from the middle of the grid",
    ("mapper", "d"): "the distance from the surface in voxels, negative inside",
    ("mapper", "p"): "the point, in voxels from the middle of the object",
    ("mapper", "w"): "the point in the world, in voxels from the middle of the grid",
}
_GRID = {
    "grid": "the grid of the volume: `grid.min`, `grid.size`, `grid.limit`",
    "min": "the least side of the grid, in voxels", "size": "the sides of the grid, in voxels, along x, y and z",
    "limit": "half of the sides of the grid, in voxels, along x, y and z",
}


def signature(symbol: Symbol) -> str:
    """A symbol as it is declared, on one line."""
    node = symbol.node
    if symbol.kind == "declaration":
        return head(node)
    if symbol.kind == "parameter":
        return str(node.span.text)
    if symbol.kind in ("builtin", "prior"):
        return str(node.signature)
    if symbol.kind == "quantity":
        return " ".join(node.span.text.split())
    if symbol.kind == "constant":
        return f"{symbol.name} = {CONSTANTS[symbol.name]:.9f}"
    if symbol.kind == "module":
        return f"use {symbol.name}"
    return symbol.name


def head(decl: ast.Decl) -> str:
    """A declaration without its formula."""
    params = "" if decl.params is None else f"({', '.join(p.span.text for p in decl.params)})"
    return f"{decl.kind} {decl.name_span.text}{params}"


def doc(symbol: Symbol) -> str:
    """What is written about it."""
    node = symbol.node
    if symbol.kind in ("builtin", "prior"):
        return str(node.doc)
    if symbol.kind in ("declaration", "quantity"):
        return str(node.doc)
    if symbol.kind == "grid":
        return _GRID.get(symbol.name, "")
    if symbol.kind == "input":
        return _INPUTS.get(node, "")
    return {"index": "counts from 0 to one less than its bound", "length": "the length of the array",
            "component": "a component of a vector"}.get(symbol.kind, "")


def type_of(symbol: Symbol, program: Program) -> str:
    """Its type; nothing where that is not known or goes without saying."""
    if symbol.kind == "declaration":
        return program.value_types.get(symbol.node, "").replace(UNKNOWN, "")
    if symbol.kind in ("index", "length"):
        return "int"
    if symbol.kind == "constant":
        return "float"
    if symbol.kind == "grid":
        return GRID_FIELDS.get(symbol.name, "")
    if symbol.kind == "input":
        return INPUTS[symbol.node[0]][symbol.name]
    if symbol.decl is None:
        return ""
    typed = program.names.get(symbol.decl, {}).get(symbol.name)
    return typed.type.replace(UNKNOWN, "") if typed else ""


def moment(symbol: Symbol, program: Program, notes: Mapping[ast.Stmt, Note]) -> str:
    """When a quantity is computed, and what it is where it has one value."""
    if symbol.kind != "quantity":
        return ""
    note = notes.get(symbol.node)
    if note is not None:
        return f"rate: {note.rate}" + (f", value: {note.value}" if note.value else "")
    if symbol.decl in program.faulty or symbol.decl not in program.names:
        return ""
    return "differs from point to point" if symbol.node in program.varying else "one value for the whole object"


def markdown(symbol: Symbol, program: Program, notes: Mapping[ast.Stmt, Note]) -> str:
    """All of it, as an editor shows it."""
    kind = type_of(symbol, program)
    shown = signature(symbol)
    if kind and symbol.kind in ("quantity", "index", "length", "input", "grid"):
        shown = f"{shown}  # {kind}"
    elif kind and symbol.kind == "declaration":
        shown = f"{shown}  # gives {kind}"
    parts = [f"```sdf\n{shown}\n```"]
    facts = [moment(symbol, program, notes)]
    if symbol.kind == "quantity" and symbol.node.name == RESULTS.get(symbol.decl.kind if symbol.decl else ""):
        facts.append("the result")
    if symbol.kind == "quantity" and symbol.node.random:
        facts.append("drawn for each object")
    if any(facts):
        parts.append("; ".join(fact for fact in facts if fact))
    if doc(symbol):
        parts.append(doc(symbol))
    return "\n\n".join(parts)
