"""MONAI's networks take the export as they are, by what the card says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from fdif_dsl.runtime.exports.export import export
from fdif_dsl.runtime.training.networks import NETWORKS
from fdif_dsl.runtime.training.pretrained import Pretrained

SMALL = {"unet": ("train.features=4", "volume.grid=[16, 16, 16]"), "vnet": ("volume.grid=[32, 32, 32]",),
         "resunet": ("train.features=4", "volume.grid=[32, 32, 32]"), "swin_unetr": ("train.features=12",),
         "unetr": ("train.features=4", "volume.grid=[32, 32, 32]")}
CLASSES = 5  # the run has three


def load(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the card's lines define: `network`, `missing`, `unexpected`."""
    code = re.search(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    assert code is not None
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {"CLASSES": CLASSES}
    exec(code[1], names)
    return names


@pytest.mark.parametrize("network", SMALL)
def test_the_network_takes_it_and_only_the_head_is_missing(
        a_run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: str) -> None:
    pretrained = Pretrained.read(a_run(network, *SMALL[network]))
    done = export(pretrained, "monai", tmp_path / "out")
    names = load(tmp_path / "out", monkeypatch)
    assert names["unexpected"] == []
    assert names["missing"] and all(key.startswith(NETWORKS[network].head) for key in names["missing"])
    state = names["network"].state_dict()
    assert all(torch.equal(state[key], pretrained.weights[key]) for key in state if key not in names["missing"])
    with torch.no_grad():
        assert names["network"](torch.rand(1, 1, *pretrained.patch)).shape == (1, CLASSES, *pretrained.patch)
    assert done.next == (f'network.load_state_dict(torch.load("{done.files[0]}", weights_only=True), strict=False)')


@pytest.mark.parametrize(("network", "channels"), [
    ("unet", 3), ("resunet", 2), ("vnet", 2), ("swin_unetr", 2), ("unetr", 3)])
def test_channels_that_are_alike_give_what_one_gave(
        a_run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: str, channels: int) -> None:
    pretrained = Pretrained.read(a_run(network, *SMALL[network]))
    outputs = []
    image = torch.rand(1, 1, *pretrained.patch, generator=torch.Generator().manual_seed(0))
    for number in (1, channels):
        export(pretrained, "monai", tmp_path / str(number), number)
        names = load(tmp_path / str(number), monkeypatch)
        assert names["unexpected"] == []
        net = names["network"].eval()
        for key in names["missing"]:  # the head is made anew in each
            net.state_dict()[key].fill_(0.5)
        with torch.no_grad():
            outputs.append(net(image.expand(-1, number, -1, -1, -1)))
    assert outputs[0].std() > 0
    torch.testing.assert_close(outputs[0], outputs[1], rtol=1e-3, atol=1e-3)


def test_a_network_that_learnt_to_classify_has_no_decoder(
        a_run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretrained = Pretrained.read(a_run("vnet", *SMALL["vnet"], "train.task=classification", "volume.objects=1"))
    done = export(pretrained, "monai", tmp_path / "out")
    names = load(tmp_path / "out", monkeypatch)
    assert names["unexpected"] == [] and all(key.startswith(("up_tr", "out_tr")) for key in names["missing"])
    assert any(key.startswith("up_tr") for key in names["missing"])
    assert done.notes == ("the network learnt to classify, so its decoder is left out",)


def test_a_network_of_ones_own_is_exported_whole(
        a_run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nets.py").write_text(
        "import torch\n\ndef tiny(out_channels):\n    return torch.nn.Conv3d(1, out_channels, 3, padding=1)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    pretrained = Pretrained.read(a_run("nets:tiny", "volume.grid=[16, 16, 16]"))
    monkeypatch.delitem(__import__("sys").modules, "nets")
    (tmp_path / "nets.py").unlink()  # the user's code is not needed for an export
    done = export(pretrained, "monai", tmp_path / "out")
    assert done.files[0].name == "fdif_tiny.pt"
    stored = torch.load(done.files[0], weights_only=True)
    torch.nn.Conv3d(1, 3, 3, padding=1).load_state_dict(stored)
    assert "which layers of a network of your own are its head is not known" in done.notes[0]
