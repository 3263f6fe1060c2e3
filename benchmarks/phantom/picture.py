"""A picture of the phantom: a CT and an MR case, each with its labels."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

_COLOURS = ("#b3523b", "#7a4fa3", "#e0a030", "#3f9a5f", "#3b7dd8", "#e05a9c")


def draw_phantom(data: Path, path: Path) -> None:
    """The first two cases of the data list, with the slice from above and the one from the front in which most classes
    are seen."""
    table = json.loads(data.read_text(encoding="utf-8"))
    figure = Figure(figsize=(9, 4.4), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, 4)
    for row, entry in zip(panels, table["training"][:2], strict=True):
        image, label = (nibabel.load(data.parent / entry[key]) for key in ("image", "label"))
        for pair, axis in ((row[:2], 2), (row[2:], 1)):
            steps = [step for k, step in enumerate(image.header.get_zooms()) if k != axis]
            place = _fullest(np.asarray(label.dataobj), axis)
            for panel, file in zip(pair, (None, label), strict=True):
                grey = np.asarray(image.dataobj).take(place, axis).T
                panel.imshow(grey, cmap="gray", origin="lower", aspect=steps[1] / steps[0])
                if file is not None:
                    classes = np.asarray(file.dataobj).take(place, axis).T
                    panel.imshow(np.ma.masked_equal(classes, 0), cmap=ListedColormap(_COLOURS), vmin=1,
                                 vmax=len(_COLOURS), alpha=0.65, origin="lower", interpolation="nearest",
                                 aspect=steps[1] / steps[0])
                panel.set_axis_off()
        row[0].set_title(Path(entry["image"]).name.split("_")[0].upper(), loc="left", fontsize=10)
    names = [name for label, name in table["labels"].items() if label != "0"]
    figure.legend(handles=[Patch(color=colour, label=name) for colour, name in zip(_COLOURS, names, strict=True)],
                  loc="outside lower center", ncols=len(names), frameon=False, fontsize=9)
    figure.savefig(path, dpi=80)


def _fullest(label: np.ndarray, axis: int) -> int:
    """The slice with the most classes; of several, the one that has most of its voxels labelled."""
    slices = np.moveaxis(label, axis, 0)
    return max(range(len(slices)), key=lambda k: (len(np.unique(slices[k])), np.count_nonzero(slices[k])))
