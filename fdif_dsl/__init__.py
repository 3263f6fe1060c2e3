"""FDIF: volumes made of formulas, to pre-train 3-D medical segmentation networks.

    import fdif_dsl as fd

    lib = fd.load_library()
    scene = fd.sample_scene(lib, seed=7, index=0)
    volume = fd.render(scene, lib)
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fdif_dsl.compiler.library import Library, load_library
    from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError
    from fdif_dsl.runtime.fitting import fit
    from fdif_dsl.runtime.predicting import predict
    from fdif_dsl.runtime.recipe import Recipe, Scanner
    from fdif_dsl.runtime.scanner.scan import scan
    from fdif_dsl.runtime.scenes.render import Volume, render
    from fdif_dsl.runtime.scenes.sampler import sample_scene
    from fdif_dsl.runtime.scenes.scene import Scene
    from fdif_dsl.runtime.streams.stream import VolumeStream
    from fdif_dsl.runtime.weights import load_pretrained

# In a clone the other parts lie beside this folder, which hides the installed package from whoever works in the clone's
# root. There they are found where they are.
if not (Path(__file__).parent / "compiler").is_dir():
    __path__.append(str(Path(__file__).resolve().parents[1]))

# Each name is imported when it is first used, so that `import fdif_dsl` costs next to nothing.
_HOMES = {
    "Library": "compiler.library", "load_library": "compiler.library",
    "Diagnostic": "grammar.diagnostics", "FdifError": "grammar.diagnostics",
    "fit": "runtime.fitting", "load_pretrained": "runtime.weights", "predict": "runtime.predicting",
    "Recipe": "runtime.recipe", "Scanner": "runtime.recipe", "scan": "runtime.scanner.scan",
    "Volume": "runtime.scenes.render", "render": "runtime.scenes.render",
    "sample_scene": "runtime.scenes.sampler", "Scene": "runtime.scenes.scene", "VolumeStream": "runtime.streams.stream",
}

__all__ = [
    "Diagnostic", "FdifError", "Library", "Recipe", "Scanner", "Scene", "Volume", "VolumeStream", "fit", "load_library",
    "load_pretrained", "predict", "render", "sample_scene", "scan",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("fdif-dsl")
    if name not in _HOMES:
        raise AttributeError(f"module 'fdif_dsl' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"fdif_dsl.{_HOMES[name]}"), name)
    importlib.import_module("fdif_dsl.notebook").teach()  # what was loaded shows itself in notebooks from now on
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
