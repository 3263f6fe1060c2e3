"""What many tests share: the standard library, its compiled kernels, and the authors' numbers."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from fdif_dsl.compiler.backends.cuda.backend import simulated
from fdif_dsl.compiler.library import Library, load_library

DATA = Path(__file__).parent / "data"

# Child processes of tests see the installed package too, not the folders that they are started in.
os.environ.setdefault("PYTHONSAFEPATH", "1")
# The machine's cores are shared by the workers of pytest-xdist.
os.environ.setdefault("FDIF_THREADS", "1" if "PYTEST_XDIST_WORKER" in os.environ else "2")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs a GPU runs on one, or in the process that test_cuda_simulator.py starts."""
    import torch

    if not simulated() and not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="there is no CUDA device"))


def pytest_configure() -> None:
    if "PYTEST_XDIST_WORKER" in os.environ:
        import torch

        torch.set_num_threads(1)


@pytest.fixture(scope="session")
def lib() -> Library:
    """The standard library; CPU kernels are compiled one by one as they are used."""
    return load_library()


@pytest.fixture(scope="session")
def compiled(lib: Library, tmp_path_factory: pytest.TempPathFactory) -> Library:
    """The standard library with every CPU kernel built, once for all workers."""
    with FileLock(tmp_path_factory.getbasetemp().parent / "compile.lock"):
        lib.compile()
    return lib


@pytest.fixture(scope="session")
def golden() -> Path:
    """Numbers computed by the authors' implementation, in float32."""
    return DATA / "golden"


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20260323)
