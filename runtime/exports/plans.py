"""The plans of an nnU-Net data set, as a file that we add to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError

PARENT = "3d_fullres"
"""The configuration that ours inherits."""


def read_plans(path: Path) -> dict[str, Any]:
    """The plans in a file. Raises `FdifError` where it has none that we can add to."""

    def wrong(title: str, why: str) -> FdifError:
        return FdifError(Diagnostic(
            "E0870", title, where=str(path), why=why,
            hint="they are nnUNetPlans.json, or nnUNetResEncUNetLPlans.json, in $nnUNet_preprocessed/DatasetXXX_NAME"))

    title = f"{path.name} holds no plans of nnU-Net"
    try:
        plans = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise wrong(title, f"it is no JSON: {error}") from error
    configurations = plans.get("configurations") if isinstance(plans, dict) else None
    if not isinstance(configurations, dict) or not all(isinstance(c, dict) for c in configurations.values()) or not {
            "plans_name", "dataset_name"} <= plans.keys():
        raise wrong(title, "it has no plans_name, dataset_name and configurations")
    if PARENT not in configurations:
        raise FdifError(Diagnostic(
            "E0871", f"these plans have no configuration `{PARENT}`", where=str(path),
            why=f"they have {', '.join(configurations) or 'none'}; the weights are for volumes",
            hint="nnUNetv2_plan_and_preprocess plans it for data sets of volumes"))
    checked: dict[str, Any] = plans
    return checked


def resolved(plans: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A configuration with what it inherits."""
    found: dict[str, Any] = {}
    seen: set[str] = set()
    while name in plans["configurations"] and name not in seen:
        seen.add(name)
        found = plans["configurations"][name] | found
        name = str(plans["configurations"][name].get("inherits_from"))
    return found


def three(parent: Mapping[str, Any], key: str) -> list[float]:
    """Three numbers of the plans, or nothing."""
    value = parent.get(key)
    numbers = isinstance(value, list) and len(value) == 3 and all(isinstance(v, int | float) for v in value)
    return [float(v) for v in value] if isinstance(value, list) and numbers else []
