"""The stream of volumes: what it yields, and who yields what."""

from __future__ import annotations

import multiprocessing
import pickle
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from fdif_dsl.compiler.backends.store import store
from fdif_dsl.compiler.library import load_library
from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.runtime.recipe import Recipe
from fdif_dsl.runtime.scenes.render import render
from fdif_dsl.runtime.scenes.sampler import sample_scene
from fdif_dsl.runtime.streams.stream import VolumeStream

STD = load_library()
SMALL = Recipe(grid=(6, 7, 8), objects=2, shapes=["sphere", "torus"], displacements=[])


def stream(**options: Any) -> VolumeStream:
    return VolumeStream(STD, SMALL, 7, **{"backend": "interpret"} | options)


def same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return torch.equal(a["image"], b["image"]) and torch.equal(a["label"], b["label"])


def test_a_pair_is_what_a_network_takes() -> None:
    one = next(iter(stream()))
    volume = render(sample_scene(STD, 7, 0, SMALL), STD, "interpret")
    assert list(one) == ["image", "label"]
    assert one["image"].dtype == torch.float32 and one["label"].dtype == torch.int64
    assert one["image"].shape == one["label"].shape == (1, 6, 7, 8)
    assert np.array_equal(one["image"][0].numpy() * 128, volume.image)
    ids = np.array([0, STD.shapes["sphere"].id, STD.shapes["torus"].id])
    assert np.array_equal(ids[one["label"][0]], volume.label)
    assert stream().classes == 3
    assert VolumeStream(STD).classes == 110


@pytest.mark.parametrize("backend", ["torch", "cpu"])
def test_any_backend_renders_the_same(backend: str) -> None:
    assert same(next(iter(stream(backend=backend))), next(iter(stream())))


def test_it_starts_and_stops_where_told() -> None:
    some = list(stream(start=5, count=3))
    assert len(some) == 3
    assert all(same(a, stream().volume(5 + i)) for i, a in enumerate(some))
    assert len(list(islice(stream(), 4))) == 4  # without a count there is no end


def test_processes_and_workers_take_each_volume_once() -> None:
    whole = list(stream(count=7))
    parts = [list(DataLoader(stream(count=7, rank=r, world=2), batch_size=None, num_workers=2)) for r in range(2)]
    # Process r has workers 2r and 2r + 1 of four; a loader takes from its workers in turn.
    assert all(same(a, whole[i]) for a, i in zip(parts[0], (0, 1, 4, 5), strict=True))
    assert all(same(a, whole[i]) for a, i in zip(parts[1], (2, 3, 6), strict=True))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_of_both_kinds_render_the_same(method: str) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system has no {method}")
    loader = DataLoader(stream(count=4, backend="cpu"), batch_size=2, num_workers=1, multiprocessing_context=method)
    batches = list(loader)
    assert [tuple(b["image"].shape) for b in batches] == [(2, 1, 6, 7, 8)] * 2
    found = torch.cat([b["image"] for b in batches])
    assert torch.equal(found, torch.stack([v["image"] for v in stream(count=4)]))


def test_the_place_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "3")
    moved = pickle.loads(pickle.dumps(stream(count=6)))  # as to a worker, where no process group is
    monkeypatch.delenv("RANK")
    assert all(same(a, stream().volume(i)) for a, i in zip(moved, (1, 4), strict=True))
    assert len(list(stream(count=6))) == 6


def test_a_recipe_that_does_not_fit_fails_before_any_worker_starts() -> None:
    with pytest.raises(FdifError, match="no shape `cubee`"):
        VolumeStream(STD, Recipe(shapes=["cubee"]))


@pytest.mark.parametrize(("options", "expected"), [
    ({"seed": -1}, "-1 is no seed"),
    ({"start": -1}, "-1 is no index"),
    ({"count": -1}, "-1 is no count"),
    ({"rank": 2, "world": 2}, "process 2 of 2"),
    ({"backend": "cpuu"}, "no backend"),
])
def test_options_that_make_no_sense_fail_at_once(options: dict[str, Any], expected: str) -> None:
    with pytest.raises(FdifError, match=expected):
        VolumeStream(STD, SMALL, **options)


def test_all_is_compiled_before_the_first_volume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FDIF_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "own.sdf").write_text("shape one { distance = length(p) - 2 }\nshape two { distance = length(p) - 3 }\n"
                                      "shape three { distance = abs(p.x) - 1 }\nmapper m { intensity = 9 }\n")
    recipe = Recipe(grid=(6, 7, 8), objects=1, shapes=["one", "two"], displacements=[], mappers=["m"])
    made = VolumeStream(load_library(tmp_path / "own.sdf"), recipe, backend="cpu")

    def no_compiler(*_: Any) -> Any:
        raise AssertionError("nothing should be compiled")

    monkeypatch.setattr(store, "compile_units", no_compiler)
    labels = {int(pair["label"].max()) for pair in islice(made, 8)}
    assert labels == {1, 2}
    with pytest.raises(AssertionError, match="nothing should"):  # the recipe has no need of this one
        made.lib.shapes["three"].distance([[0, 0, 0]])
