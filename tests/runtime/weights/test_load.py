"""`load_pretrained` gives the network of a run, of an export, of the hub or of the package, with a head for others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import fdif_dsl as fd
from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.runtime.exports.export import export
from fdif_dsl.runtime.training.networks import NETWORKS
from fdif_dsl.runtime.training.pretrained import Pretrained
from fdif_dsl.runtime.weights import source

HEAD = "model.3."
SMALL = {"unet": (4, (16, 16, 16)), "resunet": (4, (32, 32, 32)), "vnet": (16, (32, 32, 32)),
         "unetr": (4, (32, 32, 32))}


@pytest.fixture
def run(a_run: Any) -> Path:
    made: Path = a_run("unet", "train.features=4", "volume.grid=[16, 16, 16]")
    return made


def body(weights: Any) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in weights.items() if not name.startswith(HEAD)}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("name", SMALL)
def test_a_head_for_ones_own_classes(weights: Any, name: str) -> None:
    features, patch = SMALL[name]
    folder = weights(name, features, patch)
    network: Any = fd.load_pretrained(folder, out_channels=7)
    row, stored = NETWORKS[name], Pretrained.read(folder).weights
    state = network.state_dict()
    assert all(torch.equal(state[key], stored[key]) for key in state if not key.startswith(row.head))
    assert any(key.startswith(row.head) for key in network.pretraining.taken.new)
    assert set(network.pretraining.taken.body) == {key for key in state if not key.startswith(row.head)}
    with torch.no_grad():
        assert network.eval()(torch.rand(1, 1, *patch)).shape == (1, 7, *patch)


def test_what_it_was_trained_on(run: Path) -> None:
    network: Any = fd.load_pretrained(run, out_channels=5)
    its = network.pretraining
    assert its.classes == {"shape": ("background", "ball", "cube")} and its.normalise == "unit"
    assert str(its) == f"""\
unet of {run}/weights.pt, step 30: segmentation, 3 outputs for shape
patches of 16 x 16 x 16 (z, y, x), grey levels unit
{its.taken}"""


def test_without_a_number_of_classes_it_is_the_trained_network(run: Path) -> None:
    network = fd.load_pretrained(run)
    assert same(dict(network.state_dict()), dict(Pretrained.read(run).weights))


@pytest.mark.parametrize("tool", ["monai", "hub"])
@pytest.mark.parametrize("channels", [1, 2])
def test_exports_are_read_back(run: Path, tmp_path: Path, tool: str, channels: int) -> None:
    folder = tmp_path / "out"
    export(Pretrained.read(run), tool, folder, channels)
    for where in (folder, export(Pretrained.read(run), tool, folder, channels).files[0]):
        network = fd.load_pretrained(where, out_channels=5)
        assert network.state_dict()["model.0.conv.unit0.conv.weight"].shape[1] == channels
    one = fd.load_pretrained(folder, out_channels=5, in_channels=1)
    for name, tensor in body(Pretrained.read(run).weights).items():
        torch.testing.assert_close(one.state_dict()[name], tensor)


def test_a_hub_export_is_the_whole_run(run: Path, tmp_path: Path) -> None:
    export(Pretrained.read(run), "hub", tmp_path / "out")
    before, after = Pretrained.read(run), Pretrained.read(tmp_path / "out")
    assert same(dict(before.weights), dict(after.weights))
    assert (before.tasks, before.library, before.recipe) == (after.tasks, after.library, after.recipe)


def test_the_export_without_its_configuration_is_weights_of_nobody(run: Path, tmp_path: Path) -> None:
    done = export(Pretrained.read(run), "monai", tmp_path / "out")
    (tmp_path / "out/config.json").unlink()
    assert message(done.files[0]).startswith("error[E0863]")


def test_a_module_of_ones_own_is_filled(run: Path) -> None:
    mine = NETWORKS["unet"].build(4, 9, (16, 16, 16))
    head = {name: tensor.clone() for name, tensor in mine.state_dict().items() if name.startswith(HEAD)}
    assert fd.load_pretrained(run, mine) is mine
    state = mine.state_dict()
    assert same(body(state), body(Pretrained.read(run).weights))
    assert all(torch.equal(state[name], tensor) for name, tensor in head.items())


def test_a_name_that_ships_with_the_package(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shipped = tmp_path / "shipped"
    shipped.mkdir()
    monkeypatch.setattr(source, "SHIPPED", shipped)
    assert message("organs") == """\
