"""The folder of an export: what stands in it, what is refused, and that nothing half-written stays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.runtime.exports import export as module
from fdif_dsl.runtime.exports.definitions import DEFINITIONS
from fdif_dsl.runtime.exports.export import TOOLS, export
from fdif_dsl.runtime.recipe import Recipe
from fdif_dsl.runtime.training.networks import NETWORKS
from fdif_dsl.runtime.training.pretrained import Pretrained

UNET = ("unet", "train.features=4", "volume.grid=[16, 16, 16]")


@pytest.fixture
def unet(a_run: Any) -> Pretrained:
    return Pretrained.read(a_run(*UNET))


def test_every_network_has_a_tool_its_stem_and_lines_that_make_it(a_run: Any) -> None:
    for name, row in NETWORKS.items():
        assert row.stem and any(tool.networks is None or name in tool.networks for tool in TOOLS.values())
    assert NETWORKS.keys() == DEFINITIONS.keys()
    weights = Pretrained.read(a_run(*UNET)).weights
    assert all(weights[name].shape[1] == 1 for name in NETWORKS["unet"].stem)


def test_the_card_says_where_the_weights_come_from(unet: Pretrained, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "weights.pt").write_bytes(unet.path.read_bytes())
    (run / "summary.json").write_text(json.dumps({"steps": 30, "best": {"step": 30, "mean": 0.4321},
                                                  "validation": {}}))
    export(Pretrained.read(run), "monai", tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    assert card.startswith("---\nlicense: apache-2.0\nlibrary_name: monai\n")
    for words in ("Dice 0.432", unet.library, "30 of 30000", "2 classes of shape: ball, cube.", "16 x 16 x 16"):
        assert words in card
    recipe = tmp_path / "again.toml"
    recipe.write_text(card.partition("```toml\n")[2].partition("```")[0])
    assert Recipe.load(recipe).to_dict() == unet.recipe


def test_a_score_of_other_weights_is_not_told(unet: Pretrained, tmp_path: Path) -> None:
    (tmp_path / "weights.pt").write_bytes(unet.path.read_bytes())
    (tmp_path / "summary.json").write_text(json.dumps({"steps": 40, "best": {"step": 20, "mean": 0.5},
                                                       "validation": {"shape": {"mean": 0.4}}}))
    export(Pretrained.read(tmp_path), "monai", tmp_path / "out")
    assert "score" not in (tmp_path / "out" / "README.md").read_text()


def test_an_earlier_export_is_replaced_and_nothing_else(unet: Pretrained, tmp_path: Path) -> None:
    for _ in range(2):
        export(unet, "monai", tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"fdif_unet.pt", "config.json", "README.md"}
    other = tmp_path / "thesis"
    other.mkdir()
    (other / "README.md").write_text("mine")
    with pytest.raises(FdifError, match="holds files of something else"):
        export(unet, "monai", other)
    assert (other / "README.md").read_text() == "mine"


def test_nothing_of_a_failed_export_stays(unet: Pretrained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, text: str) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(module, "write_text", full)
    with pytest.raises(OSError, match="No space left"):
        export(unet, "monai", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def message(pretrained: Pretrained, tool: str, folder: Path, channels: int = 1) -> str:
    with pytest.raises(FdifError) as caught:
        export(pretrained, tool, folder, channels)
    assert not folder.exists()
    return str(caught.value).replace(str(pretrained.path), "weights.pt")


def test_what_is_refused(a_run: Any, unet: Pretrained, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    assert message(unet, "nnunett", folder) == """\
error[E0869]: unknown tool `nnunett`
  --> --to
  why: there are nnunet, nnssl, monai, hub, monai-bundle
  hint: did you mean `nnunet`?"""
    assert message(unet, "nnssl", folder) == """\
error[E0866]: nnssl has no network `unet`
  --> weights.pt
  why: it takes resenc_l and primus_m
  hint: export these weights --to monai or --to hub"""
    vnet = Pretrained.read(a_run("vnet", "volume.grid=[32, 32, 32]"))
    assert message(vnet, "monai", folder, 3) == """\
error[E0867]: `vnet` cannot be given 3 input channels
  --> --channels
  why: MONAI's VNet takes 1, 2, 4, 8 or 16 channels
  hint: add an empty channel to the images"""


def test_weights_that_are_no_numbers(unet: Pretrained, tmp_path: Path) -> None:
    stored = torch.load(unet.path, weights_only=True)
    stored["network_weights"]["model.0.residual.bias"][0] = float("nan")
    torch.save(stored, tmp_path / "weights.pt")
    assert message(Pretrained.read(tmp_path), "monai", tmp_path / "out") == """\
error[E0868]: weights.pt holds weights that are not finite
  why: the first is model.0.residual.bias
  hint: the training diverged; an earlier checkpoint, a smaller train.lr or train.clip may help"""


def test_the_hub_reads_the_card(unet: Pretrained, tmp_path: Path) -> None:
    huggingface_hub = pytest.importorskip("huggingface_hub")
    run = tmp_path / "run"
    run.mkdir()
    (run / "weights.pt").write_bytes(unet.path.read_bytes())
    (run / "summary.json").write_text(json.dumps({"steps": 30, "best": {"step": 30, "mean": 0.4321},
                                                  "validation": {}}))
    files = export(Pretrained.read(run), "hub", tmp_path / "out").files
    assert [path.name for path in files] == ["model.safetensors", "config.json", "README.md"]
    card = huggingface_hub.ModelCard.load(files[2]).data
    assert (card.license, card.library_name, card.pipeline_tag) == ("apache-2.0", "fdif-dsl", "image-segmentation")
    (result,) = card.eval_results
    assert (result.metric_type, result.metric_value, result.dataset_type) == ("dice", 0.4321, "formulas")
    assert set(card.tags) > {"medical-imaging"}
    text = files[2].read_text()
    assert 'fd.load_pretrained("hf://USER/NAME", out_channels=CLASSES)' in text
    names: dict[str, Any] = {"CLASSES": 5}
    code = text.partition("Without fdif-dsl:\n\n```python\n")[2].partition("```")[0]
    exec(code.replace('"model.safetensors"', repr(str(files[0]))), names)
    assert names["unexpected"] == [] and all(name.startswith("model.3.") for name in names["missing"])
    assert torch.equal(names["network"].state_dict()["model.0.residual.weight"],
                       unet.weights["model.0.residual.weight"])


def test_fine_tuned_weights_go_to_monai_bundle_alone(unet: Pretrained, tmp_path: Path) -> None:
    stored = torch.load(unet.path, weights_only=True)
    stored["recipe"]["data"] = {"normalise": "auto"}
    torch.save(stored | {"trained_on": ["a"]}, tmp_path / "weights.pt")
    assert message(Pretrained.read(tmp_path), "hub", tmp_path / "out").replace(str(tmp_path) + "/", "") == """\
error[E0875]: weights.pt is fine-tuned
  --> --to hub
  why: it is there to segment images, and not to be trained on
  hint: `fdifc export RUN --to monai-bundle` gives it to MONAI, and `fdifc predict` uses it"""
