"""The model card of an export: what the weights are, where they come from, and how to use them."""

from __future__ import annotations

import json
import math
from typing import Any

from fdif_dsl.runtime.exports.form import Form, file_stem
from fdif_dsl.runtime.recipe.origins import origins_text
from fdif_dsl.runtime.settings.reading import sections_toml
from fdif_dsl.runtime.training.pretrained import MEASURES, Pretrained
from fdif_dsl.runtime.training.run_folder import SUMMARY

CARD = "README.md"
_LISTED = 40  # classes, up to which all are named


def card(pretrained: Pretrained, form: Form, title: str, channels: int) -> str:
    """The text of the card, Markdown with the header that Hugging Face reads."""
    score, measure = _score(pretrained), MEASURES[pretrained.task]
    parameters = sum({t.data_ptr(): t.numel() for t in pretrained.weights.values() if t.is_floating_point()}.values())
    rows = [
        ("network", f"`{pretrained.network}`, {parameters / 1e6:.1f} million weights"),
        ("input", f"{channels} channel{'s' if channels > 1 else ''}, patches of "
                  f"{' x '.join(map(str, pretrained.patch))} voxels (z, y, x)"),
        ("normalisation", {"unit": "grey levels from 0 to 1", "zscore": "mean 0, standard deviation 1"}.get(
            pretrained.normalise, pretrained.normalise)),
        ("learnt", f"{pretrained.task} by `{pretrained.label}`"),
        ("steps", f"{pretrained.step} of {pretrained.steps}"),
        *([] if score is None else [("score on held-out volumes", f"{measure} {score:.3f}, the mean over classes")]),
        ("seed", str(pretrained.seed)),
        ("library of formulas", f"`{pretrained.library}`"),
        ("made by", f"fdif-dsl {pretrained.version}"),
        ("licence", "Apache-2.0"),
    ]
    table = "\n".join(f"| {name} | {value} |" for name, value in rows)
    seen = ("Weights that have seen shapes sampled from scans or meshes, listed below" if pretrained.origins else
            "Weights that have seen no scan of anyone")
    return f"""\
---
{_header(pretrained, form, measure, score)}---

# {pretrained.network} pre-trained on formulas, for {title}

{seen}: FDIF ([arXiv 2603.23199](https://arxiv.org/abs/2603.23199)) pre-trains on
volumes that are drawn from formulas. Please cite its authors when you use them.

| | |
| --- | --- |
{table}

## How to use them

{form.usage}
{_notes(form)}## What was learnt

{_classes(pretrained)}

{origins_text(pretrained.origins, pretrained.recipe["classes"].get("keep_out", ()))}## The recipe

With fdif-dsl {pretrained.version} and the same library of formulas, `fdifc pretrain recipe.toml` makes such weights
again from this text.

```toml
{sections_toml(pretrained.recipe)}```
"""


def _notes(form: Form) -> str:
    return "".join(f"Note: {note}.\n\n" for note in form.notes)


_STRUCTURE = {"object": "whether it is in an object",
              "middle": "whether it is in the object in the middle of the patch",
              "distance": "how far the nearest border is, positive in objects"}


def _classes(pretrained: Pretrained) -> str:
    if pretrained.task == "structure":
        return "Of each voxel, " + ", ".join(_STRUCTURE[task] for task in pretrained.tasks) + "."
    if pretrained.task == "masked":
        return "The grey levels of blocks that were hidden."
    lines = []
    for task, (_, *classes) in pretrained.tasks.items():
        shown = ", ".join(classes[:_LISTED]) + (f" and {len(classes) - _LISTED} more" if len(classes) > _LISTED else "")
        lines.append(f"{len(classes)} class{'es' if len(classes) > 1 else ''} of {task}: {shown}.")
    return "\n\n".join(lines)


def _header(pretrained: Pretrained, form: Form, measure: str, score: float | None) -> str:
    """What Hugging Face reads, as YAML."""
    kind = "image-segmentation" if pretrained.task in ("segmentation", "structure") else "image-feature-extraction"
    text = f"""\
license: apache-2.0
library_name: {form.library}
pipeline_tag: {kind}
tags: [medical-imaging, 3d-segmentation, pre-training, formula-driven]
"""
    if score is None:
        return text
    return text + f"""\
model-index:
- name: {file_stem(pretrained)}
  results:
  - task: {{type: {kind}}}
    dataset: {{type: formulas, name: held-out volumes of formulas}}
    metrics:
    - {{type: {measure.lower().replace(" ", "-")}, name: {measure}, value: {score:.4f}}}
"""


def _score(pretrained: Pretrained) -> float | None:
    """The mean score of these very weights, where the run's summary lies beside them and says it."""
    try:
        summary: dict[str, Any] = json.loads((pretrained.path.parent / SUMMARY).read_text(encoding="utf-8"))
        best = summary["best"]
        if best and best["step"] == pretrained.step:
            mean = float(best["mean"])
        elif summary["steps"] == pretrained.step and summary["validation"]:
            means = [float(task["mean"]) for task in summary["validation"].values()]
            mean = sum(means) / len(means)
        else:
            return None
    except (OSError, ValueError, KeyError, TypeError):  # another run's, or none
        return None
    return mean if math.isfinite(mean) else None
