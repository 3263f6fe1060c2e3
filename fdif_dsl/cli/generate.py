"""`fdifc generate`: a data set of labelled volumes on disk."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fdif_dsl.cli.options import FilePath, library, seed
from fdif_dsl.runtime.datasets import FORMATS, LEVELS

if TYPE_CHECKING:
    from fdif_dsl.runtime.datasets.plan import Plan
    from fdif_dsl.runtime.datasets.shard import Shard
    from fdif_dsl.runtime.datasets.write import Engine, Outcome
    from fdif_dsl.runtime.recipe import Placement

NNUNET_ID, NNUNET_NAME = 901, "FDIF"


@click.command("generate")
@click.option("--recipe", metavar="NAME|FILE", help="A built-in recipe, or a TOML file. [default: paper; for the "
              "format classification: classification]")
@click.option("--count", type=click.IntRange(1, 2**40), required=True, metavar="N", help="How many volumes.")
@click.option("--validation", type=click.IntRange(0), default=0, metavar="N",
              help="How many further volumes for validation. nnU-Net has them as a second data set.")
@seed
@click.option("--format", "form", type=click.Choice(list(FORMATS)), default="monai", show_default=True,
              help="; ".join(f"{name}: {about}" for name, about in FORMATS.items()) + ".")
@click.option("-o", "directory", type=FilePath, required=True, metavar="DIR", help="The folder for the data set.")
@click.option("--dataset-id", type=click.IntRange(1, 999), metavar="ID",
              help=f"nnU-Net's number of the data set. [default: {NNUNET_ID}]")
@click.option("--dataset-name", metavar="NAME", help=f"nnU-Net's name for it. [default: {NNUNET_NAME}]")
@click.option("--level", type=click.IntRange(0, 9), metavar="0-9",
              help="How hard to compress: from 1, fast, to 9, small; 0 writes .nii instead of .nii.gz. "
              f"[default: {LEVELS['monai']}; classification: {LEVELS['classification']}]")
@click.option("--scenes", is_flag=True, help="Write the scene of each volume beside it, as JSON.")
@click.option("--unions", type=click.IntRange(0), default=0, metavar="N",
              help="Add N classes, each a random smooth union of two of the recipe's.")
@click.option("--shard", "shard_text", metavar="K/N",
              help="Make only the K-th of N shares; `slurm` reads K and N of a Slurm job array. The last one to end "
              "writes the lists.")
@click.option("--scheduler", metavar="ADDRESS",
              help="Let the workers of a dask cluster make the volumes: tcp://..., or `local` for one on this machine.")
@click.option("--workers", type=click.IntRange(1), metavar="N",
              help="Processes of the local cluster. [default: one a CPU]")
@click.option("--resume/--overwrite", default=True, show_default=True,
              help="Keep what is whole of an earlier run in DIR, or make everything anew.")
@library("the recipe's")
def command(recipe: str | None, count: int, validation: int, seed: int, form: str, directory: Path,
            dataset_id: int | None, dataset_name: str | None, level: int | None, scenes: bool, unions: int,
            shard_text: str | None, scheduler: str | None, workers: int | None, resume: bool,
            paths: tuple[str, ...]) -> None:
    """Write volumes 0 to N - 1 of a seed with their labels, lists, pictures and a card.

    A run that was ended, however it was, goes on where it stood when the same command is given again, and what comes
    out is the same to the byte. `fdifc verify` checks it.
    """
    if form != "nnunet" and (dataset_id is not None or dataset_name is not None):
        raise click.UsageError("--dataset-id and --dataset-name are for --format nnunet")
    if dataset_name is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", dataset_name):
        raise click.UsageError(f"--dataset-name {dataset_name!r}: use letters, digits, `_` and `-`")
    if form == "nnunet" and validation and dataset_id == 999:
        raise click.UsageError("--dataset-id 999: the volumes for validation need the next number; this is the last")
    if form == "classification" and validation:
        raise click.UsageError("--validation is not for --format classification: its five folds are in "
                               "splits_final.json")
    if shard_text is not None and not resume:
        raise click.UsageError("--overwrite and --shard: each shard would remove what the others wrote")
    if workers is not None and scheduler != "local":
        raise click.UsageError("--workers is for --scheduler local")

    from fdif_dsl.cli.progress import rate_bar
    from fdif_dsl.compiler.library import load_library
    from fdif_dsl.runtime.datasets import make_format
    from fdif_dsl.runtime.datasets.plan import Plan
    from fdif_dsl.runtime.datasets.room import check_room
    from fdif_dsl.runtime.datasets.shard import WHOLE, read_shard
    from fdif_dsl.runtime.datasets.write import write
    from fdif_dsl.runtime.recipe import Recipe, resolve
    from fdif_dsl.runtime.scanner.scan import prepare
    from fdif_dsl.runtime.scenes.unions import FILE, with_unions

    shard = WHOLE if shard_text is None else read_shard(shard_text, os.environ)
    name = recipe or ("classification" if form == "classification" else "paper")
    chosen = Recipe.load(name)
    lib = load_library(paths or chosen.library)
    resolve(chosen, lib)
    sources = {}
    if unions:
        own = set(lib.shapes)
        lib, sources[FILE] = with_unions(lib, chosen.shapes, seed, unions)
        if chosen.shapes is not None:
            chosen = replace(chosen, shapes=[*chosen.shapes, *(shape for shape in lib.shapes if shape not in own)])
    name = Path(name).stem
    places = _places(form, name, directory, count, validation, dataset_id, dataset_name)
    plans = [(place, Plan(lib, chosen, name, title, seed, counts, make_format(form, level), scenes, unions, sources))
             for place, title, counts in places]
    for _, plan in plans:
        plan.form.check(plan)
    for place, plan in plans:
        check_room(plan, place, shard)  # before kernels are compiled, which takes a while
    lib.compile(formulas=resolve(chosen, lib).formulas)
    prepare(lib, chosen)
    with _engine(scheduler, workers) as engine:
        for place, plan in plans:
            outcome = write(plan, place, shard=shard, overwrite=not resume, engine=engine, bar=rate_bar)
            click.echo(_told(outcome, plan, place, shard))
            if outcome.lost:
                click.echo(_lost(outcome.lost), err=True)
            if outcome.left_out:
                click.echo(_left_out(outcome, plan.recipe.placement), err=True)


def _places(form: str, recipe: str, directory: Path, count: int, validation: int, number: int | None,
            name: str | None) -> list[tuple[Path, str, dict[str, int]]]:
    """The folders of data sets to make, each with its title and how many volumes its splits have."""
    from fdif_dsl.runtime.datasets.nnunet import place
    from fdif_dsl.runtime.datasets.record import TRAINING, VALIDATION

    if form != "nnunet":
        return [(directory, f"FDIF {recipe}", {TRAINING: count} | ({VALIDATION: validation} if validation else {}))]
    number, name = number or NNUNET_ID, name or NNUNET_NAME
    found = [(place(directory, number, name), {TRAINING: count})]
    if validation:
        found.append((place(directory, number + 1, f"{name}Validation"), {VALIDATION: validation}))
    return [(folder, folder.name, counts) for folder, counts in found]


@contextmanager
def _engine(scheduler: str | None, workers: int | None) -> Iterator[Engine]:
    """What makes the volumes: this process, or a cluster."""
    if scheduler is None:
        from fdif_dsl.runtime.datasets.write import on_threads

        yield on_threads
        return
    from fdif_dsl.runtime.datasets.distributed import cluster

    with cluster(scheduler, workers) as engine:
        yield engine


def _told(outcome: Outcome, plan: Plan, place: Path, shard: Shard) -> str:
    """What a run did, in a line or two."""
    from fdif_dsl.runtime.datasets.pictures import OVERVIEW

    total = outcome.kept + outcome.made
    made = f"{outcome.made} made" + (f", {outcome.made / outcome.seconds:.0f} a second" if outcome.made else "")
    whose = "" if shard.of == 1 else f"shard {shard}: "
    text = f"{whose}{_counted(total)} in {place}: {made}" + (f", {outcome.kept} kept" if outcome.kept else "")
    if outcome.whole:
        return f"{text}\npicture in {place / OVERVIEW}"
    others = f"{outcome.missing} of {plan.count} are to come from other shards" if outcome.missing else (
        "other shards are still at work")
    return f"{text}\n{others}; the last one writes the lists"


def _lost(lost: Mapping[str, int]) -> str:
    """That objects are not to be seen, and why."""
    total = sum(lost.values())
    most_first = sorted(lost.items(), key=lambda entry: (-entry[1], entry))
    which = ", ".join(f"`{name}` ({count})" for name, count in most_first)
    objects = "1 object has no voxel, as its" if total == 1 else f"{total} objects have no voxel, as their"
    return f"warning: {objects} distance is NaN: {which}\n  hint: `fdifc check` of the file may say why"


def _left_out(outcome: Outcome, placement: Placement) -> str:
    """How many objects found no place."""
    tried = "one try" if placement.tries == 1 else f"{placement.tries} tries"
    limit = "" if placement.overlap == 1 else f" where earlier ones cover at most {placement.overlap:g} of it"
    return (f"note: {outcome.left_out} of {outcome.drawn} objects were left out: in {tried} none of them found a place "
            f"inside the grid{limit}")


def _counted(number: int) -> str:
    return f"{number} volume{'' if number == 1 else 's'}"
