"""The recipe that goes with a fitted formula: volumes that hold it among other solids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from fdif_dsl.runtime.fitting.grey import KINDS, Levels, scanner_lines
from fdif_dsl.runtime.fitting.target import Target

SIDES = 8
"""Sides of volumes are multiples of this, as networks like them."""
ANY = ("background = 0.8", "paint = 0.9", "invert = 0.3", "blur = 0.7", "bias = 0.5", "gaussian = 0.5", "rician = 0.3",
       "gamma = 0.3")
"""The scanner of a recipe where nothing is known of images."""
OTHERS = 5
"""How many classes of the standard library stand beside it: so few that most volumes hold it."""


def grid_of(targets: Sequence[Target]) -> tuple[int, int, int]:
    """Voxels (D, H, W) that hold most of the masks' images; not more than twice what the masks themselves need."""
    room = np.median([t.room for t in targets], axis=0)
    need = 2 * np.max([np.array(t.distance.shape) * t.cell for t in targets], axis=0)
    x, y, z = (max(16, int(np.ceil(side / SIDES)) * SIDES) for side in np.minimum(room, need))
    return z, y, x


def recipe_text(name: str, fitted: Sequence[str], grid: tuple[int, int, int], targets: Sequence[Target],
                shapes: Sequence[str], bumps: str, levels: Mapping[str, Sequence[Levels]], command: str) -> str:
    """A TOML file that `Recipe.load` reads. `fitted` is the shape, or those of a group; beside it stand some of the
    standard library's `shapes`, all with the displacement `bumps`; the parts of a group are spread as the masks in
    their images. With grey levels of images, objects have these and the scanner is as theirs; without, each object has
    any grey level of its own."""
    step = max(1, len(shapes) // OTHERS)
    quoted = [f'"{shape}"' for shape in list(shapes)[::step][:OTHERS] if shape not in fitted]
    lists = ",\n".join("    " + ", ".join(quoted[i : i + 3]) for i in range(0, len(quoted), 3))
    away = np.std([t.centre / t.room for t in targets], axis=0).max() if len(targets) > 1 else 0.0
    scanner = "\n".join(scanner_lines([one for each in levels.values() for one in each]) if levels else ANY)
    # Levels of objects that lie in each other add up, so each has a place of its own; a group has one together.
    where = (f"translate = {round(float(min(0.35, max(0.05, 2 * away))), 3)}" if len(fitted) > 1
             else 'translate = "inside"\noverlap = 0.05\ntries = 200')
    more = f'\ndisplacements = ["{bumps}"]'
    if levels:
        more += "\nmappers = [" + ", ".join(f'"{shape}_{kind}"' for shape in levels for kind in KINDS) + "]"
    if len(fitted) > 1:
        more += "\ngroups = [[" + ", ".join(f'"{shape}"' for shape in fitted) + "]]"
    return f'''about = "{name}, fitted to {len(targets)} masks, among solids of the standard library."

# Made by: {command}
# fdifc generate --recipe {name}.toml --library standard --library {name}.sdf --count 8 -o volumes
[volume]
grid = {list(grid)}
objects = [5, 9]

[classes]
shapes = [
    "{fitted[0]}",
{lists},
]{more}

[placement]
rotation = 10.0     # how it is turned stands in its formula
shear = 0.03
{where}

[scanner]
{scanner}
'''
