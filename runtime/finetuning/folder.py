"""The files of a fine-tuning by name, and the folder that they stand in."""

from __future__ import annotations

from pathlib import Path
from shutil import rmtree

from fdif_dsl.compiler.support.files import check_directory, claim_directory
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError
from fdif_dsl.runtime.finetuning.preflight import PRETRAINED, SCRATCH
from fdif_dsl.runtime.training.run_folder import ABOUT

RECIPE, SCORES, COMPARISON = "finetune.toml", "scores.csv", "comparison.csv"
PICTURE, PREDICTIONS = "predictions.png", "predictions"


def check_folder(directory: Path, overwrite: bool) -> None:
    """Raises `FdifError` where the folder holds an earlier fine-tuning that is not to be overwritten, or something
    else."""
    if (directory / RECIPE).is_file() and not overwrite:
        raise FdifError(Diagnostic("E0944", f"{directory} holds an earlier fine-tuning",
                                   hint="--overwrite starts anew in its place, -o names another folder"))
    check_directory(directory, RECIPE)


def claim(directory: Path) -> None:
    """Makes the folder ready: what an earlier fine-tuning left there goes."""
    claim_directory(directory, RECIPE)
    for name in (SCORES, COMPARISON, ABOUT):
        (directory / name).unlink(missing_ok=True)
    for start in (PRETRAINED, SCRATCH):
        for old in directory.glob(f"{start}-seed-*"):
            rmtree(old)


def run_folder(directory: Path, start: str, seed: int) -> Path:
    return directory / f"{start}-seed-{seed}"
