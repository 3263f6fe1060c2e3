"""The call that makes a sampled shape, `field("liver.nii.gz", label = 6)`, and the shape that it stands for."""

from __future__ import annotations

from functools import cache

from fdif_dsl.compiler.frontend.check.expressions import Expressions
from fdif_dsl.compiler.frontend.check.types import UNKNOWN, Typed, fits, kind_of, say
from fdif_dsl.grammar import ast
from fdif_dsl.grammar.diagnostics import did_you_mean, quote
from fdif_dsl.grammar.parse import parse
from fdif_dsl.grammar.source import SourceFile

TEMPLATE = "<field>"
"""What the text of the shape is called where messages show it."""
SAMPLED = "sampled"
"""What in it gives the distance to a sample at a point, in units of its longest side."""
ARGUMENTS = {"file": "text", "label": "int", "organ": "text", "size": "float", "sample": "float", "cells": "int",
             "bits": "int", "dataset": "text"}
SIGNATURE = "field(file, label, organ, size, sample, cells, bits, dataset)"


class Fields(Expressions):
    """What `field(...)` is."""

    def field(self, expr: ast.Call) -> Typed:
        """A shape, if the arguments fit. Whether the files do is seen when it is elaborated."""
        if self.decl.kind not in ("shape", "profile"):
            return self.error(expr.span, "E0213", f"{kind_of(self.decl)} contains no shape", "`field` makes a shape",
                              why="only shapes are built from other shapes",
                              hint="evaluate it in a shape, and pass on its distance")
        mistakes = len(self.errors)
        given: set[str] = set()
        for i, arg in enumerate(expr.args):
            name = next(iter(ARGUMENTS)) if arg.name is None and i == 0 else arg.name
            if name is None:
                self.error(arg.span, "E0263", "only the file stands without a name", "which argument is this?",
                           why=f"`{SIGNATURE}`", hint="write it with its name, as in `label = 6`")
                continue
            if name not in ARGUMENTS:
                self.error(arg.span, "E0258", f"`field` has no parameter {quote(name)}", "unknown parameter",
                           why=f"`{SIGNATURE}`", hint=did_you_mean(name, ARGUMENTS) or "leave it out")
                continue
            if name in given:
                self.error(arg.span, "E0259", f"`{name}` is given twice", "again here", hint="give it once")
            given.add(name)
            self.argument(arg, name, ARGUMENTS[name])
        if "file" not in given and len(self.errors) == mistakes:
            self.error(expr.span, "E0263", "a field is made from a file", "none is named",
                       why=f"`{SIGNATURE}`", hint='write its path first, as in `field("liver.nii.gz", label = 6)`')
        return Typed(UNKNOWN if len(self.errors) > mistakes else "shape")

    def argument(self, arg: ast.Arg, name: str, wanted: str) -> None:
        if wanted == "text":
            if not isinstance(arg.value, ast.Text):
                got = self.expr(arg.value)
                if got.type != UNKNOWN:
                    self.error(arg.value.span, "E0260", f"`field` wants a text for `{name}`",
                               f"this is {say(got.type)}",
                               hint='write its path in quotes, as in `field("liver.nii.gz")`' if name == "file" else
                               f'write it in quotes, as in `{name} = "liver"`')
            return
        got = self.expr(arg.value)
        if wanted == "int":
            self.counted.append(arg.value)
        if not fits(got.type, wanted):
            self.error(arg.value.span, "E0260", f"`field` wants {say(wanted)} for `{name}`", f"this is {say(got.type)}",
                       hint="write a whole number without a point, or a parameter of type int" if wanted == "int" else
                       "write a number of voxels, as in `0.5 * grid.min`" if name == "size" else "write a number")
        elif got.varies:
            self.error(arg.value.span, "E0255", "an instance's arguments hold for the whole object",
                       "differs from point to point",
                       hint="only the call of the instance, `part(point)`, may depend on the point")


@cache
def template(sized: bool, chosen: bool, several: bool) -> ast.Decl:
    """The shape that a call stands for: whether its size is given, whether its sample is, and whether there are several
    to draw from."""
    drawn = several and not chosen
    params = [*(["count: int"] if several else []), *(["size: float"] if sized else []),
              *(["sample: float"] if chosen else [])]
    head = f"shape field({', '.join(params)}) {{" if params else "shape field {"
    lines = [
        "## A shape from a scan or a mesh.", head,
        *([] if sized else ["## Longest side of the box around it, in voxels.",
                            "size ~ uniform(0.3, 0.8) * grid.min"]),
        *(["## Which of the samples, from 0 on.", "sample ~ integer(0, count - 1)"] if drawn else []),
        f"distance = size * {SAMPLED}({'sample' if drawn or chosen else '0'}, p / size)", "}"]
    (decl,) = parse(SourceFile(TEMPLATE, "\n".join(lines))).decls
    return decl
