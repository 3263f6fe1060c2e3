"""Reading what a run left, and what is said of anything else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.runtime.training.pretrained import Pretrained

FACTS: dict[str, Any] = {
    "network": "vnet", "features": 16, "patch": [32, 32, 64], "head": ["out_tr."], "task": "segmentation",
    "label": "shape", "tasks": {"shape": ["background", "ball", "cube"]}, "library": "abc", "seed": 7, "processes": 1,
    "fdif_dsl": "0.1.0", "step": 30, "recipe": {"train": {"steps": 100}, "augment": {"normalise": "zscore"}}}


def save(path: Path, **others: Any) -> Path:
    torch.save({"network_weights": {"a": torch.ones(2)}, **FACTS, **others}, path)
    return path


def test_what_is_read(tmp_path: Path) -> None:
    read = Pretrained.read(save(tmp_path / "weights.pt"))
    assert read.path == tmp_path / "weights.pt" and torch.equal(read.weights["a"], torch.ones(2))
    assert (read.network, read.features, read.patch, read.head) == ("vnet", 16, (32, 32, 64), ("out_tr.",))
    assert (read.task, read.label, read.tasks) == ("segmentation", "shape", {"shape": ("background", "ball", "cube")})
    assert (read.library, read.seed, read.step, read.version) == ("abc", 7, 30, "0.1.0")
    assert (read.steps, read.normalise, read.channels) == (100, "zscore", 3)
    save(tmp_path / "weights.pt", task="classification")
    assert Pretrained.read(tmp_path).channels == 1


def test_a_folder_gives_the_best_weights_where_there_are_some(tmp_path: Path) -> None:
    save(tmp_path / "weights.pt", step=30)
    assert Pretrained.read(tmp_path).step == 30
    save(tmp_path / "best.pt", step=20)
    assert Pretrained.read(tmp_path).step == 20


def test_names_that_share_a_tensor_still_do(tmp_path: Path) -> None:
    shared = torch.ones(3)
    weights = Pretrained.read(save(tmp_path / "w.pt", network_weights={"a": shared, "b": shared})).weights
    assert weights["a"].data_ptr() == weights["b"].data_ptr()


@pytest.mark.parametrize(("network", "names", "read"), [
    ("vnet", ["module._orig_mod.a", "module._orig_mod.b"], ["a", "b"]),
    ("vnet", ["module.a", "b"], ["module.a", "b"]),
    ("mine:net", ["_orig_mod.module.a"], ["module.a"]),
])
def test_wrappers_of_the_network_leave_the_names(tmp_path: Path, network: str, names: list[str],
                                                  read: list[str]) -> None:
    path = save(tmp_path / "w.pt", network=network, network_weights={name: torch.ones(1) for name in names})
    assert list(Pretrained.read(path).weights) == read


def message(path: Path) -> str:
    with pytest.raises(FdifError) as caught:
        Pretrained.read(path)
    return str(caught.value)


def test_nothing_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert message(Path("wights.pt")) == """\
error[E0861]: there is no checkpoint wights.pt
  hint: give the folder of a run of `fdifc pretrain`, or best.pt or weights.pt in it"""
    save(Path("weights.pt"))
    assert message(Path("wights.pt")).endswith("hint: did you mean `weights.pt`?")
    Path("empty").mkdir()
    assert message(Path("empty")) == """\
error[E0862]: there are no weights in empty
  why: it has neither best.pt nor weights.pt
  hint: give the folder of a run of `fdifc pretrain`, or best.pt or weights.pt in it"""


OBJECT = torch.nn.Linear(1, 1)


@pytest.mark.parametrize(("stored", "said"), [
    ({"a": torch.ones(1)}, "it was written by another program"),
    ([1, 2], "it was written by another program"),
    ({"network_weights": {"a": torch.ones(1)}}, "it has weights, and does not say from which network and recipe"),
    ({"network_weights": {}} | FACTS | {"patch": [1, 2]},
     "it has weights, and does not say from which network and recipe"),
    (OBJECT, "it holds other Python objects than tensors and plain values"),
], ids=["weights alone", "a list", "an export", "a strange patch", "an object"])
def test_files_of_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stored: Any, said: str) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(stored, "other.pt")
    assert message(Path("other.pt")) == f"""\
error[E0863]: other.pt holds no weights of `fdifc pretrain`
  why: {said}
  hint: give the folder of a run of `fdifc pretrain`, or best.pt or weights.pt in it"""


def test_a_whole_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"pytorch-lightning_version": "2.6.6", "state_dict": {}}, "last.ckpt")
    assert message(Path("last.ckpt")) == """\
error[E0865]: last.ckpt is the whole state of a training
  why: it is there to go on from, and does not say which network it is
  hint: give the run's best.pt or weights.pt, which has the weights and what they were made from"""


@pytest.mark.parametrize(("data", "said"), [
    (b"", "E0864"), (b"PK\x03\x04" + bytes(50), "E0864"), (b"some text", "E0863"), (b"\x80\x02}q\x00.", "E0863")])
def test_broken_files(tmp_path: Path, data: bytes, said: str) -> None:
    (tmp_path / "weights.pt").write_bytes(data)
    assert message(tmp_path).startswith(f"error[{said}]")


def test_a_file_that_was_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = save(Path("weights.pt"))
    path.write_bytes(path.read_bytes()[:-200])
    assert message(path) == """\
error[E0864]: weights.pt is damaged
  why: a part of it is missing
  hint: it may have been cut off while it was copied; copy it again"""
