"""Sampled shapes: from the call `field(...)` to an instance, and from that to the op that reads the samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from fdif_dsl.compiler.fields.bake import bake
from fdif_dsl.compiler.fields.sources import LEAST_CELLS, MOST_CELLS, Request, find
from fdif_dsl.compiler.frontend.check.body import Body
from fdif_dsl.compiler.frontend.check.fields import template
from fdif_dsl.compiler.frontend.elaborate.environment import Env
from fdif_dsl.compiler.frontend.elaborate.statements import Statements
from fdif_dsl.compiler.frontend.values import Value, as_node
from fdif_dsl.compiler.ir import fields
from fdif_dsl.compiler.ir.fields import Baked
from fdif_dsl.compiler.ir.graph import Node
from fdif_dsl.grammar import ast
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError, error_at
from fdif_dsl.grammar.parse import SdfError
from fdif_dsl.grammar.source import Span

_SIZE = "size"


class Fields(Statements):
    """What `field(...)` gives."""

    def field(self, env: Env, expr: ast.Call) -> tuple[ast.Decl, dict[str, Value], tuple[str, ...]]:
        """The shape that a call stands for, its arguments and its path. The files are looked at now, and baked when
        somebody wants a distance."""
        args = {arg.name or "file": arg for arg in expr.args}
        inside = Env(env.scope, env.names, env.inputs, env.owner, env.instance_path())
        values: dict[str, Any] = {
            name: arg.value.value if isinstance(arg.value, ast.Text) else self.expr(inside, arg.value)
            for name, arg in args.items()}
        for name, allowed, hint in (("cells", range(LEAST_CELLS, MOST_CELLS + 1), "96 are enough for most organs"),
                                    ("bits", (16, 32), "write 16, or 32 for more digits"),
                                    ("label", range(2**31), "labels of masks are whole numbers above 0")):
            if name in values and values[name] not in allowed:
                told = " or ".join(map(str, allowed)) if len(allowed) == 2 else f"{allowed[0]} to {allowed[-1]}"
                raise self.fail(args[name].value.span, "E0264", f"`{name}` cannot be {values[name]}",
                                f"{told} are allowed", hint=hint)
        span = args["file"].value.span
        with located(span):
            files = find(env.scope.module.path.parent, values["file"])
            request = Request(files, values.get("label", 0), values.get("organ", ""), values.get("cells", 96),
                              values.get("bits", 16), values.get("dataset", ""))
            if "label" in args and not request.masks:
                raise self.fail(args["label"].span, "E0264", "`label` is of masks", "this file is no NIfTI mask",
                                hint="leave it out")
            if "organ" in args and not request.bundled:
                raise self.fail(args["organ"].span, "E0264", "`organ` is of MedShapeNet's bundles",
                                "this file is no .npz", hint="leave it out")
            fields.declare(request.key, lambda: _baked(request, span), request.origins)
            count = fields.baked(request.key).samples if request.bundled else len(files)
        decl = template(_SIZE in values, "sample" in values, count > 1)
        if decl not in self.program.names:
            body = Body(self.program, env.scope, decl, mistakes := list[Diagnostic]())
            body.check()
            assert not mistakes, mistakes
            self.program.names[decl] = body.names
        given: dict[str, Value] = {"samples": self.graph.node("samples", const=request.key)}
        given |= {name: as_node(self.graph, values[name]) for name in (_SIZE, "sample") if name in values}
        if count > 1:
            given["count"] = count
        return decl, given, inside.path

    def sampled(self, env: Env, args: Sequence[ast.Arg]) -> Node:
        """The distance to a sample in its own units, in the shape that a call stands for."""
        assert env.owner is not None
        sample, point = (self.expr(env, arg.value) for arg in args)
        return self.graph.node("field", env.owner.args["samples"], as_node(self.graph, sample), *point)


def _baked(request: Request, span: Span) -> Baked:
    with located(span):
        return bake(request)


@contextmanager
def located(span: Span) -> Iterator[None]:
    """Has what is wrong with a file told where the text names it."""
    try:
        yield
    except SdfError:
        raise
    except FdifError as error:
        raise SdfError(*(error_at(span, d.code, d.title, d.where, d.why, d.hint) for d in error.diagnostics)) from None
