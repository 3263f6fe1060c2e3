"""Formulas as plain data, for artefacts and for other processes: no tree to walk, nothing to parse."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from fdif_dsl.compiler.ir.formula import Formula, Quantity
from fdif_dsl.compiler.ir.graph import Graph, Node, reachable


def formulas_to_dict(formulas: Sequence[Formula]) -> list[dict[str, Any]]:
    """JSON-able data: each formula has its nodes as rows `[op, operands..., const]`, operands by row."""
    return [_formula_to_dict(f) for f in formulas]


def formulas_from_dict(data: list[dict[str, Any]]) -> list[Formula]:
    """The inverse of `formulas_to_dict`; raises KeyError, TypeError, IndexError or ValueError on other data."""
    return [_formula_from_dict(d) for d in data]


def formulas_hash(formulas: Sequence[Formula]) -> str:
    """sha256 of the formulas and their order: two lists with one hash render alike."""
    # What only people read (docs, places, priors as text) is left out.
    plain = [{**f, "doc": "", "place": "", "quantities": [{**q, "doc": "", "source": ""} for q in f["quantities"]]}
             for f in formulas_to_dict(formulas)]
    return hashlib.sha256(json.dumps(plain).encode()).hexdigest()


def _formula_to_dict(f: Formula) -> dict[str, Any]:
    roots = [node for q in f.quantities for node in q.definition] + [f.result]
    rows: dict[Node, int] = {}
    for node in reachable(roots):
        rows[node] = len(rows)
    return {
        "name": f.name, "kind": f.kind, "doc": f.doc, "place": f.place, "integers": f.integers, "draws": f.draws,
        "nodes": [[n.op, *(rows[a] for a in n.args), n.const] for n in rows],
        "result": rows[f.result],
        "quantities": [
            {"name": q.name, "width": q.width, "length": q.length, "first": q.slots.start,
             "definition": [rows[n] for n in q.definition], "random": q.random, "source": q.source, "doc": q.doc}
            for q in f.quantities],
    }


def _formula_from_dict(data: dict[str, Any]) -> Formula:
    graph = Graph()
    nodes: list[Node] = []
    for op, *args, const in data["nodes"]:
        nodes.append(graph.node(op, *(nodes[a] for a in args), const=const))
    quantities = tuple(
        Quantity(q["name"], q["width"], q["length"], range(q["first"], q["first"] + len(q["definition"])),
                 tuple(nodes[n] for n in q["definition"]), q["random"], q["source"], q["doc"])
        for q in data["quantities"])
    return Formula(data["name"], data["kind"], data["doc"], data["place"], quantities, data["integers"], data["draws"],
                   nodes[data["result"]])