error[E0960]: there are no weights `organs`
  why: no such file or folder is there, and none come with this version of fdif-dsl
  hint: give a run of `fdifc pretrain`, an export of one, or hf://user/name"""
    export(Pretrained.read(run), "hub", tmp_path / "out")
    (tmp_path / "out/model.safetensors").rename(shipped / "organ.safetensors")
    network = fd.load_pretrained("organ", out_channels=5)
    assert same(body(network.state_dict()), body(Pretrained.read(run).weights))
    assert message("organs") == """\
error[E0960]: there are no weights `organs`
  why: no such file or folder is there, and with fdif-dsl come organ
  hint: did you mean `organ`?"""


def test_a_run_of_several_networks(run: Path, tmp_path: Path) -> None:
    for seed in (1, 2):
        folder = tmp_path / f"pretrained-seed-{seed}"
        folder.mkdir()
        (folder / "weights.pt").write_bytes((run / "weights.pt").read_bytes())
    assert message(tmp_path) == f"""\
error[E0862]: there are 2 networks in {tmp_path}
  why: it is a run of `fdifc finetune` with several seeds or starts
  hint: name one of them: {tmp_path}/pretrained-seed-1, {tmp_path}/pretrained-seed-2"""


@pytest.mark.parametrize(("given", "said"), [
    ({"network": "vnet"}, """\
error[E0962]: the weights are of `unet`, and not of `vnet`
  --> RUN/weights.pt
  hint: leave out `network` to build that of the weights"""),
    ({"network": "vnett"}, "error[E0811]: unknown network `vnett`"),
    ({"network": torch.nn.Conv3d(1, 1, 1), "out_channels": 3}, "error[E0962]: a module of your own has the channels"),
    ({"network": torch.nn.Conv3d(1, 1, 1)}, "error[E0937]: none of the weights fits `unet`"),
    ({"out_channels": 2, "patch": (16, 16, 20)}, "error[E0812]: `unet` cannot take patches of 16 x 16 x 20 voxels"),
], ids=["another network", "none", "channels of a module", "a strange module", "a patch"])
def test_what_does_not_fit(run: Path, given: dict[str, Any], said: str) -> None:
    assert message(run, **given).replace(str(run), "RUN").startswith(said)


def test_weights_without_a_head(run: Path, tmp_path: Path) -> None:
    export(Pretrained.read(run), "monai", tmp_path / "out")
    assert message(tmp_path / "out") == f"""\
error[E0962]: these weights have no head
  --> {tmp_path}/out/fdif_unet.pt
  why: model.3.weight is not among them
  hint: give out_channels, the number of your classes"""


def test_a_damaged_file(run: Path, tmp_path: Path) -> None:
    file = export(Pretrained.read(run), "hub", tmp_path / "out").files[0]
    file.write_bytes(file.read_bytes()[:-100])
    assert message(file).startswith(f"error[E0864]: {file} is damaged")
    from safetensors.torch import save_file

    save_file({"a": torch.ones(1)}, tmp_path / "other.safetensors")
    assert message(tmp_path / "other.safetensors").startswith("error[E0863]")


def message(where: Any, **given: Any) -> str:
    with pytest.raises(FdifError) as caught:
        fd.load_pretrained(where, **given)
    return str(caught.value)


@pytest.mark.slow  # ResEnc-L has 102 million weights
def test_resenc_l_gives_one_output(a_run: Any, tmp_path: Path) -> None:
    pytest.importorskip("dynamic_network_architectures")
    run = a_run("resenc_l")
    file = export(Pretrained.read(run), "hub", tmp_path / "out").files[0]
    assert file.stat().st_size <= 420e6  # names that share a tensor still do
    network: Any = fd.load_pretrained(tmp_path / "out", out_channels=3, in_channels=2)
    assert all(".seg_layers." in name for name in network.pretraining.taken.new)
    with torch.no_grad():
        assert network(torch.rand(1, 2, 64, 64, 64)).shape == (1, 3, 64, 64, 64)
