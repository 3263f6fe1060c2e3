"""Packages that are missing, broken, or do not fit each other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.runtime.training import extra


def test_a_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extra, "find_spec", lambda name: None)
    with pytest.raises(FdifError) as error:
        extra.require("monai.networks.nets")
    assert str(error.value) == """\
error[E0821]: training needs the package `monai`, which is not installed
  hint: pip install 'fdif-dsl[train]'"""


def test_a_torchvision_that_does_not_fit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = tmp_path / "needs_torchvision"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "needs_torchvision", raising=False)
    with pytest.raises(FdifError) as error:
        extra.require("needs_torchvision")
    assert str(error.value) == """\
error[E0823]: the installed torchvision does not fit the installed torch, and `needs_torchvision` loads it
  why: RuntimeError: operator torchvision::nms does not exist
  hint: install the pair that belongs together, or `pip uninstall torchvision`, which only `primus_m` needs"""


def test_a_broken_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "broken_package.py").write_text("import a_package_that_is_not_there\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(FdifError) as error:
        extra.require("broken_package")
    assert str(error.value) == """\
error[E0822]: the package `broken_package` cannot be loaded
  why: ModuleNotFoundError: No module named 'a_package_that_is_not_there'
  hint: pip install 'fdif-dsl[train]'"""


def test_a_package_of_another_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extra, "find_spec", lambda name: None)
    with pytest.raises(FdifError, match=r"pip install 'fdif-dsl\[nnunet\]'"):
        extra.require("dynamic_network_architectures.architectures.unet", "nnunet")


def test_a_torchvision_without_its_operators_is_mended(tmp_path: Path) -> None:
    """As where torchvision was made for a torch with CUDA, and torch has none: what it describes is declared for it."""
    package = tmp_path / "torchvision"
    package.mkdir()
    (package / "__init__.py").write_text("""
import torch
for name in ("nms", "qnms"):
    @torch.library.register_fake(f"torchvision::{name}")
    def fake():
        pass
""")
    (tmp_path / "torchvision-9.9.dist-info").mkdir()
    (tmp_path / "torchvision-9.9.dist-info" / "METADATA").write_text("Name: torchvision\nVersion: 9.9\n")
    code = ("import sys; sys.path.insert(0, sys.argv[1])\n"
            "from fdif_dsl.runtime.training.extra import require\n"
            "print(require('torchvision').__file__)\n")
    done = subprocess.run([sys.executable, "-P", "-c", code, str(tmp_path)], cwd=tmp_path, capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr
    # Nobody needs to know of it.
    assert done.stdout.strip() == str(package / "__init__.py") and done.stderr == ""
