"""Derivatives on the torch backend: all classes, in the point and in every continuous parameter."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

import fdif_dsl as fd
from fdif_dsl.compiler.ir.formula import Formula
from fdif_dsl.compiler.ir.grid import Grid
from fdif_dsl.runtime.scenes.sampler_definition import sample_parameters

WIDE = (48, 48, 48)
GRID = (12, 12, 12)  # small, since an onion's wall scans it for every difference
NAMES = list(fd.load_library().shapes)
BESIDE = fd.load_library(["organic", "textures"])
POINTS = 32
Values = dict[str, torch.Tensor]


@cache
def parameters(name: str, seed: int = 5) -> Values:
    """One random instance of a shape; `thickness` is left to follow from the others."""
    return instance(fd.load_library().shapes[name].formula, seed)


def instance(formula: Formula, seed: int) -> Values:
    draws = np.random.default_rng(seed).random((formula.draws, 1))
    values = sample_parameters(formula, Grid(GRID), draws)
    return {k: torch.tensor(v[0]) for k, v in values.items()}


def slope(f: Any, x: torch.Tensor, direction: torch.Tensor, step: float) -> torch.Tensor:
    return (f(x + step * direction) - f(x - step * direction)) / (2 * step)


def smooth_slope(f: Any, x: torch.Tensor, direction: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The slope by central differences, and where there is one: at a kink two step sizes, or the two sides,
    disagree."""
    wide, narrow = slope(f, x, direction, 2e-5), slope(f, x, direction, 5e-6)
    here = f(x)
    sides = (f(x + 2e-5 * direction) - here) / 2e-5, (here - f(x - 2e-5 * direction)) / 2e-5
    scale = 1 + narrow.abs()
    return narrow, ((wide - narrow).abs() < 1e-6 * scale) & ((sides[0] - sides[1]).abs() < 1e-2 * scale)


@pytest.mark.parametrize("name", NAMES)
def test_gradients(lib: fd.Library, name: str) -> None:
    assert_gradients(lambda at, given: lib.shapes[name].distance(at, params=given, backend="torch", grid=GRID),
                     parameters(name))


@pytest.mark.parametrize("name", BESIDE.shapes)
def test_gradients_of_organic_shapes(name: str) -> None:
    """In all that is no whole number: of a count there is no difference."""
    formula = BESIDE.shapes[name].formula
    params = instance(formula, 5)
    whole = {q.name: params.pop(q.name) for q in formula.quantities if q.random and q.source.startswith("integer(")}
    assert_gradients(lambda at, given: BESIDE.shapes[name].distance(at, params={**given, **whole}, backend="torch",
                                                                    grid=WIDE), params, 3)


@pytest.mark.parametrize("name", BESIDE.displacements)
def test_gradients_of_displacements(name: str) -> None:
    assert_gradients(lambda at, given: BESIDE.displacements[name].offset(at, WIDE, params=given, backend="torch"),
                     instance(BESIDE.displacements[name].formula, 5), 3)


# One grey level has no slope.
@pytest.mark.parametrize("name", [name for name in BESIDE.mappers if name != "flat"])
def test_gradients_of_mappers(name: str) -> None:
    """The distance is that to a plane, so the point decides of both."""
    mapper = BESIDE.mappers[name]
    assert_gradients(lambda at, given: mapper.intensity(at[:, 0] - 2 + 0.3 * at[:, 1], params=given, points=at,
                                                        backend="torch", grid=WIDE), instance(mapper.formula, 5), 3)


