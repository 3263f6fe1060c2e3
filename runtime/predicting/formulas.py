"""A pre-trained network that predicts as it is: some of the formulas that it learnt are what is looked for in scans, as
where `fdifc fit` made them of a few masks.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError, did_you_mean
from fdif_dsl.runtime.finetuning.data.normalisation import Levels
from fdif_dsl.runtime.predicting.tuned import Tuned
from fdif_dsl.runtime.training.networks import find_network
from fdif_dsl.runtime.training.pretrained import Pretrained

BACKGROUND = "background"
ORIENTATION = "RAS"  # as volumes are drawn: x to the right, y to the front, z up
OVERLAP = 0.5
_SCHEMES = {"zscore": "clipped", "unit": "unit"}  # of scans, of which a few voxels may be much brighter than the rest


def read_of_formulas(run: Path, classes: Mapping[str, int], spacing: tuple[float, float, float]) -> Tuned:
    """The network of a run of `fdifc pretrain`, with its best weights. `classes` has the number that files hold for
    each class that is looked for; all else is background. An image is seen in voxels of `spacing` (z, y, x), in mm.

    Raises:
        FdifError: it is no such run, it tells no classes, or not these.
    """
    found = Pretrained.read(run)
    if found.tuned:
        raise _wrong("classes are named, and the network was fine-tuned", str(found.path),
                     "it knows those of its data set", "leave out --classes and --spacing")
    if found.task != "segmentation" or len(found.tasks) != 1:
        raise _wrong("the network tells no classes of voxels apart", str(found.path),
                     f"its task was {found.task}, of {' and '.join(found.tasks)}",
                     'pre-train one with train.task = "segmentation" and volume.label = "shape"')
    (names,) = found.tasks.values()
    unknown = next((name for name in classes if name not in names[1:]), None)
    if unknown is not None:
        raise _wrong(f"the network learnt no class `{unknown}`", str(found.path),
                     f"its classes are {', '.join(names[1:9])}" + (", ..." if len(names) > 9 else ""),
                     did_you_mean(unknown, names[1:]) or "name one of them")
    row = find_network(found.network, str(found.path))
    network = row.build(found.features, found.channels, found.patch, found.inputs)
    network.load_state_dict(dict(found.weights))
    return Tuned(
        found.path, network.eval(), row.name, found.features, found.patch,
        tuple(name if name in classes else BACKGROUND for name in names), (), tuple(classes.get(n, 0) for n in names),
        found.inputs, (), spacing, ORIENTATION, ((_SCHEMES.get(found.normalise, "keep"), Levels(0.0, 1.0, 0.0, 1.0)),),
        "32", OVERLAP)


def _wrong(title: str, where: str, why: str, hint: str) -> FdifError:
    return FdifError(Diagnostic("E0958", title, where=where, why=why, hint=hint))
