"""What names stand for while a body is elaborated: instances, their quantities, and the environment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from fdif_dsl.compiler.frontend.check.scope import Scope
from fdif_dsl.compiler.frontend.values import Value
from fdif_dsl.compiler.ir.graph import Node
from fdif_dsl.grammar import ast
from fdif_dsl.grammar.source import Span


@dataclass(eq=False)
class Instance:
    """A shape or profile with its arguments. It owns its quantities: however often it is evaluated,
    a radius is drawn once. `given` are the random quantities that whoever made it gave a value, each with the
    argument that says so."""

    decl: ast.Decl
    scope: Scope
    args: dict[str, Value]
    path: tuple[str, ...]
    made: Span | None  # where the arguments were given
    quantities: dict[str, tuple[Value, tuple[Node, ...]]] = field(default_factory=dict)
    given: dict[str, tuple[Value, ast.Arg]] = field(default_factory=dict)


@dataclass
class Named:
    """A quantity before it has its public name."""

    path: tuple[str, ...]
    name: str
    width: int
    length: int | None
    slots: range
    definition: tuple[Node, ...]
    random: bool
    source: str
    stmt: ast.Stmt


@dataclass
class Env:
    """What names mean while a body is elaborated. `naming` is the statement being elaborated."""

    scope: Scope
    names: dict[str, Any]
    inputs: dict[str, Any]
    owner: Instance | None
    path: tuple[str, ...] = ()
    naming: str | None = None

    def get(self, name: str) -> Any:
        value = self.names.get(name)
        return self.inputs.get(name) if value is None else value

    def each(self, var: str, count: int) -> Iterator[int]:
        """Give the loop variable one value after the other, then bring back what it hid."""
        hidden = self.names.get(var)
        for i in range(count):
            self.names[var] = i
            yield i
        if hidden is None:
            self.names.pop(var, None)
        else:
            self.names[var] = hidden

    def named(self, name: str) -> Env:
        return Env(self.scope, self.names, self.inputs, self.owner, self.path, name)

    def instance_path(self) -> tuple[str, ...]:
        return self.path if self.naming is None else (*self.path, self.naming)
