"""How well a network that learnt formulas alone finds them in scans of which nobody has labelled one.

    fdifc fit hippocampus/dataset.json --count 10 --label 1,2 --template organ -o hippo.sdf
    fdifc pretrain hippo.toml --library standard --library hippo.sdf -o run
    python benchmarks/unlabelled.py run --data hippocampus@1 --class hippo --label 1,2

What is scored are the held-out cases of the part for reports, as `scans.py` deals them; masks that a formula is fitted
to should be of the others, which `--deal FOLDER` writes as a data list, `training.json`.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import click
import numpy as np
from scanning.parts import CHOOSE, PARTS, REPORT, deal_parts
from scanning.plan import DataSet

from fdif_dsl.cli.errors import report_errors
from fdif_dsl.runtime.finetuning import FinetuneRecipe, open_data
from fdif_dsl.runtime.finetuning.data.nifti import read_label
from fdif_dsl.runtime.predicting import predict


def score(run: Path, data: DataSet, part: str, name: str, labels: tuple[int, ...], folder: Path) -> list[float]:
    """Dice of each held-out case: what is predicted as the class `name` against voxels of any of the labels."""
    path = _dealt(data, folder)[part].path
    cases = json.loads(path.read_text(encoding="utf-8"))["validation"]
    files = predict(run, [case["image"] for case in cases], folder / "found", classes={name: 1}, spacing=data.spacing)
    dice = []
    for case, file in zip(cases, files, strict=True):
        found, right = read_label(file).voxels[0] == 1, np.isin(read_label(Path(case["label"])).voxels[0], labels)
        dice.append(2 * float((found & right).sum()) / max(1, int(found.sum() + right.sum())))
    return dice


def write_training(data: DataSet, part: str, folder: Path) -> Path:
    """A data list of the cases of a part that are not held out."""
    listed = json.loads(_dealt(data, folder)[part].path.read_text(encoding="utf-8"))
    path = folder / "training.json"
    path.write_text(json.dumps({**listed, "validation": []}, indent=1), encoding="utf-8")
    return path


def _dealt(data: DataSet, folder: Path):  # type: ignore[no-untyped-def]
    return deal_parts(open_data(FinetuneRecipe.load("small", data.overrides(data.path))).data, folder)


@click.command(help=(__doc__ or "").replace("    fdifc", "\b\n    fdifc", 1))
@click.argument("run", required=False, type=click.Path(path_type=Path))
@click.option("--data", "text", required=True, help="PATH@MM, the voxels that the network sees.")
@click.option("--class", "name", help="Of the run, what is looked for.")
@click.option("--label", default="1", show_default=True, help="Of the scans, what it is; several, as in 1,2, are one.")
@click.option("--part", type=click.Choice(PARTS), default=REPORT, show_default=True, help=f"`{CHOOSE}` to try things.")
@click.option("--deal", type=click.Path(path_type=Path, file_okay=False), help="Write training.json there, and end.")
def main(run: Path | None, text: str, name: str | None, label: str, part: str, deal: Path | None) -> None:
    data = DataSet.read(text)
    with report_errors():
        if deal is not None:
            click.echo(write_training(data, part, deal))
            return
        if run is None or name is None:
            raise click.UsageError("give a RUN and --class")
        with tempfile.TemporaryDirectory() as folder:
            dice = score(run, data, part, name, tuple(map(int, label.split(","))), Path(folder))
    draws = np.random.default_rng(0).choice(dice, (10_000, len(dice))).mean(1)
    low, high = np.percentile(draws, (2.5, 97.5))
    click.echo(f"{len(dice)} cases: Dice {100 * np.mean(dice):.1f} ({100 * low:.1f} to {100 * high:.1f}), the least "
               f"{100 * min(dice):.1f}, the most {100 * max(dice):.1f}")


if __name__ == "__main__":
    main()
