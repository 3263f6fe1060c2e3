"""Imports of what only pre-training needs, with one clear error where it is missing or broken."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError

_INSTALL = "pip install 'fdif-dsl[train]'"


def monai_networks(einops: bool = False) -> Any:
    """The module `monai.networks.nets`; `einops` for those networks that use that package."""
    if einops:
        require("einops")
    return require("monai.networks.nets")


def require(name: str) -> Any:
    """The module `name`.

    Raises:
        FdifError: where its package is not installed, or torchvision keeps it from loading: a torchvision
            that was built for another torch fails when it is imported, and many packages import it.
    """
    package = name.partition(".")[0]
    if find_spec(package) is None:
        raise FdifError(Diagnostic(
            "E0821", f"pre-training needs the package `{package}`, which is not installed", hint=_INSTALL))
    try:
        return import_module(name)
    except (ImportError, RuntimeError) as error:
        if "torchvision" not in str(error):
            raise FdifError(Diagnostic(
                "E0822", f"the package `{package}` cannot be loaded", why=f"{type(error).__name__}: {error}",
                hint=_INSTALL)) from error
        raise FdifError(Diagnostic(
            "E0823", f"the installed torchvision does not fit the installed torch, and `{package}` loads it",
            why=f"{type(error).__name__}: {error}",
            hint="pre-training does not need it: `pip uninstall torchvision`, or install the pair that belongs "
                 "together")) from error