def assert_gradients(function: Any, params: Values, stretch: float = 1) -> None:
    """Derivatives of a function of points and parameters are its differences, in a cube of 10 times `stretch`."""
    rng = np.random.default_rng(11)
    points = torch.tensor(rng.uniform(-5, 5, (POINTS, 3)) * stretch)

    def distance(at: torch.Tensor, given: Values) -> torch.Tensor:
        found = function(at, given)
        assert isinstance(found, torch.Tensor) and found.dtype == torch.float64
        return found

    at = points.clone().requires_grad_()
    leaves = {k: v.clone().requires_grad_() for k, v in params.items()}
    result = distance(at, leaves)
    (at_grad,) = torch.autograd.grad(result.sum(), at, retain_graph=True)
    assert torch.isfinite(at_grad).all()
    checked = 0
    for axis in range(3):
        wanted, smooth = smooth_slope(lambda x: distance(x, params), points, torch.eye(3, dtype=torch.float64)[axis])
        checked += int(smooth.sum())
        assert torch.allclose(at_grad[smooth, axis], wanted[smooth], atol=1e-5, rtol=1e-5)
    assert checked > POINTS, "too few points away from kinks"

    for key, value in params.items():
        needed = torch.autograd.grad(result.sum(), leaves[key], retain_graph=True, allow_unused=True)[0] is not None
        # A random direction through all its numbers: an error in one of them shows.
        direction = torch.tensor(rng.uniform(0.5, 1, tuple(value.shape)) * rng.choice([-1, 1], tuple(value.shape)))
        wanted, smooth = smooth_slope(lambda v, k=key: distance(points, {**params, k: v}), value, direction)
        if not needed:  # a quantity that only gives others, which are given here
            assert torch.equal(wanted, torch.zeros_like(wanted)), key
            continue
        assert smooth.any(), f"{key} has no point away from a kink"
        # Random weights, so that no two errors cancel.
        weights = torch.tensor(rng.uniform(1, 2, POINTS)) * smooth
        (grad,) = torch.autograd.grad(result, leaves[key], weights, retain_graph=True)
        assert torch.isclose((grad * direction).sum(), (weights * wanted)[smooth].sum(), atol=1e-4, rtol=1e-5), key


@pytest.mark.parametrize("name", ["ridge", "turbulence", "perlin_fine"])
def test_displacement_gradient(lib: fd.Library, name: str) -> None:
    points = torch.tensor(np.random.default_rng(3).uniform(-9, 9, (POINTS, 3)), requires_grad=True)
    found = lib.displacements[name].offset(points, grid=GRID, backend="torch")
    (grad,) = torch.autograd.grad(found.sum(), points)
    for axis in range(3):
        unit = torch.eye(3, dtype=torch.float64)[axis]
        wanted, smooth = smooth_slope(lambda x: lib.displacements[name].offset(x, grid=GRID, backend="torch"),
                                      points.detach(), unit)
        assert smooth.sum() > POINTS / 2
        assert torch.allclose(grad[smooth, axis], wanted[smooth], atol=1e-5)


@pytest.mark.parametrize("name", ["inverse_cube", "exponential_base_2.0", "sinusoidal_wavelength_3.0"])
def test_mapper_gradient(lib: fd.Library, name: str) -> None:
    d = torch.linspace(-5.0, -0.1, 50, dtype=torch.float64, requires_grad=True)
    found = lib.mappers[name].intensity(d, backend="torch")
    (grad,) = torch.autograd.grad(found.sum(), d)
    wanted, smooth = smooth_slope(lambda x: lib.mappers[name].intensity(x, backend="torch"), d.detach(),
                                  torch.ones_like(d))
    assert smooth.sum() > 40
    assert torch.allclose(grad[smooth], wanted[smooth], atol=1e-4)


def test_the_affine_is_differentiable_too(lib: fd.Library) -> None:
    affine = torch.eye(4, dtype=torch.float64, requires_grad=True)
    found = lib.shapes["sphere"].distance(torch.tensor([[3.0, 0.0, 0.0]]), {"radius": 1.0}, affine, backend="torch")
    found.sum().backward()
    assert affine.grad is not None and affine.grad[0, 3].item() == pytest.approx(-1.0)


def test_a_corner_that_is_given_twice_changes_nothing(lib: fd.Library) -> None:
    corners = [[9.0, 0.0], [0.0, 9.0], [-9.0, 0.0], [0.0, -9.0]]
    points = torch.tensor(np.random.default_rng(3).uniform(-15, 15, (200, 3)))
    wanted = lib.shapes["square_prism"].distance(points, {"height": 20.0, "vertices": corners}, backend="torch")
    twice = torch.tensor([corners[0], *corners], requires_grad=True, dtype=torch.float64)
    found = lib.shapes["pentagon_prism"].distance(points, {"height": 20.0, "vertices": twice}, backend="torch")
    assert torch.allclose(found, wanted)
    (grad,) = torch.autograd.grad(found.sum(), twice)
    assert torch.isfinite(grad).all()
