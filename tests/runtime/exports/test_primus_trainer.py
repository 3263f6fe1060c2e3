"""How our trainer for nnU-Net fits Primus to another patch, other channels and other classes."""

from __future__ import annotations

import importlib.util
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch


@pytest.fixture(scope="module")
def trainer() -> Any:
    """The module, found by its file as nnU-Net finds it."""
    for package in ("nnunetv2", "timm", "cc3d", "seaborn", "sklearn"):
        pytest.importorskip(package, reason="CONTRIBUTING says how to install nnU-Net")
    path = str(files("fdif_dsl.runtime.exports").joinpath("trainers", "fdif_primus_trainer.py"))
    spec = importlib.util.spec_from_file_location("fdif_primus_trainer", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def primus(patch: list[int], channels: int = 1, classes: int = 2) -> Any:
    from dynamic_network_architectures.architectures.primus import Primus

    return Primus(channels, 36, (8, 8, 8), classes, 2, 2, tuple(patch), scale_attn_inner=True, init_values=0.1).eval()


def test_the_same_network_takes_all_but_its_last_layer(trainer: Any) -> None:
    patch = [16, 24, 32]
    old, new = primus(patch).state_dict(), primus(patch).state_dict()
    fitted = trainer.fit(old, new, patch, patch)
    assert set(new) - set(fitted) == {"up_projection.decode.2.weight", "up_projection.decode.2.bias"}
    assert all(torch.equal(tensor, old[name]) for name, tensor in fitted.items())


def test_another_patch_other_channels_and_classes(trainer: Any) -> None:
    old = primus([16, 24, 32])
    new = primus([32, 24, 48], channels=3, classes=6)
    fitted = trainer.fit(old.state_dict(), new.state_dict(), [16, 24, 32], [32, 24, 48])
    assert {name for name in new.state_dict() if name not in fitted} == {
        name for name in new.state_dict() if name.startswith("up_projection.")}
    new.load_state_dict(new.state_dict() | fitted)
    torch.testing.assert_close(fitted["down_projection.proj.weight"].sum(1, keepdim=True),
                               old.state_dict()["down_projection.proj.weight"])
    assert new(torch.rand(1, 3, 32, 24, 48)).shape == (1, 6, 32, 24, 48)


def test_positions_stay_where_they_were_in_the_patch(trainer: Any) -> None:
    """An embedding that grows along an axis grows along the same axis, evenly, in a patch of another size."""
    before, now = [16, 32, 48], [32, 64, 96]
    old, new = primus(before).state_dict(), primus(now).state_dict()
    for axis in range(3):
        side = before[axis] // 8
        place = (torch.arange(side) + 0.5) / side
        grid = place.reshape([-1 if i == axis else 1 for i in range(3)]).expand(2, 4, 6)
        old["eva.pos_embed"] = grid.reshape(1, -1, 1).expand(-1, -1, 36).contiguous()
        fitted = trainer.fit(old, new, before, now)["eva.pos_embed"].reshape(4, 8, 12, 36).movedim(axis, 0)[:, 0, 0, 0]
        wanted = (torch.arange(2 * side) + 0.5) / (2 * side)
        torch.testing.assert_close(fitted[1:-1], wanted[1:-1])  # its ends are the nearest known ones


def test_weights_without_a_decoder(trainer: Any) -> None:
    patch = [16, 16, 16]
    old = {name: tensor for name, tensor in primus(patch).state_dict().items() if not name.startswith("up_")}
    fitted = trainer.fit(old, primus(patch).state_dict(), patch, patch)
    assert set(fitted) == set(old)


def test_weights_of_another_network(trainer: Any) -> None:
    patch = [16, 16, 16]
    with pytest.raises(ValueError, match=r"have no mask_token: they are not those of Primus-M"):
        trainer.fit({"conv.weight": torch.ones(1)}, primus(patch).state_dict(), patch, patch)
    with pytest.raises(ValueError, match=r"eva\.pos_embed has the shape \(1, 8, 36\), and the network's \(1, 27, 36\)"):
        trainer.fit(primus(patch).state_dict(), primus([24, 24, 24]).state_dict(), patch, patch)


class Parallel(torch.nn.Module):
    """As DistributedDataParallel holds a network."""

    def __init__(self, module: Any) -> None:
        super().__init__()
        self.module = module


@pytest.fixture
def start(trainer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`start(network, continued)` initialises a trainer whose network nnU-Net made so, and gives what it logged."""

    def run(network: Any, continued: bool = False) -> list[str]:
        its = trainer.FdifPrimusTrainer.__new__(trainer.FdifPrimusTrainer)
        said: list[str] = []
        made = "initialize", lambda self: setattr(self, "network", network)
        monkeypatch.setattr(trainer.nnUNet_Primus_M_Trainer, *made)
        its.output_folder, its._continued, its.print_to_log_file = str(tmp_path), continued, said.append
        its.configuration_name = "3d_fdif"
        its.configuration_manager = SimpleNamespace(
            patch_size=[16, 16, 16], configuration={"pretrained_weights": str(tmp_path / "fdif_primus_m.pth")})
        its.initialize()
        return said

    return run


@pytest.mark.parametrize("wrap", [lambda n: n, torch.compile, lambda n: Parallel(torch.compile(n))],
                         ids=["bare", "compiled", "parallel"])
def test_the_network_starts_from_the_weights(start: Any, tmp_path: Path, wrap: Any) -> None:
    old, new = primus([16, 16, 16]), primus([16, 16, 16])
    facts = {"patch": [16, 16, 16], "task": "segmentation"}
    torch.save({"network_weights": old.state_dict(), "fdif": facts}, tmp_path / "fdif_primus_m.pth")
    [said] = start(wrap(new))
    count = len(new.state_dict())
    assert said.startswith(f"{count - 2} of {count} tensors are pre-trained, from {tmp_path}")
    assert all(torch.equal(tensor, old.state_dict()[name]) for name, tensor in new.state_dict().items()
               if not name.startswith("up_projection.decode.2"))


def test_the_decoder_of_one_that_learnt_to_classify_is_not_taken(start: Any, tmp_path: Path) -> None:
    network = primus([16, 16, 16])
    torch.save({"network_weights": network.state_dict(), "patch": [16, 16, 16], "task": "classification"},
               tmp_path / "fdif_primus_m.pth")
    [said] = start(network)
    fresh = said.partition("made anew: ")[2].split(", ")
    assert fresh == [name for name in network.state_dict() if name.startswith("up_projection.")]


def test_a_training_that_goes_on_keeps_its_own_weights(start: Any, tmp_path: Path) -> None:
    network = primus([16, 16, 16])
    with pytest.raises(RuntimeError, match="there are no pre-trained weights at"):
        start(network, continued=True)  # there is nothing to go on from
    (tmp_path / "checkpoint_latest.pth").touch()
    assert start(network, continued=True) == []
    with pytest.raises(RuntimeError, match="`pretrained_weights` in the configuration 3d_fdif says where they are"):
        start(network)
