"""What a notebook shows of a value: the last line of a cell is a picture, or a table.

A class, a displacement, a mapper and a volume are pictures (`_repr_png_`), a scene and a library tables
(`_repr_html_`). These methods are given to the classes here, since the floors on which they live know no pictures.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fdif_dsl.compiler.library import Library
    from fdif_dsl.compiler.library.entries import Entry
    from fdif_dsl.runtime.scenes.render import Volume
    from fdif_dsl.runtime.scenes.scene import Scene

_SHOWN = 300  # rows of a table


def teach() -> None:
    """Gives their methods to those classes that are loaded by now; done again, it changes nothing."""
    for where, names, method, show in _METHODS:
        module = sys.modules.get(f"fdif_dsl.{where}")
        for name in names:
            if (its := getattr(module, name, None)) is not None:
                setattr(its, method, show)


def _png(draw: Callable[[Path], None]) -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "picture.png"
        draw(path)
        return path.read_bytes()


def _picture_of_entry(entry: Entry) -> bytes:
    from fdif_dsl.runtime.pictures.portrait import draw

    library: Any = entry.library
    return _png(lambda path: draw(library, entry.name, path))


def _picture_of_volume(volume: Volume) -> bytes:
    import numpy as np

    from fdif_dsl.runtime.pictures.volume import draw_volume

    image, label = np.asarray(volume.image), np.asarray(volume.label)
    return _png(lambda path: draw_volume(image, label if label.ndim == 3 else label[0], path))


def _table_of_scene(scene: Scene) -> str:
    from fdif_dsl.runtime.pictures.view import brief

    def textured(name: str | None, params: Any) -> str:
        return ", ".join([str(name or "none"), *(f"{key} {brief(value)}" for key, value in params.items())])

    rows = [(str(k), o.shape, ", ".join(f"{name} {brief(value)}" for name, value in o.params.items()),
             " ".join(f"{row[3]:.3g}" for row in o.affine[:3]), textured(o.displacement, o.displacement_params),
             textured(o.mapper, o.mapper_params)) for k, o in enumerate(scene.objects, 1)]
    grid = " × ".join(map(str, scene.grid))
    count = f"{len(rows)} object{'' if len(rows) == 1 else 's'}"
    return f"<p>A scene of {count}, grid {grid} (z, y, x)</p>" + _table(
        ("", "class", "parameters", "place (x, y, z)", "displacement", "mapper"), rows)


def _table_of_library(library: Library) -> str:
    parts = [f"<p>A library of formulas, <code>{library.hash[:12]}</code></p>"]
    for kind, entries in (("shape", library.shapes), ("displacement", library.displacements),
                          ("mapper", library.mappers)):
        rows = [(str(entry.id), entry.name, entry.doc) for entry in entries.values()]
        what = f"{len(rows)} {kind}{'' if len(rows) == 1 else 's'}"
        parts.append(f"<details><summary>{what}</summary>{_table(('id', 'name', ''), rows)}</details>")
    return "".join(parts)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    def line(cells: tuple[str, ...], tag: str) -> str:
        return "<tr>" + "".join(f'<{tag} style="text-align: left">{escape(cell)}</{tag}>' for cell in cells) + "</tr>"

    left = f"<p>and {len(rows) - _SHOWN} more</p>" if len(rows) > _SHOWN else ""
    body = "".join(line(row, "td") for row in rows[:_SHOWN])
    return f"<table><thead>{line(head, 'th')}</thead><tbody>{body}</tbody></table>{left}"


_METHODS: tuple[tuple[str, tuple[str, ...], str, Callable[[Any], object]], ...] = (
    ("compiler.library.entries", ("Shape", "Displacement", "Mapper"), "_repr_png_", _picture_of_entry),
    ("compiler.library.library", ("Library",), "_repr_html_", _table_of_library),
    ("runtime.scenes.scene", ("Scene",), "_repr_html_", _table_of_scene),
    ("runtime.scenes.render", ("Volume",), "_repr_png_", _picture_of_volume),
)
