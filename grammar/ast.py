"""The syntax tree: dataclasses with spans, as written, nothing resolved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from fdif_dsl.grammar.source import SourceFile, Span


@dataclass(frozen=True, eq=False)
class Expr:
    """An expression. `depth` counts how deeply it nests."""

    span: Span
    depth: int = field(init=False, default=1)

    def children(self) -> tuple[Expr, ...]:
        return ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "depth", 1 + max((c.depth for c in self.children()), default=0))


@dataclass(frozen=True, eq=False)
class Hole(Expr):
    """What could not be read; see `recover`."""


@dataclass(frozen=True, eq=False)
class Number(Expr):
    value: float | int  # int where the text has neither point nor exponent


@dataclass(frozen=True, eq=False)
class Truth(Expr):
    value: bool


@dataclass(frozen=True, eq=False)
class Text(Expr):
    """A text, which only an argument of a call may be."""

    value: str


@dataclass(frozen=True, eq=False)
class Name(Expr):
    name: str


@dataclass(frozen=True, eq=False)
class Paren(Expr):
    inner: Expr

    def children(self) -> tuple[Expr, ...]:
        return (self.inner,)


@dataclass(frozen=True, eq=False)
class Unary(Expr):
    op: str  # "-" or "not"
    operand: Expr

    def children(self) -> tuple[Expr, ...]:
        return (self.operand,)


@dataclass(frozen=True, eq=False)
class Binary(Expr):
    op: str  # + - * / // ^ < <= > >= == != and or
    left: Expr
    right: Expr
    op_span: Span

    def children(self) -> tuple[Expr, ...]:
        return self.left, self.right


@dataclass(frozen=True, eq=False)
class Field(Expr):
    base: Expr
    name: str
    name_span: Span

    def children(self) -> tuple[Expr, ...]:
        return (self.base,)


@dataclass(frozen=True, eq=False)
class Index(Expr):
    base: Expr
    index: Expr

    def children(self) -> tuple[Expr, ...]:
        return self.base, self.index


@dataclass(frozen=True, eq=False)
class Arg:
    """An argument of a call; `name` is None for a positional one."""

    span: Span
    name: str | None
    value: Expr


@dataclass(frozen=True, eq=False)
class Call(Expr):
    callee: Expr
    args: tuple[Arg, ...]

    def children(self) -> tuple[Expr, ...]:
        return (self.callee, *(a.value for a in self.args))


@dataclass(frozen=True, eq=False)
class Array(Expr):
    items: tuple[Expr, ...]

    def children(self) -> tuple[Expr, ...]:
        return self.items


@dataclass(frozen=True, eq=False)
class Reduce(Expr):
    """`min[i < n](body)`, or `min[i < n when condition](body)`."""

    reducer: str  # min max sum any all
    var: str
    var_span: Span
    bound: Expr
    condition: Expr | None
    body: Expr

    def children(self) -> tuple[Expr, ...]:
        return (self.bound, self.body) if self.condition is None else (self.bound, self.condition, self.body)


@dataclass(frozen=True, eq=False)
class TypeRef:
    """A written type: `float`, `vec2[n]`, `profile`. `length` names an array's length."""

    span: Span
    name: str
    length: str | None


@dataclass(frozen=True, eq=False)
class Param:
    span: Span
    name: str
    name_span: Span
    type: TypeRef | None
    default: Expr | None


@dataclass(frozen=True, eq=False)
class Binder:
    """`[i < n]` after a name: the name is an array, one value for each i."""

    span: Span
    var: str
    var_span: Span
    bound: Expr


@dataclass(frozen=True, eq=False)
class Stmt:
    """`name = value`, or `name ~ prior` when random. In a fold `name = value then next` carries the name from round to
    round."""

    span: Span
    doc: str
    name: str
    name_span: Span
    binder: Binder | None
    random: bool
    value: Expr
    next: Expr | None = None

    def formulas(self) -> tuple[Expr, ...]:
        """What is written in it: its formulas, and the bound of its index."""
        bound = (self.binder.bound,) if self.binder else ()
        return (self.value, *((self.next,) if self.next else ()), *bound)


@dataclass(frozen=True, eq=False)
class Fold:
    """`fold[i < n] { ... }`: rounds that carry values. `depth` counts the folds inside each other."""

    span: Span
    doc: str
    binder: Binder
    body: tuple[Stmt | Fold, ...]
    depth: int = field(init=False, default=1)

    def __post_init__(self) -> None:
        object.__setattr__(self, "depth", 1 + max((f.depth for f in self.body if isinstance(f, Fold)), default=0))

    @property
    def carried(self) -> tuple[Stmt, ...]:
        """The statements whose names outlast the rounds."""
        return tuple(s for s in self.body if isinstance(s, Stmt) and s.next is not None)


Body = tuple[Stmt | Fold, ...]


@dataclass(frozen=True, eq=False)
class Decl:
    """A declaration: either `value` (after `=`) or `body` (in braces) is there.

    `params` is None where no parameter list was written. `broken` says what could not be read of it.
    """

    span: Span
    doc: str
    kind: str  # shape profile displacement mapper fn const
    name: str
    name_span: Span
    params: tuple[Param, ...] | None
    value: Expr | None
    body: Body | None
    broken: Literal["", "body", "head"] = ""


@dataclass(frozen=True, eq=False)
class Use:
    span: Span
    doc: str
    name: str
    name_span: Span


@dataclass(frozen=True, eq=False)
class Module:
    """One file. `comments` are the plain `#` comments, which the tree does not hold. `complete`: the names of all
    declarations are known, and all modules that it uses."""

    file: SourceFile
    uses: tuple[Use, ...]
    decls: tuple[Decl, ...]
    comments: tuple[Span, ...]
    complete: bool = True


def named(body: Body | None) -> tuple[Stmt, ...]:
    """The statements whose names a body has: its own, and what its folds carry. Inside a fold, those of the round."""
    return tuple(s for item in body or () for s in (item.carried if isinstance(item, Fold) else (item,)))


def statements(body: Body | None) -> Iterator[Stmt]:
    """Every statement of a body, those in its folds too."""
    stack = [*reversed(body or ())]
    while stack:
        item = stack.pop()
        if isinstance(item, Fold):
            stack.extend(reversed(item.body))
        else:
            yield item


def formulas(body: Body | None) -> Iterator[Expr]:
    """Every formula and bound written in a body, those in its folds too."""
    stack = [*(body or ())]
    while stack:
        item = stack.pop()
        if isinstance(item, Fold):
            yield item.binder.bound
            stack.extend(item.body)
        else:
            yield from item.formulas()


def walk(*roots: Expr) -> Iterator[Expr]:
    """Every expression inside the given ones, and these themselves."""
    stack = list(roots)
    while stack:
        expr = stack.pop()
        yield expr
        stack.extend(expr.children())
