"""The compiler shows its work: a formula after each pass, with sizes and times."""

from __future__ import annotations

from time import perf_counter

from fdif_dsl.compiler.ir.formula import RESULTS, Formula
from fdif_dsl.compiler.ir.graph import LEAVES, Graph, Node, reachable, rebuild, to_text
from fdif_dsl.compiler.passes import PASSES
from fdif_dsl.compiler.passes.intervals import bounds
from fdif_dsl.compiler.passes.rates import Rate, infer_rates, split
from fdif_dsl.compiler.passes.verify import verify


def explain(formula: Formula) -> str:
    """The graph of an unoptimised formula, after each pass, and the rates of what is left.

    Elaborate with `optimised=False` to see the passes at work; a formula that has been through them
    already is shown unchanged.
    """
    graph = Graph()
    names = [f"{q.name}[{i}]" if len(q.slots) > 1 else q.name for q in formula.quantities for i in range(len(q.slots))]
    roots = [node for q in formula.quantities for node in q.definition] + [formula.result]
    roots = rebuild(graph, roots, {})
    names.append(RESULTS[formula.kind])
    out = [f"{formula.kind} {formula.name}", "", *_slots(formula), f"elaborated: {_size(roots)}", _text(names, roots)]
    for name, run in PASSES.items():
        before, start = _size(roots), perf_counter()
        roots = run(graph, roots)
        milliseconds = (perf_counter() - start) * 1000
        verify(roots)
        out += ["", f"after {name}: {before} -> {_size(roots)}, {milliseconds:.1f} ms", _text(names, roots)]
    out += ["", "rates", *_rates(roots)]
    return "\n".join(out)


def _slots(formula: Formula) -> list[str]:
    lines = []
    for q in formula.quantities:
        numbers = f"slot {q.slots.start}" if len(q.slots) == 1 else f"slots {q.slots.start} to {q.slots.stop - 1}"
        lines.append(f"  {numbers}: {q.name} {'~' if q.random else '='} {q.source}")
    return [*lines, ""] if lines else []


def _size(roots: list[Node]) -> str:
    return f"{sum(n.op not in LEAVES for n in reachable(roots))} operations"


def _text(names: list[str], roots: list[Node]) -> str:
    return to_text(dict(zip(names, roots, strict=True)))


def _rates(roots: list[Node]) -> list[str]:
    nodes = reachable(roots)
    of = infer_rates(nodes)
    lines = [f"  {rate}: {sum(of[n] is rate and n.op not in LEAVES for n in nodes)} operations" for rate in Rate
             if any(of[n] is rate and n.op not in LEAVES for n in nodes)]
    stages = split(roots[-1])
    axes = " + ".join(str(len(values)) for values in stages.axis_values)
    lines.append(f"  the voxel loop: {len(stages.voxel)} operations; it reads {len(stages.values)} values of the object"
                 f" and {axes} axis tables")
    ends = bounds(Graph.of(roots), roots[-1])
    loop = {n for end in ends for n in split(end, world_is_axis=False).voxel}
    lines.append(f"  its bounds over a box: {len(loop)} operations")
    return lines
