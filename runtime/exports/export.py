"""`export`: a run's weights in the form of another tool, with a card that says what they are."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from fdif_dsl.compiler.support.files import claim_directory, write_text
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError, did_you_mean
from fdif_dsl.runtime.exports import hub, monai, nnssl, nnunet
from fdif_dsl.runtime.exports.card import CARD, card
from fdif_dsl.runtime.exports.form import Form
from fdif_dsl.runtime.exports.weights import check_finite
from fdif_dsl.runtime.training.pretrained import Pretrained
from fdif_dsl.runtime.weights.hub import check, upload


@dataclass(frozen=True)
class Tool:
    """A row of the table: what a tool is called, the networks that it takes (None: all), and what makes its form from
    weights and the number of input channels."""

    name: str
    title: str
    networks: tuple[str, ...] | None
    form: Callable[[Pretrained, int], Form]


TOOLS = {tool.name: tool for tool in (
    Tool("nnunet", "nnU-Net", nnunet.NETWORKS, nnunet.form),
    Tool("nnssl", "nnssl", nnssl.NETWORKS, nnssl.form),
    Tool("monai", "MONAI and PyTorch", None, monai.form),
    Tool("hub", "fdif-dsl and PyTorch", None, hub.form),
)}
BUNDLE = "monai-bundle"
"""The form of fine-tuned networks, which `bundle.py` writes."""


@dataclass(frozen=True)
class Export:
    """What was written: the file that the tool reads first, then those beside it; what to know; and what comes next.
    `address` is where it was uploaded to."""

    files: tuple[Path, ...]
    notes: tuple[str, ...]
    next: str
    address: str = ""


def export(pretrained: Pretrained, tool: str, directory: Path, channels: int = 1, push: str = "",
           private: bool = False) -> Export:
    """Writes the form of `tool` for images of so many channels, and its card, into a folder of its own. That of the hub
    is uploaded as the repository `push`, USER/NAME, which is made where there is none, `private` or for all.

    An earlier export of the same network there is replaced.

    Raises:
        FdifError: the tool is unknown or does not take the network, the network cannot have so many channels, a weight
            is not finite, the folder holds something else, or the hub cannot be reached or refuses.
    """
    row = _find(tool, pretrained)
    if push:
        check(push)
    check_finite(pretrained)
    form = row.form(pretrained, channels)
    if push:
        form = replace(form, usage=form.usage.replace(hub.PLACE, push))
    texts = {**form.texts, CARD: card(pretrained, form, row.title, channels)}
    new = not directory.exists()
    claim_directory(directory, form.name)
    try:
        form.save(form.stored, directory / form.name)
        for name, text in texts.items():
            write_text(directory / name, text)
    except BaseException:
        if new:  # nothing of a failed export stays
            for name in (form.name, *texts):
                (directory / name).unlink(missing_ok=True)
            with suppress(OSError):
                directory.rmdir()
        raise
    files = tuple(directory / name for name in (form.name, *texts))
    if push:
        return Export(files, form.notes, f'fd.load_pretrained("hf://{push}", out_channels=...)',
                      upload(directory, [path.name for path in files], push, private))
    return Export(files, form.notes, form.next(directory / form.name))


def check_tool(tool: str) -> None:
    """Raises `FdifError` where there is no such tool."""
    known = (*TOOLS, BUNDLE)
    if tool not in known:
        raise FdifError(Diagnostic("E0869", f"unknown tool `{tool}`", where="--to",
                                   why=f"there are {', '.join(known)}", hint=did_you_mean(tool, known)))


def _find(tool: str, pretrained: Pretrained) -> Tool:
    check_tool(tool)
    if pretrained.tuned:
        raise FdifError(Diagnostic(
            "E0875", f"{pretrained.path} is fine-tuned", where=f"--to {tool}",
            why="it is there to segment images, and not to be trained on",
            hint=f"`fdifc export RUN --to {BUNDLE}` gives it to MONAI, and `fdifc predict` uses it"))
    row = TOOLS[tool]
    if row.networks is not None and pretrained.network not in row.networks:
        takers = " or ".join(f"--to {t.name}" for t in TOOLS.values()
                             if t.networks is None or pretrained.network in t.networks)
        raise FdifError(Diagnostic(
            "E0866", f"{row.title} has no network `{pretrained.network}`", where=str(pretrained.path),
            why=f"it takes {' and '.join(row.networks)}", hint=f"export these weights {takers}"))
    return row

