"""Imports of what only pre-training needs, with one clear error where it is missing or broken."""

from __future__ import annotations

import re
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError

_declared: list[Any] = []  # operators last as long as the object that declared them
_MOST = 50  # operators that torchvision could miss


def require(name: str, extra: str = "train", who: str = "training") -> Any:
    """The module `name`, of a package that the extra `extra` brings, or none. `who` needs it.

    Raises:
        FdifError: where its package is not installed, or it cannot be loaded.
    """
    package = name.partition(".")[0]
    install = f"pip install 'fdif-dsl[{extra}]'" if extra else f"pip install {package}"
    if find_spec(package) is None:
        raise FdifError(Diagnostic(
            "E0821", f"{who} needs the package `{package}`, which is not installed", hint=install))
    mend_torchvision()
    try:
        return import_module(name)
    except (ImportError, RuntimeError) as error:
        if "torchvision" not in str(error):
            raise FdifError(Diagnostic(
                "E0822", f"the package `{package}` cannot be loaded", why=f"{type(error).__name__}: {error}",
                hint=install)) from error
        raise FdifError(Diagnostic(
            "E0823", f"the installed torchvision does not fit the installed torch, and `{package}` loads it",
            why=f"{type(error).__name__}: {error}",
            hint="install the pair that belongs together, or `pip uninstall torchvision`, which only `primus_m` "
                 "needs")) from error


def mend_torchvision() -> None:
    """Lets a torchvision be imported whose compiled part was made for another torch.

    Lightning and timm import it wherever it is installed, and fail with it: it describes operators that its compiled
    part should have brought. They are declared here, without a body. No network here calls one, and torchvision itself
    refuses to, so nothing is said of it unless an import fails over it.
    """
    if find_spec("torchvision") is None:
        return
    import torch

    for _ in range(_MOST):
        try:
            import_module("torchvision")
        except RuntimeError as error:
            missing = re.search(r"operator torchvision::(\w+) does not exist", str(error))
            if missing is None:
                return  # whoever imports it next says what is wrong
            library: Any = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
            library.define(f"{missing[1]}() -> ()")
            _declared.append(library)
        except ImportError:
            return
        else:
            return
