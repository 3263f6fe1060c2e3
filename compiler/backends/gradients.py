"""Gradients in which what is not asked for does not count. torch is imported inside the functions.

`where`, `min` and `max` send a gradient of 0 to the operand that they did not choose. Autograd multiplies it with that
operand's slope, and 0 times infinity is NaN. Here an operation to which a gradient of 0 comes, and whose slope is
infinite or NaN, passes on 0.

To look at every slope takes several times as long as autograd, and it is seldom needed. So autograd goes first; where
a gradient comes out that is not finite, the formula is evaluated again with guarded operations. A gradient that comes
out finite has met no such product, or `where` has dropped it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from operator import attrgetter
from typing import Any, Protocol

from fdif_dsl.compiler.ir.ops import OPS, ArrayRule, Op
from fdif_dsl.compiler.ir.slopes import SLOPES

Tensor = Any
Rule = Callable[[Op], ArrayRule]

PLAIN: Rule = attrgetter("torch")


def guarded(op: Op) -> ArrayRule:
    """The operation with guarded slopes."""
    if op.name not in SLOPES:
        return op.torch
    return lambda t, *operands: _functions()[0].apply(op, *operands)


class Program(Protocol):
    """A function of tensors to tensors, computed by a rule for each operation. `order` is how often it is derived."""

    order: int

    def __call__(self, rule: Rule, tensors: Sequence[Tensor]) -> tuple[Tensor, ...]: ...


class Formula:
    """A function of tensors to one tensor, as a program."""

    order = 0

    def __init__(self, run: Callable[[Rule, Sequence[Tensor]], Tensor]) -> None:
        self._run = run

    def __call__(self, rule: Rule, tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
        return (self._run(rule, tensors),)


class Derivative:
    """Of tensors and the gradients of a program's results: the gradients of those tensors that `needed` picks."""

    def __init__(self, program: Program, needed: Sequence[bool]) -> None:
        self.order = program.order + 1
        self._program = program
        self._needed = needed

    def __call__(self, rule: Rule, tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
        operands, gradients = tensors[: len(self._needed)], tensors[len(self._needed) :]
        results = self._program(rule, operands)
        wanted = [x for x, needed in zip(operands, self._needed, strict=True) if needed]
        found = _gradients(results, wanted, gradients, create_graph=True)
        return tuple(x.new_zeros(x.shape) if g is None else g for x, g in zip(wanted, found, strict=True))


def differentiable(run: Callable[[Rule, Sequence[Tensor]], Tensor], tensors: Sequence[Tensor]) -> Tensor:
    """`run(rule, tensors)` with a gradient in those tensors that record one, of any order."""
    import torch

    forward: Any = torch.autograd.forward_ad
    recording = torch.is_grad_enabled() and any(x.requires_grad for x in tensors)
    # Transforms of functions, and forward derivatives, go through the operations themselves.
    if not recording or torch._C._are_functorch_transforms_active() or any(
            forward.unpack_dual(x).tangent is not None for x in tensors):
        return run(PLAIN, tensors)
    return _functions()[1].apply(Formula(run), *tensors)[0]


def _gradients(results: Sequence[Tensor], wanted: Sequence[Tensor], gradients: Sequence[Tensor],
               create_graph: bool = False) -> list[Tensor | None]:
    """The gradients of the wanted tensors; None for one that no result depends on."""
    import torch

    pairs = [(r, g) for r, g in zip(results, gradients, strict=True) if r.requires_grad]
    if not pairs or not wanted:
        return [None] * len(wanted)
    return list(torch.autograd.grad([r for r, _ in pairs], wanted, [g for _, g in pairs],
                                    create_graph=create_graph, allow_unused=True))


def _finite(tensors: Sequence[Tensor | None]) -> bool:
    import torch

    there = [x.reshape(-1) for x in tensors if x is not None]
    return not there or bool(torch.isfinite(torch.cat(there)).all())


@cache
def _functions() -> tuple[Any, Any]:
    import torch

    def make(op: str, *operands: Tensor) -> Tensor:
        return guarded(OPS[op])(torch, *operands)

    class Guarded(torch.autograd.Function):
        """One operation."""

        @staticmethod
        def forward(ctx: Any, op: Op, *operands: Tensor) -> Tensor:
            ctx.op = op
            ctx.save_for_backward(*operands)
            return op.array(torch, *operands)

        @staticmethod
        def backward(ctx: Any, gradient: Tensor) -> Any:
            found: list[Tensor | None] = [None]
            for operand, slope_of, needed in zip(ctx.saved_tensors, SLOPES[ctx.op.name], ctx.needs_input_grad[1:],
                                                 strict=True):
                if not needed:
                    found.append(None)
                    continue
                slope = slope_of(make, *ctx.saved_tensors)
                slope = torch.where((gradient == 0) & ~torch.isfinite(slope), torch.zeros_like(slope), slope)
                found.append(make("mul", gradient, slope).sum_to_size(operand.shape))
            return tuple(found)

    class Checked(torch.autograd.Function):
        """A program, whose gradients are computed anew with guards where they are not finite."""

        @staticmethod
        def forward(ctx: Any, program: Program, *tensors: Tensor) -> tuple[Tensor, ...]:
            needed = ctx.needs_input_grad[1:]
            operands, results = record(program, PLAIN, tensors, needed)
            if program.order and not _finite(results):
                operands, results = record(program, guarded, tensors, needed)
            ctx.program, ctx.recorded = program, (operands, results)
            ctx.save_for_backward(*tensors)
            found = tuple(r.detach() for r in results)
            ctx.mark_non_differentiable(*(f for f, r in zip(found, results, strict=True) if not r.requires_grad))
            return found

        @staticmethod
        def backward(ctx: Any, *gradients: Tensor) -> Any:
            tensors, needed = ctx.saved_tensors, ctx.needs_input_grad[1:]
            if torch.is_grad_enabled():  # somebody will derive the gradient
                checked: Any = Checked
                found = iter(checked.apply(Derivative(ctx.program, needed), *tensors, *gradients))
                return (None, *(next(found) if need else None for need in needed))

            def through(operands: Sequence[Tensor], results: Sequence[Tensor]) -> list[Tensor | None]:
                wanted = [x for x, need in zip(operands, needed, strict=True) if need]
                return _gradients(results, wanted, gradients)

            # What was recorded serves once, as autograd's own does; a second call records again.
            recorded = ctx.recorded or record(ctx.program, PLAIN, tensors, needed)
            ctx.recorded = None
            found_ = through(*recorded)
            if not _finite(found_):
                found_ = through(*record(ctx.program, guarded, tensors, needed))
            each = iter(found_)
            return (None, *(next(each) if need else None for need in needed))

    def record(program: Program, rule: Rule, tensors: Sequence[Tensor],
               needed: Sequence[bool]) -> tuple[list[Tensor], tuple[Tensor, ...]]:
        """Operands apart from whatever they came from, and what the program makes of them."""
        with torch.enable_grad():
            operands = [x.detach().requires_grad_(need) for x, need in zip(tensors, needed, strict=True)]
            return operands, program(rule, operands)

    return Guarded, Checked
