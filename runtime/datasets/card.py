"""The card of a data set: a README.md that says what it is and how to read it. No time stands in it."""

from __future__ import annotations

from fdif_dsl.runtime.datasets.pictures import OVERVIEW, PICTURE, title
from fdif_dsl.runtime.datasets.plan import Plan
from fdif_dsl.runtime.datasets.summary import Summary
from fdif_dsl.runtime.recipe import Scanner
from fdif_dsl.runtime.recipe.origins import origins_text

CARD = "README.md"
_LISTED = 200  # classes, up to which all are listed


def card(plan: Plan, summary: Summary) -> str:
    """The text of the card."""
    recipe, identity = plan.recipe, plan.identity()
    least, most = recipe.object_range
    objects = f"{most}" if least == most else f"{least} to {most}"
    if recipe.placement.inside:
        objects += ", less those that find no place"
    size = " x ".join(map(str, recipe.grid))
    foreground = sorted(summary.foreground)
    origins = plan.library.origins(plan.choices.drawn_shapes)
    seen = "some shapes were sampled from scans or meshes" if origins else "no scan of anyone is in them"
    rows = [
        ("volumes", ", ".join(f"{n} {split}" for split, n in plan.counts.items() if n)),
        ("size", f"{size} voxels (z, y, x) of 1 mm"),
        ("objects in a volume", objects),
        ("recipe", plan.name),
        *([("scanner", _chances(recipe.scanner))] if recipe.scanner.used else []),
        ("seed", str(plan.seed)),
        ("library", f"`{plan.library.hash}`"),
        ("made by", f"fdif-dsl {identity['fdif_dsl']}"),
        ("labelled voxels", f"{100 * sum(foreground) / len(foreground):.1f} % on average, "
         f"from {100 * foreground[0]:.1f} to {100 * foreground[-1]:.1f} %"),
    ]
    return f"""\
# {plan.title}

{title(plan)}, made of formulas: {seen}. FDIF ([arXiv 2603.23199](https://arxiv.org/abs/2603.23199))
pre-trains segmentation networks on such volumes.

![Slices of the first volumes]({OVERVIEW})

| | |
| --- | --- |
{_rows(rows)}

Volume *i* of a seed is the same on every machine, so the same command makes this data set again; `fdifc verify` does so
for a sample, and compares the checksums of all files with `manifest.jsonl`.

## How to read it

{plan.form.about(plan)}
{origins_text(origins, recipe.keep_out)}## Classes

{_meaning(plan)}

![How often each class occurs]({PICTURE})

{_classes(summary)}
"""


def _chances(scanner: Scanner) -> str:
    """In how many volumes each step happens."""
    return ", ".join(f"{step} {100 * chance:g} %" for step, chance in scanner.chances.items() if chance)


def _rows(rows: list[tuple[str, str]]) -> str:
    return "\n".join(f"| {name} | {value} |" for name, value in rows)


def _meaning(plan: Plan) -> str:
    tasks = plan.meaning.tasks
    if not tasks[0].parts:
        return "A label is 1 where there is an object, and 0 where there is none."
    if len(tasks) == 1:
        return (f"A label is the {_and(tasks[0].parts)} of the object that a voxel belongs to; 0 is background. Where "
                "objects overlap, the one with the fewest voxels is seen.")
    return (f"A voxel has {len(tasks)} labels, for the {_and([task.name for task in tasks])} of the object that it "
            "belongs to; 0 is background. Where objects overlap, the one with the fewest voxels is seen.")


def _and(names: tuple[str, ...] | list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _classes(summary: Summary) -> str:
    parts = []
    for name, classes in summary.tasks.items():
        if len(summary.tasks) > 1:
            parts.append(f"### {name}\n")
        parts += ["| label | class | objects | volumes | voxels |", "| --- | --- | --- | --- | --- |"]
        parts += [f"| {c.label} | {c.name} | {c.objects} | {c.volumes} | {c.voxels} |" for c in classes[:_LISTED]]
        if len(classes) > _LISTED:
            parts.append(f"\nand {len(classes) - _LISTED} more, in `summary.json`.")
        parts.append("")
    return "\n".join(parts).rstrip()
