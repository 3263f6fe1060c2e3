"""What the Python API takes, on every back end alike: the same in, the same out, and one message for what is not."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import fdif_dsl as fd
from fdif_dsl.compiler.backends.cuda.memory import DeviceArray

BACKENDS = ["interpret", "cpu", "torch"]
each_backend = pytest.mark.parametrize("backend", BACKENDS)
POINTS = [[10, 0, 3], [0, 0, 0]]
AFFINE = [[1, 0, 0, 10], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
WANTED = [1, 8]  # of a ball of radius 2 at (10, 0, 0)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> fd.Library:
    path: Path = tmp_path_factory.mktemp("own") / "own.sdf"
    path.write_text("""
        shape ball { radius ~ uniform(1, 2)  distance = length(p) - radius }
        displacement slope { offset = p.x + 2 * p.z }
        mapper twice { intensity = 2 * d }
        mapper flat { intensity = 3 }
        """)
    return fd.load_library(path)


def numbers(found: Any) -> Any:
    return (found.detach() if isinstance(found, torch.Tensor) else np.asarray(found)).tolist()


FORMS: dict[str, Callable[[Any], Any]] = {
    "list": lambda v: v,
    "tuples": lambda v: tuple(map(tuple, v)),
    "whole numbers": lambda v: np.array(v, np.int32),
    "unsigned": lambda v: np.array(v, np.uint8),
    "half": lambda v: np.array(v, np.float16),
    "Fortran order": lambda v: np.asfortranarray(np.array(v, np.float64)),
    "reversed": lambda v: np.array(v, np.float64)[::-1][::-1],
    "fractions": lambda v: [[Fraction(x) for x in row] for row in v],
    "decimals": lambda v: np.array([[Decimal(x) for x in row] for row in v]),
    "tensor": lambda v: torch.tensor(v, dtype=torch.float64),
    "single": lambda v: torch.tensor(v, dtype=torch.float32),
    "whole tensor": torch.tensor,
    "half tensor": lambda v: torch.tensor(v, dtype=torch.float16),
    "bfloat16": lambda v: torch.tensor(v, dtype=torch.bfloat16),
    "recording": lambda v: torch.tensor(v, dtype=torch.float64, requires_grad=True),
    "recording half": lambda v: torch.tensor(v, dtype=torch.bfloat16, requires_grad=True),
    "rows of tensors": lambda v: [torch.tensor(row, dtype=torch.float64, requires_grad=True) for row in v],
    "tensors and numbers": lambda v: [[torch.tensor(float(row[0]), requires_grad=True), *row[1:]] for row in v],
}


@each_backend
@pytest.mark.parametrize("points", FORMS)
@pytest.mark.parametrize("affine", FORMS)
def test_points_and_affine_may_be_any_numbers(own: fd.Library, backend: str, points: str, affine: str) -> None:
    found = own.shapes["ball"].distance(FORMS[points](POINTS), {"radius": 2}, FORMS[affine](AFFINE), backend)
    assert found.shape == (2,) and numbers(found) == WANTED
    assert isinstance(found, torch.Tensor) == (backend == "torch")
    assert numbers(own.displacements["slope"].offset(FORMS[points](POINTS), (4, 4, 4), backend)) == [16, 0]


@each_backend
@pytest.mark.parametrize("radius", [2, np.float16(2), np.int64(2), np.array(2.0), *(
    torch.tensor(2, dtype=kind) for kind in (torch.int64, torch.float16, torch.bfloat16, torch.float64)),
    torch.tensor(2.0, requires_grad=True), torch.tensor(2.0, dtype=torch.bfloat16, requires_grad=True)], ids=repr)
def test_a_parameter_may_be_any_number(own: fd.Library, backend: str, radius: Any) -> None:
    assert numbers(own.shapes["ball"].distance(POINTS, {"radius": radius}, AFFINE, backend)) == WANTED


def test_gradients_flow_to_an_affine_where_points_are_a_list(own: fd.Library) -> None:
    affine = torch.eye(4, requires_grad=True)
    found = own.shapes["ball"].distance([[3, 0, 4]], {"radius": 2}, affine, backend="torch")
    found.sum().backward()
    assert found.dtype == torch.float32 and affine.grad is not None
    np.testing.assert_allclose(affine.grad[0], [-0.6 * 3, 0, -0.6 * 4, -0.6], rtol=1e-6)


@pytest.mark.parametrize(("points", "radius", "affine", "wanted"), [
    (torch.float32, None, torch.float64, torch.float32), (None, torch.float32, torch.float64, torch.float32),
    (None, None, torch.float32, torch.float32), (torch.bfloat16, torch.float64, None, torch.bfloat16),
    (None, None, torch.int64, torch.float64), (torch.int64, torch.float32, torch.float64, torch.float32),
    (None, None, None, torch.float64),
])
def test_the_type_of_the_result(own: fd.Library, points: Any, radius: Any, affine: Any, wanted: torch.dtype) -> None:
    def given(value: Any, dtype: Any) -> Any:
        return value if dtype is None else torch.tensor(value, dtype=dtype)

    found = own.shapes["ball"].distance(given(POINTS, points), {"radius": given(2.0, radius)}, given(AFFINE, affine),
                                        backend="torch")
    assert found.dtype == wanted


@each_backend
@pytest.mark.parametrize("shape", [(), (1,), (0,), (2, 3), (2, 0, 3), (2, 1, 3, 2)])
@pytest.mark.parametrize("name", ["twice", "flat"])
def test_distances_have_any_shape(own: fd.Library, backend: str, shape: tuple[int, ...], name: str) -> None:
    d = np.asarray(np.arange(np.prod(shape)).reshape(shape) + 1.0)
    for given in (d, d.tolist(), d[..., None].swapaxes(-1, 0)[0] if shape else d, torch.from_numpy(d)):
        found = own.mappers[name].intensity(given, backend)
        assert tuple(found.shape) == np.shape(given)
        wanted = 2 * np.asarray(given) if name == "twice" else np.full(np.shape(given), 3)
        assert numbers(found) == wanted.tolist()


def test_the_numbers_of_a_device_take_any_shape() -> None:
    found = DeviceArray(0, (6,), np.dtype(np.float32), host=np.arange(6, dtype=np.float32))
    assert found.reshape((2, 3)).shape == (2, 3)
    assert np.asarray(found.reshape((2, 3))).tolist() == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(ValueError, match="no shape"):
        found.reshape((4,))


@each_backend
def test_a_number_of_distances(own: fd.Library, backend: str) -> None:
    for given in (4, 4.0, np.float32(4), np.array(4), torch.tensor(4.0, dtype=torch.bfloat16, requires_grad=True)):
        found = own.mappers["twice"].intensity(given, backend)
        assert found.shape == () and numbers(found) == 8


@each_backend
def test_no_points_are_points(own: fd.Library, backend: str) -> None:
    for none in (np.zeros((0, 3)), torch.zeros(0, 3)):
        assert own.shapes["ball"].distance(none, {"radius": 2}, AFFINE, backend).shape == (0,)
        assert own.displacements["slope"].offset(none, (4, 4, 4), backend).shape == (0,)


NAN, INF = float("nan"), float("inf")


def changed(i: int, j: int, value: float) -> list[list[float]]:
    return [[value if (i, j) == (k, m) else v for m, v in enumerate(row)] for k, row in enumerate(AFFINE)]


WRONG_POINTS: dict[str, tuple[Any, str]] = {
    "ragged": ([[1, 2, 3], [1, 2]], "points are no array: their rows differ in length"),
    "ragged tensors": ([torch.zeros(3), torch.zeros(2)], "points are a list of tensors and others that make no array"),
    "flat": ([1, 2, 3], "points have the shape (3,)"), "empty": ([], "points have the shape (0,)"),
    "wide": (torch.zeros(2, 4), "points have the shape (2, 4)"), "one number": (3.0, "points have the shape ()"),
    "text": ("abc", "points are text"), "texts": ([["1", "2", "3"]], "points are text"),
    "nothing": (None, "points are nothing (null)"),
    "nothing inside": ([[None, 1, 2]], "points are a list of others than numbers: nothing (null)"),
    "complex": ([[1j, 0, 0]], "points are complex numbers"),
    "truth": ([[True, False, True]], "points are truth values"),
    "complex tensor": (torch.zeros(1, 3, dtype=torch.complex64), "points are a tensor of torch.complex64"),
    "truth tensor": (torch.zeros(1, 3, dtype=torch.bool), "points are a tensor of torch.bool"),
    "table": ({"x": 1}, "points are a table"), "object": (object(), "points are a value of the type object"),
    "huge": ([[10**400, 0, 0]], "points are beyond the range of float64"),
    "sparse": (torch.zeros(2, 3).to_sparse(), "points are a sparse tensor"),
    "times": (np.zeros((1, 3), "M8[s]"), "points are a list of others than numbers: a value of the type datetime64"),
}
WRONG_AFFINES: dict[str, tuple[Any, str]] = {
    "perspective": (changed(3, 0, 0.5), "the last row of the affine is not 0, 0, 0, 1"),
    "scale": (changed(3, 3, 2), "the last row of the affine is not 0, 0, 0, 1"),
    "NaN": (changed(0, 0, NAN), "the affine holds an infinity or NaN"),
    "infinite": (changed(1, 3, INF), "the affine holds an infinity or NaN"),
    "singular": (changed(2, 2, 0), "the affine has no inverse"),
    "nearly singular": (changed(2, 2, 1e-13), "the affine has no inverse"),
    "short": (AFFINE[:3], "the affine has the shape (3, 4)"), "text": ("eye", "the affine is text"),
    "ragged": ([[1, 2], [3]], "the affine is no array: their rows differ in length"),
}
WRONG_DISTANCES: dict[str, tuple[Any, str]] = {
    "text": ("abc", "distances are text"), "number as text": ("3", "distances are text"),
    "nothing": (None, "distances are nothing (null)"), "ragged": ([[1], [2, 3]], "distances are no array: their rows "
                                                                                "differ in length"),
    "complex": (3j, "distances are complex numbers"), "truth": (True, "distances are truth values"),
}


def title(error: pytest.ExceptionInfo[fd.FdifError]) -> str:
    (found,) = error.value.diagnostics
    assert found.why and found.hint and found.where in ("points", "affine", "distances")
    return found.title


@each_backend
@pytest.mark.parametrize("name", WRONG_POINTS)
def test_what_are_no_points(own: fd.Library, backend: str, name: str) -> None:
    value, wanted = WRONG_POINTS[name]
    with pytest.raises(fd.FdifError) as caught:
        own.shapes["ball"].distance(value, {"radius": 2}, backend=backend)
    assert title(caught) == wanted
    with pytest.raises(fd.FdifError) as caught:
        own.displacements["slope"].offset(value, (4, 4, 4), backend)
    assert title(caught) == wanted


@each_backend
@pytest.mark.parametrize("name", WRONG_AFFINES)
def test_what_is_no_affine(own: fd.Library, backend: str, name: str) -> None:
    value, wanted = WRONG_AFFINES[name]
    forms = [value] if name in ("text", "ragged") else [value, np.array(value), torch.tensor(value, dtype=torch.float64,
                                                                                            requires_grad=True)]
    for form in forms:
        with pytest.raises(fd.FdifError) as caught:
            own.shapes["ball"].distance(POINTS, {"radius": 2}, form, backend)
        assert title(caught) == wanted


@each_backend
@pytest.mark.parametrize("name", WRONG_DISTANCES)
def test_what_are_no_distances(own: fd.Library, backend: str, name: str) -> None:
    value, wanted = WRONG_DISTANCES[name]
    with pytest.raises(fd.FdifError) as caught:
        own.mappers["twice"].intensity(value, backend)
    assert title(caught) == wanted
