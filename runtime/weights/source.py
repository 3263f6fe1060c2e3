"""Where weights may lie: a path, the Hugging Face hub, or this package."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError, did_you_mean
from fdif_dsl.runtime.training.pretrained import Pretrained
from fdif_dsl.runtime.weights import hub

SHIPPED = Path(__file__).parent / "shipped"
_ENDING = ".safetensors"


def read_weights(where: str | Path) -> Pretrained:
    """The weights that are meant: a run, an export or a file of either by its path, `hf://user/name`, or the name of
    weights that come with the package. What lies at such a path is meant before a name.

    Raises:
        FdifError: nothing is there, it is something else, or the hub cannot be reached.
    """
    text = str(where)
    if text.startswith(hub.PREFIX):
        return Pretrained.read(hub.download(text))
    if not Path(where).exists() and (Path(text).name == text and not Path(text).suffix):
        names = shipped()
        if text in names:
            return Pretrained.read(names[text])
        raise FdifError(Diagnostic(
            "E0960", f"there are no weights `{text}`", why="no such file or folder is there, and "
            + (f"with fdif-dsl come {', '.join(names)}" if names else "none come with this version of fdif-dsl"),
            hint=did_you_mean(text, [*names, *_beside()])
            or f"give a run of `fdifc pretrain`, an export of one, or {hub.PREFIX}user/name"))
    return Pretrained.read(where)


def shipped() -> Mapping[str, Path]:
    """The weights that come with the package, by their names."""
    return {path.stem: path for path in sorted(SHIPPED.glob(f"*{_ENDING}"))}


def _beside() -> list[str]:
    return [entry.name for entry in Path().iterdir()]
